/**
 * One performance of a job on an open connection: the engine's side of `JobKind.perform`.
 *
 *   opening ──started, first output──▶ running        deadline `open`, then `command`, and `idle` between outputs
 *   opening ──begin──▶ gated ──▶ opening               deadline off; waits for `unpause`, and for the record of its start
 *   opening, running ──halt──▶ stopping                the job's `stop` is called; bounded by graceMs + 5 s
 *   any ──perform settles──▶ over                      or the connection was destroyed, or it was left
 *
 * `began` is `no` until `begin` let the job pass, `maybe` until `started` or the first output, then `yes`.
 */

import { MyriadError } from '../contracts/errors.ts';
import type { Began, Outcome, RemoteFate } from '../contracts/outcome.ts';
import type { StreamName, Target, TaskNote } from '../contracts/task.ts';
import { type Lent, type SecretName, StoppedError, type TaskContext } from '../jobs/job.ts';
import type { Secret } from '../ssh/client_auth_secret.ts';
import type { Connection, OutputSink } from '../transport/transport.ts';
import type { TimerEntry } from '../util/timer_wheel.ts';
import type { ExecutorHooks } from './executor.ts';
import type { Gathered } from './gather.ts';
import type { RedactedStreams } from './redact.ts';
import { isOutcome, stoppedOutcome, textOf } from './task_outcome.ts';
import type { Gated, Held, StopCause, TaskRun } from './task_run.ts';

/** What a job's `stop` may take beyond the grace between TERM and KILL, before its connection is destroyed. */
const STOP_SPARE_MS = 5_000;

const NOTHING_LENT: Lent = {};

/** The task behind a performance. */
export interface Performer {
  readonly run: TaskRun;
  readonly target: Target;
  readonly attempt: number;
  readonly deadline: TimerEntry;
  readonly idle: TimerEntry;
  readonly gathered: Gathered;
  readonly notes: TaskNote[];
  /** The job runs: the phase `command` begins. */
  commandStarted(): void;
  /** It is over, with its outcome. */
  performed(outcome: Outcome): void;
  /** It is over, with what was thrown. */
  performFailed(error: unknown): void;
  /** Destroys the connection. */
  drop(reason: Error): void;
}

export class Performance implements TaskContext, OutputSink, Gated, Held {
  readonly run: string;
  readonly target: Target;
  readonly count: number;
  readonly connection: Connection;
  readonly sink: OutputSink;
  readonly lingerMs: number;
  readonly graceMs: number;
  readonly lent: Lent;
  stop: (() => void) | undefined = undefined;
  ended: (() => void) | undefined = undefined;
  resume: (() => void) | undefined = undefined;
  began: Began = 'no';
  readonly #performer: Performer;
  readonly #run: TaskRun;
  #over = false;
  #halted: StopCause | undefined = undefined;
  #openGate: (() => void) | undefined = undefined;
  /** The record of the start, once it was asked for. */
  #claim: Promise<void> | undefined = undefined;
  #recorded = false;
  #heldBack = false;
  #redacted: RedactedStreams | undefined = undefined;

  constructor(performer: Performer, connection: Connection) {
    const { request } = performer.run;
    this.#performer = performer;
    this.#run = performer.run;
    this.run = request.run;
    this.target = performer.target;
    this.count = request.plan.planned ?? request.plan.count;
    this.connection = connection;
    this.sink = this;
    this.lingerMs = request.lingerMs;
    this.graceMs = request.graceMs;
    this.lent = performer.run.hooks.lent ?? NOTHING_LENT;
  }

