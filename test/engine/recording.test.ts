/** A run and its journal: what is recorded when, and what becomes of the run where it cannot be. */
import { describe, expect, test } from 'vitest';
import { MyriadError } from '../../src/contracts/errors.ts';
import type { RunEvent } from '../../src/contracts/events.ts';
import type { Summary } from '../../src/contracts/summary.ts';
import type { TaskResult } from '../../src/contracts/task.ts';
import { type StartOptions, startRun } from '../../src/engine/engine.ts';
import type { Executor } from '../../src/engine/executor.ts';
import { InlineExecutor } from '../../src/engine/inline_executor.ts';
import type { Plan } from '../../src/engine/plan.ts';
import { PollingExecutor } from '../../src/engine/polling/polling_executor.ts';
import { Rounds } from '../../src/engine/polling/rounds.ts';
import { untouchedResult } from '../../src/engine/task_outcome.ts';
import type { JournalWriter } from '../../src/journal/journal.ts';
import { ManualClock, settle } from '../util/manual_clock.ts';
import { FakeTransport } from './fake_transport.ts';
import { KINDS, type Overrides, planOf, requestOf } from './support.ts';

/** A journal that notes what it is given, in the order of all that happens. */
class FakeJournal implements JournalWriter {
  readonly run = 'r1';
  readonly path = '/fake';
  readonly log: string[];
  /** What a call waits for. */
  readonly gates = new Map<string, Promise<void>>();
  summary: Summary | undefined;
  bytes = 0;

  constructor(log: string[]) {
    this.log = log;
  }

  claim(index: number, attempt: number): Promise<void> {
    return this.#note(`claim ${index}.${attempt}`) ?? Promise.resolve();
  }

  note(index: number, attempt: number): void {
    this.#note(`start ${index}.${attempt}`);
  }

  output(index: number, _stream: string, bytes: Uint8Array): Promise<void> | undefined {
    this.bytes += bytes.length;
    return this.#note(`output ${index}`);
  }

  result({ index }: TaskResult): Promise<void> | undefined {
    return this.#note(`result ${index}`);
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  roundEnd(): Promise<void> {
    return this.#note('roundEnd') ?? Promise.resolve();
  }

  end(summary: Summary): Promise<void> {
    this.summary = summary;
    return this.#note('end') ?? Promise.resolve();
  }

  close(): Promise<void> {
    return this.#note('close') ?? Promise.resolve();
  }

  #note(what: string): Promise<void> | undefined {
    this.log.push(what);
    return this.gates.get(what);
  }
}

function failing(message: string): Promise<void> {
  const failed = Promise.reject(new Error(message));
  failed.catch(() => {});
  return failed;
}

function setUp() {
  const clock = new ManualClock();
  const transport = new FakeTransport(clock);
  const transports = new Map([['native', transport] as const]);
  const executor = new InlineExecutor({ kinds: KINDS, transports, clock, random: () => 0.5 });
  const log: string[] = [];
  const journal = new FakeJournal(log);
  const start = (
    names: readonly string[],
    overrides?: Overrides,
    options?: Partial<StartOptions>,
    plan?: Plan,
    on: Executor = executor,
  ) => {
    const listener = (event: RunEvent): void => {
      const of = event.type === 'task:end' ? ` ${event.result.index}` : 'index' in event ? ` ${event.index}` : '';
      log.push(`${event.type}${of}`);
    };
    const request = { ...requestOf(planOf(names), overrides), ...(plan && { plan }) };
    return startRun(on, request, listener, { title: 'true', clock, journal, ...options });
  };
  return { clock, transport, executor, log, journal, start };
}

