/**
 * The executor contract: where tasks execute (inline, threads, cluster). Every executor passes one suite, with
 * serialised specs.
 */

import type { TaskOutputEvent, TaskStartEvent } from '../contracts/events.ts';
import type { Gather, Limits } from '../contracts/limits.ts';
import type { Target, TaskResult } from '../contracts/task.ts';
import type { JobSpec, Lent, SecretName } from '../jobs/job.ts';
import type { Secret } from '../ssh/client_auth_secret.ts';
import type { Plan } from './plan.ts';
import type { Redactor } from './redact.ts';

export interface RunRequest {
  readonly run: string;
  readonly round: number;
  readonly plan: Plan;
  readonly job: JobSpec;
  readonly limits: Limits;
  readonly gather: Gather;
  /** Bytes kept per host over both streams. */
  readonly maxOutput: number;
  /** After the status, how long silent output is waited for, in milliseconds. */
  readonly lingerMs: number;
  /** Between TERM and KILL when a task is stopped, in milliseconds. */
  readonly graceMs: number;
  /** What a deadline does to what runs on a host. @default 'terminate' */
  readonly onStop?: 'terminate' | 'leave' | undefined;
}

export interface ExecutorHooks {
  /**
   * Records that a task is about to begin; it begins once this has resolved, or at once where there is nothing to wait for. Where it
   * rejects the task ends as `not-run`, and the caller stops the run. @default nothing is recorded
   */
  claim?(index: number, attempt: number): Promise<void> | undefined;
  onStart(event: TaskStartEvent): void;
  /** Gather mode `stream`; false holds the task's output back until `resume(index)` of the run. */
  onOutput(event: TaskOutputEvent): boolean;
  /** Each result as soon as it is made, long before somebody reads it; those of tasks that will not run as they are read. */
  onEnd?(result: TaskResult): void;
  /** Secrets stay with the caller: no request, and so no journal and no wire, has them. */
  secret?(name: SecretName, target: Target): Secret | undefined;
  /** What tasks get on loan; nothing of it is plain data. */
  readonly lent?: Lent;
  /** Takes what must not be seen out of all that hosts say, before anybody hears of it. @default nothing is taken out */
  readonly redactor?: Redactor | undefined;
}

/** What is in progress now. */
export interface ExecutorStatus {
  /** Waiting for a name or a peer's identification. */
  readonly connecting: number;
  readonly handshaking: number;
  readonly running: number;
  /** Not yet started. */
  readonly waiting: number;
  /** What holds the run back now, once it is over what held it back most, in words; empty where nothing does. */
  readonly limitedBy: string;
  /** Whether the run was stopped before its end: by `cancel`, by the run's own deadline, or by `stop`. */
  readonly stopped: 'no' | 'cancelled' | 'deadline' | 'guard';
  /** The sentence given to `stop`, where that came first. */
  readonly stopReason?: string | undefined;
  /** The longest-running tasks, oldest first: plan index, host label, phase, age in ms; at most `slowest` of them. */
  readonly slowest: readonly {
    readonly index: number;
    readonly label: string;
    readonly phase: string;
    readonly ageMs: number;
  }[];
}

export interface ExecutorRun {
  /**
   * Results in batches as tasks end, one result per planned task, in any order. To be iterated once. A reader that does
   * not read holds back new tasks once `fanout` results wait.
   */
  readonly results: AsyncIterable<readonly TaskResult[]>;
  /** No task starts until `unpause`; what has begun goes on. */
  pause(): void;
  unpause(): void;
  /** Ends what is running (`leave`: only stops waiting for it); what has not begun becomes `not-run`. */
  cancel(running: 'terminate' | 'leave'): void;
  /**
   * A guard found that going on would do harm: nothing begins on a host any more, what has begun goes on to its end, the rest
   * becomes `not-run`. `reason`: one sentence for the summary. Nothing happens where the run was stopped before.
   */
  stop(reason: string): void;
  /** No task starts while so many are unfinished; those that have started go on. Infinity: no such bound, as at the start. */
  cap(unfinished: number): void;
  /** The consumer of `onOutput` has room again for this task. */
  resume(index: number): void;
  status(slowest: number): ExecutorStatus;
}

/** A slice of a sweep: results of `count` addresses from plan index `base` on. */
export interface SweepChunk {
  readonly base: number;
  readonly count: number;
  /** One bit per address, least significant first: answered. */
  readonly bits: Uint8Array;
  /** Round-trip time per address in microseconds; 0 where none came. */
  readonly rtt: Uint32Array;
}

/** Probes a slice of a plan: `base` to `base + count`. Resolves with its chunk; rejects only when it could not probe. */
export type Probe = (plan: Plan, base: number, count: number, signal: AbortSignal) => Promise<SweepChunk>;

export interface Executor {
  readonly name: string;
  /** Starts the tasks of a plan. Throws MyriadError `usage` for a spec that no kind takes. */
  run(request: RunRequest, hooks: ExecutorHooks): Promise<ExecutorRun>;
  /** Probes a plan in chunks, ascending; no object per address. Stops after the current chunk when aborted. */
  sweep(plan: Plan, probe: Probe, signal: AbortSignal): AsyncIterable<SweepChunk>;
  /** Lets go of everything it holds. */
  close(): Promise<void>;
}
