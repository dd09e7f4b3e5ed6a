/** Algorithms that the user names, from ssh_config and `-o` to a real sshd that takes nothing else. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fleet, outcomeLabel, type TaskResult } from '../../src/index.ts';
import { myriad } from '../cli/command.ts';
import { keygen, present, type RealServer, startSshd } from '../kit/servers.ts';

interface Asked {
  readonly config?: readonly string[];
  readonly configOptions?: readonly string[];
  readonly identity?: string;
}

async function ask(server: RealServer, { config = [], configOptions = [], identity }: Asked): Promise<TaskResult> {
  const file = join(server.dir, 'ssh_config');
  const lines = [`UserKnownHostsFile ${server.knownHosts}`, 'GlobalKnownHostsFile none', ...config];
  writeFileSync(file, `Host *\n${lines.map((line) => `  ${line}\n`).join('')}`, { mode: 0o600 });
  const { port, user } = server;
  const keys = { identity: identity ?? server.identity, agent: false } as const;
  await using hosts = fleet({
    hosts: '127.0.0.1',
    port,
    user,
    config: file,
    configOptions,
    transport: 'native',
    ...keys,
  });
  const [result] = await hosts.run('echo there').all();
  return result!;
}

describe.skipIf(!present('sshd'))('what a server alone takes', () => {
  it.each([
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group14-sha256',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group-exchange-sha256',
  ])('%s is agreed on without a word, and with `-o`', async (name) => {
    await using server = await startSshd([`KexAlgorithms ${name}`]);
    expect((await ask(server, {})).stdout.text()).toBe('there\n');
    expect((await ask(server, { configOptions: [`KexAlgorithms=${name}`] })).stdout.text()).toBe('there\n');
    const without = await ask(server, { configOptions: [`KexAlgorithms=-${name}`] });
    expect(outcomeLabel(without.outcome)).toBe('refused(algorithm)');
    expect(without.outcome).toMatchObject({ reason: expect.stringContaining(`KexAlgorithms=+${name} would allow`) });
  });

  it('the command line reaches it with `-o`, and says what would help without', async () => {
    await using server = await startSshd(['KexAlgorithms diffie-hellman-group14-sha1']);
    const { port, user, identity, knownHosts } = server;
    const way = ['-p', String(port), '-l', user, '--identity', identity, '--known-hosts', knownHosts, '-F', 'none'];
    const words = ['-w', '127.0.0.1', ...way, '--no-journal', '--transport', 'native'];
    const without = await myriad([...words, 'echo there']);
    expect(without.code).not.toBe(0);
    expect(without.stderr + without.stdout).toContain('KexAlgorithms=+diffie-hellman-group14-sha1 would allow');
    const named = await myriad([...words, '-o', 'KexAlgorithms=+diffie-hellman-group14-sha1', 'echo there']);
    expect([named.code, named.stdout]).toEqual([0, expect.stringContaining('there')]);
  });

  it('chacha20-poly1305 likewise, and where it is named first it is what is used', async () => {
    await using server = await startSshd(['Ciphers chacha20-poly1305@openssh.com,aes128-ctr', 'LogLevel DEBUG1']);
    const result = await ask(server, { config: ['Ciphers ^chacha20*'] });
    expect(result.stdout.text()).toBe('there\n');
    expect(server.log()).toMatch(/kex: server->client cipher: chacha20-poly1305@openssh\.com/);
  });

  it.each([
    ['KexAlgorithms', 'diffie-hellman-group14-sha1'],
    ['KexAlgorithms', 'diffie-hellman-group1-sha1'],
    ['Ciphers', 'aes128-cbc'],
    ['Ciphers', 'aes256-cbc'],
    ['MACs', 'hmac-sha1'],
  ])('%s %s only where it is named', async (keyword, name) => {
    // An AEAD needs no MAC.
    const more = keyword === 'MACs' ? ['Ciphers aes128-ctr'] : [];
    await using server = await startSshd([`${keyword} ${name}`, ...more]);
    const without = await ask(server, {});
    expect(outcomeLabel(without.outcome)).toBe('refused(algorithm)');
    expect(without.outcome).toMatchObject({ reason: expect.stringContaining(`${keyword}=+${name} would allow`) });
    expect((await ask(server, { config: [`${keyword} +${name}`] })).stdout.text()).toBe('there\n');
    expect((await ask(server, { configOptions: [`${keyword}=${name}`] })).stdout.text()).toBe('there\n');
  });

  it('all that is old at once: a server as network gear has it, with RSA keys and SHA-1 on both sides', async () => {
    const old = ['KexAlgorithms diffie-hellman-group14-sha1', 'Ciphers aes128-cbc', 'MACs hmac-sha1'];
    const dir = mkdtempSync(join(tmpdir(), 'myriad-old-'));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    const hostKey = keygen(dir, 'rsa', '-t', 'rsa', '-b', '2048');
    const rsa = ['HostKeyAlgorithms ssh-rsa', 'PubkeyAcceptedAlgorithms ssh-rsa', `HostKey ${hostKey}`];
    await using server = await startSshd([...old, ...rsa]);
    const identity = keygen(server.dir, 'old', '-t', 'rsa', '-b', '2048');
    appendFileSync(join(server.dir, 'authorized_keys'), readFileSync(`${identity}.pub`));
    const [type, blob] = readFileSync(`${hostKey}.pub`, 'utf8').split(' ');
    appendFileSync(server.knownHosts, `[127.0.0.1]:${server.port} ${type} ${blob}\n`);
    const allowed = [...old.map((line) => line.replace(' ', ' +')), 'HostKeyAlgorithms +ssh-rsa'];
    const without = await ask(server, { config: allowed, identity });
    expect(outcomeLabel(without.outcome)).toBe('auth-failed');
    const result = await ask(server, { config: [...allowed, 'PubkeyAcceptedAlgorithms ssh-rsa'], identity });
    expect(outcomeLabel(result.outcome)).toBe('ok');
  });
});
