/**
 * One task: its attempts to connect, the performance of its job, and its one result.
 *
 *   connecting ──limit full──▶ waiting ──admitted──▶ connecting      deadline of the phase; off while waiting
 *   connecting ──failed, to be tried again──▶ backoff ──▶ connecting  a new attempt; one connection at a time
 *   connecting ──connected──▶ performing                             by way of waiting, where the place was lent;
 *                                                                    phase `open` alone, where the connection was there already
 *   performing ──failed before it began, to be tried again──▶ backoff
 *   any ──outcome, deadline, stop──▶ over                            everything is given back, the result goes out
 *
 * An attempt that is stopped is over at once: its transport is told, and whatever still comes of it is dropped.
 */
import { MyriadError } from '../contracts/errors.ts';
import type { Outcome } from '../contracts/outcome.ts';
import type { PhaseTimes, Reached, Target, TaskNote, TaskResult } from '../contracts/task.ts';
import type { Connection, ConnectPhase } from '../transport/transport.ts';
import { TimerEntry, type TimerOwner } from '../util/timer_wheel.ts';
import { ZERO } from '../util/zero.ts';
import { Admission, type Step } from './admission.ts';
import { Attempt, type AttemptedTask } from './attempt.ts';
import type { Bottleneck } from './bottleneck.ts';
import { Gathered } from './gather.ts';
import type { Blockage } from './limits.ts';
import { Performance, type Performer } from './performance.ts';
import { Backoff, isCutOff, localLimitOf, saysPenalty } from './retry.ts';
import { outcomeOfError, outcomeOfPerformance, stoppedOutcome } from './task_outcome.ts';
import { DeadlineError, type ListedTask, type Stage, type StopCause, type TaskRun } from './task_run.ts';

/** A host whose login lasts lends its place when so many times the fanout have logged in since: then it is no matter of what all share. */
const OVERTAKEN = 2;
/** Else it is asked again so often. */
const ASK_AGAIN_MS = 1_000;

/** The deadline of each phase. */
const DEADLINE = {
  dns: 'dnsMs',
  connect: 'connectMs',
  handshake: 'handshakeMs',
  auth: 'authMs',
  open: 'openMs',
} as const;

type Mode = 'connecting' | 'waiting' | 'backoff' | 'performing' | 'over';
type TimedPhase = keyof PhaseTimes;

/** It is gone for us: what the transport makes of it cannot change an outcome. */
function destroy(connection: Connection, reason: Error): void {
  try {
    connection.destroy(reason);
  } catch {
    // See above.
  }
}

function stopError(cause: StopCause): Error {
  if (cause === 'cancelled') return new MyriadError('aborted', 'stopped by the user');
  return cause === 'guard' ? new MyriadError('aborted', 'the run was stopped') : new DeadlineError(cause);
}

function lengthOf(span: PhaseTimes[TimedPhase]): number {
  return span === undefined ? 0 : span.end - span.start;
}

/** What a wait after `outcome` is put down to. */
function backoffIn(bottleneck: Bottleneck, outcome: Outcome): Blockage {
  if (outcome.kind !== 'unreachable' || outcome.cause !== 'local-limit') return bottleneck.throttled;
  bottleneck.noteLocalLimit(localLimitOf(outcome.message));
  return bottleneck.localLimit;
}

