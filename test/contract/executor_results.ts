/** Executor suite: every outcome, and results that account for every task. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TaskStartEvent } from '../../src/contracts/events.ts';
import { outcomeLabel } from '../../src/contracts/outcome.ts';
import type { Plan } from '../../src/engine/plan.ts';
import { NO_HOOKS, planOf, Reader, requestOf } from '../engine/support.ts';
import { CASES, TEMPERS } from './executor_cases.ts';
import { expectNothingLeft, type SetUp } from './executor_world.ts';

export function resultsSuite(name: string, setUp: SetUp): void {
  describe(`executor ${name}: outcomes`, () => {
    test.each(CASES.map((each) => [`${each.host} → ${each.label}`, each] as const))('%s', async (_, each) => {
      const { clock, transport, executor } = setUp();
      const run = await executor.run(requestOf(planOf([`${each.host}.0`]), each.overrides), NO_HOOKS);
      const reader = new Reader(run);
      await clock.advance(each.ms ?? 0);
      expect(reader.finished).toBe(true);
      const [result] = await reader.done;
      expect(reader.results).toHaveLength(1);
      expect(outcomeLabel(result!.outcome)).toBe(each.label);
      expect(result!.outcome).toMatchObject({ began: each.began, ...each.more });
      if (each.attempt !== undefined) expect(result!.attempt).toBe(each.attempt);
      expect(run.status(9)).toMatchObject({ connecting: 0, handshaking: 0, running: 0, waiting: 0, slowest: [] });
      expectNothingLeft(transport);
      await executor.close();
      expect(clock.timers).toBe(0);
    });
  });

  describe(`executor ${name}: results`, () => {
    test('carry identity, address, phases, output and notes', async () => {
      const { clock, executor } = setUp();
      const starts: TaskStartEvent[] = [];
      const hooks = { onStart: (event: TaskStartEvent) => void starts.push(event), onOutput: () => true };
      const plan = planOf(['slow-500.0', 'left-open.1', 'cut.2', 'unreachable-refused.3'], 2);
      const run = await executor.run(requestOf(plan, { run: 'r7', round: 4 }), hooks);
      const reader = new Reader(run);
      await clock.advance(600);
      const results = (await reader.done).toSorted((a, b) => a.index - b.index);
      expect(results.map(({ index, iteration, host }) => [index, iteration, host.name])).toEqual([
        [0, 1, 'slow-500.0'],
        [1, 1, 'left-open.1'],
        [2, 1, 'cut.2'],
        [3, 1, 'unreachable-refused.3'],
        [4, 2, 'slow-500.0'],
        [5, 2, 'left-open.1'],
        [6, 2, 'cut.2'],
        [7, 2, 'unreachable-refused.3'],
      ]);
      const [slow, left, cut, refused] = results;
      expect(slow).toMatchObject({ run: 'r7', round: 4, attempt: 1, durationMs: 500, notes: [] });
      expect(slow!.executor).toMatch(/^(main|thread-\d)$/);
      expect(slow!.reached).toMatchObject({ address: 'slow-500.0', fingerprint: 'SHA256:fake' });
      expect(slow!.phases.command).toEqual({ start: 0, end: 500 });
      expect(Object.keys(slow!.phases)).toEqual(['dns', 'connect', 'handshake', 'auth', 'open', 'command']);
      expect(slow!.stdout.text()).toBe('out of slow-500.0\n');
      expect(left!.notes).toEqual(['output left open']);
      expect(cut!.notes).toEqual(['output cut']);
      expect(refused!.reached).toBeUndefined();
      expect(Object.keys(refused!.phases)).toEqual(['dns', 'connect']);
      expect(starts.map((start) => start.index).sort()).toEqual([0, 1, 2, 4, 5, 6]);
      expect(starts[0]).toMatchObject({ type: 'task:start', run: 'r7', round: 4, attempt: 1 });
    });

    test('planned is the sum of all outcomes, one result per index, whatever hosts do', async () => {
      const names = fc.array(fc.constantFrom(...TEMPERS), { minLength: 1, maxLength: 40 });
      await fc.assert(
        fc.asyncProperty(
          names,
          fc.integer({ min: 1, max: 9 }),
          fc.integer({ min: 0, max: 3 }),
          async (hosts, fanout, how) => {
            const { clock, transport, executor } = setUp();
            const plan = planOf(hosts.map((host, i) => (i % 3 === 0 ? `shared/${host}.${i}` : `${host}.${i}`)));
            const limits = {
              fanout,
              perAddress: 2,
              handshakes: 2,
              connections: fanout + 3,
              deadlines: { commandMs: 5_000 },
            };
            const run = await executor.run(requestOf(plan, { limits }), NO_HOOKS);
            const reader = new Reader(run);
            await clock.advance(how * 300);
            if (how === 1) run.pause();
            if (how === 2) run.cancel('terminate');
            if (how === 3) run.cancel('leave');
            await clock.advance(600);
            run.unpause();
            for (let step = 0; !reader.finished && step < 500; step++)
              await clock.advance(Math.min(20_000, clock.nextAt - clock.now()));
            expect(reader.results.map((result) => result.index).sort((a, b) => a - b)).toEqual(hosts.map((_, i) => i));
            for (const result of reader.results)
              expect(result.host.name).toBe(`${hosts[result.index]}.${result.index}`);
            expect(transport.sockets.most).toBeLessThanOrEqual(fanout + 3);
            expect(transport.handshakes.most).toBeLessThanOrEqual(
              2 + hosts.filter((host) => host === 'silent-handshake').length,
            );
            expect(transport.unauthenticated.get('shared:22')?.most ?? 0).toBeLessThanOrEqual(2);
            expectNothingLeft(transport);
            await executor.close();
            expect(clock.timers === 0 || how === 3 || hosts.some((host) => /slow|late|stubborn|drip/.test(host))).toBe(
              true,
            );
          },
        ),
        { numRuns: 150 },
      );
    });

    test('an empty plan ends at once', async () => {
      const { executor } = setUp();
      const reader = new Reader(await executor.run(requestOf(planOf([])), NO_HOOKS));
      expect(await reader.done).toEqual([]);
    });

    test('a plan that cannot be read at one place has an error there and nowhere else', async () => {
      const { executor } = setUp();
      const hosts = planOf(['ok.0', 'ok.1', 'ok.2']);
      const plan: Plan = {
        count: 3,
        hosts: 3,
        at: (index) => {
          if (index === 1) throw new Error('torn page');
          return hosts.at(index);
        },
      };
      const reader = new Reader(await executor.run(requestOf(plan), NO_HOOKS));
      const results = (await reader.done).toSorted((a, b) => a.index - b.index);
      expect(results.map((result) => result.outcome.kind)).toEqual(['ok', 'error', 'ok']);
      expect(results[1]!.outcome).toMatchObject({
        began: 'no',
        message: 'task 1 of the plan cannot be read: torn page',
      });
    });

    test('hooks that throw harm nothing', async () => {
      const { executor } = setUp();
      const hooks = {
        onStart: () => {
          throw new Error('mine');
        },
        onOutput: () => {
          throw new Error('mine');
        },
      };
      const reader = new Reader(await executor.run(requestOf(planOf(['ok.0']), { gather: 'stream' }), hooks));
      expect((await reader.done)[0]!.outcome.kind).toBe('ok');
    });
  });
}
