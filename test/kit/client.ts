/** A bare SSH client for tests of the layers below the engine. */
import { readFileSync } from 'node:fs';
import { DEFAULT_PREFERENCES, Offer, type Preferences } from '../../src/ssh/algorithms.ts';
import { Arena } from '../../src/ssh/arena.ts';
import { type ClientObserver, type ClientOptions, SshClient } from '../../src/ssh/client.ts';
import type { AnswerPrompts, AuthKey } from '../../src/ssh/client_auth.ts';
import type { Secret } from '../../src/ssh/client_auth_secret.ts';
import { parsePrivateKey } from '../../src/ssh/private_key.ts';
import type { SessionEnd } from '../../src/ssh/session.ts';
import { ClientSocket, ClosingRoom } from '../../src/ssh/socket.ts';

const setTimer = (delayMs: number, callback: () => void) => {
  const timer = setTimeout(callback, delayMs);
  return { cancel: () => clearTimeout(timer) };
};

export interface DialOptions {
  readonly address?: string;
  readonly port: number;
  readonly user: string;
  /** Private key files. */
  readonly identities?: readonly string[];
  /** Tried after those of `identities`. */
  readonly keys?: readonly AuthKey[];
  readonly password?: string | Secret;
  readonly answer?: AnswerPrompts;
  readonly methods?: readonly string[];
  readonly preferences?: Partial<Preferences>;
  readonly rekeyBytes?: number;
  readonly rekeyMs?: number;
  readonly observer?: Partial<ClientObserver>;
  readonly session?: boolean;
  readonly onAgentChannel?: ClientOptions['onAgentChannel'];
}

function clientOptions(options: DialOptions): ClientOptions {
  const arena = new Arena();
  const room = new ClosingRoom();
  const files = (options.identities ?? []).map((file) => parsePrivateKey(readFileSync(file), { source: file }));
  const keys = [...files, ...(options.keys ?? [])];
  return {
    dial: (user) =>
      new ClientSocket({ address: options.address ?? '127.0.0.1', port: options.port }, arena, room, user),
    credentials: {
      user: options.user,
      keys,
      password: options.password,
      answer: options.answer,
      methods: options.methods,
    },
    offer: new Offer('client', { ...DEFAULT_PREFERENCES, ...options.preferences }),
    arena,
    session: options.session ?? true,
    setTimer,
    ...(options.onAgentChannel ? { onAgentChannel: options.onAgentChannel } : {}),
    ...(options.rekeyBytes === undefined ? {} : { rekeyBytes: options.rekeyBytes }),
    ...(options.rekeyMs === undefined ? {} : { rekeyMs: options.rekeyMs }),
  };
}

export function dial(options: DialOptions): Promise<SshClient> {
  const nothing = () => undefined;
  const observer = { identified: nothing, hostKey: nothing, secured: nothing, ...options.observer };
  return new SshClient(clientOptions(options), observer).ready;
}

export interface Answer extends SessionEnd {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** Runs one command in a session of `client` and gathers everything. */
export async function run(client: SshClient, command: string, stdin?: Uint8Array, lingerMs = 2000): Promise<Answer> {
  const session = client.session();
  const pieces: [Buffer[], Buffer[]] = [[], []];
  session.exec(command, {
    data: (extended, chunk) => {
      pieces[extended]?.push(Buffer.from(chunk));
      return true;
    },
    begin: () => undefined,
    started() {},
    lingerMs,
  });
  if (stdin) session.write(stdin);
  session.end();
  const end = await session.ended;
  return { ...end, stdout: Buffer.concat(pieces[0]), stderr: Buffer.concat(pieces[1]) };
}