  /** What it is at, in a word. */
  get doing(): string {
    if (this.#halted !== undefined) return 'stopping';
    if (this.#openGate !== undefined) return this.#run.paused ? 'paused' : 'open';
    return this.began === 'yes' ? 'command' : 'open';
  }

  /** Lets the job perform. */
  start(): void {
    const { hooks, kind, paused, lag, called } = this.#run;
    this.#run.wheel.arm(this.#performer.deadline, this.#run.request.limits.deadlines.openMs);
    // The channel opens meanwhile, so that the record costs no time of its own.
    if (hooks.claim !== undefined && kind.session && !paused) this.#claimed(hooks.claim);
    let settled: Promise<Outcome>;
    try {
      const perform = () => kind.perform(this.#run.prepared, this);
      settled = Promise.resolve(lag && called ? lag.during(perform, `the job "${called}"`) : perform());
    } catch (error) {
      this.#rejected(error);
      return;
    }
    settled.then(
      (outcome) => this.#resolved(outcome),
      (error: unknown) => this.#rejected(error),
    );
  }

  begin(): Promise<void> | undefined {
    if (this.#over || this.#halted !== undefined || this.#run.stopped !== 'no') return new Promise<void>(() => {});
    if (this.began !== 'no') return undefined;
    const { paused, hooks, wheel } = this.#run;
    if (!paused && (hooks.claim === undefined || this.#recorded)) {
      this.#begun();
      return undefined;
    }
    wheel.cancel(this.#performer.deadline);
    return new Promise<void>((resolve) => {
      this.#openGate = resolve;
      this.#approach();
    });
  }

  /** The run goes on: what waited for it begins. */
  openGate(): void {
    if (this.#openGate !== undefined && !this.#over) this.#approach();
  }

  /** At the gate, again after each wait. */
  #approach(): void {
    const { paused, gated, hooks } = this.#run;
    if (paused) gated.add(this);
    else if (hooks.claim === undefined || this.#recorded) this.#pass();
    else {
      const again = (): void => this.openGate();
      const claimed = this.#claimed(hooks.claim);
      // Without a record nothing begins; the caller stops the run.
      if (claimed !== undefined) claimed.then(again, () => this.halt('guard'));
      else this.#pass();
    }
  }

  /** Asks for the record of the start, once; undefined: nothing is to be waited for. */
  #claimed(claim: NonNullable<ExecutorHooks['claim']>): Promise<void> | undefined {
    if (this.#claim === undefined && !this.#recorded) {
      this.#claim = claim(this.target.index, this.#performer.attempt)?.then(() => {
        this.#recorded = true;
      });
      if (this.#claim === undefined) this.#recorded = true;
      // It may fail before the job is at the gate.
      this.#claim?.catch(() => {});
    }
    return this.#claim;
  }

  #pass(): void {
    const open = this.#openGate;
    this.#openGate = undefined;
    this.#run.wheel.arm(this.#performer.deadline, this.#run.request.limits.deadlines.openMs);
    this.#begun();
    open?.();
  }

  started(): void {
    if (this.#over || this.began === 'yes') return;
    if (this.began === 'no') this.#begun();
    this.began = 'yes';
    this.#performer.commandStarted();
    if (this.#halted !== undefined) return;
    this.#run.wheel.arm(this.#performer.deadline, this.#run.request.limits.deadlines.commandMs ?? Infinity);
    this.#armIdle();
  }

  heard(): void {
    if (!this.#over && this.began === 'yes' && !this.#heldBack) this.#armIdle();
  }

  secret(name: SecretName): Secret | undefined {
    return this.#run.hooks.secret?.(name, this.target);
  }

  hold(): () => void {
    const { deadline } = this.#performer;
    const { wheel } = this.#run;
    if (this.#over || this.#halted !== undefined || this.began === 'yes' || !deadline.armed) return () => {};
    const leftMs = wheel.leftMs(deadline);
    wheel.cancel(deadline);
    return () => {
      const goesOn = !this.#over && this.#halted === undefined && this.began !== 'yes' && !deadline.armed;
      if (goesOn) wheel.arm(deadline, leftMs);
    };
  }

  setTimer(delayMs: number, callback: () => void): { cancel(): void } {
    return this.#run.clock.setTimer(delayMs, callback);
  }

  note(note: TaskNote): void {
    if (!this.#over && !this.#performer.notes.includes(note)) this.#performer.notes.push(note);
  }

  write(stream: StreamName, chunk: Uint8Array): boolean {
    if (this.#over) return true;
    if (this.began !== 'yes') this.started();
    const { redactor } = this.#run.hooks;
    const seen = redactor === undefined || this.#run.request.gather === 'discard';
    if (seen || (!redactor.active && this.#redacted === undefined)) this.#take(stream, chunk);
    else {
      this.#redacted ??= redactor.streams((name, shown) => this.#take(name, shown));
      this.#redacted.write(stream, chunk);
    }
    if (!this.#heldBack) this.#armIdle();
    return !this.#heldBack;
  }

  /** Output that may be seen. */
  #take(stream: StreamName, chunk: Uint8Array): void {
    this.#performer.gathered.add(stream, chunk);
    if (this.#run.request.gather === 'stream' && !this.#forward(stream, chunk) && !this.#heldBack) this.#holdBack();
  }

  /** The consumer of its output has room again. */
  release(): void {
    if (!this.#heldBack || this.#over) return;
    this.#heldBack = false;
    this.#run.held.delete(this.target.index);
    this.#armIdle();
    try {
      this.resume?.();
    } catch (error) {
      this.#rejected(error);
    }
  }

  /** A timer of the performance expired. */
  expired(entry: TimerEntry): void {
    if (this.#halted !== undefined) this.#abandon();
    else if (this.began !== 'yes') this.halt('open');
    else {
      const cause = entry === this.#performer.idle ? 'idle' : 'command';
      if (this.#run.request.onStop === 'leave') this.leave(cause);
      else this.halt(cause);
    }
  }

  /** Ends it: by the job's own `stop` where it set one. */
  halt(cause: StopCause): void {
    if (this.#over || this.#halted !== undefined) return;
    this.#halted = cause;
    this.#run.wheel.cancel(this.#performer.idle);
    const { stop } = this;
    this.stop = undefined;
    // A job at the gate has nothing on the host that could be stopped.
    if (stop === undefined || this.#openGate !== undefined) {
      this.#abandon();
      return;
    }
    this.#run.wheel.arm(this.#performer.deadline, this.#run.request.graceMs + STOP_SPARE_MS);
    try {
      stop();
    } catch {
      this.#abandon();
    }
  }

  /** Stops waiting for it; the connection is closed politely, and what runs there goes on. */
  leave(cause: StopCause): void {
    if (this.#over) return;
    const stopping = this.#halted !== undefined;
    this.#halted ??= cause;
    this.#end(this.began === 'yes' && !stopping ? 'left-running' : 'unknown');
  }

  /** Nothing of what the job does from here on counts. */
  close(): void {
    // The last line of an output may have no end.
    if (!this.#over) this.#redacted?.end();
    this.#over = true;
    this.#run.gated.delete(this);
    if (this.#heldBack) this.#run.held.delete(this.target.index);
    this.ended?.();
  }

  #begun(): void {
    this.began = 'maybe';
    const { request, clock, hooks } = this.#run;
    try {
      hooks.onStart({
        type: 'task:start',
        time: clock.epoch(),
        run: request.run,
        round: request.round,
        index: this.target.index,
        attempt: this.#performer.attempt,
        host: this.target,
      });
    } catch {
      // A hook that throws never harms the run.
    }
  }

  #forward(stream: StreamName, data: Uint8Array): boolean {
    const { request, clock, hooks } = this.#run;
    try {
      return hooks.onOutput({
        type: 'task:output',
        time: clock.epoch(),
        run: request.run,
        round: request.round,
        index: this.target.index,
        attempt: this.#performer.attempt,
        host: this.target,
        stream,
        data,
      });
    } catch {
      return true;
    }
  }

  /** Output waits for its consumer: its silence is not the host's. */
  #holdBack(): void {
    this.#heldBack = true;
    this.#run.held.set(this.target.index, this);
    if (this.#halted === undefined) this.#run.wheel.cancel(this.#performer.idle);
  }

  #armIdle(): void {
    const { idleMs } = this.#run.request.limits.deadlines;
    if (idleMs !== null && this.#halted === undefined) this.#run.wheel.arm(this.#performer.idle, idleMs);
  }

  #resolved(outcome: unknown): void {
    if (this.#over) return;
    if (isOutcome(outcome)) this.#performer.performed(outcome);
    else this.#rejected(new MyriadError('internal', `job "${this.#run.kind.kind}" ended without an outcome`));
  }

  #rejected(error: unknown): void {
    if (this.#over) return;
    if (this.#halted !== undefined) this.#end(error instanceof StoppedError ? error.remote : 'unknown');
    else if (error instanceof StoppedError) {
      this.#rejected(new MyriadError('internal', `job "${this.#run.kind.kind}" stopped unasked: ${textOf(error)}`));
    } else this.#performer.performFailed(error);
  }

  #abandon(): void {
    this.#performer.drop(new MyriadError('aborted', 'the task was stopped'));
    this.#end('unknown');
  }

  /** A job that did not begin has left nothing on the host. */
  #end(fate: RemoteFate): void {
    const remote = this.began === 'no' ? 'none' : fate;
    this.#performer.performed(stoppedOutcome(this.#halted ?? 'cancelled', this.began, remote));
  }
}
