/** Keys that an agent keeps for certain hosts, on real connections: bound by what OpenSSH proved in the key exchange. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Agent } from '../../src/ssh/agent.ts';
import { heldKeys } from '../../src/ssh/agent_held.ts';
import { SshError } from '../../src/ssh/errors.ts';
import { dial, run } from '../kit/client.ts';
import { keygen, present, type RealServer, startProxy, startSshd } from '../kit/servers.ts';
import { failure, fakeAgent, framed, honest, key as madeUpKey, until } from '../ssh/agent_fake.ts';
import { client, startAgent, temporaryFolder } from './agent_kit.ts';

const possible = ['ssh-agent', 'ssh-add', 'ssh-keygen', 'sshd'].every(present);

/** A server whose host key ssh-add knows by `name`, and that lets the key in. */
async function startNamed(name: string, keyFile: string, knownHosts: string): Promise<RealServer> {
  const server = await startSshd();
  const [, type, blob] = readFileSync(server.knownHosts, 'utf8').trim().split(' ');
  const known = existsSync(knownHosts) ? readFileSync(knownHosts, 'utf8') : '';
  writeFileSync(knownHosts, `${known}${name} ${type} ${blob}\n`);
  writeFileSync(join(server.dir, 'authorized_keys'), readFileSync(`${keyFile}.pub`));
  return server;
}

async function login(agent: Agent, server: RealServer): Promise<string> {
  const held = await heldKeys(agent);
  const keys = held.identities.map((identity) => held.key(identity));
  const connection = await dial({ port: server.port, user: server.user, keys });
  const { stdout } = await run(connection, 'echo in');
  connection.close();
  return stdout.toString();
}

describe.skipIf(!possible)('a destination-constrained key', () => {
  it('logs in where it may, many times at once, and nowhere else', async () => {
    const dir = temporaryFolder();
    const path = keygen(dir, 'key');
    const knownHosts = join(dir, 'known_hosts');
    await using right = await startNamed('right', path, knownHosts);
    await using wrong = await startNamed('wrong', path, knownHosts);
    await using real = await startAgent(dir);
    using agent = client(real.socketPath);
    await real.add('-q', '-H', knownHosts, '-h', `${right.user}@right`, path);
    const logins = await Promise.all(Array.from({ length: 8 }, () => login(agent, right)));
    expect(new Set(logins)).toEqual(new Set(['in\n']));
    const refused = await login(agent, wrong).catch((error) => error);
    expect(refused).toBeInstanceOf(SshError);
    expect(refused).toMatchObject({ reason: 'auth', detail: { tried: [expect.stringContaining('refused to sign')] } });
  });

  it('is told apart from others without asking anybody', async () => {
    const dir = temporaryFolder();
    const [free, bound] = [keygen(dir, 'free'), keygen(dir, 'bound')];
    const knownHosts = join(dir, 'known_hosts');
    await using server = await startNamed('right', free, knownHosts);
    // Whoever is asked says no, and leaves a mark.
    const askpass = join(dir, 'askpass');
    writeFileSync(askpass, `#!/bin/sh\necho asked >> ${dir}/asked\nexit 1\n`, { mode: 0o755 });
    await using real = await startAgent(dir, askpass);
    using agent = client(real.socketPath);
    await real.add('-q', '-H', knownHosts, '-h', 'right', bound);
    await real.add('-q', '-c', keygen(dir, 'confirmed'));
    await real.add('-q', free);
    expect((await heldKeys(agent)).identities).toHaveLength(3);
    expect(existsSync(join(dir, 'asked'))).toBe(false);
    expect(await login(agent, server)).toBe('in\n');
  });

  it('needs a connection that proves the host', async () => {
    const dir = temporaryFolder();
    const path = keygen(dir, 'key');
    const knownHosts = join(dir, 'known_hosts');
    await using server = await startNamed('right', path, knownHosts);
    await using real = await startAgent(dir);
    using agent = client(real.socketPath);
    await real.add('-q', '-H', knownHosts, '-h', 'right', path);
    const held = await heldKeys(agent);
    const key = held.key(held.identities[0]!);
    const context = { signal: new AbortController().signal, session: undefined };
    const error = await failure(Promise.resolve(key.sign(Buffer.from('data'), 'ssh-ed25519', context)));
    expect(error).toMatchObject({ reason: 'refused', message: expect.stringContaining('this host is not proven') });
    expect(await login(agent, server)).toBe('in\n');
  });
});

describe('an agent', () => {
  it('that knows no binding, or hangs up on it, has no such keys', async () => {
    for (const hangsUp of [false, true]) {
      const { socketPath } = await fakeAgent((asked, socket, at, connection) => {
        if (asked.type !== 27) honest(asked, socket, at, connection);
        else if (hangsUp) socket.destroy();
        else socket.write(framed(5));
      });
      using agent = client(socketPath);
      expect((await heldKeys(agent)).identities).toHaveLength(2);
    }
  });

  it('that is silent ends in one sentence within its deadline', async () => {
    const { socketPath } = await fakeAgent((asked, socket, at, connection) => {
      if (asked.type !== 27) honest(asked, socket, at, connection);
    });
    using agent = client(socketPath, { listTimeoutMs: 50 });
    expect((await failure(heldKeys(agent))).message).toMatch(/^the SSH agent at ".*" did not answer within 0.05 s$/);
  });

  it.skipIf(!possible)('that waits for a touch is let go of when the connection goes down', async () => {
    const touched = madeUpKey('t', 'sk-ssh-ed25519@openssh.com');
    const fake = await fakeAgent(({ type, blob }, socket) => {
      if (type === 11) socket.write(framed(12, Buffer.from([0, 0, 0, 0])));
      else if (!blob.equals(touched)) socket.write(framed(5));
    });
    using agent = client(fake.socketPath, { connections: 1 });
    await using server = await startSshd();
    await using proxy = await startProxy(server.port);
    const key = {
      publicBlob: touched,
      fingerprint: 'SHA256:touched',
      signatureAlgorithms: ['ssh-ed25519'],
      sign: (data: Uint8Array, _: string, context: { readonly signal: AbortSignal }) =>
        agent.sign(touched, data, 0, context),
    };
    const connecting = dial({ port: proxy.port, user: server.user, keys: [key] });
    await until(() => fake.asked.some(({ type }) => type === 13));
    expect(fake.sockets.size).toBe(1);
    // The way to the server is cut while the person still looks for the security key.
    proxy.cut();
    await expect(connecting).rejects.toBeInstanceOf(SshError);
    await until(() => fake.sockets.size === 0);
    // The only connection of the pool was its own: the next one to ask gets another.
    expect(await agent.identities()).toEqual([]);
  });
});
