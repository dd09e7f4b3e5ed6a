/**
 * The job contract: what is done on a host.
 *
 * spec  plain data that crosses threads and machines: kind, version, options
 * kind  the code behind a spec, registered by name in every thread and node
 */
import type { Outcome } from '../contracts/outcome.ts';
import type { Host, Target, TaskNote } from '../contracts/task.ts';
import type { Secret } from '../ssh/client_auth_secret.ts';
import type { Connection, OutputSink, TransportName } from '../transport/transport.ts';
import type { OwnJob } from './own_face.ts';
import type { StdinSource } from './stdin_source.ts';
import type { HostValues, Refused } from './template.ts';
import type { TerminalSize } from './terminal.ts';

export interface JobSpec {
  readonly kind: string;
  /** Of the options' shape; a kind refuses versions it does not know. */
  readonly version: number;
  /** Structured-cloneable; validated by the kind before anything connects. */
  readonly options: unknown;
}

/** Secrets that a job may ask for while it performs. */
export type SecretName = 'sudo';

/** What the caller of a run lends to its tasks: live things, that no spec can hold. */
export interface Lent {
  readonly stdin?: StdinSource | undefined;
  /** Places of templates beyond what a task says of itself. */
  readonly values?: HostValues | undefined;
  /** Commands get a terminal of this size. */
  readonly terminal?: TerminalSize | undefined;
  /** The job itself, for kind `inline`. */
  readonly own?: OwnJob | undefined;
  /** Jobs of tasks by their index, for kind `submitted`. */
  submitted?(index: number): Submitted | undefined;
}

/** What a task is to do that was handed in by itself. */
export interface Submitted {
  readonly kind: JobKind;
  readonly prepared: unknown;
  /** Who handed it in does not want it any more. */
  readonly signal: AbortSignal | undefined;
}

/** What a task may do while it performs. */
export interface TaskContext {
  /** The run's id. */
  readonly run: string;
  readonly target: Target;
  /** Number of tasks in the plan. */
  readonly count: number;
  /** The connection the kind asked for. */
  readonly connection: Connection;
  /** Where output goes; counts towards the result and the idle deadline. */
  readonly sink: OutputSink;
  /** After the status, how long silent output is waited for, in milliseconds. */
  readonly lingerMs: number;
  /** Between TERM and KILL when the task is stopped, in milliseconds. */
  readonly graceMs: number;
  /** The gate: the job is about to begin on the host. A promise must be awaited before the request leaves. */
  begin(): Promise<void> | undefined;
  /** The job runs: the command deadline is on. */
  started(): void;
  /** Set by the job while it can be stopped (deadline, cancel); called at most once. Without it the connection is dropped. */
  stop: (() => void) | undefined;
  /** Set by the job: called once when nothing of what it does counts any more. */
  ended: (() => void) | undefined;
  /** Set by the job while output is held back by a full sink; called when there is room again. */
  resume: (() => void) | undefined;
  /** The job heard from its host, and writes nothing of it: the idle deadline begins anew. */
  heard(): void;
  /** A secret for this host, asked for when a program there wants it; undefined: the run has none. No spec ever holds one. */
  secret(name: SecretName): Secret | undefined;
  /** The task waits for something on this side: the deadline `open` stands still until what comes back is called. */
  hold(): () => void;
  setTimer(delayMs: number, callback: () => void): { cancel(): void };
  /** What the caller lends to all tasks of the run. */
  readonly lent: Lent;
  /** Adds a remark to the result. */
  note(note: TaskNote): void;
}

/**
 * Thrown by a job that was stopped, after it has done what it could: says what became of the remote process. The
 * engine knows why it stopped it and writes the outcome.
 */
export class StoppedError extends Error {
  readonly remote: 'none' | 'killed' | 'left-running' | 'unknown';

  constructor(remote: StoppedError['remote']) {
    super(`stopped; remote process: ${remote}`);
    this.name = 'StoppedError';
    this.remote = remote;
  }
}

/** One kind of job. `Options` is the validated shape, `Prepared` what one run needs once. */
export interface JobKind<Options = unknown, Prepared = unknown> {
  readonly kind: string;
  readonly version: number;
  /** How it reaches hosts. */
  readonly transport: TransportName;
  /** True: a session is wanted on each connection at once. */
  readonly session: boolean;
  /** Throws MyriadError `usage` naming option and value; never mutates. */
  validate(options: unknown): Options;
  /** Once per run, before anything connects. */
  prepare(options: Options): Prepared | Promise<Prepared>;
  /** For people, on one line. */
  title(options: Options): string;
  /** What a task is to do, on one line for people. @default the title says it for all */
  line?(options: Options): ((target: Target, count: number, values: HostValues) => string) | undefined;
  /** What it is called where it stands in the way of others. @default its kind */
  called?(options: Options): string;
  /** Finds out what can be known to be wrong before anything connects, and takes time to be found. @default nothing */
  check?(options: Options): Promise<void>;
  /** Variables that every host must have, see `template.ts`. @default none */
  hostNames?(options: Options): ReadonlySet<string>;
  /** What it cannot do with a host's values, asked of every host before anything connects. @default it takes all */
  refusal?(options: Options): HostRefusal | undefined;
  /** Once per task. Rejects with the transport's error, or StoppedError; everything else is `error`. */
  perform(prepared: Prepared, task: TaskContext): Promise<Outcome>;
}

/** Undefined: the host's values can be taken. */
export type HostRefusal = (host: Host, values: HostValues) => Refused | undefined;

/** The kinds that a thread or node knows, by name. */
export type JobKinds = ReadonlyMap<string, JobKind>;
