/** Agents that are not what they should be: a Unix socket and a script, with the protocol written a second time. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { Agent, type AgentOptions } from '../../src/ssh/agent.ts';
import { AgentError } from '../../src/ssh/agent_errors.ts';
import { ManualClock } from '../util/manual_clock.ts';
import { msg, str, u32 } from './bytes.ts';

/** A message as it stands on the socket. */
export const framed = (type: number, ...fields: readonly Uint8Array[]) => str(msg(type, ...fields));

/** A made-up key: what follows the type does not matter to an agent's client. */
export const key = (name = 'a', type = 'ssh-ed25519') => Buffer.concat([str(type), str(Buffer.alloc(32, name))]);

export const listed = (...keys: readonly (readonly [blob: Uint8Array, comment: string])[]) =>
  framed(12, u32(keys.length), ...keys.flatMap(([blob, comment]) => [str(blob), str(comment)]));

/** A signature that says what it is over, so that tests see whose it is. */
export const signatureOver = (data: Uint8Array, algorithm = 'ssh-ed25519') =>
  Buffer.concat([str(algorithm), str(Buffer.concat([Buffer.from('signed '), data]))]);

export const signed = (data: Uint8Array) => framed(14, str(signatureOver(data)));

/** A request as the agent got it. */
export interface Asked {
  readonly type: number;
  /** The whole message after its type. */
  readonly body: Buffer;
  /** SIGN_REQUEST: its fields. */
  readonly blob: Buffer;
  readonly data: Buffer;
  readonly flags: number;
}

/** `at`: how many requests came before on all connections; `connection`: how many connections came before. */
export type AgentScript = (asked: Asked, socket: Socket, at: number, connection: number) => void;

export interface FakeAgent {
  readonly socketPath: string;
  readonly sockets: ReadonlySet<Socket>;
  /** Connections so far. */
  readonly connections: number;
  readonly asked: readonly Asked[];
}

function read(message: Buffer): Asked {
  const [type, body] = [message[0]!, message.subarray(1)];
  if (type !== 13) return { type, body, blob: Buffer.alloc(0), data: Buffer.alloc(0), flags: 0 };
  const blobEnd = 4 + body.readUInt32BE(0);
  const dataEnd = blobEnd + 4 + body.readUInt32BE(blobEnd);
  const [blob, data] = [body.subarray(4, blobEnd), body.subarray(blobEnd + 4, dataEnd)];
  return { type, body, blob, data, flags: body.readUInt32BE(dataEnd) };
}

/** A good agent's answers: two keys, and signatures that name their data. */
export const honest: AgentScript = ({ type, data }, socket) => {
  if (type === 11) socket.write(listed([key('a'), 'first'], [key('b'), 'second']));
  else if (type === 13) socket.write(signed(data));
  else socket.write(framed(6));
};

export function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'myriad-agent-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** `oneByOne`: looks at one message per read, as ssh-agent does up to OpenSSH 8.4. */
export async function fakeAgent(script: AgentScript, oneByOne = false): Promise<FakeAgent> {
  const socketPath = join(temporaryFolder(), 'agent.sock');
  const sockets = new Set<Socket>();
  const asked: Asked[] = [];
  let connections = 0;
  const server = createServer((socket) => {
    const connection = connections++;
    let held = Buffer.alloc(0);
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
        const message = read(Buffer.from(held.subarray(4, 4 + held.readUInt32BE(0))));
        held = held.subarray(4 + held.readUInt32BE(0));
        asked.push(message);
        script(message, socket, asked.length - 1, connection);
        if (oneByOne) break;
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    socketPath,
    sockets,
    asked,
    get connections() {
      return connections;
    },
  };
}

/** A client, closed after the test; `clock` fires its timers only where the test moves it. */
export function client(socketPath: string, more: Partial<AgentOptions> = {}): { agent: Agent; clock: ManualClock } {
  const clock = new ManualClock();
  const setTimer = (delayMs: number, callback: () => void) => clock.setTimer(delayMs, callback);
  const agent = new Agent({ socketPath, setTimer, ...more });
  onTestFinished(() => agent.close());
  return { agent, clock };
}

/** The error that `promise` rejects with: one sentence that names the socket. */
export async function failure(promise: Promise<unknown>): Promise<AgentError> {
  const error = await promise.then(
    () => new Error('it was answered'),
    (cause: unknown) => cause,
  );
  if (!(error instanceof AgentError)) throw error;
  return error;
}

/** Waits until `is` holds; the test's own deadline ends it. */
export async function until(is: () => boolean): Promise<void> {
  while (!is()) await new Promise((resolve) => setImmediate(resolve));
}
