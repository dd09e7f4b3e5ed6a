/** Host keys of real servers: the keys that ssh-keyscan finds, and what stops which host in the run that follows. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fleet, hostKeysOf, knownHostsLines, outcomeLabel, outcomeMessage } from '../../src/index.ts';
import { simulate } from '../kit/fleet.ts';
import { keygen, present, type RealServer, startDropbear, startSshd } from '../kit/servers.ts';

const possible = ['sshd', 'ssh-keygen', 'ssh-keyscan'].every(present);
/** Debian's own file hashes names. */
const CONFIG = { config: 'none' };
const publicKey = (file: string) => readFileSync(`${file}.pub`, 'latin1').split(' ').slice(0, 2).join(' ');

/** The known_hosts lines that ssh-keyscan prints, sorted. */
function keyscan(port: number): string[] {
  const args = ['-p', String(port), '127.0.0.1'];
  const text = execFileSync('ssh-keyscan', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return text.trim().split('\n').toSorted();
}

describe.skipIf(!possible)('the host keys of', () => {
  let dir: string;
  const types = ['ed25519', 'ecdsa', 'rsa'];
  const key = (type: string) => join(dir, type);

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'myriad-trust-'));
    for (const type of types) keygen(dir, type, '-t', type);
    keygen(dir, 'p521', '-t', 'ecdsa', '-b', '521');
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  async function scan(server: RealServer, more = {}): Promise<{ lines: string[]; rest: unknown }> {
    const options = { hosts: '127.0.0.1', port: server.port, knownHosts: join(server.dir, 'new'), ...CONFIG, ...more };
    await using hosts = fleet({ ...options, user: server.user, agent: false });
    const [result] = await hosts.hostKeys().all();
    expect(outcomeMessage(result!.outcome), server.log()).toBe('ok');
    const keys = hostKeysOf(result!)!;
    const [learnt] = await hosts.learn([keys]);
    expect(learnt).toMatchObject({ hosts: 1, keys: keys.keys.length });
    return { lines: knownHostsLines(keys).trim().split('\n').toSorted(), rest: result!.reached };
  }

  it('sshd with three types are those that ssh-keyscan finds', async () => {
    await using server = await startSshd(types.map((type) => `HostKey ${key(type)}`));
    const { lines, rest } = await scan(server);
    expect(lines).toHaveLength(3);
    expect(lines).toEqual(keyscan(server.port));
    expect(rest).toMatchObject({
      address: '127.0.0.1',
      port: server.port,
      software: expect.stringMatching(/^OpenSSH_/),
    });
    // What was learnt lets in whoever asks for any of them.
    for (const algorithm of ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512']) {
      await using hosts = fleet({
        hosts: '127.0.0.1',
        port: server.port,
        user: server.user,
        identity: server.identity,
        knownHosts: join(server.dir, 'new'),
        configOptions: [`HostKeyAlgorithms=${algorithm}`],
      });
      expect((await hosts.run('true').summary()).outcomes.ok, algorithm).toBe(1);
    }
    expect(server.log()).not.toMatch(/error:|fatal:/);
  });

  it('sshd with a key of a size that nobody asks for first', async () => {
    await using server = await startSshd([`HostKey ${key('p521')}`]);
    const { lines } = await scan(server);
    expect(lines.join()).toMatch(/ecdsa-sha2-nistp521 /);
    // ssh-keyscan asks for one key of each family: here it finds them all, too.
    expect(lines).toEqual(keyscan(server.port));
  });

  it('sshd, where the configuration allows one type only', async () => {
    await using server = await startSshd(types.map((type) => `HostKey ${key(type)}`));
    const { lines } = await scan(server, { configOptions: ['HostKeyAlgorithms=rsa-sha2-512,rsa-sha2-256'] });
    expect(lines).toEqual([`[127.0.0.1]:${server.port} ${publicKey(key('rsa'))}`]);
  });

  it.skipIf(!present('dropbear') || process.getuid?.() !== 0)('dropbear', async () => {
    await using server = await startDropbear();
    expect((await scan(server)).lines).toEqual(keyscan(server.port));
  });

  it('hosts behind a jump host', async () => {
    await using jump = await startSshd();
    await using simulated = await simulate({ hosts: 10, hostKeys: 10 });
    const file = join(jump.dir, 'both');
    copyFileSync(jump.knownHosts, file);
    await using hosts = fleet({
      ...simulated.options,
      identity: jump.identity,
      jump: `${jump.user}@127.0.0.1:${jump.port}`,
      knownHosts: file,
    });
    const found = (await hosts.hostKeys().all()).map((result) => hostKeysOf(result)!);
    await hosts.learn(found);
    expect(readFileSync(file, 'utf8')).toBe(
      readFileSync(jump.knownHosts, 'utf8') + [...simulated.simulator.knownHosts()].join(''),
    );
    expect((await hosts.run('true').summary()).outcomes.ok).toBe(10);
  });

  it('a jump host that is not known stop all hosts behind it', async () => {
    await using jump = await startSshd();
    await using simulated = await simulate({ hosts: 3 });
    const way = { identity: jump.identity, jump: `${jump.user}@127.0.0.1:${jump.port}` };
    await using hosts = fleet({ ...simulated.options, ...way });
    const results = await hosts.hostKeys({ all: true }).all();
    expect(results.map(({ outcome }) => outcomeLabel(outcome))).toEqual(Array(3).fill('unreachable(jump)'));
    expect(outcomeMessage(results[0]!.outcome)).toMatch(/^jump host .*: the host key is unknown/);
  });
});

