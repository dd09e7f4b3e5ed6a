/** Which hosts, which words are the command, and what is said without connecting. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { myriad, reach, shell, totals } from './command.ts';

let fleet: SimulatedFleet;
const commands: string[] = [];
const users: string[] = [];

beforeAll(async () => {
  fleet = await simulate({
    hosts: 8,
    onCommand: (address, command) => void commands.push(`${address} ${command}`),
    accepts: ({ user }) => users.push(user) > 0,
  });
  writeFileSync(join(fleet.dir, 'hosts'), '# the fleet\n127.1.0.[0-1]\n\n127.1.0.2 127.1.0.3 # two\n127.1.0.0\n');
});
afterAll(() => fleet[Symbol.asyncDispose]());

/** The hosts that answered `hostname`, by their numbers. */
async function answered(words: readonly string[]): Promise<number[]> {
  const { stdout } = await myriad([...reach(fleet), '-N', ...words, 'hostname']);
  return [...stdout.matchAll(/^sim-(\d+)$/gm)].map(([, number]) => Number(number)).sort();
}

const AT = (words: readonly string[]) => words.map((word) => word.replace('@', fleet.dir));

describe.concurrent('targets', () => {
  it.each<[string, readonly string[], readonly number[]]>([
    ['a set', ['-w', '127.1.0.[0-2]'], [0, 1, 2]],
    ['several sets', ['-w', '127.1.0.1', '-w', '127.1.0.3-127.1.0.4'], [1, 3, 4]],
    ['another spelling', ['-H', '127.1.0.5', '--hosts', '127.1.0.6'], [5, 6]],
    ['a block', ['-w', '127.1.0.0/30'], [0, 1, 2, 3]],
    ['a host that comes twice', ['-w', '127.1.0.1,127.1.0.1'], [1]],
    ['hosts to leave out', ['-w', '127.1.0.[0-5]', '-x', '127.1.0.[1-2]', '-x', '127.1.0.4'], [0, 3, 5]],
    ['a file by -w ^', ['-w', '^@/hosts'], [0, 1, 2, 3]],
    ['a file by --hostfile', ['--hostfile', '@/hosts', '-w', '127.1.0.7'], [0, 1, 2, 3, 7]],
    ['a file, less some', ['--hostfile=@/hosts', '-x', '127.1.0.0/31'], [2, 3]],
  ])('%s', async (_, words, hosts) => {
    expect(await answered(AT(words))).toEqual(hosts);
  });

  it('stdin', async () => {
    const line = `printf '127.1.0.0\\n# none\\n127.1.0.[4-5]\\n' | $MYRIAD ${reach(fleet).join(' ')} -w - -N hostname`;
    const { code, stdout } = await shell(line).ended;
    expect(stdout.split('\n').sort()).toEqual(['', 'sim-0', 'sim-4', 'sim-5']);
    expect(code).toBe(0);
  });

  it('user and port of a host win over -l and -p', async () => {
    const { port } = fleet.simulator;
    const known = ['--identity', fleet.identity, '--known-hosts', fleet.knownHosts];
    const set = `somebody@127.1.0.6:${port},127.1.0.7:${port}`;
    const { code, stdout } = await myriad([
      '-w',
      set,
      ...known,
      '-l',
      'other',
      '-p',
      '1',
      '--order',
      'input',
      'hostname',
    ]);
    expect(stdout).toBe(`somebody@127.1.0.6:${port}: sim-6\n127.1.0.7:${port}: sim-7\n`);
    expect(code).toBe(0);
    expect(users).toEqual(expect.arrayContaining(['somebody', 'other']));
  });
});

describe.concurrent('the command', () => {
  it.each<[string, readonly string[], string]>([
    ['words are joined with blanks', ['echo', 'a  b', 'c'], 'echo a  b c'],
    ['-- ends the options', ['--', 'echo', '-b'], 'echo -b'],
    [
      'the first word ends them, too',
      ['echo', '-b', '--output', 'ndjson', '--', '-q'],
      'echo -b --output ndjson -- -q',
    ],
    ['a verb counts only as the first word of all', ['run', 'x'], 'run x'],
    ['so does simulate', ['simulate', '3'], 'simulate 3'],
    ['places are left alone without --repeat', ['echo {i} {host} }{'], 'echo {i} {host} }{'],
  ])('%s', async (_, words, expected) => {
    const { code } = await myriad([...reach(fleet), '-w', '127.1.0.0', ...words]);
    expect(commands).toContain(`127.1.0.0 ${expected}`);
    expect(code).toBe(0);
  });

  it('--repeat fills places, and says a value in quotes where the shell needs them', async () => {
    const command = 'echo {i} {rank} {count} {name} {{host}} {user}.{port} {q}';
    const words = [
      ...reach(fleet),
      '-w',
      '127.1.0.0,127.1.0.1',
      '--repeat',
      '3',
      '-e',
      'q=a b',
      '--order',
      'input',
      '--',
      command,
    ];
    const { code, stdout, stderr } = await myriad(words);
    const lines = [0, 1, 2, 3, 4, 5].map((rank) => {
      const name = `127.1.0.${rank % 2}`;
      return `${name}: ${1 + Math.floor(rank / 2)} ${rank} 6 ${name} {host} root.${fleet.simulator.port} a b`;
    });
    expect(stdout.trimEnd().split('\n')).toEqual(lines);
    expect({ code, outcomes: totals(stderr) }).toEqual({ code: 0, outcomes: { ok: 6 } });
    expect(commands).toContain(`127.1.0.1 echo 2 3 6 127.1.0.1 {host} root.${fleet.simulator.port} 'a b'`);
  });
});

