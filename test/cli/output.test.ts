/** What is printed, where, and in which order. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { launch, myriad, reach, shell, totals } from './command.ts';

let fleet: SimulatedFleet;
let on: string[];

beforeAll(async () => {
  fleet = await simulate({ hosts: 4 });
  on = ['-w', '127.1.0.0-127.1.0.3', ...reach(fleet)];
});
afterAll(() => fleet[Symbol.asyncDispose]());

const LOCAL = ['run', '--local', '-w'];
const sorted = (text: string) => text.split('\n').filter(Boolean).sort();
const SPEED = /^\d+ hosts? in .*\n/m;

describe.concurrent('lines', () => {
  it('stand behind the name of their host; stderr goes to stderr', async () => {
    const { stdout, stderr } = await myriad([...on, 'echo one; echo two; echo err >&2']);
    const lines = [0, 1, 2, 3].flatMap((host) => [`127.1.0.${host}: one`, `127.1.0.${host}: two`]);
    expect(sorted(stdout)).toEqual(lines);
    expect(stderr.match(/^127\.1\.0\.\d: err$/gm)).toHaveLength(4);
    expect(stderr.replace(SPEED, '').replace(/^127.*\n/gm, '')).toBe('4 planned: 4 ok\n');
  });

  it('of one host stay together', async () => {
    const { stdout } = await myriad([...on, 'echo one; sleep 0.1; echo two; echo three']);
    const hosts = stdout.split('\n').map((line) => line.split(':')[0]);
    const runs = hosts.filter((host, at) => host !== '' && host !== hosts[at - 1]);
    expect(runs).toHaveLength(4);
  });

  it('have no name with -N', async () => {
    const { stdout } = await myriad([...on, '-N', 'hostname']);
    expect(sorted(stdout)).toEqual(['sim-0', 'sim-1', 'sim-2', 'sim-3']);
  });

  it('get a newline where the last one lacks it, and nothing is printed for no output', async () => {
    expect((await myriad([...LOCAL, 'a', '--', 'printf', 'x\\n\\ny'])).stdout).toBe('a: x\na: \na: y\n');
    expect((await myriad([...LOCAL, 'a', '--', 'true'])).stdout).toBe('');
  });

  it('pass unchanged where stdout is no terminal', async () => {
    const { stdout } = await myriad([...LOCAL, 'a', '--', 'printf', '\\033[2J\\001']);
    expect(stdout).toBe('a: \x1b[2J\x01\n');
  });

  it('come in the order in which hosts end, or with --order input as they were written', async () => {
    const late = ['--', 'sh', '-c', '[ {rank} = 0 ] && sleep 1; echo {host}'];
    expect((await myriad([...LOCAL, 'a,b', ...late])).stdout).toBe('b: b\na: a\n');
    expect((await myriad([...LOCAL, 'a,b', '--order', 'done', ...late])).stdout).toBe('b: b\na: a\n');
    expect((await myriad([...LOCAL, 'a,b', '--order', 'input', ...late])).stdout).toBe('a: a\nb: b\n');
  });
});

const SORTS = ['--', 'sh', '-c', 'case $1 in web*) echo web;; *) echo other;; esac; echo $1 >&2', 'sh', '{host}'];
const rule = '---------------';

describe.concurrent('folding', () => {
  it('-b prints identical stdout once, under its hosts; stderr as it comes', async () => {
    const { stdout, stderr } = await myriad([...LOCAL, 'web[1-3],db1,web10', '-b', ...SORTS]);
    expect(stdout).toBe([rule, 'web[1-3,10] (4)', rule, 'web', rule, 'db1', rule, 'other', ''].join('\n'));
    expect(sorted(stderr).slice(-5)).toEqual(['db1: db1', 'web10: web10', 'web1: web1', 'web2: web2', 'web3: web3']);
  });

  it('-B folds stdout and stderr together', async () => {
    const { stdout, stderr } = await myriad([...LOCAL, 'a,b', '-B', '--', 'sh', '-c', 'echo out; echo err >&2']);
    expect(stdout).toBe([rule, 'a,b (2)', rule, 'out', 'err', ''].join('\n'));
    expect(stderr.replace(SPEED, '')).toBe('2 planned: 2 ok\n');
  });

  it('-b names hosts that failed once, by cause, and folds what they printed', async () => {
    const { code, stdout, stderr } = await myriad([...LOCAL, 'a[1-2]', '-b', '--', 'sh', '-c', 'echo x; exit 3']);
    expect(stdout).toBe([rule, 'a[1-2] (2)', rule, 'x', ''].join('\n'));
    expect(stderr).toMatch(/^ {2}2 failed\(3\): a\[1-2\]$/m);
    expect(code).toBe(5);
  });
});

describe.concurrent('what is kept', () => {
  it('--max-output cuts, marks and counts', async () => {
    const { code, stdout, stderr } = await myriad([...on, '-N', '--max-output', '1KiB', 'yes 5000']);
    expect(stdout).toBe('y\n'.repeat(4 * 512));
    expect(stderr.match(/^127\.1\.0\.\d: stdout truncated: 1 KiB of 9\.8 KiB kept$/gm)).toHaveLength(4);
    expect(stderr).toMatch(/^4 outputs truncated \(--max-output\)$/m);
    expect({ code, outcomes: totals(stderr) }).toEqual({ code: 0, outcomes: { ok: 4 } });
  });

  it('--gather discard prints nothing and counts all', async () => {
    const { code, stdout, stderr } = await myriad([...on, '--gather', 'discard', 'echo a; echo b >&2']);
    expect({ code, stdout, outcomes: totals(stderr) }).toEqual({ code: 0, stdout: '', outcomes: { ok: 4 } });
    expect(stderr).not.toContain('127.1.0.0: ');
  });

  it.each([
    ['hosts', () => on],
    ['programs here', () => [...LOCAL, 'a', '--', 'sh', '-c']],
  ])('--gather stream prints lines of %s while they run', async (_, words) => {
    const [verb, ...rest] = words();
    const options = ['--gather', 'stream'];
    const first = verb === 'run' ? [verb, ...options, ...rest] : [...options, verb!, ...rest];
    const running = launch([...first, 'echo first; sleep 100; echo last']);
    await running.shows(/: first\n/);
    expect(running.child.exitCode).toBe(null);
    running.child.kill('SIGTERM');
    const { code, stdout } = await running.ended;
    expect(code).toBe(130);
    expect(stdout).not.toContain('last');
  });

  it('--gather stream prints whole output, once', async () => {
    const { stdout } = await myriad([...on, '--gather', 'stream', 'echo a; sleep 0.1; echo b; yes 20000']);
    for (const host of [0, 1, 2, 3]) {
      const lines = stdout.split('\n').filter((line) => line.startsWith(`127.1.0.${host}: `));
      expect(lines).toHaveLength(20_002);
      expect(lines.slice(0, 3)).toEqual(['a', 'b', 'y'].map((text) => `127.1.0.${host}: ${text}`));
    }
  });
});

describe.concurrent('more and less of it', () => {
  it('-q: outputs only', async () => {
    const { code, stdout, stderr } = await myriad([...on, '-q', 'echo a; echo b >&2; exit 3']);
    expect(sorted(stdout)).toEqual([0, 1, 2, 3].map((host) => `127.1.0.${host}: a`));
    expect(sorted(stderr)).toEqual([0, 1, 2, 3].map((host) => `127.1.0.${host}: b`));
    expect(code).toBe(5);
  });

  it('-v: a line for each host that ended, with what was reached', async () => {
    const { stderr } = await myriad([...on, '-v', 'true']);
    const line = /^127\.1\.0\.(\d): ok in [\d.]+ m?s 127\.1\.0\.\1:\d+ \S+ SHA256:[A-Za-z0-9+/]{43}$/gm;
    expect(stderr.match(line)).toHaveLength(4);
  });

  it('a failure names its hosts, its cause and what to do, once; with -v each host by itself', async () => {
    const quiet = await myriad([...on, 'exit 127']);
    expect(quiet.stderr).not.toMatch(/^127/m);
    const { stderr } = await myriad([...on, '-v', 'exit 127']);
    expect(stderr.match(/^127\.1\.0\.\d: failed: exit status 127$/gm)).toHaveLength(4);
    expect(stderr).toContain(
      '  4 failed(127): 127.1.0.[0-3]\n      exit status 127; the host knows no such command: check its name and PATH there\n',
    );
  });

  it('--host-keys off says so', async () => {
    const { code, stderr } = await myriad([...on, '--host-keys', 'off', '--known-hosts', '/dev/null', 'true']);
    expect(stderr).toMatch(/^host keys were NOT verified$/m);
    expect(code).toBe(0);
  });

  it('an unknown host key comes with what to do about it', async () => {
    const { code, stderr } = await myriad([
      ...['-w', '127.1.0.0', '-p', String(fleet.simulator.port), '-l', 'root', '--identity', fleet.identity],
      ...['--known-hosts', '/dev/null', 'true'],
    ]);
    expect(stderr).toMatch(/host key unknown \(ssh-ed25519 SHA256:.*ssh-keyscan .*--host-keys accept-new/);
    expect(code).toBe(4);
  });

  it('--color', async () => {
    const one = [...LOCAL, 'a'];
    const plain = 'a: x\n';
    const coloured = '\x1b[36ma:\x1b[39m x\n';
    for (const [options, env, expected] of [
      [[], {}, plain],
      [['--color', 'never'], {}, plain],
      [['--color', 'always'], {}, coloured],
      [['--color', 'always'], { NO_COLOR: '1' }, coloured],
    ] as const) {
      expect((await myriad([...one, ...options, '--', 'echo', 'x'], { env })).stdout).toBe(expected);
    }
  });
});

describe.concurrent('a reader that goes away', () => {
  it('does not end the run: it is said once, and the exit code is kept', async () => {
    const target = on.join(' ');
    for (const [command, code] of [
      ['yes 300000', 0],
      ['yes 300000; exit 3', 5],
    ] as const) {
      const line = `{ $MYRIAD ${target} --max-output 1MiB '${command}'; echo "exit $?" >&2; } | head -1`;
      const { stdout, stderr } = await shell(line).ended;
      expect(stdout).toMatch(/^127\.1\.0\.\d: y\n$/);
      expect(stderr.match(/^myriad: stdout is closed \(.*EPIPE.*\); the run goes on$/gm)).toHaveLength(1);
      expect(totals(stderr)).toEqual(code === 0 ? { ok: 4 } : { failed: 4 });
      expect(stderr).toMatch(new RegExp(`^exit ${code}$`, 'm'));
    }
  });

  it('ends --list-hosts without a word, however many there are', async () => {
    const line = '{ $MYRIAD run --list-hosts -w 10.0.0.0/8; echo "exit $?" >&2; } | head -2';
    expect(await shell(line).ended).toEqual({ code: 0, stdout: '10.0.0.0\n10.0.0.1\n', stderr: 'exit 0\n' });
  });

  it('of stderr changes nothing', async () => {
    const line = `exec 3>&1; { $MYRIAD ${on.join(' ')} -v 'echo out; exit 3' 2>&1 >&3; echo "exit $?" >&3; } | true`;
    const { stdout } = await shell(line).ended;
    expect(sorted(stdout)).toEqual([...[0, 1, 2, 3].map((host) => `127.1.0.${host}: out`), 'exit 5']);
  });
});
