/** Runs of the command as they are recorded, gone on with, and done again where they were not ok. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endedRun } from '../journal/runs.ts';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { type Ended, launch, myriad, reach, shell, totals } from './command.ts';

let fleet: SimulatedFleet;
let on: string[];
const commands: string[] = [];
const folders: string[] = [];

beforeAll(async () => {
  fleet = await simulate({ hosts: 12, onCommand: (address, command) => void commands.push(`${address} ${command}`) });
  on = reach(fleet);
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A state of its own: nothing is recorded there yet. */
interface Place {
  readonly runs: string;
  readonly env: Record<string, string>;
  myriad(...words: string[]): Promise<Ended>;
}

function place(): Place {
  const state = mkdtempSync(join(tmpdir(), 'myriad-state-'));
  folders.push(state);
  const env = { XDG_STATE_HOME: state };
  return { runs: join(state, 'myriad/runs'), env, myriad: (...words) => myriad(words, { env }) };
}

/** How often hosts ran a command with this mark in it, by host. */
function ran(mark: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const command of commands) {
    const [host = '', ...words] = command.split(' ');
    if (words.join(' ').includes(mark)) counts[host] = (counts[host] ?? 0) + 1;
  }
  return counts;
}

/** The line that is said after `what`. */
function said(stderr: string, what: RegExp): string {
  return new RegExp(`^${what.source}: (myriad .*)$`, 'm').exec(stderr)?.[1] ?? `nothing like ${what} in ${stderr}`;
}

const GO_ON = /go on with the \d+ tasks? that did not run/;
const AGAIN = /again on \d+ tasks? not ok/;

describe.concurrent('a run', () => {
  it('is recorded, for its owner alone, and shown as it was', async () => {
    const { runs, myriad: run } = place();
    const ended = await run('-w', '127.1.0.[0-2]', ...on, '-N', '--', 'echo good');
    expect(ended).toMatchObject({ code: 0, stdout: 'good\ngood\ngood\n' });
    // All is ok: there is nothing to type next.
    expect(ended.stderr).not.toMatch(/resume|--from/);
    const files = readdirSync(runs).filter((name) => name !== '.pruned');
    expect(files).toEqual([expect.stringMatching(/^\d{8}T\d{9}-[0-9a-z]+-[0-9a-z]+\.db$/)]);
    expect([runs, join(runs, files[0]!)].map((path) => statSync(path).mode & 0o777)).toEqual([0o700, 0o600]);
    expect(await run('show', 'last', '-N', '-q')).toEqual({ code: 0, stdout: ended.stdout, stderr: '' });
    expect((await run('runs')).stdout).toMatch(/ 3 ok {7}echo good\n$/);
  });

  it('is not, where that is refused, nor where nothing is run', async () => {
    const { runs, myriad: run } = place();
    const ended = await run('--no-journal', '-w', '127.1.0.0', ...on, '--', 'exit 3');
    expect(ended.code).toBe(5);
    // It cannot be named, so its hosts are.
    expect(said(ended.stderr, AGAIN)).toMatch(/^myriad run -w 127\.1\.0\.0 .* -- 'exit 3'$/);
    expect((await run('-w', '127.1.0.0', ...on, '--dry-run', 'echo')).code).toBe(0);
    expect((await run('check', '-w', '127.1.0.0', ...on)).code).toBe(0);
    expect(() => readdirSync(runs)).toThrow('ENOENT');
  });

  it('does not begin where it cannot be recorded, and says how it can', async () => {
    const words = ['-w', '127.1.0.0', ...on, '--', 'echo unrecorded'];
    const { runs } = place();
    const file = join(runs, '../../file');
    writeFileSync(file, '');
    const refused = await myriad(words, { env: { XDG_STATE_HOME: file } });
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toMatch(/^myriad: journal folder \S+\/file\/myriad\/runs cannot be used: .*--no-journal\n$/);
    expect(ran('unrecorded')).toEqual({});
    const anyway = await myriad(['--no-journal', ...words], { env: { XDG_STATE_HOME: file } });
    expect(anyway).toMatchObject({ code: 0, stdout: '127.1.0.0: unrecorded\n' });
  });

  it('keeps as much of its outputs as is asked for, in the folder that is named', async () => {
    const { runs, env } = place();
    const folder = join(runs, '../elsewhere');
    const run = (...words: string[]) => myriad([...words, '--journal', folder], { env });
    const big = ['-w', '127.1.0.0', ...on, '-q', '-N', '--journal-output'];
    const command = `echo ${'x'.repeat(20_000)}`;
    const outputs: number[] = [];
    for (const kept of ['none', 'head', 'all']) {
      const ended = await myriad([...big, kept, '--journal', folder, '--', command], { env });
      expect(ended.stdout).toHaveLength(20_001);
      outputs.push((await run('show', 'last', '-q', '-N')).stdout.length);
    }
    // A head that ends inside a line is shown with an end.
    expect(outputs).toEqual([0, 16_385, 20_001]);
    expect((await run('show', '-2')).stderr).toMatch(/^127.1.0.0: stdout truncated: 16 KiB of 19.5 KiB kept$/m);
    expect(() => readdirSync(runs)).toThrow('ENOENT');
  });
});

