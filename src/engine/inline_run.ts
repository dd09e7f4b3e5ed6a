/**
 * A run on this thread: pulls tasks from the plan while there is room for them, and hands out their results.
 *
 *   going ──pause──▶ paused ──unpause──▶ going     paused: nothing starts, nothing begins on a host
 *   going, paused ──cancel, run deadline──▶ stopped  what is in progress ends, the rest of the plan is `not-run`
 *   going, paused ──stop──▶ stopped                  the same, but what has begun on a host goes on to its end
 *   any ──all tasks have ended──▶ finished
 *
 * There is room while: a place is free and no task waits to have one back; fewer tasks than `connections`, and than the run's
 * cap, are in progress; the rate and the number of silent hosts allow it; fewer than `fanout` results (at least 1,024) wait to be
 * read. Nothing exists of a task before it starts. Which limits change while the run goes on says `adaptive.ts`.
 */
import type { Clock, Random } from '../contracts/limits.ts';
import type { Outcome } from '../contracts/outcome.ts';
import type { Host, Target, TaskResult } from '../contracts/task.ts';
import type { JobKind } from '../jobs/job.ts';
import type { ConnectOptions, Transport } from '../transport/transport.ts';
import type { TimerWheel } from '../util/timer_wheel.ts';
import { type AdaptedRun, Adapter } from './adapter.ts';
import { Bottleneck } from './bottleneck.ts';
import type { ExecutorHooks, ExecutorRun, ExecutorStatus, RunRequest } from './executor.ts';
import type { LagMeter } from './lag.ts';
import { Lending } from './lending.ts';
import { AddressLimits, Slots } from './limits.ts';
import { Patience } from './patience.ts';
import { ResultQueue, type ResultSource } from './result_queue.ts';
import { RunDeadline } from './run_deadline.ts';
import { Task } from './task.ts';
import { textOf, untouchedResult } from './task_outcome.ts';
import type { Gated, Held, ListedTask, Stage, StopCause } from './task_run.ts';

/** Tasks started in one turn of the loop: each costs a tenth of a millisecond of connecting. */
const STARTS_PER_TURN = 64;
/** What counts as silence at least, before the identification and after it: a turn of a busy loop is none. */
const LEAST_ANSWER_MS = 30;
const LEAST_LOGIN_MS = 50;
/** And at most, after the identification. */
const LOGIN_PATIENCE_MS = 1_000;
/** Results that may wait for the reader, however small the fanout is. */
const MIN_UNREAD = 1024;
/** Results of tasks that do not run, made at once. */
const LATE_BATCH = 1024;

const NOT_RUN = { kind: 'not-run', began: 'no' } as const;

/** What a run is made of. */
export interface RunParts {
  readonly request: RunRequest;
  readonly hooks: ExecutorHooks;
  readonly kind: JobKind;
  readonly prepared: unknown;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly wheel: TimerWheel;
  /** The executor's name. */
  readonly executor: string;
  /** How long the loop of this thread has been computing so far, in milliseconds. */
  readonly busyMs: () => number;
  readonly lag: LagMeter | undefined;
  /** What a job that is not ours is called. */
  readonly called: string | undefined;
  /** Called once, when the last task in progress has ended and none will start. */
  readonly onFinished: (run: InlineRun) => void;
}

export class InlineRun implements ExecutorRun, AdaptedRun, ResultSource {
  readonly results: ResultQueue;
  readonly request: RunRequest;
  readonly hooks: ExecutorHooks;
  readonly kind: JobKind;
  readonly prepared: unknown;
  readonly transport: Transport;
  readonly connectOptions: ConnectOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly wheel: TimerWheel;
  readonly executor: string;
  readonly lag: LagMeter | undefined;
  readonly called: string | undefined;
  readonly places: Slots;
  readonly handshakes: Slots;
  readonly addresses: AddressLimits;
  readonly bottleneck: Bottleneck;
  readonly lending: Lending;
  readonly answers: Patience;
  readonly logins = new Patience(LEAST_LOGIN_MS, LOGIN_PATIENCE_MS);
  readonly adapter: Adapter | undefined;
  readonly stages: Record<Stage, number> = { connecting: 0, handshaking: 0, running: 0, none: 0 };
  readonly gated = new Set<Gated>();
  readonly held = new Map<number, Held>();
  paused = false;
  stopped: 'no' | 'cancelled' | 'deadline' | 'guard' = 'no';
  readonly #onFinished: (run: InlineRun) => void;
  readonly #deadline: RunDeadline;
  readonly #maxUnread: number;
  /** The plan index that starts next; behind it nothing exists. */
  #next = 0;
  #inProgress = 0;
  #endedTasks = 0;
  #cap = Infinity;
  #oldest: ListedTask | null = null;
  #newest: ListedTask | null = null;
  #startsLeft = 0;
  #turnAsked = false;
  #pumping = false;
  #over = false;
  #limitedBy = '';
  #stopReason: string | undefined;

