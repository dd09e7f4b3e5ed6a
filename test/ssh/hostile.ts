/** A TCP server that lets a puppet follow a script, and SshClient against it. */
import { createServer, type Socket } from 'node:net';
import { expect } from 'vitest';
import { SshError } from '../../src/ssh/errors.ts';
import { MSG } from '../../src/ssh/messages.ts';
import { type Answer, type DialOptions, dial, run } from '../kit/client.ts';
import { msg, str, u32 } from './bytes.ts';
import { Puppet, PuppetAlone, type PuppetOptions } from './puppet.ts';

/** What a server does with one connection. Afterwards it reads on, and leaves hanging up to the client. */
export type Script = (peer: Puppet, socket: Socket) => Promise<void>;

export interface HostileServer extends AsyncDisposable {
  readonly port: number;
  /** What went wrong in a script itself: not that the client hung up. */
  readonly faults: readonly unknown[];
}

export async function hostileServer(script: Script, options: Partial<PuppetOptions> = {}): Promise<HostileServer> {
  const sockets = new Set<Socket>();
  const faults: unknown[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    const puppet = new Puppet((bytes) => void socket.write(bytes), { ...options, role: 'server' });
    socket.on('data', (chunk: Buffer) => puppet.receive(chunk));
    socket.on('error', () => puppet.ended());
    socket.once('close', () => puppet.ended());
    script(puppet, socket).catch((error) => {
      if (error instanceof PuppetAlone) return;
      faults.push(error);
      socket.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    faults,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * Connects, logs in with a password, runs a command: gives its answer, or the SshError that ended it. Anything else is
 * thrown. It has no deadline: a client that waits for ever fails the test that asked.
 */
export async function meet(port: number, more: Partial<DialOptions> = {}): Promise<Answer | SshError> {
  try {
    const client = await dial({ port, user: 'tester', password: 'secret', ...more });
    try {
      return await run(client, 'a command', undefined, 50);
    } finally {
      client.close();
    }
  } catch (error) {
    if (error instanceof SshError) return error;
    throw error;
  }
}

/** `meet` against a server of its own. */
export async function meetScript(
  script: Script,
  options: Partial<PuppetOptions> = {},
  more: Partial<DialOptions> = {},
): Promise<Answer | SshError> {
  await using server = await hostileServer(script, options);
  const met = await meet(server.port, more);
  if (server.faults.length > 0) throw new AggregateError(server.faults, 'the script failed');
  return met;
}

export interface Case {
  readonly name: string;
  readonly script: Script;
  /** @default protocol */
  readonly reason?: SshError['reason'];
  /** Part of the message. */
  readonly says?: string;
  readonly options?: Partial<PuppetOptions>;
}

/** Meets the script, and expects that it ended as the case says. */
export async function check({ script, reason, says, options }: Case): Promise<void> {
  const met = await meetScript(script, options);
  expect(met).toBeInstanceOf(SshError);
  const error = met as SshError;
  expect([error.reason, error.message]).toEqual([reason ?? 'protocol', error.message]);
  if (says !== undefined) expect(error.message).toContain(says);
  expect(error.message.length).toBeLessThan(2500);
}

/** These payloads once the password is asked about. */
export const asked =
  (...payloads: readonly Uint8Array[]): Script =>
  async (peer) => {
    await peer.handshake();
    await peer.expect(MSG.SERVICE_REQUEST);
    await peer.expect(MSG.USERAUTH_REQUEST);
    peer.send(...payloads);
  };

export type OnChannel = (channel: number) => readonly Uint8Array[];

/** In answer to CHANNEL_OPEN. */
export const opening =
  (payloads: OnChannel): Script =>
  async (peer) => {
    const channel = await peer.opening();
    peer.send(...payloads(channel));
  };

/** Once the command runs. */
export const started =
  (payloads: OnChannel, window?: number): Script =>
  async (peer) => {
    const channel = await peer.started(window);
    peer.send(...payloads(channel));
  };

export const ACCEPT = msg(MSG.SERVICE_ACCEPT, str('ssh-userauth'));
export const SUCCESS = msg(MSG.USERAUTH_SUCCESS);
export const data = (channel: number, bytes: Uint8Array | string) => msg(MSG.CHANNEL_DATA, u32(channel), str(bytes));
export const eof = (channel: number) => msg(MSG.CHANNEL_EOF, u32(channel));
export const close = (channel: number) => msg(MSG.CHANNEL_CLOSE, u32(channel));