describe.concurrent('what was not ok', () => {
  it('is done again by the line that is said, with the same options', async () => {
    const { env, myriad: run } = place();
    const first = await run('-w', '127.1.0.[0-3]', ...on, '-f', '1', '-b', '--', 'echo "a  b"; exit 4');
    const line = said(first.stderr, AGAIN);
    expect(line).toContain(`:bad --port ${fleet.simulator.port} --user root`);
    const again = await shell(line.replace(/^myriad/, '$MYRIAD'), { env }).ended;
    expect({ code: again.code, outcomes: totals(again.stderr) }).toEqual({ code: 5, outcomes: { failed: 4 } });
    expect(again.stdout).toBe(first.stdout);
    expect(Object.values(ran('echo "a  b"'))).toEqual([2, 2, 2, 2]);
  });

  it('is a source of hosts, together with others, for check and trust too', async () => {
    const { myriad: run } = place();
    await run('-w', '127.1.0.[4-6]', ...on, '-q', '--', 'exit 3');
    await run('-w', '127.1.0.7', ...on, '-q', '--', 'echo one');
    const list = await run('--from', '-2:bad', '--from', 'last', '-x', '127.1.0.5', '--list-hosts');
    expect(list.stdout).toBe('127.1.0.4\n127.1.0.6\n127.1.0.7\n');
    const both = await run('--from', '-2:rc=3', '-w', '127.1.0.9', '-x', '127.1.0.5', '--list-hosts');
    expect(both.stdout.split('\n').filter(Boolean).sort()).toEqual(['127.1.0.4', '127.1.0.6', '127.1.0.9']);
    expect((await run('check', '--from', '-2', ...on)).stdout).toMatch(/^3 of 3 ready: myriad --from -2 /m);
    const known = await run(
      'trust',
      '--from',
      'last',
      '--known-hosts',
      fleet.knownHosts,
      '-p',
      String(fleet.simulator.port),
      '--yes',
    );
    expect(known.code).toBe(0);
    const none = await run('--from', 'last:bad', ...on, 'true');
    expect(none).toMatchObject({ code: 2, stdout: '' });
    expect(none.stderr).toMatch(/^myriad: .*"last:bad": no host of run .*\n$/);
    const unknown = await run('--from', 'lats:bad', ...on, 'true');
    expect(unknown).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^myriad: run "lats" is not in the journal /),
    });
  });
});

