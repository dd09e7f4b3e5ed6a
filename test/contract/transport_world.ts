/** What the suite of transports stands on: a world to reach, a sink that remembers, and a look at this machine's processes. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../src/contracts/limits.ts';
import type { StreamName, Target } from '../../src/contracts/task.ts';
import type {
  Connection,
  ConnectPhase,
  ExecOptions,
  OutputSink,
  Transport,
  Watch,
} from '../../src/transport/transport.ts';
import { type RealServer, startSshd } from '../kit/servers.ts';

/** What a transport promises beyond status and output. */
export interface Capabilities {
  /** Signals are sent, and told. */
  readonly signals: boolean;
  /** There is a host, with keys, that can be out of reach. */
  readonly network: boolean;
}

/** Where a transport is sent to instead. */
export interface Detour {
  readonly port?: number;
  readonly identity?: string;
  readonly knownHosts?: string;
}

/** One place where all tests of a transport happen. */
export interface TransportWorld extends AsyncDisposable {
  readonly target: Target;
  /** A folder that the commands see, too. */
  readonly dir: string;
  /** The server, where there is one. */
  readonly server?: RealServer;
  make(detour?: Detour): Transport;
  /** A shell's line as this transport takes it. */
  command(line: string): string | readonly string[];
}

export const systemClock: Clock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

export const TARGET: Target = { label: '127.0.0.1', name: '127.0.0.1', index: 0, iteration: 1 };

/** A world around a real sshd; `make` gives the transport for a port, a key file and a known_hosts file. */
export async function sshdWorld(
  make: (server: RealServer, way: Required<Detour>) => Transport,
  config: readonly string[] = [],
): Promise<TransportWorld> {
  const server = await startSshd(config);
  return {
    target: TARGET,
    dir: server.dir,
    server,
    command: (line) => line,
    make(detour = {}) {
      const knownHosts = detour.knownHosts ?? server.knownHosts;
      return make(server, {
        port: detour.port ?? server.port,
        identity: detour.identity ?? server.identity,
        knownHosts: detour.port === undefined ? knownHosts : alsoAt(server, knownHosts, detour.port),
      });
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** The same keys, known at another port. */
function alsoAt(server: RealServer, knownHosts: string, port: number): string {
  const file = join(server.dir, `known_hosts_${port}`);
  writeFileSync(file, readFileSync(knownHosts, 'utf8').replaceAll(`:${server.port} `, `:${port} `));
  return file;
}

/** Gathers what a process says. */
export class Sink implements OutputSink {
  readonly chunks: Record<StreamName, Buffer[]> = { stdout: [], stderr: [] };
  room = true;
  starts = 0;
  gate: Promise<void> | undefined = undefined;
  /** Called with each piece. */
  onWrite: (() => void) | undefined = undefined;

  write(stream: StreamName, chunk: Uint8Array): boolean {
    this.chunks[stream].push(Buffer.from(chunk));
    this.onWrite?.();
    return this.room;
  }

  options(lingerMs = 2_000): ExecOptions {
    const started = (): void => {
      this.starts += 1;
    };
    return { sink: this, begin: () => this.gate, started, lingerMs };
  }

  bytes(stream: StreamName = 'stdout'): Buffer {
    return Buffer.concat(this.chunks[stream]);
  }

  text(stream: StreamName = 'stdout'): string {
    return this.bytes(stream).toString('latin1');
  }

  get size(): number {
    return this.chunks.stdout.reduce((sum, chunk) => sum + chunk.length, 0);
  }
}

/** A watch that remembers the phases. */
export class Phases implements Watch {
  readonly entered: ConnectPhase[] = [];
  stop: ((reason: Error) => void) | undefined = undefined;

  enter(phase: ConnectPhase): undefined {
    this.entered.push(phase);
  }
}

export function connectTo(transport: Transport, target: Target = TARGET, watch = new Phases()): Promise<Connection> {
  return transport.connect(target, watch, { session: true });
}

/** Waits for what another process does; the test's own deadline is its bound. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A sleep that no one else has. */
export function uniqueSleep(): string {
  return `600.${process.pid}${Math.floor(Math.random() * 1e6)}`;
}

/** The processes of this machine that have exactly these arguments. */
export function pidsOf(...args: string[]): number[] {
  const wanted = `${args.join('\0')}\0`;
  return processes()
    .filter((pid) => read(`/proc/${pid}/cmdline`) === wanted)
    .map(Number);
}

/** The processes that this one has started and that are not gone, reaped ones and zombies left out. */
export function children(): ReadonlySet<number> {
  const own = processes().filter((pid) => {
    const [state, parent] = read(`/proc/${pid}/stat`)
      .replace(/^.*\) /s, '')
      .split(' ');
    return Number(parent) === process.pid && state !== 'Z';
  });
  return new Set(own.map(Number));
}

function processes(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
