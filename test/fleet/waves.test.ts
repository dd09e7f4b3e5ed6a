/** Waves on simulated hosts: what checks are given, what becomes of them, and which options contradict each other. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Fleet, fleet, type RunEvent, type RunOptions, type WaveEndEvent } from '../../src/index.ts';
import { type SimulatedFleet, simulate, sumOf } from '../kit/fleet.ts';

const dir = mkdtempSync(join(tmpdir(), 'myriad-waves-'));
const commands: string[] = [];
let six: SimulatedFleet;
let hosts: Fleet;
beforeAll(async () => {
  six = await simulate({ hosts: 6, onCommand: (address, command) => void commands.push(`${address} ${command}`) });
  hosts = fleet(six.options);
});
afterAll(async () => {
  await hosts?.close();
  await six?.[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

/** Runs to the end; gives the waves too. */
async function run(command: string, options: RunOptions, on: Fleet = hosts) {
  const waves: WaveEndEvent[] = [];
  const listener = (event: RunEvent): void => void (event.type === 'wave:end' && waves.push(event));
  const started = on.run(command, { ...options, listener });
  const summary = await started.summary();
  expect(sumOf(summary)).toBe(started.planned);
  return { id: started.id, summary, waves };
}

/** How to reach its hosts, without their names. */
function reachOf({ options: { hosts: _, ...reach } }: SimulatedFleet) {
  return reach;
}

/** Processes here with this word in their command line. */
function processes(mark: string): number {
  return execFileSync('ps', ['-A', '-o', 'args='], { encoding: 'utf8' }).split(mark).length - 1;
}

describe('a check here', () => {
  test('finds the hosts of its wave, its number and the run; its file is its own, and gone afterwards', async () => {
    const copy = join(dir, 'seen');
    const check = `{ stat -c %a "$MYRIAD_WAVE_HOSTS"; cat "$MYRIAD_WAVE_HOSTS"; echo "$MYRIAD_WAVE $MYRIAD_RUN $MYRIAD_WAVE_HOSTS"; } >>${copy}`;
    const { id, summary, waves } = await run('true', { serial: '1,50%,100%', check });
    expect(summary).toMatchObject({ stopped: 'no', outcomes: { ok: 6 } });
    const [, file] = / (\/.*)$/m.exec(readFileSync(copy, 'utf8'))!;
    const said = readFileSync(copy, 'utf8').replaceAll(/ \/.*$/gm, '');
    const labels = [...six.simulator.labels()];
    expect(said.trim().split('\n')).toEqual([
      '600',
      labels[0],
      `1 ${id}`,
      '600',
      ...labels.slice(1, 4),
      `2 ${id}`,
      '600',
      ...labels.slice(4),
      `3 ${id}`,
    ]);
    expect(existsSync(file!)).toBe(false);
    expect(waves.map(({ wave, tasks, passed }) => [wave, tasks, passed])).toEqual([
      [1, 1, true],
      [2, 3, true],
      [3, 2, true],
    ]);
  });

  test('with repeated tasks each host of the wave is named once', async () => {
    const copy = join(dir, 'repeated');
    const check = `cat "$MYRIAD_WAVE_HOSTS" >>${copy}; echo >>${copy}`;
    const { summary } = await run('true', { serial: '4,8', repeat: 2, check });
    expect(summary.outcomes.ok).toBe(12);
    const labels = [...six.simulator.labels()];
    const seen = readFileSync(copy, 'utf8').trim().split('\n\n');
    expect(seen.map((part) => part.split('\n').sort())).toEqual([labels.slice(0, 4), labels]);
  });

  test.each([
    ['a status', 'echo not good; exit 3', 'the check ended with status 3', 'not good\n'],
    ['a signal', 'kill -9 $$', 'the check was ended by signal KILL', ''],
    ['what it writes is kept in part', 'yes | head -c 40000; exit 1', 'the check ended with status 1', /^….{16384}$/s],
    ['what must not be seen is not', 'echo the s3cret; exit 1', 'the check ended with status 1', 'the [redacted]\n'],
  ])('that fails stops the run: %s', async (_, check, reason, output) => {
    const { summary, waves } = await run('true', { serial: [2], check, redact: [/s3cret/] });
    expect(summary).toMatchObject({
      stopped: 'guard',
      stopReason: `wave 1 of 3: ${reason}`,
      outcomes: { ok: 2, 'not-run': 4 },
    });
    expect(waves).toEqual([expect.objectContaining({ passed: false, reason, output: expect.any(String) })]);
    if (typeof output === 'string') expect(waves[0]!.output).toBe(output);
    else expect(waves[0]!.output).toMatch(output);
  });

  test('that hangs is ended with its children at its deadline', async () => {
    const mark = `101.${process.pid}1`;
    const check = `sleep ${mark} & trap '' TERM; sleep ${mark}`;
    const { summary } = await run('true', { serial: '1', check, checkMs: 200 });
    expect(summary.stopReason).toBe('wave 1 of 6: the check took longer than 0.2 s and was ended');
    expect(processes(mark)).toBe(0);
  });

  test.each(['cancel', 'runMs', 'close'])('%s during a check ends it with its children', async (how) => {
    const mark = `102.${process.pid}${how.length}`;
    const started = join(dir, how);
    const check = `sleep ${mark} & echo > ${started}; sleep ${mark}`;
    await using own = fleet(six.options);
    const wave = own.run('true', { serial: '1', check, ...(how === 'runMs' && { runMs: 1_000 }) });
    const summary = wave.summary();
    while (!existsSync(started)) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(wave.status().wave).toEqual({ number: 1, count: 6, mode: 'checking' });
    if (how === 'cancel') wave.cancel();
    else if (how === 'close') await own.close();
    expect(await summary).toMatchObject({
      stopped: how === 'runMs' ? 'deadline' : 'cancelled',
      outcomes: { ok: 1, 'not-run': 5 },
    });
    expect(processes(mark)).toBe(0);
  });
});