describe.concurrent('myriad resume', () => {
  it('goes on after a stop by the line that is said, and answers for the whole run', async () => {
    const { env } = place();
    const words = [
      '-w',
      '127.1.0.[0-5]',
      ...on,
      '-f',
      '1',
      '--gather',
      'stream',
      '-N',
      '--',
      'echo up; sleep 100 # stopped',
    ];
    const running = launch(words, { env });
    await running.shows(/up/);
    running.child.kill('SIGTERM');
    const stopped = await running.ended;
    expect(stopped.code).toBe(130);
    expect(totals(stopped.stderr)).toEqual({ cancelled: 1, 'not-run': 5 });
    const line = said(stopped.stderr, GO_ON);
    expect(line).toMatch(/^myriad resume [0-9a-z-]+$/);
    const resumed = await shell(`${line.replace('myriad', '$MYRIAD')} -u 200ms -f 6`, { env }).ended;
    // What was cancelled stays so: the exit code is that of an interrupted run.
    expect(totals(resumed.stderr)).toEqual({ cancelled: 1, timeout: 5 });
    expect(resumed.code).toBe(130);
    expect(resumed.stdout).toBe('up\n'.repeat(5));
    expect(resumed.stderr).toMatch(/^1 result from before the run was resumed$/m);
    expect(Object.values(ran('# stopped'))).toEqual([1, 1, 1, 1, 1, 1]);
  });

  it('after a crash repeats nothing that may have run, unless that does no harm', async () => {
    const { env, myriad: run } = place();
    const command = 'echo up; sleep 100 # crashed';
    const running = launch(['-w', '127.1.0.[0-3]', ...on, '-f', '2', '--gather', 'stream', '--', command], { env });
    await running.shows(/up[\s\S]*up/);
    const live = await run('resume', 'last');
    expect(live.code).toBe(2);
    expect(live.stderr).toMatch(new RegExp(`^myriad: the run is still in progress: process ${running.child.pid} of `));
    running.child.kill('SIGKILL');
    await running.ended;
    expect((await run('runs')).stdout).toMatch(/ 4 crashed {2}echo up;.*\n +4 without a result\n$/);
    const resumed = await run('resume', 'last', '-u', '200ms');
    expect(totals(resumed.stderr)).toEqual({ lost: 2, timeout: 2 });
    expect(resumed.code).toBe(7);
    expect(Object.values(ran('# crashed'))).toEqual([1, 1, 1, 1]);
    const again = await run('resume', 'last', '-u', '200ms', '--idempotent');
    expect({ code: again.code, outcomes: totals(again.stderr) }).toEqual({ code: 3, outcomes: { timeout: 4 } });
    expect(Object.values(ran('# crashed')).sort()).toEqual([1, 1, 2, 2]);
  });

  it('asks for what was not recorded, and nothing secret is in any file', async () => {
    const { runs, myriad: run } = place();
    const secret = 'hunter2-in-no-file';
    const stopped = await run(
      ...['-w', '127.1.0.[0-3]', ...on, '-f', '1', '--deadline', '1s'],
      ...['--env', `TOKEN=${secret}`, '--redact', 'swordfish', '--', 'sleep 100; echo swordfish'],
    );
    expect(stopped.code).toBe(6);
    const bytes = readdirSync(runs).map((name) => readFileSync(join(runs, name), 'latin1'));
    expect(bytes.join('')).toContain('TOKEN');
    for (const word of [secret, 'swordfish'])
      expect(
        bytes.some((text) => text.includes(word)),
        word,
      ).toBe(false);
  });

  it('takes variables again, and options of its own', async () => {
    const { runs, myriad: run } = place();
    const words = ['-w', '127.1.0.[8-11]', ...on, '-f', '1', '--deadline', '1s', '--env', 'TOKEN=a', '--env', 'HOME'];
    const stopped = await run(...words, '--', 'sleep 100');
    expect(stopped.code).toBe(6);
    const without = await run('resume', 'last', '--deadline', 'none');
    expect(without).toMatchObject({ code: 2, stdout: '' });
    expect(without.stderr).toMatch(/^myriad: run \S+ cannot be resumed as it is: .*env TOKEN again\n$/);
    const options = ['--deadline', 'none', '-u', '200ms', '--env', 'TOKEN=a', '-f', '4', '--output', 'ndjson'];
    const resumed = await run('resume', '-1', ...options);
    expect({ code: resumed.code, outcomes: totals(resumed.stderr) }).toEqual({ code: 3, outcomes: { timeout: 4 } });
    expect(resumed.stdout.match(/"type":"task:end"/g)).toHaveLength(3);
    expect(readdirSync(runs).filter((name) => name.endsWith('.db'))).toHaveLength(1);
  });

  it('of a script needs its file no more', async () => {
    const { runs, myriad: run } = place();
    const file = join(runs, '../../script.sh');
    writeFileSync(file, 'echo scripted "$1"; exit 3\n');
    const words = ['-w', '127.1.0.[0-2]', ...on, '-f', '1', '--deadline', '1ms', '--', file, 'a  b'];
    const stopped = await run('script', ...words);
    expect(stopped.code).toBe(6);
    rmSync(file);
    const resumed = await run('resume', 'last', '--deadline', 'none', '-N');
    // The first host may have been cut off; a simulated host runs no script, and says so.
    const { timeout = 0, ok = 0 } = totals(resumed.stderr);
    expect({ all: timeout + ok, some: ok > 0 }).toEqual({ all: 3, some: true });
    expect(resumed.stdout.match(/^a simulated host runs no real command$/gm)).toHaveLength(ok);
  });

  it.each([
    [['resume'], /^no run was given: its id, "last" or -N comes first$/],
    [['resume', 'last', 'more'], /^one run is resumed at a time: "more" is one more$/],
    [['resume', 'last'], /^no run is recorded in /],
    [['resume', 'last', '-w', 'a'], /^unknown option '-w'/],
    [
      ['run', '--journal-output', 'some', '-w', 'a', 'b'],
      /^--journal-output: expected one of head, all, none, got "some"$/,
    ],
  ] as const)('%j is refused in one sentence', async (words, sentence) => {
    const { code, stdout, stderr } = await place().myriad(...words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(/^myriad: (.*)\n$/.exec(stderr)?.[1]).toMatch(sentence);
  });
});

it('the first run of a day forgets old ones; in a folder that was named it does not', async () => {
  const { runs, myriad: run } = place();
  const words = ['-w', '127.1.0.0', ...on, '-q', 'true'];
  const old = async (folder: string): Promise<void> => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    await endedRun(folder, 'of-old', 1, 1_000);
    const db = new DatabaseSync(join(folder, readdirSync(folder).find((name) => name.endsWith('of-old.db'))!));
    // As if the machine's clock had been right all the time.
    db.exec('UPDATE run SET ended_at = 2000');
    db.close();
  };
  const isThere = (folder: string) => readdirSync(folder).some((name) => name.includes('of-old'));
  const named = join(runs, '../named');
  await Promise.all([old(runs), old(named)]);
  await run(...words, '--journal', named);
  await run(...words, '--journal', named);
  expect(isThere(named)).toBe(true);
  expect((await run(...words)).code).toBe(0);
  expect(isThere(runs)).toBe(false);
  expect(readdirSync(runs)).toContain('.pruned');
  await old(runs);
  await run(...words);
  expect(isThere(runs)).toBe(true);
});