export class Task implements TimerOwner, Performer, ListedTask, AttemptedTask {
  older: ListedTask | null = null;
  newer: ListedTask | null = null;
  readonly run: TaskRun;
  readonly target: Target;
  readonly index: number;
  readonly deadline: TimerEntry;
  /** Silence: of a host before it has a connection, of a job's output once it runs. */
  readonly idle: TimerEntry;
  readonly notes: TaskNote[] = [];
  gathered: Gathered;
  attempt = 0;
  readonly #admission: Admission;
  readonly #startedAt: number;
  readonly #startedEpoch: number;
  #mode: Mode = 'connecting';
  #stage: Stage = 'none';
  #watch: Attempt | undefined = undefined;
  #connection: Connection | undefined = undefined;
  #reached: Reached | undefined = undefined;
  #performance: Performance | undefined = undefined;
  #backoff: Backoff | undefined = undefined;
  /** What the present wait between attempts counts as. */
  #backoffFor: Blockage | undefined = undefined;
  #phases: PhaseTimes = {};
  /** A login waited for somebody on this side: its time says nothing of the host. */
  #helped = false;
  #phase: TimedPhase | undefined = undefined;
  /** Logins of the run when this host had identified itself. */
  #loginsBefore = 0;
  #entering: Step = 'dns';
  /** The host's own deadline of the phase that it is entering. */
  #ownMs: number | undefined = undefined;
  #admitted: (() => void) | undefined = undefined;
  #wait: Promise<void> | undefined = undefined;
  #waitingSince = ZERO;
  #waitedMs = ZERO;
  /** What the deadline had left when the wait began, where its phase goes on after it. */
  #leftMs: number | undefined = undefined;

  /** For a task that has its place already. */
  constructor(run: TaskRun, target: Target, index: number) {
    this.run = run;
    this.target = target;
    this.index = index;
    this.deadline = new TimerEntry(this);
    this.idle = new TimerEntry(this);
    this.gathered = this.#newGathered();
    this.#admission = new Admission(run, this);
    this.#startedAt = run.clock.now();
    this.#startedEpoch = run.clock.epoch();
  }

  get label(): string {
    return this.target.label;
  }

