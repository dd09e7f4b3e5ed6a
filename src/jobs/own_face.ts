/** What a job of the caller's own sees of its task: the same for a function of a module and for one that is given as it is. */
import type { Output } from '../contracts/task.ts';

/** The host of a task. */
export interface CustomHost {
  /** As it was written. */
  readonly label: string;
  /** Its name or address alone. */
  readonly name: string;
  /** As whom it is reached. */
  readonly user: string;
  readonly port: number;
  /** The task's place in the plan, from 0. */
  readonly index: number;
}

export interface CustomExecOptions {
  /** Sent to stdin, then its end. @default stdin ends at once */
  readonly stdin?: string | Uint8Array;
  /**
   * The ends that are expected, exit statuses or `none`: another one is thrown, and where nobody catches it the task ends as that
   * command did. @default every end is expected
   */
  readonly okStatus?: readonly (number | 'none')[];
  /** Bytes kept over both streams; what is more is counted and let go. @default 1 MiB */
  readonly maxOutput?: number;
}

/** How a command ended: by a status, by a signal, or with neither. */
export interface CustomExecResult {
  readonly status: number | null;
  /** Without `SIG`. */
  readonly signal: string | null;
  readonly stdout: Output;
  readonly stderr: Output;
}

/** One task, as the function performs it. Its members may be taken out of it. */
export interface CustomTask<Options = unknown> {
  readonly host: CustomHost;
  /** The `{i}` of `repeat`, from 1. */
  readonly iteration: number;
  /** As they were given to the run; of a module's function frozen, since all tasks of a thread share them. */
  readonly options: Options;
  /** Aborts when the task is stopped: by a deadline, by the user, by the end of the run. */
  readonly signal: AbortSignal;
  /**
   * Runs a command line in the host's login shell, on the connection of the task; one at a time. Rejects with what went wrong with the
   * connection: let through, the task ends with the outcome that says so.
   */
  exec(command: string, options?: CustomExecOptions): Promise<CustomExecResult>;
  /** Adds to the task's stdout. Resolves when there is room for more: a function that writes much waits for it. */
  write(output: string | Uint8Array): Promise<void>;
  /** Throws: the task ends as `failed`, with this sentence, whatever comes after. */
  fail(message: string): never;
}

/**
 * Performs one task. Nothing or a value: the task is `ok`, the value is one line of JSON on its stdout. `{ ok: false, message }`: it is
 * `failed`. What it throws is a fault on this side: the task ends as `error`.
 */
export type CustomFunction<Options = unknown> = (task: CustomTask<Options>) => unknown;

/** A function, and what its tasks get as their options. */
export interface OwnJob {
  readonly perform: (task: CustomTask) => unknown;
  readonly options: unknown;
}
