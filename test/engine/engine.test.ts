import { describe, expect, test } from 'vitest';
import type { RunEvent } from '../../src/contracts/events.ts';
import { startRun } from '../../src/engine/engine.ts';
import type { Executor, ExecutorRun } from '../../src/engine/executor.ts';
import { InlineExecutor } from '../../src/engine/inline_executor.ts';
import { ManualClock, settle } from '../util/manual_clock.ts';
import { FakeTransport } from './fake_transport.ts';
import { KINDS, type Overrides, planOf, requestOf } from './support.ts';

function setUp() {
  const clock = new ManualClock();
  const transport = new FakeTransport(clock);
  const transports = new Map([['native', transport] as const]);
  const executor = new InlineExecutor({ kinds: KINDS, transports, clock, random: () => 0.5 });
  const events: RunEvent[] = [];
  const start = (names: readonly string[], overrides?: Overrides) => {
    const listener = (event: RunEvent): void => void events.push(event);
    return startRun(executor, requestOf(planOf(names), overrides), listener, { title: 'true', clock });
  };
  return { clock, transport, executor, events, start };
}

const many = (count: number) => Array.from({ length: count }, (_, i) => `ok.${i}`);

describe('engine', () => {
  test('tells of start, tasks and end, in order', async () => {
    const { events, start } = setUp();
    const run = await start(['ok.0', 'exit-2.1'], { gather: 'stream' });
    expect(events.map((event) => event.type)).toEqual(['run:start']);
    const summary = await run.summary;
    expect(events[0]).toMatchObject({ run: 'r1', job: 'command', title: 'true', planned: 2 });
    expect(events.map((event) => event.type).sort()).toEqual(
      ['run:start', 'task:start', 'task:start', 'task:output', 'task:output', 'task:end', 'task:end', 'run:end'].sort(),
    );
    for (const index of [0, 1]) {
      const own = events.filter((event) =>
        event.type === 'task:end' ? event.result.index === index : 'index' in event && event.index === index,
      );
      expect(own.map((event) => event.type)).toEqual(['task:start', 'task:output', 'task:end']);
    }
    expect(events.at(-1)).toEqual({ type: 'run:end', time: expect.any(Number), summary });
    expect(summary).toMatchObject({ run: 'r1', planned: 2, maxStatus: 2, stopped: 'no', limitedBy: '' });
    expect(summary.outcomes).toMatchObject({ ok: 1, failed: 1 });
  });

  test('the summary alone reads a run that is larger than the queue', async () => {
    const { start } = setUp();
    const run = await start(many(5_000), { limits: { fanout: 10 }, gather: 'discard' });
    expect((await run.summary).outcomes.ok).toBe(5_000);
  });

  test('a reader gets every result, and the summary asked for before does not take them away', async () => {
    const { start } = setUp();
    const run = await start(many(3_000), { gather: 'discard' });
    const { summary } = run;
    let read = 0;
    for await (const batch of run.results) read += batch.length;
    expect(read).toBe(3_000);
    expect((await summary).planned).toBe(3_000);
    const iterator = (): unknown => run.results[Symbol.asyncIterator]();
    expect(iterator).toThrow('read only once');
  });

  test('nobody reads and nobody asks: the run waits', async () => {
    const { start, events } = setUp();
    const run = await start(many(5_000), { limits: { fanout: 10 }, gather: 'discard' });
    await settle(400);
    expect(events.filter((event) => event.type === 'task:start').length).toBeLessThan(1_100);
    expect(run.status(0).limitedBy).toBe('unread results');
    expect((await run.summary).planned).toBe(5_000);
  });

  test.each(['before', 'after'])('a reader that leaves early hands over to the summary asked for %s', async (when) => {
    const { start } = setUp();
    const run = await start(many(5_000), { gather: 'discard' });
    const early = when === 'before' ? run.summary : undefined;
    let seen = 0;
    for await (const batch of run.results) {
      seen += batch.length;
      // Longer than a turn of the loop: the drain must not have begun meanwhile.
      await settle(3);
      if (seen > 100) break;
    }
    expect(seen).toBeLessThan(5_000);
    expect((await (early ?? run.summary)).outcomes.ok).toBe(5_000);
  });

  test('iterating after the drain has begun is refused, not short', async () => {
    const { start } = setUp();
    const run = await start(['ok.0']);
    await run.summary;
    expect(() => run.results[Symbol.asyncIterator]()).toThrow('iterate before awaiting');
  });

  test('a listener that throws is counted and harms nothing', async () => {
    const { executor, clock } = setUp();
    const listener = (): void => {
      throw new Error('mine');
    };
    const run = await startRun(executor, requestOf(planOf(['ok.0'])), listener, { title: 'true', clock });
    expect((await run.summary).outcomes.ok).toBe(1);
    // run:start, task:start, task:end, run:end
    expect(run.listenerErrors).toBe(4);
  });

  test('a consumer of output holds its task back until it is resumed', async () => {
    const { executor, clock } = setUp();
    let room = false;
    const request = requestOf(planOf(['flood-2.0']), { gather: 'stream' });
    const run = await startRun(executor, request, () => {}, { title: 'true', clock, onOutput: () => room });
    const { summary } = run;
    await settle(50);
    expect(run.status(1)).toMatchObject({ running: 1 });
    room = true;
    run.resume(0);
    expect((await summary).outcomes.ok).toBe(1);
  });

  test('cancelled and stopped by its deadline', async () => {
    const { clock, start } = setUp();
    const first = await start(['silent-command.0']);
    await clock.advance(10);
    first.cancel('terminate');
    expect(await first.summary).toMatchObject({ stopped: 'cancelled', outcomes: { cancelled: 1 } });
    const second = await start(['silent-command.0', 'ok.1'], { limits: { fanout: 1, deadlines: { runMs: 100 } } });
    const { summary } = second;
    await clock.advance(200);
    expect(await summary).toMatchObject({ stopped: 'deadline', cutOff: 1, outcomes: { timeout: 1, 'not-run': 1 } });
  });

  test('stopped by a guard: what has begun goes on, the rest is not run, and the summary says why', async () => {
    const { clock, start } = setUp();
    const run = await start(['slow-1000.0', 'silent-connect.1', 'ok.2'], { limits: { fanout: 2 } });
    const { summary } = run;
    await clock.advance(10);
    run.stop('it does harm');
    run.stop('another reason');
    await clock.advance(1010);
    expect(await summary).toMatchObject({
      stopped: 'guard',
      stopReason: 'it does harm',
      outcomes: { ok: 1, 'not-run': 2, cancelled: 0 },
    });
  });

  test('pause and unpause reach the run', async () => {
    const { start, transport } = setUp();
    const run = await start(['ok.0']);
    run.pause();
    const { summary } = run;
    await settle(20);
    expect(transport.attempts.size).toBe(0);
    run.unpause();
    expect((await summary).outcomes.ok).toBe(1);
  });

  test('a request that is refused tells of nothing', async () => {
    const { start, events } = setUp();
    await expect(start(['ok.0'], { gather: 'file' })).rejects.toMatchObject({ code: 'usage' });
    expect(events).toEqual([]);
  });

  test('an executor that loses or doubles a result is found out, and stopped', async () => {
    const { executor, clock } = setUp();
    for (const change of ['lose', 'double'] as const) {
      let cancelled = false;
      const lossy: Executor = {
        name: 'lossy',
        run: async (request, hooks) => {
          const run = await executor.run(request, hooks);
          const results = (async function* () {
            for await (const batch of run.results) yield change === 'lose' ? batch.slice(1) : [...batch, ...batch];
          })();
          const proxy: ExecutorRun = {
            results,
            pause: () => run.pause(),
            unpause: () => run.unpause(),
            stop: () => {},
            cancel: () => {
              cancelled = true;
            },
            cap: (unfinished) => run.cap(unfinished),
            resume: (index) => run.resume(index),
            status: (slowest) => run.status(slowest),
          };
          return proxy;
        },
        sweep: (plan, probe, signal) => executor.sweep(plan, probe, signal),
        close: () => executor.close(),
      };
      const run = await startRun(lossy, requestOf(planOf(['ok.0', 'ok.1'])), () => {}, { title: 'true', clock });
      await expect(run.summary).rejects.toMatchObject({ code: 'internal' });
      expect(cancelled).toBe(true);
    }
  });
});