describe('a check on hosts', () => {
  test('runs on those of the wave that were ok, and before the check here', async () => {
    await using mixed = await simulate({
      hosts: 12,
      seed: 3,
      faults: { 'exit-1': 0.3, 'auth-refused': 0.2 },
      onCommand: (address, command) => void commands.push(`${address} ${command}`),
    });
    const faults = Array.from({ length: 12 }, (_, i) => mixed.simulator.fault(i));
    expect(new Set(faults)).toEqual(new Set([undefined, 'exit-1', 'auth-refused']));
    await using own = fleet(mixed.options);
    commands.length = 0;
    const order = join(dir, 'order');
    const check = `echo "$MYRIAD_WAVE" >>${order}`;
    const { summary } = await run('uptime', { serial: '100%', checkOn: 'echo healthy', check }, own);
    expect(summary.stopped).toBe('no');
    const checked = commands.filter((line) => line.endsWith(' echo healthy')).map((line) => line.split(' ')[0]);
    const good = faults.flatMap((fault, i) => (fault === undefined ? [mixed.simulator.address(i)] : []));
    expect(checked.sort()).toEqual(good.sort());
    expect(readFileSync(order, 'utf8')).toBe('1\n');
  });

  test('that is not ok on one stops the run, with its name; the check here is not asked', async () => {
    const asked = join(dir, 'asked');
    const { summary } = await run('true', { serial: '2', checkOn: 'exit 3', check: `touch ${asked}` });
    const [first, second] = [...six.simulator.labels()];
    expect(summary).toMatchObject({ stopped: 'guard', outcomes: { ok: 2, 'not-run': 4 } });
    expect(summary.stopReason).toBe(
      `wave 1 of 3: the check on 2 hosts did not end ok on 2, failed(3) on ${first!.replace(/\d+$/, '')}[0-${second!.at(-1)}]`,
    );
    expect(existsSync(asked)).toBe(false);
  });

  test('that hangs ends at its deadline; a program here has none', async () => {
    const { summary } = await run('true', { serial: '3', checkOn: 'sleep 100', checkMs: 200 });
    expect(summary.stopReason).toMatch(
      /^wave 1 of 2: the check on 3 hosts did not end ok on 3, timeout\(command\) on /,
    );
    expect(() => hosts.local('true', [], { serial: '1', checkOn: 'true' })).toThrow(/checkOn: a local program/);
  });
});

