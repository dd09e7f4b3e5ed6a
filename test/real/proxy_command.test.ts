/** ProxyCommand in front of a real sshd, with OpenSSH's own client as the program: what people have in their configuration. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type FleetOptions, fleet, outcomeLabel } from '../../src/index.ts';
import { DEFAULT_PREFERENCES, Offer } from '../../src/ssh/algorithms.ts';
import { Arena } from '../../src/ssh/arena.ts';
import { SshClient } from '../../src/ssh/client.ts';
import { parsePrivateKey } from '../../src/ssh/private_key.ts';
import { proxyCommand } from '../../src/transport/native/proxy_command.ts';
import { run } from '../kit/client.ts';
import { present, type RealServer, startSshd } from '../kit/servers.ts';

const setTimer = (delayMs: number, callback: () => void) => {
  const timer = setTimeout(callback, delayMs);
  return { cancel: () => clearTimeout(timer) };
};

/** Through `jump`, as `ssh -W` does it. */
function openssh(jump: RealServer, target: RealServer): string {
  const options = `-F none -i ${jump.identity} -p ${jump.port} -o UserKnownHostsFile=${jump.knownHosts} -o BatchMode=yes`;
  return `ssh ${options} -W 127.0.0.1:${target.port} ${jump.user}@127.0.0.1`;
}

function login(server: RealServer, command: string): Promise<SshClient> {
  const nothing = () => undefined;
  const options = {
    dial: proxyCommand(command, { setTimer }),
    credentials: { user: server.user, keys: [parsePrivateKey(readFileSync(server.identity), { source: 'test' })] },
    offer: new Offer('client', DEFAULT_PREFERENCES),
    arena: new Arena(),
    session: true,
    setTimer,
  };
  return new SshClient(options, { identified: nothing, hostKey: nothing, secured: nothing }).ready;
}

/** What the fleet's own configuration says of every host. */
function configured(server: RealServer, command: string): FleetOptions {
  const { port, user, identity, knownHosts } = server;
  return { hosts: '127.0.0.1', port, user, identity, knownHosts, configOptions: [`ProxyCommand=${command}`] };
}

describe.skipIf(!present('sshd') || !present('ssh'))('ProxyCommand', () => {
  it('carries a whole connection, megabytes in both directions', async () => {
    await using jump = await startSshd();
    await using target = await startSshd();
    const client = await login(target, openssh(jump, target));
    const sent = Buffer.alloc(3_000_000, 'abcdefg\n');
    const answer = await run(client, 'cat', sent);
    expect(answer.status).toBe(0);
    expect(answer.stdout.equals(sent)).toBe(true);
    client.close();
    expect(jump.log()).toContain('Accepted publickey');
    await new Promise<void>((resolve) => client.whenClosed(resolve));
  });

  it('says what the program said where there is no way', async () => {
    await using jump = await startSshd(['AllowTcpForwarding no']);
    await using target = await startSshd();
    await expect(login(target, openssh(jump, target))).rejects.toMatchObject({
      reason: 'connect',
      message: expect.stringMatching(/^ProxyCommand "ssh" exited with status 255: .*prohibited/),
    });
  });

  it('is taken from ssh_config, its tokens replaced', async () => {
    await using jump = await startSshd();
    await using target = await startSshd();
    const command = openssh(jump, target).replace(`-W 127.0.0.1:${target.port}`, '-W %h:%p');
    await using hosts = fleet(configured(target, command));
    const [result] = await hosts.run('echo there').all();
    expect(outcomeLabel(result!.outcome)).toBe('ok');
    expect(result!.stdout.text()).toBe('there\n');
    expect(jump.log()).toContain('Accepted publickey');
  });

  it('that fails makes the host unreachable, and says why', async () => {
    await using target = await startSshd();
    await using hosts = fleet(configured(target, `sh -c 'echo the tunnel is closed >&2; exit 7'`));
    const [result] = await hosts.run('true').all();
    expect(result!.outcome).toMatchObject({
      kind: 'unreachable',
      message: 'ProxyCommand "sh" exited with status 7: the tunnel is closed',
    });
  });

  it('ends the program with the connection', async () => {
    await using jump = await startSshd(['LogLevel VERBOSE']);
    await using target = await startSshd();
    const client = await login(target, openssh(jump, target));
    const closed = new Promise<void>((resolve) => client.whenClosed(resolve));
    client.close();
    await closed;
    await expect.poll(() => jump.log(), { timeout: 4000 }).toMatch(/Disconnected from user|Connection closed/);
  });
});
