/** A run in rounds by a clock that is moved: when rounds begin and end, what is told of them, and how they are stopped. */
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../../src/contracts/events.ts';
import type { Outcome } from '../../../src/contracts/outcome.ts';
import { type StartedRun, startRun } from '../../../src/engine/engine.ts';
import type { Executor, ExecutorHooks, ExecutorRun, RunRequest } from '../../../src/engine/executor.ts';
import { PollingExecutor } from '../../../src/engine/polling/polling_executor.ts';
import { Rounds } from '../../../src/engine/polling/rounds.ts';
import type { PollRules } from '../../../src/engine/polling/schedule.ts';
import { ended } from '../../output/helpers.ts';
import { ManualClock, settle } from '../../util/manual_clock.ts';
import { planOf, requestOf } from '../support.ts';

const OK: Outcome = { kind: 'ok', began: 'yes', status: 0 };

type Answer = (
  round: number,
  index: number,
) => { readonly outcome?: Outcome; readonly stdout?: string; readonly ms?: number };

/** Tasks that take as long as they are told to; no host has more than one. */
class FakeExecutor implements Executor {
  readonly name = 'fake';
  readonly starts: { readonly round: number; readonly index: number; readonly at: number }[] = [];
  mostAtOnce = 0;
  readonly #clock: ManualClock;
  readonly #answer: Answer;
  readonly #busy = new Map<number, number>();

  constructor(clock: ManualClock, answer: Answer) {
    this.#clock = clock;
    this.#answer = answer;
  }

  async run(request: RunRequest, hooks: ExecutorHooks): Promise<ExecutorRun> {
    const { plan, round } = request;
    const clock = this.#clock;
    let next = 0;
    let over = 0;
    let stopped: 'no' | 'cancelled' = 'no';
    let batch: ReturnType<typeof ended>['result'][] = [];
    let wake = () => {};
    const end = (index: number, outcome: Outcome, stdout: string) => {
      const { result } = ended(index, { outcome, stdout, changes: { run: request.run, round, phases: {} } });
      this.#busy.set(index, this.#busy.get(index)! - 1);
      over += 1;
      batch.push(result);
      hooks.onEnd?.(result);
      wake();
    };
    const pump = () => {
      while (next < plan.feed!.here) {
        const index = plan.at(next++).index;
        this.#busy.set(index, (this.#busy.get(index) ?? 0) + 1);
        this.mostAtOnce = Math.max(this.mostAtOnce, this.#busy.get(index)!);
        const { outcome = OK, stdout = '', ms = 1 } = this.#answer(round, index);
        if (stopped === 'no') {
          this.starts.push({ round, index, at: clock.now() });
          clock.setTimer(ms, () => end(index, outcome, stdout));
        } else end(index, { kind: 'not-run', began: 'no' }, '');
      }
    };
    plan.feed!.more = pump;
    setImmediate(pump);
    return {
      results: (async function* () {
        while (over < plan.count || batch.length > 0) {
          if (batch.length === 0)
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          const out = batch;
          batch = [];
          yield out;
        }
      })(),
      pause() {},
      unpause() {},
      cancel() {
        stopped = 'cancelled';
        plan.feed?.stopped?.();
        pump();
      },
      stop() {},
      cap() {},
      resume() {},
      status: () => ({ connecting: 0, handshaking: 0, running: 0, waiting: 0, limitedBy: '', stopped, slowest: [] }),
    };
  }

  sweep(): never {
    throw new Error('not here');
  }

  async close(): Promise<void> {}
}

interface Polled extends Disposable {
  readonly clock: ManualClock;
  readonly executor: FakeExecutor;
  readonly events: RunEvent[];
  readonly run: StartedRun;
}

async function poll(
  rules: Partial<PollRules>,
  answer: Answer,
  more: { readonly hosts?: number; readonly failAfter?: number; readonly runMs?: number } = {},
): Promise<Polled> {
  const clock = new ManualClock();
  const count = more.hosts ?? 4;
  const plan = planOf(Array.from({ length: count }, (_, i) => `h${i}`));
  const full = { everyMs: 1000, jitterMs: 100, rounds: Infinity, ...rules };
  const executor = new FakeExecutor(clock, answer);
  const polling = {
    executor: new PollingExecutor(executor, { rules: full, clock }),
    rounds: new Rounds({ run: 'r1', rules: full, count, failAfter: more.failAfter ?? 1, clock }),
  };
  const events: RunEvent[] = [];
  const request = requestOf(plan, more.runMs === undefined ? {} : { limits: { deadlines: { runMs: more.runMs } } });
  const run = await startRun(polling.executor, request, (event) => events.push(event), { title: 't', clock, polling });
  void run.summary;
  await settle();
  return { clock, executor, events, run, [Symbol.dispose]: () => run.cancel('terminate') };
}

const ofType = <T extends RunEvent['type']>(events: readonly RunEvent[], type: T) =>
  events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);

