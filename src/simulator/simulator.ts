/**
 * A simulated fleet: one process that answers SSH on every address of 127.0.0.0/8 as a host of its own.
 * Connections whose local or remote address is not loopback are refused. No real command runs.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { MyriadError } from '../contracts/errors.ts';
import { DEFAULT_PREFERENCES, Offer } from '../ssh/algorithms.ts';
import { Arena } from '../ssh/arena.ts';
import type { LoginAttempt } from '../ssh/server_auth.ts';
import { serve } from './connection.ts';
import { assignFaults, type FaultName, type FaultShares } from './faults.ts';
import { FleetKeys } from './keys.ts';
import { MaxStartups } from './max_startups.ts';

export interface SimulatorOptions {
  /** Hosts of the fleet, 1 to 16,000,000. */
  readonly hosts: number;
  /** The first host's address; the others follow it. @default 127.1.0.0 */
  readonly base?: string;
  /** @default a free one */
  readonly port?: number;
  /** Of faults and keys. @default 1 */
  readonly seed?: number;
  /** Distinct host keys. @default 1000 */
  readonly hostKeys?: number;
  readonly faults?: FaultShares;
  /** Each answer leaves so much later. @default 0 */
  readonly latencyMs?: number;
  /** `begin:rate:full` per address, as sshd; undefined: no limit. */
  readonly maxStartups?: string;
  /** Sessions per connection, as sshd. @default 10 */
  readonly maxSessions?: number;
  /** What sudo takes on its hosts. @default anything */
  readonly sudoPassword?: string;
  /** Who may log in. @default everyone */
  readonly accepts?: (attempt: LoginAttempt) => boolean;
  /** Called as a command starts. */
  readonly onCommand?: (address: string, command: string) => void;
}

export interface SimulatorStats {
  readonly connections: number;
  readonly logins: number;
  readonly commands: number;
}

const MOST_HOSTS = 16_000_000;
/** A port below 1024 that nothing listens on: where refusing hosts are said to be. */
const CLOSED_PORT = 1;

export class Simulator implements AsyncDisposable {
  readonly #options: SimulatorOptions;
  readonly #base: number;
  readonly #keys: FleetKeys;
  readonly #fault: (index: number) => FaultName | undefined;
  readonly #arena = new Arena();
  readonly #offer = new Offer('server', { ...DEFAULT_PREFERENCES, hostKey: ['ssh-ed25519'] });
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #startups = new Map<string, MaxStartups>();
  #connections = 0;
  #logins = 0;
  #commands = 0;

  /** Starts listening. Throws `usage` for options that cannot be taken, `file` for a port that cannot be had. */
  static async start(options: SimulatorOptions): Promise<Simulator> {
    const simulator = new Simulator(options);
    await simulator.#listen();
    return simulator;
  }