describe('limits', () => {
  test('in threads: nothing new starts, and the reason has its numbers', async () => {
    await using many = await simulate({ hosts: 120, faults: { 'exit-1': 0.5 } });
    await using own = fleet({ ...many.options, threads: 2, fanout: 64 });
    const { summary } = await run('true', { maxFail: '2%' }, own);
    expect(summary.stopReason).toMatch(/^3 of 120 tasks began and did not end ok, max-fail is 2% \(2\)$/);
    expect(summary.outcomes['not-run']).toBeGreaterThan(50);
    expect(summary.outcomes.failed).toBeLessThanOrEqual(own.run('true', { maxFail: 2 }).waves!.atRisk!);
  });

  test('what they and waves come to is known before', () => {
    const outline = hosts.run('true', { serial: [1, '50%'], failFast: true }).waves!;
    expect([outline.waves, outline.size(1), outline.size(2), outline.size(3), outline.atRisk]).toEqual([3, 1, 3, 2, 3]);
    expect(hosts.run('true').waves).toBeUndefined();
    expect(hosts.run('true', { splayMs: 5 }).waves).toMatchObject({ waves: undefined, atRisk: undefined });
  });

  test('a run that goes on does so in waves of what is left; a check may be another one', async () => {
    const journal = join(dir, 'journal');
    await using recorded = fleet({ ...six.options, journal });
    const check = 'test "$MYRIAD_WAVE" -lt 2';
    const { id, summary } = await run('true', { serial: '1,2', check }, recorded);
    expect(summary).toMatchObject({ stopped: 'guard', outcomes: { ok: 3, 'not-run': 3 } });
    const left = join(dir, 'left');
    await using again = fleet({ ...reachOf(six), resume: id, journal });
    const waves: WaveEndEvent[] = [];
    const listener = (event: RunEvent): void => void (event.type === 'wave:end' && waves.push(event));
    const resumed = await again.resume({ check: `cat "$MYRIAD_WAVE_HOSTS" >>${left}`, listener }).summary();
    expect(resumed).toMatchObject({ stopped: 'no', planned: 6, resumed: 3, outcomes: { ok: 6 } });
    expect(waves).toMatchObject([
      { wave: 1, waves: 2, tasks: 1, passed: true },
      { wave: 2, waves: 2, tasks: 2, passed: true },
    ]);
    expect(waves.flatMap(({ indices }) => [...indices()])).toEqual([3, 4, 5]);
    expect(readFileSync(left, 'utf8').trim().split('\n')).toEqual([...six.simulator.labels()].slice(3));
  });

  test('programs here go in waves, too', async () => {
    await using local = fleet({ hosts: 'w[1-5]', config: 'none' });
    const summary = await local.local('sh', ['-c', 'test {host} != w3'], { serial: '2', failFast: true }).summary();
    expect(summary).toMatchObject({ stopped: 'guard', outcomes: { ok: 3, failed: 1, 'not-run': 1 } });
  });
});

test.each<[RunOptions, RegExp]>([
  [{ serial: '0' }, /^serial: expected sizes .* got "0"$/],
  [{ serial: '1,0%' }, /got "1,0%"/],
  [{ serial: '101%' }, /got "101%"/],
  [{ serial: '' }, /got ""/],
  [{ serial: [] }, /got ""/],
  [{ serial: [1, -1] }, /got "1,-1"/],
  [{ maxFail: '101%' }, /^maxFail: expected .* got "101%"$/],
  [{ maxFail: -1 }, /^maxFail: .* got "-1"/],
  [{ maxUnreached: 'all' }, /^maxUnreached: .* got "all"/],
  [{ failFast: true, maxFail: 5 }, /^failFast and maxFail: give one of them$/],
  [{ check: 'true' }, /^check: there are no waves without serial/],
  [{ checkOn: 'true' }, /^checkOn: there are no waves/],
  [{ betweenMs: 5 }, /^betweenMs: there are no waves/],
  [{ serial: '1', checkMs: 5 }, /^checkMs: there is no check/],
  [{ serial: '1', check: ' ' }, /^check: expected a command, got " "/],
  [{ serial: '1', betweenMs: 0 }, /^betweenMs: expected milliseconds above 0, got 0/],
  [{ splayMs: 5_000, runMs: 5_000 }, /^splayMs 5000: the deadline of the run, 5000, would be over before/],
  [{ serial: '1', betweenMs: 6_000, runMs: 5_000 }, /^betweenMs 6000: the deadline/],
])('%j is refused', (options, message) => {
  expect(() => hosts.run('true', options)).toThrow(
    expect.objectContaining({ code: 'usage', message: expect.stringMatching(message) }),
  );
});
