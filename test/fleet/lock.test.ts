/** The lock of runs on this machine: which hosts overlap, who is told of, what dead processes leave, and two that start at once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { lockFolder, takeLock } from '../../src/fleet/lock.ts';
import { namesOnly, overlapIn, writeHosts } from '../../src/fleet/lock_hosts.ts';
import { parseHostFile, parseHostSet } from '../../src/hostset/hostset.ts';
import { fleet, MyriadError, type RunOptions } from '../../src/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'myriad-locks-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
let folder: string;
let count = 0;
beforeEach(() => {
  folder = join(dir, String(count++));
  mkdirSync(folder);
});

function take(run: string, hosts: string, more: { name?: string; onLocked?: RunOptions['onLocked'] } = {}) {
  return takeLock({ folder, run, hosts: parseHostSet(hosts), name: 'deploy', ...more });
}

/** What is refused, in words. */
async function refusal(taking: Promise<unknown>): Promise<string> {
  const error = await taking.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(MyriadError);
  expect((error as MyriadError).code).toBe('locked');
  return (error as MyriadError).message;
}

/** The text of the file of these hosts, and how many of `others` are in it. */
function filed(hosts: string, others: string): { text: string; overlap: number } {
  const path = join(folder, 'hosts');
  const out = openSync(path, 'w+');
  try {
    writeHosts(out, namesOnly(parseHostSet(hosts)));
    return { text: readFileSync(path, 'utf8'), overlap: overlapIn(out, 0, namesOnly(parseHostSet(others))) };
  } finally {
    closeSync(out);
  }
}

describe('hosts in a file', () => {
  it.each([
    ['web1,db1', 'db1,db2', 'web1\ndb1\n', 1],
    ['web[1-100]', 'web[90-110]', '=web[1-9,10-99,100]\n', 11],
    ['web[001-100/3]', 'web[001-100]', '=web[001-100/3]\n', 34],
    ['r[1-20]n[01-40]', 'r7n[01-50]', '=r[1-9,10-20]n[01-40]\n', 40],
    ['10.0.0.0/8', '10.1.2.0/24,10.0.0.1', '=[10].[0-9,10-99,100-255].[0-9,10-99,100-255].[0-9,10-99,100-255]\n', 257],
    ['deploy@web[1-30]:22', 'root@web[29-40]:2222', '=web[1-9,10-30]\n', 2],
    ['a@web1,b@web1:2,web1', 'c@web1', 'web1\n', 1],
    ['[::1]:22', '::1', '::1\n', 1],
    ['web[1-30]!web[4-9]', 'web[5-10]', '=web[1-3,10-30]\n', 1],
    ['web[1-30]', 'db[1-30]', '=web[1-9,10-30]\n', 0],
  ])('%s and %s', (hosts, others, text, overlap) => {
    expect(filed(hosts, others)).toEqual({ text, overlap });
    expect(filed(others, hosts).overlap).toBe(overlap);
  });

  it('many that are no range are read piece by piece, each once', () => {
    const names = Array.from({ length: 20_000 }, (_, i) => `h${(i * 7919) % 1_000_003}x${i % 7}é`);
    const path = join(folder, 'hosts');
    writeFileSync(path, `header\n${names.join('\n')}\n`);
    const file = openSync(path, 'r');
    const all = parseHostFile(names.map((name) => name.replace('é', '')).join('\n'), 'test');
    expect(overlapIn(file, 'header\n'.length, all)).toBe(0);
    closeSync(file);
    const plain = names.map((name) => name.replace('é', '')).join(',');
    expect(filed(plain, 'h7919x1,h15838x2,none').overlap).toBe(2);
    expect(filed(plain, plain).overlap).toBe(20_000);
  });
});

