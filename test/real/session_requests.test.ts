/** Environment, terminal and agent of a session, as OpenSSH's sshd takes them. */
import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SshClient } from '../../src/ssh/client.ts';
import type { ChannelStream } from '../../src/ssh/forward.ts';
import type { SessionRequests } from '../../src/ssh/session_requests.ts';
import type { SocketUser } from '../../src/ssh/socket.ts';
import { dial, run } from '../kit/client.ts';
import { present, type RealServer, startSshd } from '../kit/servers.ts';
import { startAgent, temporaryFolder } from './agent_kit.ts';

/** Starts a command; gives its session, and its stdout as it comes. */
function start(client: SshClient, command: string, requests: SessionRequests) {
  const session = client.session();
  const output = { text: '', more: () => {} };
  session.exec(command, {
    data: (_extended, chunk) => {
      output.text += chunk.toString();
      output.more();
      return true;
    },
    begin: () => undefined,
    started() {},
    lingerMs: 2000,
    requests,
  });
  const says = (what: RegExp) =>
    new Promise<void>((resolve) => {
      output.more = () => {
        if (what.test(output.text)) resolve();
      };
      output.more();
    });
  return { session, output, says };
}

/** Joins a channel to the agent's socket. */
function joinAgent(socketPath: string, stream: ChannelStream): SocketUser {
  const socket = connect(socketPath);
  socket.on('data', (bytes) => stream.write(bytes as Buffer));
  socket.on('error', () => stream.destroy());
  socket.once('close', () => stream.end());
  return {
    connected() {},
    received: (chunk) => {
      if (socket.write(Buffer.from(chunk))) return;
      stream.pause();
      socket.once('drain', () => stream.resume());
    },
    drained() {},
    ended: () => void socket.end(),
  };
}

describe.skipIf(!present('sshd'))('sshd', () => {
  let server: RealServer;
  const login = (more: Partial<Parameters<typeof dial>[0]> = {}) =>
    dial({ port: server.port, user: server.user, identities: [server.identity], ...more });

  beforeAll(async () => {
    server = await startSshd(['AcceptEnv MYRIAD_*']);
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  it('gives the command the environment that it accepts', async () => {
    const client = await login();
    const value = 'two words, "quotes", ü\nand a line';
    // biome-ignore lint/suspicious/noTemplateCurlyInString: of the shell
    const { session, output } = start(client, 'printf "%s|%s" "$MYRIAD_A" "${OTHER-unset}"', {
      env: [
        ['MYRIAD_A', value],
        ['OTHER', 'not accepted'],
      ],
    });
    session.end();
    expect((await session.ended).status).toBe(0);
    expect(output.text).toBe(`${value}|unset`);
    client.close();
  });

  it('gives it a terminal of this name, size and mode, and a new size', async () => {
    const client = await login();
    const command = 'tty; echo "$TERM"; stty size; stty -a | tr " " "\\n" | grep "^-echo;\\?$"; read word; stty size';
    const { session, output, says } = start(client, command, {
      // ECHO is mode 53.
      pty: { term: 'vt220', columns: 111, rows: 33, modes: [[53, 0]] },
    });
    await says(/33 111\r\n-echo;?\r\n/);
    session.resize(77, 22);
    session.write(Buffer.from('on\n'));
    expect((await session.ended).status).toBe(0);
    const lines = output.text.split('\r\n');
    expect(lines[0]).toMatch(/^\/dev\/pts\/\d+$/);
    expect([lines[1], lines[2], lines[4]]).toEqual(['vt220', '33 111', '22 77']);
    client.close();
  });

  it('lets the command use our agent, where it was asked to', async () => {
    await using agent = await startAgent(temporaryFolder());
    await agent.add(server.identity);
    const channels: ChannelStream[] = [];
    const client = await login({
      onAgentChannel: (stream) => {
        channels.push(stream);
        return joinAgent(agent.socketPath, stream);
      },
    });
    const fingerprint = execFileSync('ssh-keygen', ['-lf', `${server.identity}.pub`], { encoding: 'utf8' }).split(
      ' ',
    )[1]!;
    const { session, output } = start(client, 'ssh-add -l; ssh-add -l', { agentForward: true });
    session.end();
    expect((await session.ended).status).toBe(0);
    expect(output.text.split(fingerprint).length - 1).toBe(2);
    expect(channels.length).toBe(2);
    client.close();
    // sshd gives what one session asked for to all of its connection, so another connection shows what is not asked for.
    const other = await login({ onAgentChannel: () => undefined });
    const plain = await run(other, 'echo "$SSH_AUTH_SOCK"');
    expect(plain.stdout.toString()).toBe('\n');
    other.close();
  });

  it.each([
    ['nobody takes it', {}],
    ['it is refused', { onAgentChannel: () => undefined }],
  ] as const)('cannot use it where %s', async (_name, more) => {
    const client = await login(more);
    const { session, output } = start(client, 'ssh-add -l', { agentForward: true });
    session.end();
    expect((await session.ended).status).not.toBe(0);
    expect(output.text).not.toContain('SHA256:');
    client.close();
  });

  it('talks with keys longer than one hash of the key exchange', async () => {
    const preferences = {
      kex: ['curve25519-sha256'],
      ciphers: ['aes256-ctr'],
      macs: ['hmac-sha2-512-etm@openssh.com'],
    };
    const client = await login({ preferences });
    const { stdout } = await run(client, 'cat', Buffer.alloc(200_000, 'words '));
    expect(stdout.equals(Buffer.alloc(200_000, 'words '))).toBe(true);
    expect([client.sessionId.length, client.hostKeyBlob.length, client.exchangeSignature.length]).toEqual([32, 51, 83]);
    client.close();
  });
});
