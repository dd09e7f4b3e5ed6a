/**
 * The tasks of a run that no thread has: those of the plan that were never given out, and before them those that came back,
 * because their thread recalled them or died.
 */
import type { Clock } from '../../contracts/limits.ts';
import type { Outcome } from '../../contracts/outcome.ts';
import type { Target, TaskResult } from '../../contracts/task.ts';
import type { RunRequest } from '../executor.ts';
import { textOf, untouchedResult } from '../task_outcome.ts';
import { SharedBits } from './bits.ts';

/** Threads that a task may take with it before it has begun: then it is not tried again. */
const MOST_DEATHS = 3;

export class Supply {
  /** A bit per task: started in a thread. */
  readonly started: SharedBits;
  /** A bit per task: may have begun on its host. */
  readonly begun: SharedBits;
  readonly #request: RunRequest;
  readonly #clock: Clock;
  /** To be given out before the rest of the plan; as many as threads had at most. */
  readonly #back: Target[] = [];
  /** How often a task was in a thread that died. */
  readonly #deaths = new Map<number, number>();
  /** The first of the plan that was not given out. */
  #next = 0;

  constructor(request: RunRequest, clock: Clock) {
    const { plan } = request;
    this.#request = request;
    this.#clock = clock;
    this.started = SharedBits.of(plan.planned ?? plan.count);
    this.begun = SharedBits.of(plan.planned ?? plan.count);
  }

  /** Tasks that could be taken now. */
  get left(): number {
    const { feed, count } = this.#request.plan;
    return this.#back.length + (feed?.here ?? count) - this.#next;
  }

  /** Nothing is left, and nothing more of the plan will come. */
  get over(): boolean {
    return this.left === 0 && (this.#request.plan.feed?.ended ?? true);
  }

  /** The next task, or its result where the plan cannot be read there. */
  next(): Target | TaskResult {
    const back = this.#back.shift();
    if (back !== undefined) return back;
    const index = this.#next++;
    try {
      return this.#request.plan.at(index);
    } catch (error) {
      const message = `task ${index} of the plan cannot be read: ${textOf(error)}`;
      const target = { label: `#${index}`, name: '', index, iteration: 1 };
      return this.untouched(target, { kind: 'error', began: 'no', code: 'internal', message }, 'main');
    }
  }

  /** The result of the next task, which does not run. */
  nextEnds(outcome: Outcome): TaskResult {
    const next = this.next();
    return 'outcome' in next ? next : this.untouched(next, outcome, 'main');
  }

  /** They had not started. */
  takeBack(targets: readonly Target[]): void {
    this.#back.push(...targets);
  }

  /**
   * The thread died that had it: its outcome where it may have begun on its host, or where threads keep dying of it; otherwise
   * it goes to another thread.
   */
  orphaned(target: Target, thread: string, reason: string): TaskResult | undefined {
    const { index } = target;
    if (this.begun.has(index)) {
      const message = `${thread} ended while the job may have been running: ${reason}`;
      return this.untouched(target, { kind: 'lost', began: 'maybe', cause: 'crash', message }, thread);
    }
    const deaths = (this.#deaths.get(index) ?? 0) + (this.started.has(index) ? 1 : 0);
    this.started.clear(index);
    if (deaths < MOST_DEATHS) {
      if (deaths > 0) this.#deaths.set(index, deaths);
      this.#back.push(target);
      return undefined;
    }
    this.#deaths.delete(index);
    const message = `${deaths} threads ended while they were about to start it, the last one: ${reason}`;
    return this.untouched(target, { kind: 'error', began: 'no', code: 'internal', message }, thread);
  }

  /** Nobody wants to know of the rest. */
  drop(): void {
    this.#next = this.#request.plan.count;
    this.#back.length = 0;
  }

  untouched(target: Target, outcome: Outcome, executor: string): TaskResult {
    const { run, round } = this.#request;
    const { index, iteration } = target;
    return untouchedResult({ run, round, index }, target, iteration, outcome, this.#clock.epoch(), executor);
  }
}
