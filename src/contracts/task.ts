/** The words of a task: who it is, where it goes, what it gave. Plain data, so that it crosses threads and machines. */
import type { Outcome } from './outcome.ts';

/** A result's identity. `index` is the task's place in the plan; names and addresses may repeat, this does not. */
export interface TaskIdentity {
  /** The run's id. */
  readonly run: string;
  /** The pass of a repeated run, from 0. */
  readonly round: number;
  /** The place in the plan, from 0. */
  readonly index: number;
  /** The try, from 1. */
  readonly attempt: number;
}

/** A target machine as it was asked for. */
export interface Host {
  /** As written in the host set, with user and port where they were written: what is printed and folded. */
  readonly label: string;
  /** The name or address alone. */
  readonly name: string;
  readonly user?: string | undefined;
  readonly port?: number | undefined;
  /** The private key file that its inventory names for it. */
  readonly identity?: string | undefined;
}

/** A host in its place in a plan. */
export interface Target extends Host {
  readonly index: number;
  /** The `{i}` of `--repeat`, from 1. */
  readonly iteration: number;
}

/** The machine actually reached. */
export interface Reached {
  /** How: our own client, the ssh program, or a program here. */
  readonly transport: 'native' | 'openssh' | 'local';
  readonly address: string;
  readonly port: number;
  /** `SHA256:…` of the host key that was verified; empty where there is none (local). */
  readonly fingerprint: string;
  /** The server's identification string without `SSH-2.0-`; empty where there is none. */
  readonly software: string;
}

/** Phases that take time, with their start and end in milliseconds after the task's start. */
export type PhaseTimes = Partial<Record<'dns' | 'connect' | 'handshake' | 'auth' | 'open' | 'command', PhaseSpan>>;

export interface PhaseSpan {
  readonly start: number;
  end: number;
}

export type StreamName = 'stdout' | 'stderr';

/** What was gathered of one stream of one task. */
export interface Output {
  /** What was kept: at most the run's `maxOutput` per host over both streams. */
  readonly bytes: Buffer;
  /** What was received, kept or not. */
  readonly total: number;
  /** True where `total` is more than was kept. */
  readonly truncated: boolean;
  /** The kept bytes as UTF-8; invalid sequences become U+FFFD. */
  text(): string;
}

/**
 * `output left open`: the status came, but something on the host still held the output open after the linger ·
 * `output cut`: the connection went down after the status and before the end of the output.
 */
export type TaskNote = 'output left open' | 'output cut' | 'stdout truncated' | 'stderr truncated';

export interface TaskResult extends TaskIdentity {
  readonly host: Host;
  /** The `{i}` of `--repeat`, from 1. */
  readonly iteration: number;
  readonly outcome: Outcome;
  /** Undefined where no connection came about. */
  readonly reached: Reached | undefined;
  /** Milliseconds since the epoch at which the first attempt started. */
  readonly startedAt: number;
  /** Milliseconds from the start of the first attempt to the outcome, waiting for retries included. */
  readonly durationMs: number;
  /** Of the last attempt. */
  readonly phases: PhaseTimes;
  /** Where the task executed: `main`, a thread, a node. */
  readonly executor: string;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly notes: readonly TaskNote[];
}

/** An Output over bytes that are ours to keep. */
export class Bytes implements Output {
  static readonly empty: Output = new Bytes(Buffer.alloc(0), 0);

  readonly bytes: Buffer;
  readonly total: number;

  constructor(bytes: Buffer, total: number) {
    this.bytes = bytes;
    this.total = total;
  }

  get truncated(): boolean {
    return this.total > this.bytes.length;
  }

  text(): string {
    return this.bytes.toString('utf8');
  }
}