describe('a run in rounds', () => {
  it('starts each round a period after the last, its hosts at the same offsets, and sums up', async () => {
    using polled = await poll({ rounds: 3 }, () => ({ stdout: 'same' }));
    await polled.clock.advance(2500);
    expect(polled.executor.starts.map(({ round, index, at }) => [round, index, at])).toEqual(
      [0, 1, 2].flatMap((round) => [0, 1, 2, 3].map((index) => [round, index, round * 1000 + index * 25])),
    );
    const summary = await polled.run.summary;
    expect([summary.planned, summary.outcomes.ok, summary.stopped]).toEqual([12, 12, 'no']);
    const hosts = { up: 4, down: 0, unknown: 0, stale: 0, oldestMs: 76 };
    expect(summary.polling).toEqual({ rounds: 3, overruns: 0, changes: 0, hosts });
    const rounds = ofType(polled.events, 'round:end');
    expect(rounds.map((event) => [event.round, event.planned, event.outcomes.ok, event.durationMs])).toEqual([
      [0, 4, 4, 76],
      [1, 4, 4, 76],
      [2, 4, 4, 76],
    ]);
    expect(polled.events.at(-1)!.type).toBe('run:end');
  });

  it('leaves out what is due while a round is on, counts it, and never has two tasks on a host', async () => {
    using polled = await poll({ rounds: 3 }, (round, index) => ({ ms: round === 0 && index === 2 ? 2300 : 1 }));
    await polled.clock.advance(5000);
    const summary = await polled.run.summary;
    expect(polled.executor.mostAtOnce).toBe(1);
    const starts = polled.executor.starts.filter(({ index }) => index === 0).map(({ at }) => at);
    expect(starts).toEqual([0, 3000, 4000]);
    expect(summary.polling?.overruns).toBe(2);
    expect(ofType(polled.events, 'round:end').map(({ overruns }) => overruns)).toEqual([2, 2, 2]);
  });

  it('tells of changes right after the results that they are', async () => {
    const gone: Outcome = { kind: 'timeout', began: 'no', phase: 'connect', remote: 'none' };
    using polled = await poll(
      { rounds: 5 },
      (round, index) => {
        if (index === 1) return round === 1 || round === 2 ? { outcome: gone } : {};
        return index === 3 ? { stdout: round < 4 ? 'a' : 'b' } : {};
      },
      { failAfter: 2 },
    );
    await polled.clock.advance(5000);
    const changes = ofType(polled.events, 'change').map(({ change, result }) => [result.round, result.index, change]);
    expect(changes).toEqual([
      [2, 1, 'down'],
      [3, 1, 'up'],
      [4, 3, 'answer'],
    ]);
    for (const [place, event] of polled.events.entries()) {
      if (event.type !== 'change') continue;
      const before = polled.events[place - 1]!;
      expect(before.type === 'task:end' && before.result).toBe(event.result);
    }
    expect(ofType(polled.events, 'round:end').map(({ changes: count }) => count)).toEqual([0, 0, 1, 1, 1]);
  });

  it('cancelled between two rounds ends at once, with whole rounds', async () => {
    using polled = await poll({}, () => ({}));
    await polled.clock.advance(1500);
    polled.run.cancel('terminate');
    await settle();
    const summary = await polled.run.summary;
    expect([summary.stopped, summary.planned, summary.outcomes.ok, summary.polling?.rounds]).toEqual([
      'cancelled',
      8,
      8,
      2,
    ]);
    expect(polled.clock.timers).toBe(0);
  });

  it('cancelled before anything began has one round, none of which ran', async () => {
    const clock = new ManualClock();
    const executor = new FakeExecutor(clock, () => ({}));
    const rules = { everyMs: 1000, jitterMs: 100, rounds: Infinity };
    const polling = {
      executor: new PollingExecutor(executor, { rules, clock }),
      rounds: new Rounds({ run: 'r1', rules, count: 2, failAfter: 1, clock }),
    };
    const request = requestOf(planOf(['a', 'b']));
    const run = await startRun(polling.executor, request, () => {}, { title: 't', clock, polling });
    run.cancel('terminate');
    const summary = run.summary;
    await clock.advance(10);
    expect(await summary).toMatchObject({ stopped: 'cancelled', planned: 2, polling: { rounds: 1 } });
    expect((await summary).outcomes['not-run']).toBe(2);
  });

  it('cancelled within a round accounts for the rest of it', async () => {
    using polled = await poll({}, () => ({}));
    await polled.clock.advance(1030);
    polled.run.cancel('terminate');
    await polled.clock.advance(50);
    const summary = await polled.run.summary;
    expect([summary.stopped, summary.planned, summary.outcomes.ok, summary.outcomes['not-run']]).toEqual([
      'cancelled',
      8,
      6,
      2,
    ]);
  });

  it('ends by its deadline between two rounds', async () => {
    using polled = await poll({}, () => ({}), { runMs: 2500 });
    await polled.clock.advance(2499);
    expect(ofType(polled.events, 'run:end')).toEqual([]);
    await polled.clock.advance(1);
    const summary = await polled.run.summary;
    expect([summary.stopped, summary.polling?.rounds]).toEqual(['deadline', 3]);
  });

  it('paused begins no round, and what was due meanwhile is nobody’s overrun', async () => {
    using polled = await poll({ rounds: 3 }, () => ({}));
    await polled.clock.advance(500);
    polled.run.pause();
    await polled.clock.advance(4000);
    expect(ofType(polled.events, 'round:end')).toHaveLength(1);
    polled.run.unpause();
    await polled.clock.advance(2500);
    const summary = await polled.run.summary;
    expect(polled.executor.starts.filter(({ index }) => index === 0).map(({ at }) => at)).toEqual([0, 5000, 6000]);
    expect(summary.polling?.overruns).toBe(0);
  });

  it('a reader that waits makes overruns, and loses nothing', async () => {
    const clock = new ManualClock();
    const executor = new FakeExecutor(clock, () => ({}));
    const rules = { everyMs: 100, jitterMs: 0, rounds: 2 };
    const polling = {
      executor: new PollingExecutor(executor, { rules, clock }),
      rounds: new Rounds({ run: 'r1', rules, count: 4, failAfter: 1, clock }),
    };
    const run = await startRun(polling.executor, requestOf(planOf(['a', 'b', 'c', 'd'])), () => {}, {
      title: 't',
      clock,
      polling,
    });
    const results = run.results[Symbol.asyncIterator]();
    const first = results.next();
    await clock.advance(10);
    expect((await first).value).toHaveLength(4);
    await clock.advance(350);
    const rest = results.next();
    await clock.advance(100);
    expect((await rest).value).toHaveLength(4);
    expect((await results.next()).done).toBe(true);
    expect((await run.summary).polling).toMatchObject({ rounds: 2, overruns: 3 });
  });
});
