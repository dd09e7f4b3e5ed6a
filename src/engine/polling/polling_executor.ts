/** A run in rounds, on top of any executor: each round is a run of that one, with a plan that comes in pieces. */
import type { Clock } from '../../contracts/limits.ts';
import type { TaskResult } from '../../contracts/task.ts';
import type { Executor, ExecutorHooks, ExecutorRun, ExecutorStatus, RunRequest } from '../executor.ts';
import type { Plan, PlanFeed } from '../plan.ts';
import { type PollRules, RoundPace, RoundSchedule } from './schedule.ts';

/** Where a repeated run is. */
export interface RoundStatus {
  /** The round that is on, or was last, from 0; -1: none has begun. */
  readonly round: number;
  /** How many there are; Infinity: until it is stopped. */
  readonly rounds: number;
  /** Until the next one, in milliseconds; undefined while one is on. */
  readonly nextInMs: number | undefined;
  readonly overruns: number;
}

/** Whom a polling executor tells, in their order, between the results that it gives out. */
export interface RoundHooks {
  /** Before anything of it starts. */
  begin(round: number): void;
  /** After all of its results have been read, and been dealt with; `overruns`: rounds left out so far. */
  end(round: number, overruns: number): Promise<void>;
}

export interface PollingParts {
  readonly rules: PollRules;
  readonly clock: Clock;
  /** Connections that wait for the next round. @default that is not known */
  readonly kept?: (() => number) | undefined;
}

/** Starts that are closer together come together. */
const LEAST_TICK_MS = 10;

/** For one run. */
export class PollingExecutor implements Executor {
  readonly name: string;
  /** Set by the run's engine before it starts. */
  hooks: RoundHooks | undefined;
  readonly #executor: Executor;
  readonly #parts: PollingParts;
  #run: PollingRun | undefined;

  constructor(executor: Executor, parts: PollingParts) {
    this.name = executor.name;
    this.#executor = executor;
    this.#parts = parts;
  }

  /** Undefined: it has not begun. */
  get status(): RoundStatus | undefined {
    return this.#run?.round;
  }

  async run(request: RunRequest, hooks: ExecutorHooks): Promise<ExecutorRun> {
    this.#run = new PollingRun(this.#executor, this.#parts, request, hooks, this.hooks);
    return this.#run;
  }

  /** No round begins any more; the one that is on goes on. */
  stop(): void {
    this.#run?.noMore();
  }

  sweep(...sweep: Parameters<Executor['sweep']>): ReturnType<Executor['sweep']> {
    return this.#executor.sweep(...sweep);
  }

  close(): Promise<void> {
    return this.#executor.close();
  }
}

/** The plan of one round: its tasks start as its pace lets them. */
class RoundFeed implements PlanFeed {
  more: (() => void) | undefined = undefined;
  here = 0;
  readonly plan: Plan;
  readonly #pace: RoundPace;
  readonly #clock: Clock;
  #timer: { cancel(): void } | undefined;
  #timerAt = Infinity;

  constructor(plan: Plan, pace: RoundPace, clock: Clock) {
    this.#pace = pace;
    this.#clock = clock;
    const { count, planned, hosts } = plan;
    this.plan = { count, planned, hosts, at: (index) => plan.at(index), feed: this };
    this.advance();
  }

  get ended(): boolean {
    return this.here >= this.plan.count;
  }

  /** Only where logins are spread do others come sooner for it: what offsets let in, the timer does. */
  taskEnded({ phases }: TaskResult): void {
    this.#pace.ended((phases.auth ?? phases.connect ?? phases.dns) !== undefined);
    if (this.#pace.careful && !this.ended) this.advance();
  }

  /** Lets in what may come now, and looks again when more may. */
  advance(): void {
    const now = this.#clock.now();
    const here = this.#pace.here(now);
    const more = here > this.here;
    this.here = here;
    const at = Math.max(now + LEAST_TICK_MS, this.#pace.nextAt(now));
    // One that comes no later looks again then.
    if (this.#timer === undefined || at < this.#timerAt || at === Infinity) this.#arm(at, now);
    if (more) this.more?.();
  }

  #arm(at: number, now: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = at;
    if (at === Infinity) return;
    this.#timer = this.#clock.setTimer(at - now, () => {
      this.#timer = undefined;
      this.advance();
    });
  }

  /** Of the plan's feed: what is not here will not run, and is told of at once. */
  stopped(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.here = this.plan.count;
  }
}

type Batch = readonly TaskResult[];

/**
 *   waiting ──due──▶ round ──all its results are read──▶ waiting, or over after the last
 *   waiting ──cancel, stop, the run's deadline──▶ over
 *   round ──cancel, stop, the run's deadline──▶ stopped round ──all its results are read──▶ over
 *
 * While it is paused no round begins, and what is due then is left out: that is nobody's overrun.
 */
class PollingRun implements ExecutorRun {
  readonly results: AsyncIterable<Batch>;
  readonly #executor: Executor;
  readonly #clock: Clock;
  readonly #rules: PollRules;
  readonly #kept: (() => number) | undefined;
  readonly #request: RunRequest;
  readonly #hooks: ExecutorHooks;
  readonly #told: RoundHooks | undefined;
  readonly #schedule: RoundSchedule;
  readonly #startedAt: number;
  #inner: ExecutorRun | undefined;
  #feed: RoundFeed | undefined;
  #stopped: ExecutorStatus['stopped'] = 'no';
  #stopReason: string | undefined;
  #limitedBy = '';
  #running: 'terminate' | 'leave' = 'terminate';
  #cap = Infinity;
  #paused = false;
  /** It was paused since the last round began. */
  #held = false;
  #wake: (() => void) | undefined;

