/** Executor suite: a run in waves and under limits, as it is seen by the hosts, by its reader and by who hears its events. */
import { describe, expect, test } from 'vitest';
import type { RunEvent, WaveEndEvent } from '../../src/contracts/events.ts';
import { type StartedRun, startRun } from '../../src/engine/engine.ts';
import type { WaveRules } from '../../src/engine/waves/rules.ts';
import type { Verdict, Wave } from '../../src/engine/waves/wave_control.ts';
import { WavesExecutor } from '../../src/engine/waves/waves_executor.ts';
import { parseShare, type Share } from '../../src/util/share.ts';
import { NO_HOOKS, type Overrides, planOf, Reader, requestOf } from '../engine/support.ts';
import { expectNothingLeft, type SetUp } from './executor_world.ts';

const PASSED: Verdict = { passed: true, reason: '', output: '' };
const FAILED: Verdict = { passed: false, reason: 'the check ended with status 1', output: 'no\n' };

type Check = (wave: Wave, signal: AbortSignal) => Promise<Verdict>;

const serial = (text: string): Share[] => text.split(',').map((part) => parseShare(part)!);

export function wavesSuite(name: string, setUp: SetUp): void {
  async function begin(names: readonly string[], rules: WaveRules, check?: Check, overrides?: Overrides, repeat = 1) {
    const world = setUp();
    const { clock, executor } = world;
    const events: RunEvent[] = [];
    const listener = (event: RunEvent): void => void events.push(event);
    const checked = check !== undefined;
    const parts = { rules: { ...rules, checked }, clock, random: () => 0.5, listener, ...(check && { check }) };
    const waves = new WavesExecutor(executor, parts);
    const run = await startRun(waves, requestOf(planOf(names, repeat), overrides), listener, { title: 'true', clock });
    const ends = (): WaveEndEvent[] => events.filter((event) => event.type === 'wave:end');
    return { ...world, waves, run, events, ends };
  }

  /** Labels of outcomes by index. */
  async function outcomes(run: StartedRun): Promise<string[]> {
    const kinds: string[] = [];
    for await (const batch of run.results) for (const result of batch) kinds[result.index] = result.outcome.kind;
    return kinds;
  }

  const many = (count: number, what = 'ok') => Array.from({ length: count }, (_, i) => `${what}.${i}`);

  describe(`executor ${name}: waves`, () => {
    test('a wave begins when the one before it has ended, and its end is told after its tasks', async () => {
      const { clock, transport, run, events, ends } = await begin(many(6, 'slow-100'), { serial: serial('1,2') });
      const all = outcomes(run);
      const started: number[] = [];
      for (let i = 0; i < 4; i++) {
        await clock.advance(i === 0 ? 50 : 100);
        started.push(transport.attempts.size);
      }
      expect(started).toEqual([1, 3, 5, 6]);
      await clock.advance(100);
      expect(await all).toEqual(many(6).map(() => 'ok'));
      expect(ends().map(({ wave, waves, passed, indices }) => [wave, waves, passed, ...indices()])).toEqual([
        [1, 4, true, 0],
        [2, 4, true, 1, 2],
        [3, 4, true, 3, 4],
        [4, 4, true, 5],
      ]);
      const order = events.filter(({ type }) => type === 'task:end' || type === 'wave:end').map(({ type }) => type[0]);
      expect(order.join('')).toBe('twttwttwtw');
      expect(events.at(-1)!.type).toBe('run:end');
      expect(await run.summary).toMatchObject({ planned: 6, stopped: 'no', stopReason: '' });
    });

    test('a reader that comes late hears of a wave after its tasks, too', async () => {
      const { clock, run, events } = await begin(many(4), { serial: serial('1') });
      await clock.advance(100);
      expect(events.filter(({ type }) => type === 'wave:end')).toEqual([]);
      await outcomes(run);
      const order = events.filter(({ type }) => type === 'task:end' || type === 'wave:end').map(({ type }) => type[0]);
      // Results that wait come in one batch: all of them are told of before the waves that they are of.
      expect(order.join('')).toBe('ttttwwww');
    });

    test('sizes larger than the plan make one wave', async () => {
      const { run, ends } = await begin(many(3), { serial: serial('10') });
      expect((await run.summary).outcomes.ok).toBe(3);
      expect(ends()).toMatchObject([{ wave: 1, waves: 1, tasks: 3, outcomes: { ok: 3 }, passed: true }]);
    });

    test('repeated tasks are waves of the plan', async () => {
      const { run, ends } = await begin(['ok.0', 'ok.1'], { serial: serial('3') }, undefined, {}, 4);
      expect((await run.summary).outcomes.ok).toBe(8);
      expect(ends().map(({ tasks }) => tasks)).toEqual([3, 3, 2]);
    });

    test('20,000 tasks in waves of a hundredth', async () => {
      const world = setUp();
      const plan = {
        count: 20_000,
        hosts: 20_000,
        at: (index: number) => ({ label: 'ok', name: 'ok', index, iteration: 1 }),
      };
      let told = 0;
      const parts = { rules: { serial: serial('1%') }, clock: world.clock, random: () => 0.5, listener: () => told++ };
      const waves = new WavesExecutor(world.executor, parts);
      const limits = { fanout: 200, perAddress: 200 };
      const reader = new Reader(await waves.run(requestOf(plan, { limits, gather: 'discard' }), NO_HOOKS));
      await reader.done;
      expect([reader.results.length, told]).toEqual([20_000, 100]);
    });

    test.each<[string, string[], WaveRules, string[], string | undefined]>([
      [
        'the only host of a wave is not reached',
        ['unreachable-refused.0', 'ok.1'],
        { serial: serial('1') },
        ['unreachable', 'not-run'],
        'wave 1 of 2: its task did not end ok',
      ],
      [
        'the only host of a wave failed, where only hosts that are not reached are limited',
        ['exit-1.0', 'ok.1'],
        { serial: serial('1'), maxUnreached: { count: 1 } },
        ['failed', 'not-run'],
        'wave 1 of 2: its task did not end ok',
      ],
      [
        'and a limit allows it',
        ['unreachable-refused.0', 'ok.1'],
        { serial: serial('1'), maxUnreached: { count: 1 } },
        ['unreachable', 'ok'],
        undefined,
      ],
      [
        'no host of a wave is reached, where only failures are limited',
        ['ok.0', 'unreachable-refused.1', 'auth-failed.2', 'ok.3'],
        { serial: serial('1,2'), maxFail: { count: 4 } },
        ['ok', 'unreachable', 'auth-failed', 'not-run'],
        'wave 2 of 3: none of its 2 tasks ended ok',
      ],
      [
        'some of a wave failed, and nobody set a limit',
        ['exit-1.0', 'ok.1', 'ok.2'],
        { serial: serial('2') },
        ['failed', 'ok', 'ok'],
        undefined,
      ],
      [
        'all of the last wave failed: nothing is left to be stopped',
        ['ok.0', 'exit-1.1'],
        { serial: serial('1') },
        ['ok', 'failed'],
        undefined,
      ],
      [
        'max-fail 0',
        ['ok.0', 'exit-1.1', 'ok.2'],
        { serial: serial('1'), maxFail: { count: 0 } },
        ['ok', 'failed', 'not-run'],
        '1 of 3 tasks began and did not end ok, max-fail is 0',
      ],
      [
        'max-fail over several waves',
        ['exit-1.0', 'ok.1', 'exit-1.2', 'ok.3', 'ok.4'],
        { serial: serial('1'), maxFail: { percent: 20 } },
        ['failed', 'ok', 'failed', 'not-run', 'not-run'],
        '2 of 5 tasks began and did not end ok, max-fail is 20% (1)',
      ],
      [
        'max-unreached 0',
        ['ok.0', 'unreachable-refused.1', 'ok.2'],
        { serial: serial('1'), maxUnreached: { count: 0 } },
        ['ok', 'unreachable', 'not-run'],
        '1 of 3 tasks did not reach their host, max-unreached is 0',
      ],
      [
        'hosts that are not reached do not count as failed',
        ['unreachable-refused.0', 'host-key.1', 'ok.2', 'ok.3'],
        { serial: serial('3'), maxFail: { count: 0 } },
        ['unreachable', 'host-key', 'ok', 'ok'],
        undefined,
      ],
    ])('%s', async (_, names, rules, expected, reason) => {
      const { clock, run, transport } = await begin(names, rules);
      const all = outcomes(run);
      await clock.advance(1_000);
      expect(await all).toEqual(expected);
      const summary = await run.summary;
      expect(summary).toMatchObject({ stopped: reason === undefined ? 'no' : 'guard', stopReason: reason ?? '' });
      expectNothingLeft(transport);
      expect(transport.attempts.size).toBe(expected.filter((kind) => kind !== 'not-run').length);
    });
  });

  describe(`executor ${name}: limits on failures`, () => {
    /** The command of such a host never ends: it fails when its deadline is over, long after all others have begun. */
    const failing = 'silent-command';
    const commandMs = (ms: number): Overrides => ({ limits: { deadlines: { commandMs: ms } } });

    test('fail-fast: ten are unfinished at most, what has begun goes on, the rest is not-run', async () => {
      const names = many(40, 'slow-300').with(3, `${failing}.3`);
      const { clock, transport, run } = await begin(names, { maxFail: { count: 0 } }, undefined, commandMs(500));
      const all = outcomes(run);
      await clock.advance(10);
      expect(transport.attempts.size).toBe(10);
      await clock.advance(2_000);
      const kinds = await all;
      // Ten at the start, nine more when those that are ok have ended.
      expect(kinds.filter((kind) => kind === 'ok')).toHaveLength(18);
      expect(kinds.filter((kind) => kind === 'timeout')).toHaveLength(1);
      expect(kinds.filter((kind) => kind === 'not-run')).toHaveLength(21);
      expect(transport.attempts.size).toBe(19);
    });

    test('the cap follows the budget, and all of the plan runs where it is not used up', async () => {
      const names = many(100, 'slow-900').with(0, `${failing}.0`).with(1, `${failing}.1`);
      const { clock, transport, run } = await begin(names, { maxFail: { count: 2 } }, undefined, commandMs(2_000));
      const all = outcomes(run);
      await clock.advance(100);
      expect(transport.processes.now).toBe(30);
      await clock.advance(1_700);
      expect(transport.processes.now).toBe(30);
      // The two fail at 2,000: the 28 that are under way go on, and then there are ten.
      await clock.advance(1_100);
      expect(transport.processes.now).toBe(10);
      await clock.advance(10_000);
      expect((await all).filter((kind) => kind === 'ok')).toHaveLength(98);
      expect(await run.summary).toMatchObject({ stopped: 'no' });
    });

    test('counting does not wait for the reader', async () => {
      const { clock, transport, run } = await begin(many(500, 'exit-1'), { maxFail: { count: 4 } });
      await clock.advance(1_000);
      expect(run.status(0)).toMatchObject({ stopped: 'guard' });
      expect(transport.attempts.size).toBeLessThanOrEqual(50);
      const { outcomes: counted, planned } = await run.summary;
      expect(counted.failed + counted['not-run']).toBe(planned);
      expect(counted.failed).toBe(transport.commands.length);
      expect(counted.failed).toBeLessThanOrEqual(50);
    });
  });

  describe(`executor ${name}: checks`, () => {
    test('a wave waits for its check; one that fails stops the run', async () => {
      const seen: Wave[] = [];
      const { clock, transport, run, ends, waves } = await begin(many(6), { serial: serial('2') }, async (wave) => {
        seen.push(wave);
        await new Promise<void>((resolve) => clock.setTimer(1_000, resolve));
        return wave.number < 2 ? PASSED : FAILED;
      });
      const all = outcomes(run);
      await clock.advance(500);
      expect(transport.attempts.size).toBe(2);
      expect(waves.status).toEqual({ number: 1, count: 3, mode: 'checking' });
      await clock.advance(1_000);
      expect(transport.attempts.size).toBe(4);
      await clock.advance(1_000);
      expect(await all).toEqual(['ok', 'ok', 'ok', 'ok', 'not-run', 'not-run']);
      expect(seen.map(({ first, end }) => [first, end])).toEqual([
        [0, 2],
        [2, 4],
      ]);
      expect(ends()).toMatchObject([PASSED, FAILED]);
      expect(await run.summary).toMatchObject({
        stopped: 'guard',
        stopReason: 'wave 2 of 3: the check ended with status 1',
      });
    });

    test('after the last wave there is a check, too; what it throws is why it has not passed', async () => {
      const { run, ends } = await begin(['ok.0', 'ok.1'], { serial: serial('1') }, async ({ number }) => {
        if (number === 2) throw new Error('there is no shell');
        return PASSED;
      });
      const summary = await run.summary;
      expect(summary).toMatchObject({ stopped: 'guard', stopReason: 'wave 2 of 2: there is no shell' });
      expect(summary.outcomes.ok).toBe(2);
      expect(ends().map(({ passed }) => passed)).toEqual([true, false]);
    });

    test.each([
      ['cancel', 'cancelled'],
      ['stop', 'guard'],
      ['the deadline of the run', 'deadline'],
    ])('%s during a check: it is told to end, and the run waits for that', async (how, stopped) => {
      let ended = false;
      const check: Check = async (_, signal) => {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        await new Promise<void>((resolve) => clock.setTimer(300, resolve));
        ended = true;
        return PASSED;
      };
      const limits = { deadlines: { runMs: how.startsWith('the') ? 5_000 : null } };
      const world = await begin(['ok.0', 'ok.1'], { serial: serial('1') }, check, { limits });
      const { clock, run, ends } = world;
      let over = false;
      const all = outcomes(run).finally(() => {
        over = true;
      });
      await clock.advance(100);
      if (how === 'cancel') run.cancel('terminate');
      else if (how === 'stop') run.stop('a guard said so');
      else await clock.advance(4_900);
      await clock.advance(200);
      expect([ended, over]).toEqual([false, false]);
      await clock.advance(200);
      expect(await all).toEqual(['ok', 'not-run']);
      expect([ended, await run.summary]).toEqual([true, expect.objectContaining({ stopped })]);
      expect(ends()).toMatchObject([{ wave: 1, passed: false }]);
    });
  });

  describe(`executor ${name}: time between waves`, () => {
    test('is waited for, and stands still in a pause', async () => {
      const { clock, transport, run } = await begin(many(3), { serial: serial('1'), betweenMs: 10_000 });
      const all = outcomes(run);
      await clock.advance(9_000);
      expect(transport.attempts.size).toBe(1);
      run.pause();
      await clock.advance(60_000);
      expect([transport.attempts.size, clock.nextAt]).toEqual([1, Infinity]);
      run.unpause();
      await clock.advance(900);
      expect(transport.attempts.size).toBe(1);
      await clock.advance(200);
      expect(transport.attempts.size).toBe(2);
      await clock.advance(10_000);
      expect(await all).toEqual(['ok', 'ok', 'ok']);
    });

    test('no check begins in a pause', async () => {
      let checks = 0;
      const { clock, run } = await begin(['slow-100.0', 'ok.1'], { serial: serial('1') }, async () => {
        checks += 1;
        return PASSED;
      });
      const all = outcomes(run);
      await clock.advance(50);
      run.pause();
      await clock.advance(1_000);
      expect(checks).toBe(0);
      run.unpause();
      await clock.advance(100);
      expect(await all).toEqual(['ok', 'ok']);
      expect(checks).toBe(2);
    });

    test.each(['cancel', 'deadline'])('%s: the rest is not-run', async (how) => {
      const limits = { deadlines: { runMs: how === 'deadline' ? 3_000 : null } };
      const rules = { serial: serial('1'), betweenMs: 10_000 };
      const { clock, executor, run } = await begin(many(3), rules, undefined, { limits });
      const all = outcomes(run);
      await clock.advance(2_900);
      if (how === 'cancel') run.cancel('terminate');
      await clock.advance(200);
      expect(await all).toEqual(['ok', 'not-run', 'not-run']);
      expect((await run.summary).stopped).toBe(how === 'cancel' ? 'cancelled' : 'deadline');
      await executor.close();
      expect(clock.timers).toBe(0);
    });

    test('splay spreads the starts of each wave evenly, and stands still in a pause', async () => {
      const { clock, transport, run } = await begin(many(20), { serial: serial('50%'), splayMs: 1_000 });
      const all = outcomes(run);
      const started: number[] = [];
      for (let at = 100; at <= 1_000; at += 100) {
        await clock.advance(100);
        started.push(transport.attempts.size);
        if (at !== 500) continue;
        run.pause();
        await clock.advance(5_000);
        run.unpause();
      }
      // The last of the first wave ends as it starts, at 950; the second wave begins there.
      expect(started).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 11]);
      await clock.advance(1_100);
      expect((await all).every((kind) => kind === 'ok')).toBe(true);
    });
  });
}