  get doing(): string {
    if (this.#mode === 'performing') return this.#performance?.doing ?? 'open';
    return this.#mode === 'connecting' ? (this.#phase ?? 'connect') : this.#mode;
  }

  ageMs(now: number): number {
    return now - this.#startedAt;
  }

  /** Begins the next attempt. */
  start(): void {
    const { run } = this;
    const watch = new Attempt(this);
    this.attempt += 1;
    this.#mode = 'connecting';
    this.#watch = watch;
    this.#phases = {};
    this.#phase = undefined;
    this.#toStage('connecting');
    // Until the transport names a phase: one that never does is not waited for for ever.
    run.wheel.arm(this.deadline, run.request.limits.deadlines.connectMs);
    let connecting: Promise<Connection>;
    try {
      connecting = Promise.resolve(run.transport.connect(this.target, watch, run.connectOptions));
    } catch (error) {
      this.#connectFailed(watch, error);
      return;
    }
    connecting.then(
      (connection) => this.#connected(watch, connection),
      (error: unknown) => this.#connectFailed(watch, error),
    );
  }

  /** The attempt's transport enters a phase; a promise holds it back while a limit is full. */
  enter(
    watch: Attempt,
    phase: ConnectPhase,
    address: string | undefined,
    ownMs: number | undefined,
  ): Promise<void> | undefined {
    if (watch !== this.#watch) return new Promise<void>(() => {});
    if (this.#mode === 'waiting') {
      if (phase === this.#entering) return this.#wait;
      this.#stopWaiting();
    }
    this.#entering = phase;
    this.#ownMs = ownMs;
    if (phase === 'open') this.run.adapter?.reused();
    else if (phase === 'handshake') this.#answered();
    if (!this.#admission.admit(phase, address)) return this.#startWaiting();
    this.#entered(phase);
    return undefined;
  }

  /** The host's identification is there. */
  #answered(): void {
    const { answers, clock, logins } = this.run;
    const { connect } = this.#phases;
    this.#loginsBefore = logins.count;
    if (connect !== undefined) answers.heard(clock.now() - this.#startedAt - connect.start);
  }

  /** The attempt waits for something that is not its host's doing: the deadline of its phase stands still. */
  hold(watch: Attempt): () => void {
    if (watch === this.#watch && this.#mode === 'connecting') this.#helped = true;
    return this.#standStill(watch);
  }

  #standStill(watch: Attempt): () => void {
    const { wheel } = this.run;
    const held = watch === this.#watch && this.#mode === 'connecting' && this.deadline.armed;
    if (!held) return () => {};
    const leftMs = wheel.leftMs(this.deadline);
    wheel.cancel(this.deadline);
    return () => {
      // A phase that began in the meantime has a deadline of its own.
      if (watch === this.#watch && this.#mode === 'connecting' && !this.deadline.armed) {
        wheel.arm(this.deadline, leftMs);
      }
    };
  }

  /** The attempt stands in a queue outside the engine: its deadline stands still, and its place rests. */
  queues(watch: Attempt, what: string): () => void {
    const { bottleneck, clock } = this.run;
    const since = clock.now();
    const turnCame = bottleneck.queues(what);
    const goOn = this.#standStill(watch);
    if (watch === this.#watch) this.#admission.rest();
    return () => {
      turnCame();
      if (watch !== this.#watch) return;
      this.#waitedMs += clock.now() - since;
      this.#admission.rouse();
      goOn();
    };
  }

  /** The admission's side: what was waited for is there. */
  admitted(): void {
    const admitted = this.#admitted;
    const step = this.#entering;
    this.#waitOver();
    if (this.#connection !== undefined) this.#perform();
    else this.#entered(step);
    admitted?.();
  }

  expired(entry: TimerEntry): void {
    if (this.#mode === 'performing') this.#performance?.expired(entry);
    else if (this.#mode === 'backoff' && entry === this.deadline) {
      this.#backoffFor?.end();
      this.run.adapter?.triesAgain();
      this.start();
    } else if (entry === this.idle) this.#silent();
    else if (this.#mode === 'connecting') this.#timedOut(this.#connectPhase());
  }

  stop(cause: StopCause, running: 'terminate' | 'leave'): void {
    if (this.#mode !== 'performing') this.#cutOff(cause);
    else if (cause === 'guard' && this.#performance?.began !== 'no') return;
    else if (running === 'leave') this.#performance?.leave(cause);
    else this.#performance?.halt(cause);
  }

  commandStarted(): void {
    this.#enterPhase('command', this.run.clock.now());
  }

  performed(outcome: Outcome): void {
    this.#finish(outcome);
  }

  performFailed(error: unknown): void {
    const began = this.#performance?.began ?? 'no';
    const outcome = outcomeOfPerformance(this.run.transport, error, began);
    if (began === 'no' && this.#tryAgain(outcome)) return;
    this.#finish(outcome);
  }

  drop(reason: Error): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) destroy(connection, reason);
  }

  #connected(watch: Attempt, connection: Connection): void {
    if (watch !== this.#watch) {
      destroy(connection, new MyriadError('aborted', 'the attempt was stopped before it was connected'));
      return;
    }
    if (this.#mode === 'waiting') this.#stopWaiting();
    this.#watch = undefined;
    this.#connection = connection;
    this.#reached = connection.reached;
    this.#admission.authenticated();
    this.run.wheel.cancel(this.deadline);
    this.run.wheel.cancel(this.idle);
    this.#leavePhase(this.run.clock.now());
    this.#loggedIn();
    this.#entering = 'open';
    if (this.#admission.admit('open')) this.#perform();
    else void this.#startWaiting();
  }

  /** The host has done what it is connected to for; a look at its key needs no login. */
  #loggedIn(): void {
    const { handshake, auth } = this.#phases;
    if (this.#helped || (handshake === undefined && auth === undefined)) return;
    if (auth !== undefined) this.run.adapter?.loggedIn(auth.end - auth.start);
    this.run.logins.heard(lengthOf(handshake) + lengthOf(auth));
  }

  #connectFailed(watch: Attempt, error: unknown): void {
    if (watch !== this.#watch) return;
    if (this.#mode === 'waiting') this.#stopWaiting();
    const outcome = outcomeOfError(this.run.transport, error, 'no');
    const throttled = outcome.kind === 'unreachable' && outcome.cause === 'throttled';
    const penalty = throttled && this.#admission.throttled(this.target.label, saysPenalty(outcome));
    if (!this.#tryAgain(outcome, penalty)) this.#finish(outcome);
  }

  #perform(): void {
    this.#mode = 'performing';
    this.#toStage('running');
    this.#enterPhase('open', this.run.clock.now());
    this.#performance = new Performance(this, this.#connection!);
    this.#performance.start();
  }

  /** True: the task waits for its next attempt. */
  #tryAgain(outcome: Outcome, penalty = false): boolean {
    const { run } = this;
    // A penalty is for this one address, which is left alone.
    const news = isCutOff(outcome) ? this.#admission.cutOff(this.attempt) && !penalty : this.attempt === 1;
    run.adapter?.failed(outcome, news);
    this.#backoff ??= new Backoff();
    const delay = this.#backoff.next(outcome, run.clock.now(), this.#waitedMs, run.request.limits, run.random, penalty);
    if (delay === undefined) return false;
    this.#endAttempt();
    this.gathered = this.#newGathered();
    this.notes.length = 0;
    this.#mode = 'backoff';
    this.#toStage('connecting');
    this.#backoffFor = backoffIn(run.bottleneck, outcome);
    this.#backoffFor.begin();
    run.wheel.arm(this.deadline, delay);
    if (!this.#admission.backOff()) run.wheel.arm(this.idle, run.request.limits.patienceMs);
    return true;
  }

  /** The host, or the peer in its handshake or login, keeps silent: what it holds up is lent out. */
  #silent(): void {
    const { logins, places, request, wheel } = this.run;
    if (this.#stage !== 'handshaking') {
      if (!this.#admission.lendPlace()) wheel.arm(this.idle, request.limits.patienceMs);
      return;
    }
    // The handshake first: who holds one waits for nothing, not for a place either.
    this.#admission.lendHandshake();
    const overtaken = logins.count - this.#loginsBefore >= OVERTAKEN * places.limit;
    if (!overtaken || !this.#admission.lendPlace()) wheel.arm(this.idle, ASK_AGAIN_MS);
  }

  #timedOut(phase: ConnectPhase): void {
    this.#halt(phase);
    if (!this.#tryAgain(stoppedOutcome(phase, 'no', 'none'))) this.#cutOff(phase);
  }

  /** Ends the attempt. */
  #halt(cause: StopCause): void {
    const watch = this.#watch;
    this.#watch = undefined;
    // Before the task ends: the next one must not open its socket while this one's is still there.
    watch?.halt(stopError(cause));
  }

  /** Ends the task before its job performs. */
  #cutOff(cause: StopCause): void {
    if (this.#mode === 'over') return;
    if (this.#mode === 'backoff') this.#backoffFor?.end();
    this.#halt(cause);
    this.drop(new MyriadError('aborted', 'the task was stopped'));
    this.#finish(stoppedOutcome(cause, 'no', 'none'));
  }

  #connectPhase(): ConnectPhase {
    const phase = this.#phase;
    return phase === undefined || phase === 'command' ? 'connect' : phase;
  }

  #startWaiting(): Promise<void> {
    const now = this.run.clock.now();
    if (this.#phase !== this.#entering) this.#leavePhase(now);
    const goesOn = this.#phase !== undefined && this.#phase === this.#entering && this.deadline.armed;
    this.#leftMs = goesOn ? this.run.wheel.leftMs(this.deadline, now) : undefined;
    this.run.wheel.cancel(this.deadline);
    this.run.wheel.cancel(this.idle);
    this.#mode = 'waiting';
    this.#waitingSince = now;
    this.#wait = new Promise<void>((resolve) => {
      this.#admitted = resolve;
    });
    return this.#wait;
  }

  /** The attempt goes on without what it waited for. */
  #stopWaiting(): void {
    const admitted = this.#admitted;
    this.#admission.leave();
    this.#waitOver();
    admitted?.();
  }

  #waitOver(): void {
    this.#waitedMs += this.run.clock.now() - this.#waitingSince;
    this.#mode = 'connecting';
    this.#admitted = undefined;
    this.#wait = undefined;
  }

  /** The phase begins, or goes on after a wait. */
  #entered(phase: ConnectPhase): void {
    const { wheel, request } = this.run;
    const { limits } = request;
    const now = this.run.clock.now();
    if (this.#phase !== phase) {
      // The connection that was there is no good: what counts is the new one.
      if (phase !== 'open' && this.#phases.open !== undefined) this.#phases = {};
      this.#enterPhase(phase, now);
      wheel.arm(this.deadline, this.#ownMs ?? limits.deadlines[DEADLINE[phase]], now);
    } else if (this.#leftMs !== undefined) wheel.arm(this.deadline, this.#leftMs, now);
    this.#leftMs = undefined;
    if (phase === 'dns' || phase === 'connect' || phase === 'open') {
      this.#toStage(phase === 'open' ? 'running' : 'connecting');
      const patienceMs = phase === 'connect' ? this.run.answers.ms : limits.patienceMs;
      if (this.#admission.holdsPlace) wheel.arm(this.idle, patienceMs, now);
      return;
    }
    this.#toStage('handshaking');
    if (this.#admission.holdsHandshake || this.#admission.holdsPlace) wheel.arm(this.idle, this.run.logins.ms, now);
    else wheel.cancel(this.idle);
  }

  /** Ends the phase before, begins `phase`; one that comes again keeps its first start. */
  #enterPhase(phase: TimedPhase, now: number): void {
    this.#leavePhase(now);
    const at = now - this.#startedAt;
    this.#phases[phase] ??= { start: at, end: at };
    this.#phase = phase;
  }

  #leavePhase(now: number): void {
    if (this.#phase === undefined) return;
    const span = this.#phases[this.#phase];
    if (span !== undefined) span.end = now - this.#startedAt;
    this.#phase = undefined;
  }

  #toStage(stage: Stage): void {
    if (stage === this.#stage) return;
    this.run.stages[this.#stage] -= 1;
    this.run.stages[stage] += 1;
    this.#stage = stage;
  }

  #newGathered(): Gathered {
    return new Gathered(this.run.request.gather === 'collect' ? this.run.request.maxOutput : 0);
  }

  /** Lets go of the attempt's connection and timers. */
  #endAttempt(): void {
    this.#leavePhase(this.run.clock.now());
    this.run.wheel.cancel(this.deadline);
    this.run.wheel.cancel(this.idle);
    this.#watch = undefined;
    this.#performance?.close();
    this.#performance = undefined;
    const connection = this.#connection;
    this.#connection = undefined;
    try {
      connection?.close();
    } catch {
      // The outcome stands, whatever becomes of the goodbye.
    }
  }

  #finish(outcome: Outcome): void {
    if (this.#mode === 'over') return;
    this.#mode = 'over';
    const { run } = this;
    this.#endAttempt();
    this.#toStage('none');
    const result = this.#result(outcome);
    this.#admission.release();
    run.ended(this, result);
  }

  #result(outcome: Outcome): TaskResult {
    const { run, gathered } = this;
    if (run.request.gather === 'collect') gathered.noteCuts(this.notes);
    return {
      run: run.request.run,
      round: run.request.round,
      index: this.index,
      attempt: this.attempt,
      host: this.target,
      iteration: this.target.iteration,
      outcome: run.hooks.redactor?.plain(outcome) ?? outcome,
      reached: this.#reached,
      startedAt: this.#startedEpoch,
      durationMs: run.clock.now() - this.#startedAt,
      phases: this.#phases,
      executor: run.executor,
      stdout: gathered.stdout,
      stderr: gathered.stderr,
      notes: this.notes,
    };
  }
}
