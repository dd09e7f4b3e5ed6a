/**
 * Both halves of the client core in one process, joined by two queues of bytes instead of a network: what is delivered
 * when, and in which pieces, is the test's choice. Timers fire only when the test says so.
 */
import { generateKeyPairSync } from 'node:crypto';
import { FleetKeys } from '../../src/simulator/keys.ts';
import { DEFAULT_PREFERENCES, Offer, type Preferences } from '../../src/ssh/algorithms.ts';
import { Arena } from '../../src/ssh/arena.ts';
import type { ByteStream } from '../../src/ssh/byte_stream.ts';
import { ClientAuth, type Credentials } from '../../src/ssh/client_auth.ts';
import type { SshError } from '../../src/ssh/errors.ts';
import { poolBusy } from '../../src/ssh/kex/pool.ts';
import { MSG } from '../../src/ssh/messages.ts';
import { Mux } from '../../src/ssh/mux.ts';
import { parsePrivateKey } from '../../src/ssh/private_key.ts';
import { type ServerHandler, SshServerConnection } from '../../src/ssh/server.ts';
import { Session, type SessionEnd } from '../../src/ssh/session.ts';
import { TransportLayer } from '../../src/ssh/transport.ts';

/** One end of a link: what the code under test gets as its stream. */
export interface End {
  /** Takes bytes from the other end. */
  receive(chunk: Buffer): void;
  /** The other end hung up. */
  ended(): void;
}

type Way = 'toClient' | 'toServer';

/** Changes what is under way; the pieces it gives are delivered one by one. */
export type Tamper = (way: Way, bytes: Buffer) => readonly Buffer[];

/** Pieces a link delivers before a conversation counts as endless. */
const MOST_PIECES = 200_000;

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

export class Link {
  readonly #queues: Record<Way, Buffer[]> = { toClient: [], toServer: [] };
  readonly #ended: Record<Way, 'no' | 'said' | 'told'> = { toClient: 'no', toServer: 'no' };
  readonly #tamper: Tamper;
  /** Pieces delivered so far. */
  moved = 0;
  client: End | undefined;
  server: End | undefined;

  constructor(tamper: Tamper = (_way, bytes) => [bytes]) {
    this.#tamper = tamper;
  }