  private constructor(options: SimulatorOptions) {
    if (!Number.isInteger(options.hosts) || options.hosts < 1 || options.hosts > MOST_HOSTS) {
      throw new MyriadError('usage', `simulator: expected 1 to ${MOST_HOSTS} hosts, got ${options.hosts}`);
    }
    this.#options = options;
    this.#base = parseLoopback(options.base ?? '127.1.0.0');
    if (this.#base + options.hosts > parseLoopback('127.255.255.255')) {
      throw new MyriadError('usage', `simulator: ${options.hosts} hosts from ${options.base} leave 127.0.0.0/8`);
    }
    if (options.maxStartups !== undefined) new MaxStartups(options.maxStartups, Math.random);
    const seed = options.seed ?? 1;
    this.#keys = new FleetKeys(seed, options.hostKeys ?? 1000);
    this.#fault = assignFaults(options.faults ?? {}, seed);
    this.#server = createServer({ noDelay: true, allowHalfOpen: false }, (socket) => this.#accept(socket));
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  get stats(): SimulatorStats {
    return { connections: this.#connections, logins: this.#logins, commands: this.#commands };
  }

  /** The address of host `index`. */
  address(index: number): string {
    return formatAddress(this.#base + index);
  }

  /** The fault of host `index`. */
  fault(index: number): FaultName | undefined {
    return this.#fault(index);
  }

  /** How host `index` is written in a host set: its address, with a closed port where it refuses. */
  label(index: number): string {
    return this.#fault(index) === 'refuse' ? `${this.address(index)}:${CLOSED_PORT}` : this.address(index);
  }

  /** All hosts, one label each, in order. */
  *labels(): Generator<string> {
    for (let index = 0; index < this.#options.hosts; index++) yield this.label(index);
  }

  /** known_hosts lines for all hosts, a piece of at most 64 KiB at a time. */
  *knownHosts(): Generator<string> {
    const { port } = this;
    let piece = '';
    for (let index = 0; index < this.#options.hosts; index++) {
      const address = this.address(index);
      const name = port === 22 ? address : `[${address}]:${port}`;
      piece += `${name} ssh-ed25519 ${this.#keys.blob(index).toString('base64')}\n`;
      if (piece.length < 60_000) continue;
      yield piece;
      piece = '';
    }
    yield piece;
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      const port = this.#options.port ?? 0;
      this.#server.once('error', (cause) => {
        reject(new MyriadError('file', `simulator: cannot listen on port ${port}: ${cause.message}`, { cause }));
      });
      // All of 127.0.0.0/8 answers on one wildcard socket; whatever came another way is turned away in #accept.
      this.#server.listen({ host: '0.0.0.0', port, backlog: 4096 }, () => resolve());
    });
  }

  #accept(socket: Socket): void {
    const address = socket.localAddress ?? '';
    const remote = socket.remoteAddress ?? '';
    if (!address.startsWith('127.') || !remote.startsWith('127.')) {
      socket.resetAndDestroy();
      return;
    }
    this.#connections++;
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    const leave = this.#enterStartups(address, socket);
    if (!leave) return;
    const index = parseLoopback(address) - this.#base;
    const fault = index >= 0 && index < this.#options.hosts ? this.#fault(index) : undefined;
    serve(socket, {
      arena: this.#arena,
      offer: this.#offer,
      keys: this.#keys,
      index: Math.max(0, index),
      address,
      fault,
      latencyMs: this.#options.latencyMs ?? 0,
      maxSessions: this.#options.maxSessions ?? 10,
      sudoPassword: this.#options.sudoPassword,
      accepts: this.#options.accepts ?? (() => true),
      authenticated: () => {
        this.#logins++;
        leave();
      },
      started: (command) => {
        this.#commands++;
        this.#options.onCommand?.(address, command);
      },
    });
  }

  /** Undefined: dropped, as sshd does over MaxStartups. Else what to call, more than once if need be, after the login. */
  #enterStartups(address: string, socket: Socket): (() => void) | undefined {
    const text = this.#options.maxStartups;
    if (text === undefined) return () => {};
    let limit = this.#startups.get(address);
    if (!limit) {
      limit = new MaxStartups(text, Math.random);
      this.#startups.set(address, limit);
    }
    if (!limit.enter()) {
      socket.on('error', () => socket.destroy());
      socket.end('Exceeded MaxStartups\r\n');
      return undefined;
    }
    let left = false;
    const entered = limit;
    const leave = () => {
      if (!left) entered.leave();
      left = true;
    };
    socket.once('close', leave);
    return leave;
  }

  /** Stops listening and drops all connections. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function parseLoopback(address: string): number {
  const parts = address.split('.').map(Number);
  const valid = parts.length === 4 && parts[0] === 127 && parts.every((part) => part >= 0 && part <= 255);
  if (!valid) throw new MyriadError('usage', `simulator: expected an address of 127.0.0.0/8, got "${address}"`);
  return parts[1]! * 65536 + parts[2]! * 256 + parts[3]!;
}

function formatAddress(offset: number): string {
  return `127.${offset >> 16}.${(offset >> 8) & 255}.${offset & 255}`;
}