  constructor(parts: RunParts) {
    const { request, clock } = parts;
    const { limits } = request;
    const now = (): number => clock.now();
    this.request = request;
    this.hooks = parts.hooks;
    this.kind = parts.kind;
    this.prepared = parts.prepared;
    this.transport = parts.transport;
    this.connectOptions = { session: parts.kind.session, job: parts.request.job.options };
    this.clock = clock;
    this.random = parts.random;
    this.wheel = parts.wheel;
    this.executor = parts.executor;
    this.lag = parts.lag;
    this.called = parts.called;
    this.bottleneck = new Bottleneck(now, limits.connectionsBy);
    this.places = new Slots(limits.fanout, this.bottleneck.places);
    this.lending = new Lending(now, parts.busyMs);
    this.answers = new Patience(LEAST_ANSWER_MS, limits.patienceMs);
    this.handshakes = new Slots(limits.handshakes, this.bottleneck.handshakes);
    this.addresses = new AddressLimits(limits.perAddress, this.bottleneck.addresses, this.wheel);
    this.adapter = limits.adapt && new Adapter(this, parts.busyMs);
    this.results = new ResultQueue(this);
    this.#onFinished = parts.onFinished;
    this.#maxUnread = Math.max(limits.fanout, MIN_UNREAD);
    this.#deadline = new RunDeadline(clock, () => this.#stop('run', request.onStop ?? 'terminate'));
    if (limits.deadlines.runMs !== null) this.#deadline.arm(limits.deadlines.runMs);
    const fed = () => this.#fed();
    if (request.plan.feed) request.plan.feed.more = fed;
    // Not before the caller has the run: it may announce it before anything connects.
    this.#askForTurn();
  }

  pause(): void {
    this.paused = true;
  }

  unpause(): void {
    if (!this.paused) return;
    this.paused = false;
    const gated = [...this.gated];
    this.gated.clear();
    for (const job of gated) job.openGate();
    this.#pump();
  }

  cancel(running: 'terminate' | 'leave'): void {
    this.#stop('cancelled', running);
  }

  stop(reason: string): void {
    if (this.#over || this.stopped !== 'no') return;
    this.#stopReason = reason;
    this.#stop('guard', 'leave');
  }

  cap(unfinished: number): void {
    this.#cap = unfinished;
    this.#pump();
  }

  resume(index: number): void {
    this.held.get(index)?.release();
  }

  status(slowest: number): ExecutorStatus {
    const now = this.clock.now();
    const oldest: ExecutorStatus['slowest'][number][] = [];
    for (let task = this.#oldest; task !== null && oldest.length < slowest; task = task.newer) {
      oldest.push({ index: task.index, label: task.label, phase: task.doing, ageMs: task.ageMs(now) });
    }
    return {
      connecting: this.stages.connecting,
      handshaking: this.stages.handshaking,
      running: this.stages.running,
      waiting: this.#here - this.#next,
      limitedBy: this.#over ? this.#limitedBy : this.bottleneck.now(),
      stopped: this.stopped,
      stopReason: this.#stopReason,
      slowest: oldest,
    };
  }

  get inProgress(): number {
    return this.#inProgress;
  }

  get endedTasks(): number {
    return this.#endedTasks;
  }

  placeLent(): void {
    this.#pump();
  }

  roomier(): void {
    this.#pump();
  }

  ended(task: ListedTask, result: TaskResult): void {
    if (task.older === null) this.#oldest = task.newer;
    else task.older.newer = task.newer;
    if (task.newer === null) this.#newest = task.older;
    else task.newer.older = task.older;
    // A link of what is over would keep what came after it from the scavenges.
    task.older = null;
    task.newer = null;
    this.#inProgress -= 1;
    this.#endedTasks += 1;
    this.#made(result);
    this.#pump();
    this.#checkOver();
  }

  get finished(): boolean {
    return this.#inProgress === 0 && this.#next >= this.#end;
  }

  lateResults(): TaskResult[] {
    const late: TaskResult[] = [];
    if (this.stopped === 'no') return late;
    const time = this.clock.epoch();
    while (late.length < LATE_BATCH && this.#next < this.#here) {
      const index = this.#next++;
      const target = this.#target(index);
      const result =
        typeof target === 'string'
          ? this.#unreadable(index, target)
          : this.#untouched(target.index, target, target.iteration, NOT_RUN, time);
      late.push(result);
      this.hooks.onEnd?.(result);
    }
    return late;
  }

  taken(): void {
    this.#pump();
  }

  abandoned(): void {
    this.#stop('cancelled', 'terminate');
    this.#next = this.#end;
  }

  /** Ends what is in progress and lets nothing start; a second stop can only turn from waiting to leaving. */
  #stop(cause: StopCause, running: 'terminate' | 'leave'): void {
    if (this.#over) return;
    if (this.stopped === 'no') this.stopped = cause === 'run' ? 'deadline' : cause === 'guard' ? 'guard' : 'cancelled';
    this.request.plan.feed?.stopped?.();
    // What has begun goes on after a guard's stop, within the run's deadline.
    if (cause !== 'guard') this.#deadline.cancel();
    for (let task = this.#oldest; task !== null; ) {
      const { newer } = task;
      task.stop(cause, running);
      task = newer;
    }
    this.#checkOver();
    this.results.wake();
  }

  /** Tasks that can be read now, from 0 on. */
  get #here(): number {
    const { feed, count } = this.request.plan;
    return feed?.here ?? count;
  }