describe.skipIf(!possible)('trust, then a strict run', () => {
  const NAMES = ['new', 'known', 'changed', 'revoked', 'certified', 'expired', 'principal'] as const;
  type Name = (typeof NAMES)[number];
  let dir: string;
  const servers = new Map<Name, RealServer>();
  const at = (name: string) => join(dir, name);
  const port = (name: Name) => servers.get(name)!.port;

  /** A server that shows a certificate by the authority beside its key. */
  async function certified(name: Name, ...options: readonly string[]): Promise<RealServer> {
    const key = keygen(dir, name);
    execFileSync('ssh-keygen', ['-q', '-s', at('ca'), '-I', name, '-h', ...options, `${key}.pub`], { stdio: 'ignore' });
    return startSshd([`HostKey ${key}`, `HostCertificate ${key}-cert.pub`]);
  }

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'myriad-trust-'));
    for (const name of ['ca', 'stranger', 'user']) keygen(dir, name);
    for (const name of ['new', 'known', 'changed', 'revoked'] as const) {
      const server = await startSshd();
      servers.set(name, server);
      copyFileSync(join(server.dir, 'host.pub'), at(`${name}.pub`));
    }
    servers.set('certified', await certified('certified', '-n', '127.0.0.1'));
    servers.set('expired', await certified('expired', '-n', '127.0.0.1', '-V', '20200101000000Z:20200102000000Z'));
    servers.set('principal', await certified('principal', '-n', 'elsewhere'));
    for (const server of servers.values()) {
      copyFileSync(at('user.pub'), join(server.dir, 'authorized_keys'));
    }
  });
  afterAll(async () => {
    for (const server of servers.values()) await server[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  it('stops exactly the hosts that are not to be used, each with its own advice', async () => {
    const file = at('known_hosts');
    const line = (name: Name, key: string) => `[127.0.0.1]:${port(name)} ${publicKey(at(key))}\n`;
    const authority = (['certified', 'expired', 'principal'] as const).map(
      (name) => `@cert-authority ${line(name, 'ca')}`,
    );
    const before = [
      line('known', 'known'),
      line('changed', 'stranger'),
      `@revoked ${line('revoked', 'revoked')}`,
      ...authority,
    ].join('');
    writeFileSync(file, before);
    const labels = NAMES.map((name) => `127.0.0.1:${port(name)}`);
    const options = {
      hosts: labels.join(','),
      user: servers.get('new')!.user,
      identity: at('user'),
      knownHosts: file,
      ...CONFIG,
    };
    await using hosts = fleet({ ...options, hostKeys: 'strict' });
    const looked = await hosts.hostKeys().all();
    const stopped = {
      changed: [`host-key(changed)`, /the key in .*known_hosts:2 differs: .*ssh-keygen -f '.*known_hosts' -R '\[127/],
      revoked: [`host-key(revoked)`, /@revoked in .*known_hosts:3: do not use this host until it has a new key/],
      expired: [
        `host-key(certificate)`,
        /"expired" .* expired at 2020-01-02T00:00:00Z: have the host's key signed again/,
      ],
      principal: [`host-key(certificate)`, /is for \["elsewhere"\] and not for "127\.0\.0\.1": sign it with -n/],
    } as const;
    const label = (name: Name) => (name in stopped ? stopped[name as keyof typeof stopped][0] : undefined);
    // Known lines are not asked about: `changed` shows at the run, or with `all`.
    expect(looked.map(({ outcome }) => outcomeLabel(outcome))).toEqual(
      NAMES.map((name) => (name === 'known' || name === 'changed' ? 'skipped' : (label(name) ?? 'ok'))),
    );
    const found = looked.map(hostKeysOf).filter((keys) => keys !== undefined);
    expect(found.map(({ trusted }) => trusted)).toEqual(['no', 'certificate']);
    expect(await hosts.learn(found)).toMatchObject([{ hosts: 1, keys: 1 }]);
    expect(readFileSync(file, 'utf8')).toBe(before + line('new', 'new'));

    const again = await hosts.hostKeys({ all: true }).all();
    const ran = await hosts.run('echo in').all();
    for (const results of [again, ran]) {
      expect(results.map(({ outcome }) => outcomeLabel(outcome))).toEqual(NAMES.map((name) => label(name) ?? 'ok'));
      for (const [place, name] of NAMES.entries()) {
        const advice = stopped[name as keyof typeof stopped]?.[1];
        if (advice) expect(outcomeMessage(results[place]!.outcome)).toMatch(advice);
      }
    }
    expect(ran.filter(({ outcome }) => outcome.kind === 'ok').map(({ stdout }) => stdout.text())).toEqual(
      Array(3).fill('in\n'),
    );
  });
});