  constructor(
    executor: Executor,
    { rules, clock, kept }: PollingParts,
    request: RunRequest,
    hooks: ExecutorHooks,
    told: RoundHooks | undefined,
  ) {
    this.#executor = executor;
    this.#clock = clock;
    this.#rules = rules;
    this.#kept = kept;
    this.#request = request;
    this.#hooks = hooks;
    this.#told = told;
    this.#startedAt = clock.now();
    this.#schedule = new RoundSchedule(rules, this.#startedAt);
    this.results = { [Symbol.asyncIterator]: () => this.#results() };
  }

  get round(): RoundStatus {
    const { round, overruns, nextAt, done } = this.#schedule;
    const waits = this.#inner === undefined && !done && this.#stopped === 'no';
    const nextInMs = waits ? Math.max(0, nextAt - this.#clock.now()) : undefined;
    return { round, rounds: this.#rules.rounds, nextInMs, overruns };
  }

  pause(): void {
    this.#paused = true;
    this.#held = true;
    this.#inner?.pause();
  }

  unpause(): void {
    this.#paused = false;
    if (this.#inner === undefined) this.#schedule.over(this.#clock.now(), false);
    this.#inner?.unpause();
    this.#wake?.();
  }

  cancel(running: 'terminate' | 'leave'): void {
    this.#running = running;
    this.#stop('cancelled');
    this.#inner?.cancel(running);
  }

  stop(reason: string): void {
    if (this.#stopped === 'no') this.#stopReason = reason;
    this.#stop('guard');
    this.#inner?.stop(reason);
  }

  cap(unfinished: number): void {
    this.#cap = unfinished;
    this.#inner?.cap(unfinished);
  }

  resume(index: number): void {
    this.#inner?.resume(index);
  }

  status(slowest: number): ExecutorStatus {
    const [stopped, stopReason] = [this.#stopped, this.#stopReason];
    const inner = this.#inner?.status(slowest);
    if (inner === undefined) {
      const idle = { connecting: 0, handshaking: 0, running: 0, waiting: 0, slowest: [] };
      return { ...idle, limitedBy: this.#limitedBy, stopped, stopReason };
    }
    const waiting = inner.waiting + this.#request.plan.count - this.#feed!.here;
    return { ...inner, waiting, ...(stopped !== 'no' && { stopped, stopReason }) };
  }

  noMore(): void {
    this.#stop('cancelled');
  }

  #stop(how: ExecutorStatus['stopped']): void {
    if (this.#stopped !== 'no') return;
    this.#stopped = how;
    this.#wake?.();
  }

  async *#results(): AsyncGenerator<Batch, undefined> {
    try {
      // The first begins in any case: what was stopped before it has its tasks, too, none of which runs.
      do yield* this.#round();
      while (this.#stopped === 'no' && !this.#schedule.done && (await this.#due()));
    } finally {
      // A reader that went away in the middle of a round.
      this.#inner?.cancel('terminate');
    }
    return undefined;
  }

  /** Resolves when the next round is due; false: there will be none. */
  async #due(): Promise<boolean> {
    for (;;) {
      const now = this.#clock.now();
      const endAt = this.#startedAt + (this.#request.limits.deadlines.runMs ?? Infinity);
      if (this.#stopped === 'no' && now >= endAt) this.#stopped = 'deadline';
      if (this.#stopped !== 'no') return false;
      const { nextAt } = this.#schedule;
      if (now >= nextAt && !this.#paused) return true;
      const at = Math.min(endAt, this.#paused ? Infinity : nextAt);
      await this.#sleep(at - now);
    }
  }

  /** Resolves then, or when something else has happened. */
  #sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = ms === Infinity ? undefined : this.#clock.setTimer(ms, resolve);
    this.#wake = resolve;
    return promise.finally(() => {
      timer?.cancel();
      this.#wake = undefined;
    });
  }

  async *#round(): AsyncGenerator<Batch, void> {
    const schedule = this.#schedule;
    const round = schedule.begin();
    this.#told?.begin(round);
    this.#held = this.#paused;
    const inner = await this.#start(round);
    yield* inner.results;
    const { stopped, stopReason, limitedBy } = inner.status(0);
    if (this.#stopped === 'no' && stopped !== 'no') {
      this.#stopped = stopped;
      this.#stopReason = stopReason;
    }
    if (limitedBy !== '') this.#limitedBy = limitedBy;
    this.#inner = undefined;
    this.#feed = undefined;
    schedule.over(this.#clock.now(), !this.#held);
    await this.#told?.end(round, schedule.overruns);
  }

  async #start(round: number): Promise<ExecutorRun> {
    const { plan, limits } = this.#request;
    const now = this.#clock.now();
    const feed = new RoundFeed(
      plan,
      new RoundPace(this.#rules, plan.count, now, round > 0, this.#kept?.()),
      this.#clock,
    );
    const { runMs } = limits.deadlines;
    const leftMs = runMs === null ? null : Math.max(1, this.#startedAt + runMs - now);
    const request = {
      ...this.#request,
      round,
      plan: feed.plan,
      limits: { ...limits, deadlines: { ...limits.deadlines, runMs: leftMs } },
    };
    const onEnd = (result: TaskResult): void => {
      this.#hooks.onEnd?.(result);
      feed.taskEnded(result);
    };
    this.#feed = feed;
    const inner = await this.#executor.run(request, { ...this.#hooks, onEnd });
    this.#inner = inner;
    // What was asked meanwhile.
    if (this.#cap < Infinity) inner.cap(this.#cap);
    if (this.#paused) inner.pause();
    if (this.#stopped === 'guard') inner.stop(this.#stopReason ?? '');
    else if (this.#stopped !== 'no') inner.cancel(this.#running);
    return inner;
  }
}