  /** Behind it there is nothing, and will be nothing. */
  get #end(): number {
    const { feed, count } = this.request.plan;
    if (feed === undefined) return count;
    return feed.ended ? feed.here : Infinity;
  }

  /** More tasks of a plan that comes in pieces, or its end. */
  #fed(): void {
    this.#pump();
    this.results.wake();
    this.#checkOver();
  }

  /** Starts tasks while there is room. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#hasRoom()) {
        if (this.#startsLeft === 0) {
          this.#askForTurn();
          break;
        }
        this.#startsLeft -= 1;
        this.#startNext();
      }
    } finally {
      this.#pumping = false;
    }
  }

  #hasRoom(): boolean {
    const wanted = !this.paused && this.stopped === 'no' && this.#next < this.#here;
    const { fanout, connections, reader } = this.bottleneck;
    const noReader = this.results.unread >= this.#maxUnread;
    const noConnection = this.#inProgress >= (this.adapter?.connections ?? this.request.limits.connections);
    const capped = this.#inProgress >= this.#cap;
    reader.set(wanted && noReader);
    connections.set(wanted && noConnection);
    fanout.set(wanted && !this.places.free);
    const room = wanted && !capped && !noReader && !noConnection && this.places.free;
    return this.adapter?.allows(room) ?? room;
  }

  /** The loop gets a turn between starts, so that ten thousand of them do not stall it. */
  #askForTurn(): void {
    if (this.#turnAsked) return;
    this.#turnAsked = true;
    setImmediate(() => {
      this.#turnAsked = false;
      this.#startsLeft = STARTS_PER_TURN;
      this.#pump();
      this.#checkOver();
    });
  }

  #startNext(): void {
    const index = this.#next++;
    const target = this.#target(index);
    if (typeof target === 'string') {
      this.#made(this.#unreadable(index, target));
      return;
    }
    this.places.tryTake();
    this.#inProgress += 1;
    this.adapter?.tries();
    const task = new Task(this, target, target.index);
    task.older = this.#newest;
    if (this.#newest === null) this.#oldest = task;
    else this.#newest.newer = task;
    this.#newest = task;
    task.start();
  }

  #made(result: TaskResult): void {
    this.results.push(result);
    this.hooks.onEnd?.(result);
  }

  /** The plan's task, or a sentence about why it could not be read. */
  #target(index: number): Target | string {
    try {
      return this.request.plan.at(index);
    } catch (error) {
      return `task ${index} of the plan cannot be read: ${textOf(error)}`;
    }
  }

  #unreadable(index: number, message: string): TaskResult {
    const outcome = { kind: 'error', began: 'no', code: 'internal', message } as const;
    return this.#untouched(index, { label: `#${index}`, name: '' }, 1, outcome, this.clock.epoch());
  }

  #untouched(index: number, host: Host, iteration: number, outcome: Outcome, startedAt: number): TaskResult {
    const { run, round } = this.request;
    return untouchedResult({ run, round, index }, host, iteration, outcome, startedAt, this.executor);
  }

  /** Nothing is in progress and nothing will start: what is left to do is reading. */
  #checkOver(): void {
    if (this.#over || this.#inProgress > 0) return;
    if (this.stopped === 'no' && this.#next < this.#end) return;
    this.#over = true;
    this.#limitedBy = this.bottleneck.overall();
    this.#deadline.cancel();
    this.adapter?.close();
    this.results.wake();
    this.#onFinished(this);
  }
}
