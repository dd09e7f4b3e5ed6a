/** Hosts that log in with a key of their own, which their inventory names: which key sshd has seen, by whatever way they are reached. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FleetOptions, fleet, type RunOptions } from '../../src/index.ts';
import { keygen, present, type RealServer, startSshd } from '../kit/servers.ts';
import { startAgent } from './agent_kit.ts';

let server: RealServer;
let keys: Record<'a' | 'b' | 'locked', string>;

/** Each key says which one it is before the command runs. */
function authorize(name: string, file: string): void {
  const line = readFileSync(`${file}.pub`, 'utf8');
  const command = `printf '${name} '; eval \\"$SSH_ORIGINAL_COMMAND\\"`;
  appendFileSync(join(server.dir, 'authorized_keys'), `restrict,command="${command}" ${line}`);
}

/** One address under several names, each with its key. */
function inventoryOf(name: string, lines: readonly string[]): string {
  const path = join(server.dir, name);
  writeFileSync(path, `${lines.join('\n')}\n`);
  return `ansible:${path}`;
}

function host(name: string, key?: string): string {
  const own = key === undefined ? '' : ` ansible_ssh_private_key_file=${key}`;
  return `${name} ansible_host=127.0.0.1${own}`;
}

/** What each host answered, by its label. */
async function answers(options: FleetOptions, run: RunOptions = {}): Promise<Record<string, string>> {
  const { port, user, knownHosts } = server;
  await using hosts = fleet({ port, user, knownHosts, config: 'none', agent: false, ...options });
  const found: Record<string, string> = {};
  for await (const { host, outcome, stdout } of hosts.run('echo done', run)) {
    found[host.label] = outcome.kind === 'ok' ? stdout.text() : outcome.kind;
  }
  return found;
}

/** Why nothing connected. */
async function refusal(options: FleetOptions): Promise<{ readonly code: string; readonly message: string }> {
  const before = server.log();
  const error = await answers(options).then(
    () => expect.fail('nothing was refused'),
    ({ code, message }) => ({ code, message }),
  );
  expect(server.log()).toBe(before);
  return error;
}

