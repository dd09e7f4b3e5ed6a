/** What the tasks of a run share, and what they tell it: the run's side of a task. */
import type { Clock, Random } from '../contracts/limits.ts';
import type { Outcome, Phase } from '../contracts/outcome.ts';
import type { TaskResult } from '../contracts/task.ts';
import type { JobKind } from '../jobs/job.ts';
import type { ConnectOptions, Transport } from '../transport/transport.ts';
import type { TimerWheel } from '../util/timer_wheel.ts';
import type { Bottleneck } from './bottleneck.ts';
import type { ExecutorHooks, RunRequest } from './executor.ts';
import type { LagMeter } from './lag.ts';
import type { Lending } from './lending.ts';
import type { AddressLimits, Slots } from './limits.ts';
import type { Patience } from './patience.ts';

/** Tasks by what they are at; `none`: over. */
export type Stage = 'connecting' | 'handshaking' | 'running' | 'none';

/** A job that is held before it begins, because the run is paused. */
export interface Gated {
  openGate(): void;
}

/** A job whose output is held back, because its consumer is full. */
export interface Held {
  release(): void;
}

/** A task in the run's list, which is in the order of starting. The links are the run's. */
export interface ListedTask {
  older: ListedTask | null;
  newer: ListedTask | null;
  readonly index: number;
  readonly label: string;
  /** What it is at, in a word. */
  readonly doing: string;
  ageMs(now: number): number;
  /** Ends it; `leave` does not wait for what runs on the host. */
  stop(cause: StopCause, running: 'terminate' | 'leave'): void;
}

/** What tasks tell those limits of their run that change. */
export interface Adapting {
  /** A task starts. */
  tries(): void;
  /** A task tries again. */
  triesAgain(): void;
  /** It is about to connect to `address`, as the transport names it. */
  reached(address: string | undefined): void;
  /** It needs no login: its connection was there. */
  reused(): void;
  /** Its login took so long. */
  loggedIn(ms: number): void;
  /** A try came to nothing; `news`: as none of this task did before, or of another at its address. */
  failed(outcome: Outcome, news: boolean): void;
}

export interface TaskRun {
  readonly request: RunRequest;
  readonly hooks: ExecutorHooks;
  readonly kind: JobKind;
  readonly prepared: unknown;
  readonly transport: Transport;
  readonly connectOptions: ConnectOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly wheel: TimerWheel;
  /** The executor's name. */
  readonly executor: string;
  readonly lag: LagMeter | undefined;
  /** What a job that is not ours is called: its calls are measured. */
  readonly called: string | undefined;
  readonly places: Slots;
  readonly handshakes: Slots;
  readonly addresses: AddressLimits;
  readonly bottleneck: Bottleneck;
  readonly lending: Lending;
  /** From the beginning of the connection to the host's identification. */
  readonly answers: Patience;
  /** From there until the connection is authenticated. */
  readonly logins: Patience;
  /** Missing where no limit of the run changes. */
  readonly adapter: Adapting | undefined;
  readonly stages: Record<Stage, number>;
  readonly paused: boolean;
  readonly stopped: 'no' | 'cancelled' | 'deadline' | 'guard';
  readonly gated: Set<Gated>;
  /** By plan index. */
  readonly held: Map<number, Held>;
  /** A place came free although no task ended. */
  placeLent(): void;
  /** The task is over and holds nothing any more. Once per task. */
  ended(task: ListedTask, result: TaskResult): void;
}

/** Why a task is stopped: by the user, by a guard, or by the deadline of a phase. */
export type StopCause = Phase | 'cancelled' | 'guard';

/** Given to a transport whose attempt is stopped because a deadline passed. */
export class DeadlineError extends Error {
  readonly phase: Phase;

  constructor(phase: Phase) {
    super(`the deadline of phase ${phase} passed`);
    this.name = 'DeadlineError';
    this.phase = phase;
  }
}