  /** The stream whose bytes go this way. */
  stream(way: Way): ByteStream {
    return {
      write: (bytes) => {
        if (this.#ended[way] === 'no') this.#queues[way].push(...this.#tamper(way, bytes));
      },
      // A link takes everything at once.
      waiting: 0,
      end: () => this.hangUp(way),
      destroy: () => this.hangUp(way),
    };
  }

  /** Nothing more goes this way. */
  hangUp(way: Way): void {
    if (this.#ended[way] === 'no') this.#ended[way] = 'said';
  }

  /** Delivers until both halves are quiet, in pieces of the sizes that `size` gives. Throws where that never happens. */
  async settle(size: () => number = () => Number.POSITIVE_INFINITY): Promise<void> {
    let pieces = 0;
    for (let quiet = 0; quiet < 3; ) {
      const moved = this.#deliver('toServer', this.server, size) || this.#deliver('toClient', this.client, size);
      if (moved) {
        quiet = 0;
        this.moved++;
        if (++pieces > MOST_PIECES) throw new Error('the conversation does not end');
        // Promises and setImmediate of the halves get their turn now and then, as between two reads of a socket.
        if (pieces % 16 === 0) await turn();
      } else {
        // A key exchange on the thread pool is not the end of a conversation.
        if (poolBusy() === 0) quiet++;
        await turn();
      }
    }
  }

  #deliver(way: Way, end: End | undefined, size: () => number): boolean {
    const queue = this.#queues[way];
    const first = queue[0];
    if (first === undefined) {
      if (this.#ended[way] !== 'said') return false;
      this.#ended[way] = 'told';
      end?.ended();
      return true;
    }
    const count = Math.max(1, Math.min(first.length, size()));
    if (count >= first.length) queue.shift();
    else queue[0] = first.subarray(count);
    // A copy: the halves must not keep what they were handed.
    const piece = Buffer.from(first.subarray(0, count));
    end?.receive(piece);
    piece.fill(0xee);
    return true;
  }
}

/** Timers that fire when told to, in the order in which they were set. */
class ManualTimers {
  readonly #callbacks = new Set<() => void>();

  readonly set = (_delayMs: number, callback: () => void) => {
    this.#callbacks.add(callback);
    return { cancel: () => void this.#callbacks.delete(callback) };
  };

  get count(): number {
    return this.#callbacks.size;
  }

  fire(): void {
    const due = [...this.#callbacks];
    this.#callbacks.clear();
    for (const callback of due) callback();
  }
}

export interface Answer extends SessionEnd {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

const USER_KEY = parsePrivateKey(
  generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
  { source: 'a test' },
);

const SERVER_KEYS = new FleetKeys(1, 1).server(0);

export interface HalvesOptions {
  readonly tamper?: Tamper;
  readonly preferences?: Partial<Preferences>;
  readonly credentials?: Credentials;
  readonly clientRekeyBytes?: number;
}

/** What stands above the socket on the client's side, as SshClient puts it together. */
export class ClientHalf implements End {
  readonly transport: TransportLayer;
  readonly mux: Mux;
  readonly timers = new ManualTimers();
  readonly #auth: ClientAuth;
  readonly #ready = Promise.withResolvers<void>();
  /** Why the connection ended. */
  closed: SshError | undefined;
  /** Host keys shown, one per key exchange. */
  hostKeys = 0;
  #arena = new Arena();

  constructor(stream: ByteStream, options: HalvesOptions = {}) {
    const offer = new Offer('client', { ...DEFAULT_PREFERENCES, ...options.preferences });
    const rekey = options.clientRekeyBytes === undefined ? {} : { rekeyBytes: options.clientRekeyBytes };
    this.transport = new TransportLayer(
      stream,
      this.#arena,
      { offer, ...rekey },
      {
        identified: () => undefined,
        hostKey: () => {
          this.hostKeys++;
          return undefined;
        },
        secured: () => this.#auth.begin(),
        message: (type, reader) => {
          if (type < MSG.GLOBAL_REQUEST) this.#auth.message(type, reader);
          else this.mux.message(type, reader);
        },
        resumed: () => this.mux.resumed(),
        closed: (error) => {
          this.closed = error;
          this.mux.lost(error);
          this.#ready.reject(error);
        },
      },
    );
    this.mux = new Mux(this.transport, this.#arena);
    const credentials = options.credentials ?? { user: 'tester', keys: [USER_KEY] };
    this.#auth = new ClientAuth(this.transport, credentials, {
      requested() {},
      succeeded: () => this.#ready.resolve(),
      failed: (error) => this.transport.fail(error),
    });
    this.#ready.promise.catch(() => {});
  }

  /** Rejects with SshError. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  receive(chunk: Buffer): void {
    this.transport.receive(chunk);
  }

  ended(): void {
    this.transport.ended(false);
  }

  session(): Session {
    const session = new Session(this.transport, this.timers.set);
    session.attach(this.mux.open('session', session));
    if (this.closed) session.openFailed(this.closed);
    this.transport.flush();
    return session;
  }

  /** Runs a command with this stdin, and gathers everything. Rejects with SshError. */
  async run(command: string, stdin: Uint8Array = Buffer.alloc(0)): Promise<Answer> {
    const session = this.session();
    const pieces: [Buffer[], Buffer[]] = [[], []];
    session.exec(command, {
      data: (extended, chunk) => {
        pieces[extended]?.push(Buffer.from(chunk));
        return true;
      },
      begin: () => undefined,
      started() {},
      lingerMs: 2000,
    });
    if (stdin.length > 0) session.write(stdin);
    session.end();
    const end = await session.ended;
    return { ...end, stdout: Buffer.concat(pieces[0]), stderr: Buffer.concat(pieces[1]) };
  }
}

export class ServerHalf implements End {
  readonly connection: SshServerConnection;
  closed: SshError | undefined;

  constructor(stream: ByteStream, startCommand: ServerHandler['startCommand'], options: HalvesOptions = {}) {
    this.connection = new SshServerConnection(
      stream,
      {
        arena: new Arena(),
        offer: new Offer('server', { ...DEFAULT_PREFERENCES, ...options.preferences, hostKey: ['ssh-ed25519'] }),
        keys: SERVER_KEYS,
      },
      {
        authenticate: (attempt) => attempt.user === 'tester',
        openSession: (open) => open < 10,
        startCommand,
        closed: (error) => {
          this.closed = error;
          stream.end();
        },
      },
    );
  }

  receive(chunk: Buffer): void {
    this.connection.receive(chunk);
  }

  ended(): void {
    this.connection.ended(false);
  }
}

/** Both halves, joined and started. */
export function join(startCommand: ServerHandler['startCommand'], options: HalvesOptions = {}) {
  const link = new Link(options.tamper);
  const client = new ClientHalf(link.stream('toServer'), options);
  const server = new ServerHalf(link.stream('toClient'), startCommand, options);
  link.client = client;
  link.server = server;
  client.transport.start();
  server.connection.start();
  return { link, client, server };
}