describe('a run that is recorded', () => {
  test('each thing is recorded before it is told of, and the journal is closed before the end is', async () => {
    const { start, log, journal } = setUp();
    const summary = await (await start(['ok.0'], { gather: 'stream' })).summary;
    expect(log).toEqual([
      'run:start',
      'claim 0.1',
      'task:start 0',
      'task:output 0',
      'output 0',
      'result 0',
      'task:end 0',
      'roundEnd',
      'end',
      'close',
      'run:end',
    ]);
    expect(journal.summary).toEqual(summary);
    expect(journal.bytes).toBe('out of ok.0\n'.length);
  });

  test('rounds note their starts, which wait for nothing', async () => {
    const { clock, executor, start, log } = setUp();
    const rules = { everyMs: 1000, jitterMs: 0, rounds: 1 };
    const polling = {
      executor: new PollingExecutor(executor, { rules, clock }),
      rounds: new Rounds({ run: 'r1', rules, count: 1, failAfter: 1, clock }),
    };
    const run = await start(['ok.0'], {}, { polling }, undefined, polling.executor);
    expect((await run.summary).outcomes.ok).toBe(1);
    expect(log.filter((word) => /claim|start 0|result/.test(word))).toEqual(['start 0.1', 'task:start 0', 'result 0']);
  });

  test('a journal that is behind holds results back', async () => {
    const { start, log, journal } = setUp();
    const gate = Promise.withResolvers<void>();
    journal.gates.set('result 0', gate.promise);
    const { summary } = await start(['ok.0']);
    await settle();
    expect(log.at(-1)).toBe('result 0');
    gate.resolve();
    expect((await summary).outcomes.ok).toBe(1);
  });

  test.each([
    { room: true, resumed: false, expected: 3 },
    { room: false, resumed: true, expected: 2 },
    { room: false, resumed: false, expected: 1 },
  ])('output goes on when journal and consumer have room: %j', async ({ room, resumed, expected }) => {
    const { start, log, journal } = setUp();
    const gate = Promise.withResolvers<void>();
    journal.gates.set('output 0', gate.promise);
    const run = await start(['flood-3.0'], { gather: 'stream' }, { onOutput: () => room });
    const { summary } = run;
    await settle();
    const pieces = () => log.filter((each) => each === 'output 0').length;
    expect(pieces()).toBe(1);
    if (resumed) run.resume(0);
    await settle();
    expect(pieces()).toBe(1);
    journal.gates.delete('output 0');
    gate.resolve();
    await settle();
    expect(pieces()).toBe(expected);
    for (let i = 0; i < 3; i++) {
      run.resume(0);
      await settle();
    }
    expect((await summary).stdoutBytes).toBe(2048);
  });

  test('what cannot be recorded stops the run: what has begun goes on, the rest is not run', async () => {
    const { start, journal, transport, clock } = setUp();
    const claim = Promise.withResolvers<void>();
    journal.gates.set('claim 1.1', claim.promise);
    const { summary } = await start(['slow-50.0', 'ok.1', 'ok.2', 'ok.3'], { limits: { fanout: 2 } });
    await clock.advance(10);
    claim.reject(new MyriadError('journal', 'the disk is full'));
    await clock.advance(100);
    expect(await summary).toMatchObject({
      stopped: 'journal',
      stopReason: 'the disk is full',
      outcomes: { ok: 1, 'not-run': 3 },
    });
    expect(journal.summary).toMatchObject({ stopped: 'journal' });
    expect(transport.commands).toEqual(['slow-50.0: true']);
  });

  test.each(['roundEnd', 'end'])('a journal that fails at its end (%s) says so in the summary', async (what) => {
    const { start, journal, log } = setUp();
    journal.gates.set(what, failing('the disk is full'));
    const { summary } = await start(['ok.0']);
    expect(await summary).toMatchObject({ stopped: 'journal', stopReason: 'the disk is full', outcomes: { ok: 1 } });
    expect(log.slice(-2)).toEqual(['close', 'run:end']);
  });

  test('a user who stops it is told first', async () => {
    const { start, journal, clock } = setUp();
    journal.gates.set('end', failing('the disk is full'));
    const run = await start(['silent-command.0']);
    const { summary } = run;
    await clock.advance(10);
    run.cancel('terminate');
    expect(await summary).toMatchObject({ stopped: 'cancelled', stopReason: 'the disk is full' });
  });

  test('a request that is refused leaves the journal closed, and without an end', async () => {
    const { start, log } = setUp();
    await expect(start(['ok.0'], { limits: { fanout: 0 } })).rejects.toMatchObject({ code: 'usage' });
    expect(log).toEqual(['close']);
  });

  test('close: what nobody reads is recorded', async () => {
    const { start, log, executor } = setUp();
    const run = await start(['ok.0', 'ok.1']);
    await settle();
    expect(log).not.toContain('result 0');
    await executor.close();
    await run.close();
    expect(log.slice(-6)).toEqual(['result 1', 'task:end 1', 'roundEnd', 'end', 'close', 'run:end']);
    await run.close();
  });

  test('close waits for a journal that is at its end', async () => {
    const { start, log, journal } = setUp();
    const gate = Promise.withResolvers<void>();
    journal.gates.set('end', gate.promise);
    const run = await start(['ok.0']);
    void run.summary;
    await settle();
    expect(log.at(-1)).toBe('end');
    const closing = run.close().then(() => log.push('closed'));
    await settle();
    expect(log.at(-1)).toBe('end');
    gate.resolve();
    await closing;
    expect(log.slice(-3)).toEqual(['close', 'run:end', 'closed']);
  });

  test('close: a reader that reads gets all', async () => {
    const { start, executor } = setUp();
    const run = await start(['ok.0', 'ok.1', 'silent-command.2']);
    let read = 0;
    const reading = (async () => {
      for await (const batch of run.results) read += batch.length;
    })();
    await settle();
    await Promise.all([executor.close(), run.close(), reading]);
    expect(read).toBe(3);
  });

  test('goes on: what stood counts and is not told of, what is decided now is', async () => {
    const { start, log } = setUp();
    const of = (index: number, outcome: TaskResult['outcome']) => {
      return untouchedResult({ run: 'r1', round: 0, index }, { label: 'h', name: 'h' }, 1, outcome, 0, 'main');
    };
    const whole = planOf(['ok.0', 'ok.1', 'ok.2', 'ok.3']);
    const plan = { planned: 4, count: 1, hosts: 4, at: () => whole.at(3) };
    const lost = { kind: 'lost', began: 'maybe', cause: 'crash', message: 'gone' } as const;
    const before = {
      results: [of(0, { kind: 'failed', began: 'yes', status: 3 }), of(1, { kind: 'ok', began: 'yes', status: 0 })],
      decided: [of(2, lost)],
    };
    const summary = await (await start([], {}, { before }, plan)).summary;
    expect(summary).toMatchObject({ planned: 4, resumed: 2, maxStatus: 3, outcomes: { ok: 2, failed: 1, lost: 1 } });
    expect(log.filter((each) => /^(result|task:end|claim)/.test(each))).toEqual([
      'claim 3.1',
      'result 2',
      'task:end 2',
      'result 3',
      'task:end 3',
    ]);
  });
});
