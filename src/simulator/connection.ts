/** One connection to a simulated host: the server half with this host's key, its answers, and its fault. */
import type { Socket } from 'node:net';
import type { Offer } from '../ssh/algorithms.ts';
import type { Arena } from '../ssh/arena.ts';
import type { ByteStream } from '../ssh/byte_stream.ts';
import { IDENTIFICATION } from '../ssh/identification.ts';
import { SshServerConnection } from '../ssh/server.ts';
import type { LoginAttempt } from '../ssh/server_auth.ts';
import type { ServerCommand, ServerSession } from '../ssh/server_session.ts';
import { type CommandFault, startCommand } from './commands.ts';
import type { FaultName } from './faults.ts';
import type { FleetKeys } from './keys.ts';

export interface ConnectionSetting {
  readonly arena: Arena;
  readonly offer: Offer;
  readonly keys: FleetKeys;
  readonly index: number;
  readonly address: string;
  readonly fault: FaultName | undefined;
  /** Each answer leaves so much later. */
  readonly latencyMs: number;
  readonly maxSessions: number;
  /** What sudo takes there; undefined: anything. */
  readonly sudoPassword: string | undefined;
  accepts(attempt: LoginAttempt): boolean;
  /** The client is authenticated: it no longer counts for MaxStartups. */
  authenticated(): void;
  started(command: string): void;
}

const SLOW_MS = 300;

/** Bytes that are on a network of this latency at a time: they count as gone. */
const IN_FLIGHT = 2 * 1024 * 1024;

/** A socket that writes late. Order is kept: timers of one duration fire in the order they were set. */
class DelayedStream implements ByteStream {
  readonly #socket: Socket;
  readonly #delayMs: number;
  readonly #drained: () => void;
  #delayed = 0;

  constructor(socket: Socket, delayMs: number, drained: () => void) {
    this.#socket = socket;
    this.#delayMs = delayMs;
    this.#drained = drained;
    socket.on('drain', () => this.#tell());
  }

  get waiting(): number {
    return this.#socket.writableLength + Math.max(0, this.#delayed - IN_FLIGHT);
  }

  write(bytes: Buffer): void {
    if (this.#delayMs === 0) {
      this.#socket.write(bytes);
      return;
    }
    this.#delayed += bytes.length;
    setTimeout(() => {
      this.#socket.write(bytes);
      this.#delayed -= bytes.length;
      this.#tell();
    }, this.#delayMs);
  }

  #tell(): void {
    if (this.waiting === 0) this.#drained();
  }

  end(): void {
    if (this.#delayMs === 0) this.#socket.end();
    else setTimeout(() => this.#socket.end(), this.#delayMs);
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

const setTimer = (delayMs: number, callback: () => void) => {
  const timer = setTimeout(callback, delayMs);
  return { cancel: () => clearTimeout(timer) };
};

/** Serves one accepted socket until it closes. */
export function serve(socket: Socket, setting: ConnectionSetting): void {
  const { fault } = setting;
  socket.on('error', () => socket.destroy());
  if (fault === 'silent') {
    socket.resume();
    return;
  }
  if (fault === 'silent-identification') {
    socket.write(`${IDENTIFICATION}\r\n`);
    socket.resume();
    return;
  }
  if (fault === 'garbage') {
    socket.write(Buffer.concat([Buffer.from(`${IDENTIFICATION}\r\n`), Buffer.alloc(512, 0xff)]));
    socket.resume();
    return;
  }
  serveSsh(socket, setting);
}

function serveSsh(socket: Socket, setting: ConnectionSetting): void {
  const { arena, offer, keys, index, fault } = setting;
  const stream = new DelayedStream(socket, setting.latencyMs + (fault === 'slow' ? SLOW_MS : 0), () =>
    connection.drained(),
  );
  const running = new Map<ServerSession, ServerCommand>();
  const host = {
    index,
    address: setting.address,
    killOthers() {
      const count = running.size;
      for (const command of [...running.values()]) command.signal('TERM');
      return count;
    },
  };
  const connection = new SshServerConnection(
    stream,
    { arena, offer, keys: keys.server(index, fault === 'wrong-key') },
    {
      authenticate(attempt) {
        const accepted = fault !== 'auth-refused' && setting.accepts(attempt);
        if (accepted) setting.authenticated();
        return accepted;
      },
      openSession: (open) => fault !== 'no-sessions' && open < setting.maxSessions,
      startCommand(line, session) {
        if (fault === 'exec-refused') return undefined;
        setting.started(line);
        const cut = () => setImmediate(() => socket.destroy());
        const command = startCommand(line, session, host, commandFault(fault), {
          setTimer,
          sudoPassword: setting.sudoPassword,
          cut,
        });
        return track(running, session, command);
      },
      closed: () => stream.end(),
    },
  );
  let received = 0;
  socket.on('data', (chunk: Buffer) => {
    received++;
    // The second piece is the client's KEXINIT or what follows it: in the middle of the key exchange.
    if (fault === 'reset' && received >= 2) socket.resetAndDestroy();
    else connection.receive(chunk);
  });
  socket.once('end', () => connection.ended(false));
  socket.once('close', () => connection.ended(true));
  connection.start();
}

/** Remembers a command while it runs; the kill script itself is not one of them. */
function track(
  running: Map<ServerSession, ServerCommand>,
  session: ServerSession,
  command: ServerCommand,
): ServerCommand {
  if (command.constructor.name === 'KillCommand') return command;
  running.set(session, command);
  const gone = command.gone.bind(command);
  const over = () => {
    running.delete(session);
    gone();
  };
  command.gone = over;
  return command;
}

function commandFault(fault: FaultName | undefined): CommandFault {
  switch (fault) {
    case 'exit-1':
    case 'killed':
    case 'no-status':
    case 'lost':
    case 'huge':
      return fault;
    default:
      return undefined;
  }
}