describe.skipIf(!present('sshd'))('keys of hosts', () => {
  let both: string;

  beforeAll(async () => {
    server = await startSshd(['LogLevel VERBOSE']);
    const { dir } = server;
    const locked = keygen(dir, 'locked', '-t', 'ed25519', '-a', '1', '-N', 'word');
    keys = { a: keygen(dir, 'a'), b: keygen(dir, 'b'), locked };
    for (const [name, file] of Object.entries(keys)) authorize(name, file);
    const lines = ['one', 'two', 'three', 'four'].map((name, place) => host(name, [keys.a, keys.b][place % 2]));
    both = inventoryOf('both.ini', lines);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const SEEN = { one: 'a done\n', two: 'b done\n', three: 'a done\n', four: 'b done\n' };

  it.each<[string, FleetOptions]>([
    ['on our own client', { transport: 'native', threads: 1 }],
    ['by the ssh program', { transport: 'openssh', threads: 1 }],
    ['in threads', { threads: 2 }],
    ['in threads, by the ssh program', { threads: 2, transport: 'openssh' }],
  ])('%s each host has its own', async (_, options) => {
    expect(await answers({ inventory: both, allHosts: true, ...options })).toEqual(SEEN);
  });

  it('a connection that stays warm is for the hosts of its key only', async () => {
    expect(await answers({ inventory: both, allHosts: true, threads: 1, fanout: 1 }, { repeat: 2 })).toEqual(SEEN);
  });

  it('a host without one goes by the keys of ssh_config', async () => {
    const config = join(server.dir, 'config');
    writeFileSync(config, `Host *\n  IdentityFile ${keys.b}\n`);
    const mixed = inventoryOf('mixed.ini', [host('own', keys.a), host('other')]);
    expect(await answers({ inventory: mixed, allHosts: true, config })).toEqual({ own: 'a done\n', other: 'b done\n' });
  });

  it('--identity counts before those of hosts: these and no others', async () => {
    const seen = await answers({ inventory: both, allHosts: true, identity: keys.b, limit: 2 });
    expect(seen).toEqual({ one: 'b done\n', two: 'b done\n' });
    const missing = inventoryOf('unused.ini', [host('one', join(server.dir, 'nowhere'))]);
    expect(await answers({ inventory: missing, allHosts: true, identity: keys.a })).toEqual({ one: 'a done\n' });
  });

  it('a JSON inventory names them, too, and a path that is relative is one of this folder', async () => {
    const path = join(server.dir, 'hosts.json');
    const identity = relative(process.cwd(), keys.b);
    writeFileSync(path, JSON.stringify([{ host: 'one', address: '127.0.0.1', identity }]));
    expect(await answers({ inventory: path, allHosts: true })).toEqual({ one: 'b done\n' });
  });

  it('an encrypted one is asked for its passphrase, once however many hosts and threads want it', async () => {
    const locked = inventoryOf(
      'locked.ini',
      ['x1', 'x2', 'x3'].map((name) => host(name, keys.locked)),
    );
    for (const threads of [1, 2]) {
      const asked: string[] = [];
      const passphrase = (file: string) => (asked.push(file) > 0 ? 'word' : '');
      const seen = await answers({ inventory: locked, allHosts: true, passphrase, threads });
      expect(Object.values(seen)).toEqual(Array(3).fill('locked done\n'));
      expect(asked).toEqual([keys.locked]);
    }
    expect(await refusal({ inventory: locked, allHosts: true })).toEqual({
      code: 'inventory',
      message: `the private key "${keys.locked}" that the inventory names for "x1" and 2 more cannot be used: the private key ${keys.locked} is encrypted: it needs its passphrase`,
    });
  });

  it('an encrypted one that the agent holds is used by way of it, and nobody is asked', async () => {
    await using agent = await startAgent(server.dir);
    await agent.add(keys.locked);
    const inventory = inventoryOf('held.ini', [host('x1', keys.locked), host('x2', keys.a)]);
    const passphrase = (file: string) => expect.fail(`asked for ${file}`);
    const seen = { x1: 'locked done\n', x2: 'a done\n' };
    for (const more of [{ threads: 1 }, { threads: 2 }, { transport: 'openssh' }] as const) {
      expect(await answers({ inventory, allHosts: true, agent: agent.socketPath, passphrase, ...more })).toEqual(seen);
    }
  });

  it('one that is not there, or is no key, is named with the host that wants it, and nothing connects', async () => {
    const missing = join(server.dir, 'nowhere');
    const damaged = join(server.dir, 'damaged');
    writeFileSync(damaged, '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n');
    const lines = [host('good', keys.a), host('bad', missing)];
    const first = await refusal({ inventory: inventoryOf('missing.ini', lines), allHosts: true });
    expect(first.code).toBe('inventory');
    expect(first.message).toBe(
      `the private key "${missing}" that the inventory names for "bad" cannot be used: ENOENT: no such file or directory, open '${missing}'`,
    );
    const second = await refusal({
      inventory: inventoryOf('damaged.ini', [host('bad', damaged)]),
      allHosts: true,
      threads: 2,
    });
    expect(second.message).toContain(`the private key "${damaged}" that the inventory names for "bad" cannot be used:`);
    // A host that is not selected needs no key.
    const some = inventoryOf('missing.ini', lines);
    expect(await answers({ inventory: some, hosts: 'good' })).toEqual({ good: 'a done\n' });
  });

  it('a run that is gone on with, and one on the hosts of another, have the same keys without the inventory', async () => {
    const journal = join(server.dir, 'journal');
    const { port, user, knownHosts } = server;
    const reach: FleetOptions = { port, user, knownHosts, config: 'none', agent: false, journal, threads: 1 };
    let id = '';
    {
      await using hosts = fleet({ ...reach, inventory: both, allHosts: true, fanout: 1 });
      const run = hosts.run('echo done', { onStop: 'leave' });
      id = run.id;
      for await (const _result of run) run.stop('one is enough');
    }
    await using left = fleet({ resume: id, journal });
    const seen = (await left.resume().all()).map(({ host, stdout }) => [host.label, stdout.text()]);
    expect(seen.length).toBeGreaterThan(0);
    for (const [label, text] of seen) expect(text).toBe(SEEN[label as keyof typeof SEEN]);
    expect(await answers({ from: id, journal })).toEqual(SEEN);
  });
});
