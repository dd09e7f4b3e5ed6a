/** Leases as shells of hosts take them: who gets one, who is told that it is held, and what passes for a verdict. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { checkExecution, checkShell } from '../../src/jobs/execution.ts';
import { checkLockName, Lease } from '../../src/jobs/lease.ts';
import { oneLine } from '../../src/jobs/shell_program.ts';
import { present } from '../kit/servers.ts';

const UID = process.getuid?.() ?? 0;
const PLACE = join(UID === 0 ? '/run' : '/tmp', `myriad-lock-${UID}`);
const SHELLS = ['sh', 'bash', 'bash --posix', 'mksh', 'busybox sh'];

const names: string[] = [];
const running = new Set<ChildProcessWithoutNullStreams>();
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  for (const name of names.splice(0)) rmSync(join(PLACE, name), { recursive: true, force: true });
});

function newName(): string {
  const name = `test-${randomBytes(6).toString('hex')}`;
  names.push(name);
  return name;
}

function leaseFiles(name: string): string[] {
  return readdirSync(join(PLACE, name)).sort();
}

class Task {
  readonly lease: Lease;
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<number | null>;
  output = '';

  /** The command of the lease says `begun`, and ends with 3 at the end of its stdin. */
  constructor(name: string, run: string, { seconds = 600, shell = ['sh'] as readonly string[] } = {}) {
    const write = (stream: string, chunk: Uint8Array) => {
      this.output += `${stream}: ${Buffer.from(chunk)}`;
      return true;
    };
    this.lease = new Lease({ name, seconds, user: 'ann' }, run, { write });
    this.child = spawn(shell[0]!, [...shell.slice(1), '-c', 'IFS= read -r _myriad && eval "$_myriad"']);
    running.add(this.child);
    this.child.stdout.on('data', (chunk) => this.lease.write('stdout', chunk));
    this.child.stderr.on('data', (chunk) => this.lease.write('stderr', chunk));
    this.child.stdin.on('error', () => {});
    this.ended = new Promise((resolve) =>
      this.child.once('close', (code) => {
        running.delete(this.child);
        this.lease.finish();
        resolve(code);
      }),
    );
    const command = `echo begun with "$#"; cat; exit 3`;
    this.child.stdin.write(oneLine(`${this.lease.text}exec /bin/sh -c '${command}'`));
  }

  /** Resolves when the command has begun, or it is over. */
  async settled(): Promise<'begun' | 'over'> {
    const begun = new Promise<'begun'>((resolve) => this.child.stdout.once('data', () => resolve('begun')));
    return Promise.race([begun, this.ended.then(() => 'over' as const)]);
  }

  end(text = ''): Promise<number | null> {
    this.child.stdin.end(text);
    return this.ended;
  }
}

describe.each(SHELLS.filter((words) => present(words.split(' ')[0]!)))('a lease taken by %s', (words) => {
  const shell = words.split(' ');

  it('is held while its command runs, and free when it has ended', async () => {
    const name = newName();
    const first = new Task(name, 'run-1', { shell });
    expect(await first.settled()).toBe('begun');
    const second = new Task(name, 'run-2', { shell });
    expect(await second.ended).toBe(125);
    expect(second.output).toBe('');
    expect(second.lease.refusal).toEqual({
      kind: 'refused',
      began: 'no',
      what: 'lock',
      reason: expect.stringMatching(/^locked by ann since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ \(run run-1\)$/),
    });
    expect(await first.end('its stdin')).toBe(3);
    expect(first.output).toBe('stdout: begun with 0\nstdout: its stdin');
    expect(first.lease.refusal).toBeUndefined();
    const third = new Task(name, 'run-3', { shell });
    expect(await third.settled()).toBe('begun');
    expect(leaseFiles(name)).toEqual(['2']);
    expect(await third.end()).toBe(3);
  });
});

describe('a lease', () => {
  it('is free when its process was killed', async () => {
    const name = newName();
    const first = new Task(name, 'run-1');
    await first.settled();
    first.child.kill('SIGKILL');
    await first.ended;
    const second = new Task(name, 'run-2');
    expect(await second.settled()).toBe('begun');
    await second.end();
  });

  it('that is over by the clock is taken from a command that still runs', async () => {
    const name = newName();
    const first = new Task(name, 'run-1');
    await first.settled();
    const file = join(PLACE, name, '1');
    const text = readFileSync(file, 'utf8');
    const [until, since] = text.split(' ').map(Number);
    expect(until! - since!).toBe(600);
    writeFileSync(file, text.replace(/^\d+/, String(since! - 1)));
    const second = new Task(name, 'run-2');
    expect(await second.settled()).toBe('begun');
    expect(leaseFiles(name)).toEqual(['2']);
    await first.end();
    const third = new Task(name, 'run-3');
    await third.ended;
    expect(third.lease.refusal?.reason).toContain('(run run-2)');
    await second.end();
  });

  it.each([
    ['another boot', 4, 'begun'],
    ['another process namespace', 5, 'over'],
    ['another start of that process number', 3, 'begun'],
  ])('of %s', async (_what, field, state) => {
    const name = newName();
    const first = new Task(name, 'run-1');
    await first.settled();
    const file = join(PLACE, name, '1');
    const words = readFileSync(file, 'utf8').split(' ');
    words[field] = '4711';
    writeFileSync(file, words.join(' '));
    const second = new Task(name, 'run-2');
    expect(await second.settled()).toBe(state);
    await Promise.all([first.end(), second.end()]);
  });

  it('that many want at once, when it has just become free, has one of them', async () => {
    const name = newName();
    mkdirSync(join(PLACE, name), { recursive: true, mode: 0o700 });
    for (const number of ['2', '9', '10']) {
      writeFileSync(join(PLACE, name, number), '1 1 1 1 boot space run-0 ann\n');
    }
    const tasks = Array.from({ length: 12 }, (_, i) => new Task(name, `run-${i + 1}`));
    const states = await Promise.all(tasks.map((task) => task.settled()));
    expect(states.filter((state) => state === 'begun')).toHaveLength(1);
    const winner = `run-${states.indexOf('begun') + 1}`;
    for (const { lease } of tasks.filter((_, i) => states[i] === 'over')) {
      expect(lease.refusal?.reason).toContain(`(run ${winner})`);
    }
    expect(leaseFiles(name)).toEqual(['11']);
    await Promise.all(tasks.map((task) => task.end()));
  });
});