describe('a lock', () => {
  it('keeps runs on common hosts out until it is free, others not', async () => {
    const free = await take('run-1', 'web[1-100]');
    expect(await refusal(take('run-2', 'ops@web[99-200]:22'))).toMatch(
      new RegExp(
        `^lock "deploy": run run-1 of \\S+ \\(process ${process.pid}\\), since 20\\d\\d-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ, has it on 2 hosts of this run; nothing was connected$`,
      ),
    );
    const others = [await take('run-3', 'db[1-9]'), await take('run-4', 'web1', { name: 'deploy.2' })];
    expect(readdirSync(folder).sort()).toEqual(['deploy.2@run-4', 'deploy@run-1', 'deploy@run-3']);
    expect(statSync(join(folder, 'deploy@run-1')).mode & 0o777).toBe(0o600);
    free();
    others.push(await take('run-2', 'web[99-200]'));
    for (const each of others) each();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('asks, where somebody can be asked, about each holder once', async () => {
    await take('run-1', 'web[1-10]');
    await take('run-2', 'db1');
    const asked: string[][] = [];
    const onLocked: RunOptions['onLocked'] = async (holders) => {
      asked.push(holders.map(({ run, overlap, hosts }) => `${run} ${overlap} of ${hosts}`).sort());
      // While a person thinks, one more run begins.
      if (asked.length === 1) await take('run-3', 'web20');
      return true;
    };
    await take('run-4', 'web[5-20],db1', { onLocked });
    expect(asked).toEqual([['run-1 6 of 10', 'run-2 1 of 1'], ['run-3 1 of 1']]);
    expect(await refusal(take('run-5', 'web1', { onLocked: () => false }))).toContain('run run-1 of');
  });

  it('of a process that is gone is removed; its number alone does not keep it', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'close');
    const owner = { run: 'run-0', user: 'ann', since: 0, hosts: 1, hostName: hostname() };
    const file = (name: string, more: object) => {
      writeFileSync(join(folder, name), `${JSON.stringify({ ...owner, ...more })}\nweb1\n`);
    };
    file('deploy@run-0', { pid: child.pid, start: '1' });
    file('deploy@run-1', { pid: process.pid, start: '1' });
    writeFileSync(join(folder, 'deploy@run-2.new'), '{"half');
    file('deploy.2@run-3', { pid: child.pid, start: '1' });
    const free = await take('run-4', 'web1');
    expect(readdirSync(folder).sort()).toEqual(['deploy.2@run-3', 'deploy@run-4']);
    free();
    // Of another machine nobody here can know.
    file('deploy@run-5', { pid: child.pid, start: '1', hostName: 'elsewhere', run: 'run-5' });
    expect(await refusal(take('run-6', 'web1'))).toContain(
      `run run-5 of ann (process ${child.pid} on elsewhere), since 1970-01-01T00:00:00Z, has it on 1 host of this run`,
    );
    writeFileSync(join(folder, 'deploy@run-5'), 'what is this\n');
    expect(await refusal(take('run-6', 'web1'))).toBe(
      `${folder}/deploy@run-5 is no lock that is understood here; remove it`,
    );
  });

  it('that many processes want at once has one of them', async () => {
    const children = Array.from({ length: 6 }, (_, i) => {
      return spawn(process.execPath, [
        join(import.meta.dirname, 'lock_child.ts'),
        folder,
        `run-${i}`,
        `web[${i + 1}-9]`,
      ]);
    });
    const words = children.map(async (child) => String((await once(child.stdout, 'data'))[0]));
    for (const child of children) child.stdin.write('go\n');
    const said = await Promise.all(words);
    const winner = said.indexOf('taken\n');
    expect(said.filter((text) => text === 'taken\n')).toHaveLength(1);
    for (const [i, text] of said.entries()) if (i !== winner) expect(text).toContain(`run run-${winner} of`);
    for (const child of children) child.stdin.on('error', () => {}).end();
    await Promise.all(children.map((child) => child.exitCode ?? once(child, 'close')));
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('the lock of a run of the library', () => {
  const before = process.env.XDG_STATE_HOME;
  beforeEach(() => {
    process.env.XDG_STATE_HOME = folder;
  });
  afterAll(() => {
    if (before === undefined) delete process.env.XDG_STATE_HOME;
    else process.env.XDG_STATE_HOME = before;
  });
  const held = () => readdirSync(join(folder, 'myriad/locks'));
  const nowhere = { hosts: '127.0.0.1', config: 'none', port: 1, agent: false } as const;

  it('is taken before anything connects, and free at its end', async () => {
    await using hosts = fleet({ ...nowhere, password: 'of nobody' });
    const run = hosts.run('true', { lock: 'deploy' });
    const seen: string[][] = [];
    run.on(({ type }) => type === 'run:start' && seen.push(held()));
    await run.summary();
    expect(seen).toEqual([[`deploy@${run.id}`]]);
    expect(held()).toEqual([]);
  });

  it('is free again where the run cannot begin, or is never begun', async () => {
    {
      await using hosts = fleet({ ...nowhere, identity: join(folder, 'no-key') });
      const failing = hosts.run('true', { lock: 'deploy' });
      await failing.lock();
      expect(held()).toEqual([`deploy@${failing.id}`]);
      await expect(failing.summary()).rejects.toThrow('no-key');
      expect(held()).toEqual([]);
      await hosts.run('true', { lock: 'deploy' }).lock();
      expect(held()).toHaveLength(1);
    }
    expect(held()).toEqual([]);
  });

  it('rejects where another one has it', async () => {
    await using hosts = fleet(nowhere);
    const first = hosts.run('true', { lock: 'deploy' });
    await first.lock();
    expect(await refusal(hosts.run('true', { lock: 'deploy' }).summary())).toContain(`run ${first.id} of`);
  });
});

describe('the folder', () => {
  it('is one of the user alone', () => {
    const path = lockFolder({ XDG_STATE_HOME: folder });
    expect(path).toBe(`${folder}/myriad/locks`);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    chmodSync(path, 0o755);
    lockFolder({ XDG_STATE_HOME: folder });
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(lockFolder({ XDG_STATE_HOME: 'state', HOME: folder })).toBe(`${folder}/.local/state/myriad/locks`);
  });

  it.each([
    ['a link', (path: string) => symlinkSync(tmpdir(), path), 'it is not a directory'],
    ['a file', (path: string) => writeFileSync(path, ''), 'EEXIST'],
  ])('is refused where it is %s', (_what, make, words) => {
    mkdirSync(join(folder, 'myriad'));
    make(join(folder, 'myriad/locks'));
    const path = join(folder, 'myriad/locks');
    expect(() => lockFolder({ XDG_STATE_HOME: folder })).toThrow(`lock: the folder ${path} cannot be used: ${words}`);
    expect(() => lockFolder({ XDG_STATE_HOME: folder })).toThrow(expect.objectContaining({ code: 'locked' }));
  });
});

describe('what cannot be taken is refused before anything connects', () => {
  const hosts = fleet({ hosts: '127.0.0.1', config: 'none', port: 1 });
  it.each([
    [
      { lock: 'a/b' },
      'lock: expected up to 64 letters, digits, ".", "_" and "-", the first a letter or digit, got "a/b"',
    ],
    [{ lock: '' }, 'got ""'],
    [{ lock: 'a', lockMs: 0 }, 'lockMs: expected milliseconds above 0, got 0'],
    [{ lockMs: 5 }, 'lockMs: there is no lock'],
    [{ lock: 'a', repeat: 2 }, 'lock: with repeat'],
    [{ lock: 'a', shell: 'cmd' }, 'lock: the shell cmd takes none'],
    [{ lock: 'a', tty: true }, 'tty: it goes together with none of lock yet'],
  ] as const)('options %j', (options, message) => {
    expect(() => hosts.run('true', options as RunOptions)).toThrow(message);
  });

  it('local programs have no host to lock', () => {
    expect(() => hosts.local('true', [], { lock: 'a' })).toThrow('lock: a local program gets none');
  });
});