describe.concurrent('--local', () => {
  it('runs a program here once per host, each word one word', async () => {
    const words = [
      'run',
      '--local',
      '-w',
      'a,u@b:7',
      '-l',
      'eve',
      '-p',
      '22',
      '--order',
      'input',
      '--',
      'printf',
      '<%s>',
    ];
    const places = ['{host} {i}', '$HOME;', '{user}/{name}/{port}', '', '{{}}'];
    const { code, stdout } = await myriad([...words, ...places]);
    expect(stdout).toBe('a: <a 1><$HOME;><eve/a/22><><{}>\nu@b:7: <u@b:7 1><$HOME;><u/b/7><><{}>\n');
    expect(code).toBe(0);
  });

  it('needs no key, and connects nowhere', async () => {
    const { code, stderr } = await myriad(['--local', '-w', '127.1.0.[0-7]', '--repeat', '2', '--', 'true']);
    expect({ code, outcomes: totals(stderr) }).toEqual({ code: 0, outcomes: { ok: 16 } });
    expect(stderr).not.toContain('NOT verified');
  });

  it('a program that is not there is a fault on this side', async () => {
    const { code, stderr } = await myriad(['run', '--local', '-w', 'a[1-2]', '--', './no-such-program', '{host}']);
    expect(stderr).toMatch(/^ +for example: program "\.\/no-such-program" was not found/m);
    expect(stderr).toMatch(/^ {2}2 error\(ENOENT\): a\[1-2\]$/m);
    expect({ code, outcomes: totals(stderr) }).toEqual({ code: 1, outcomes: { error: 2 } });
  });

  it('-f 1 runs one after the other', async () => {
    const lock = join(fleet.dir, 'lock');
    const alone = `mkdir ${lock} && sleep 0.05 && rmdir ${lock}`;
    const { stderr } = await myriad(['run', '--local', '-w', 'a[1-5]', '-f', '1', '--', 'sh', '-c', alone]);
    expect(totals(stderr)).toEqual({ ok: 5 });
  });

  it('its programs get no stdin', async () => {
    const { code, stdout } = await shell(`echo secret | $MYRIAD run --local -w a -- cat`).ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
  });
});

describe.concurrent('nothing is done', () => {
  it('--list-hosts prints the hosts in order', async () => {
    mkdirSync(join(fleet.dir, 'sub'));
    const words = ['-w', 'web[08-10],u@db1:22,10.0.0.0/30', '-x', 'web09', '--list-hosts'];
    const expected = 'web08\nweb10\nu@db1:22\n10.0.0.0\n10.0.0.1\n10.0.0.2\n10.0.0.3\n';
    for (const more of [[], ['uptime']]) {
      expect(await myriad([...words, ...more])).toEqual({ code: 0, stdout: expected, stderr: '' });
    }
  });

  it('--dry-run says what would be done', async () => {
    const target = [
      '-w',
      '127.1.0.[0-7]',
      '--repeat',
      '200',
      '-l',
      'deploy',
      '-p',
      '2222',
      '-f',
      '9',
      '--deadline',
      '90s',
    ];
    const { code, stdout, stderr } = await myriad([...target, '--dry-run', '--', 'reboot {i}']);
    expect(stdout).toBe(
      [
        'would run on 8 hosts, 1,600 tasks: reboot {i}',
        ...[0, 1, 2, 3, 4, 5, 6, 7].map((n) => `127.1.0.${n} as deploy@127.1.0.${n}:2222: reboot 1`),
        'fanout 9, at most 1 m 30 s',
        '127.1.0.[0-7]',
        'nothing was connected',
        '',
      ].join('\n'),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('--dry-run says what the command has around it, and no value that may be secret', async () => {
    const around = ['--sudo-user', 'ann', '--cwd', '/srv', '--umask', '027', '--env', 'TOKEN=hush', '--lock', 'up'];
    const { stdout } = await myriad(['-w', '127.1.0.0', ...around, '--dry-run', 'true']);
    expect(stdout.split('\n')[1]).toBe(
      'as ann by way of sudo, in /srv, umask 027, with TOKEN set, where the lock up is free',
    );
    expect(stdout).not.toContain('hush');
  });

  it('--dry-run of many names the first of them', async () => {
    const { stdout } = await myriad(['-w', '10.0.0.0/16', '--dry-run', 'true']);
    expect(stdout).toMatch(/^would run on 65,536 hosts, 65,536 tasks: true\n/);
    expect(stdout).toMatch(/^10\.0\.0\.\[0-19\] and 65,516 more \(--list-hosts shows all\)$/m);
  });

  it('--dry-run asks for no password, needs no key, and checks --expect', async () => {
    expect((await myriad(['-w', 'a', '-k', '--dry-run', 'true'])).code).toBe(0);
    const { code, stdout, stderr } = await myriad(['-w', 'a', '--expect', '2', '--dry-run', 'true']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^myriad: --expect 2: the selection has 1 host/);
  });
});