describe('a verdict', () => {
  const listen = () => {
    const output = { stdout: '', stderr: '' };
    const write = (stream: 'stdout' | 'stderr', chunk: Uint8Array) => {
      output[stream] += Buffer.from(chunk);
      return true;
    };
    const lease = new Lease({ name: 'a', seconds: 1, user: 'ann' }, 'run', { write });
    const [, first = '', second = ''] = /set -- (\w{16}) (\w{16}) /.exec(lease.text) ?? [];
    return { lease, mark: first + second, output };
  };
  const heard = (...chunks: readonly (readonly ['stdout' | 'stderr', string])[]) => {
    const { lease, mark, output } = listen();
    for (const [stream, text] of chunks) lease.write(stream, Buffer.from(text.replaceAll('MARK', mark)));
    lease.finish();
    return { output, reason: lease.refusal?.reason };
  };

  it.each(['stdout', 'stderr'] as const)('may come byte by byte, after words of the login, on %s', (stream) => {
    const { lease, mark, output } = listen();
    const all = Buffer.from(`hello\n${mark.slice(0, 9)} lo${mark} taken\nout\n`);
    for (let at = 0; at < all.length; at++) lease.write(stream, all.subarray(at, at + 1));
    expect(output[stream]).toBe(`hello\n${mark.slice(0, 9)} loout\n`);
    lease.write(stream, Buffer.from(`${mark} held 1 a b\n`));
    lease.finish();
    expect(output[stream]).toContain(' held 1 a b');
    expect(lease.refusal).toBeUndefined();
  });

  it.each([
    ['MARK held 0 3lg-x ann\n', 'locked by ann since 1970-01-01T00:00:00Z (run 3lg-x)'],
    ['MARK held 999999999999 r ann\n', 'no lease could be taken: held 999999999999 r ann'],
    ['MARK held 0 r \x1b[2J"a b"\n', 'locked by __2J_a_b_ since 1970-01-01T00:00:00Z (run r)'],
    ['MARK failed /run/x belongs to user 7\n', 'no lease could be taken: /run/x belongs to user 7'],
    ['MARK \n', 'no lease could be taken: nothing was said'],
  ])('%j', (text, reason) => {
    expect(heard(['stderr', text], ['stderr', 'more\n'], ['stdout', 'more'])).toEqual({
      output: { stdout: '', stderr: '' },
      reason,
    });
  });

  it('that has no end is cut', () => {
    const { reason } = heard(['stderr', `MARK failed ${'x'.repeat(5000)}`]);
    expect(reason).toBe(`no lease could be taken: ${'x'.repeat(300)}`);
  });

  it('that never comes takes nothing from the output', () => {
    const { lease, mark, output } = listen();
    lease.write('stderr', Buffer.from(`sh: not found ${mark.slice(0, 31)}`));
    lease.write('stdout', Buffer.from('abc'));
    lease.finish();
    expect(output).toEqual({ stdout: 'abc', stderr: `sh: not found ${mark.slice(0, 31)}` });
  });

  it('of somebody else is output', () => {
    const text = `${'0'.repeat(32)} held 0 r ann\n`;
    const stderr = { output: { stdout: '', stderr: text }, reason: undefined };
    expect(heard(['stderr', 'MARK taken\n'], ['stderr', text])).toEqual(stderr);
    expect(heard(['stderr', text])).toEqual(stderr);
  });
});

describe('what cannot be taken', () => {
  it.each(['', '.', '..', '-a', 'a/b', 'a b', 'é', 'a\n', 'x'.repeat(65), 7, undefined])('%j is no name', (name) => {
    expect(() => checkLockName(name, 'lock')).toThrow(/^lock: expected up to 64 letters/);
  });

  it.each(['a', '7', 'deploy.web-1_x', 'x'.repeat(64)])('%s is one', (name) => {
    expect(checkLockName(name, 'lock')).toBe(name);
  });

  it('a job says what of it is wrong', () => {
    const lock = { name: 'a', seconds: 60, user: 'ann' };
    expect(checkExecution('command', { lock: { ...lock, user: 'a b\n' } })).toEqual({
      lock: { ...lock, user: 'a_b_' },
    });
    expect(() => checkExecution('command', { lock: { ...lock, seconds: 0.5 } })).toThrow(
      '1 to 315360000 seconds, not 0.5',
    );
    expect(() => checkExecution('command', { lock: { ...lock, more: 1 } })).toThrow('"lock" has no "more"');
    expect(() => checkShell('command', 'cmd', { lock })).toThrow('lock: the shell cmd takes none');
  });
});
