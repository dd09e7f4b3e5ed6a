/**
 * One host of our own server half, for tests of what happens to a connection between its commands. No real command runs: each ends with
 * status 0 when its stdin does, but `hang`, which never does.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FleetOptions } from '../../src/index.ts';
import { FleetKeys } from '../../src/simulator/keys.ts';
import { DEFAULT_PREFERENCES, Offer } from '../../src/ssh/algorithms.ts';
import { Arena } from '../../src/ssh/arena.ts';
import { SshServerConnection } from '../../src/ssh/server.ts';
import type { ServerCommand, ServerSession } from '../../src/ssh/server_session.ts';

export interface SessionHost extends AsyncDisposable {
  readonly port: number;
  /** How to reach it, its key verified. */
  readonly options: FleetOptions;
  readonly logins: number;
  /** Connections that are open. */
  readonly open: number;
  /** Connections that ended with DISCONNECT. */
  readonly goodbyes: number;
  /** Command lines that came. */
  readonly ran: readonly string[];
  /** What is asked of each session but a connection's first, with how many were asked for there; false refuses it. @default all open */
  opens: (asked: number) => boolean;
  /** What happens to whatever comes on connections that are open now. */
  fail(how: 'reset' | 'silent'): void;
  /** Ends all connections, and resolves when they are gone. */
  hangUp(): Promise<void>;
}

class Command implements ServerCommand {
  readonly #line: string;
  readonly #session: ServerSession;

  constructor(line: string, session: ServerSession) {
    this.#line = line;
    this.#session = session;
  }

  run(): void {
    if (this.#line === 'hang') this.#session.write(Buffer.from('up\n'));
  }

  stdin(): boolean {
    return true;
  }

  stdinEnd(): void {
    if (this.#line !== 'hang') this.#session.exit(0);
  }

  signal(): void {}
  drained(): void {}
  gone(): void {}
}

interface Peer {
  readonly socket: Socket;
  asked: number;
  fails: 'reset' | 'silent' | undefined;
}

export async function sessionHost(): Promise<SessionHost> {
  const keys = new FleetKeys(1, 1);
  const arena = new Arena();
  const offer = new Offer('server', { ...DEFAULT_PREFERENCES, hostKey: ['ssh-ed25519'] });
  const peers = new Set<Peer>();
  const counts = { logins: 0, goodbyes: 0, ran: [] as string[] };
  const server = createServer({ noDelay: true }, (socket) => {
    const peer: Peer = { socket, asked: 0, fails: undefined };
    peers.add(peer);
    socket.once('close', () => peers.delete(peer));
    socket.on('error', () => socket.destroy());
    const stream = {
      get waiting() {
        return socket.writableLength;
      },
      write: (bytes: Buffer) => void socket.write(bytes),
      end: () => void socket.end(),
      destroy: () => void socket.destroy(),
    };
    const connection = new SshServerConnection(
      stream,
      { arena, offer, keys: keys.server(0) },
      {
        authenticate(attempt) {
          if (attempt.method === 'password') counts.logins++;
          return attempt.method === 'password';
        },
        openSession() {
          peer.asked++;
          return peer.asked === 1 || host.opens(peer.asked);
        },
        startCommand(line, session) {
          counts.ran.push(line);
          return new Command(line, session);
        },
        closed: (error) => {
          if (error.reason === 'disconnected') counts.goodbyes++;
          socket.end();
        },
      },
    );
    socket.on('data', (chunk: Buffer) => {
      if (peer.fails === 'reset') socket.resetAndDestroy();
      else if (peer.fails === undefined) connection.receive(chunk);
    });
    socket.once('end', () => connection.ended(false));
    socket.once('close', () => connection.ended(true));
    connection.start();
  });
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, () => resolve()));
  const { port } = server.address() as { port: number };
  const dir = mkdtempSync(join(tmpdir(), 'myriad-session-host-'));
  const knownHosts = join(dir, 'known_hosts');
  writeFileSync(knownHosts, `[127.0.0.1]:${port} ssh-ed25519 ${keys.blob(0).toString('base64')}\n`);
  const hangUp = async (): Promise<void> => {
    const closing = [...peers].map(({ socket }) => {
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.destroy();
      return closed;
    });
    await Promise.all(closing);
  };
  const host: SessionHost = {
    port,
    options: { hosts: '127.0.0.1', port, user: 'root', password: 'secret', agent: false, knownHosts, config: 'none' },
    get logins() {
      return counts.logins;
    },
    get open() {
      return peers.size;
    },
    get goodbyes() {
      return counts.goodbyes;
    },
    get ran() {
      return counts.ran;
    },
    opens: () => true,
    fail(how) {
      for (const peer of peers) peer.fails = how;
    },
    hangUp,
    async [Symbol.asyncDispose]() {
      await hangUp();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return host;
}
