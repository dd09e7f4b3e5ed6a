/**
 * The journal contract: the durable record of runs, one file per run. The engine and the fleet see this file only.
 *
 *   (none) ──create──▶ open ──whole plan stored──▶ running ──end──▶ ended
 *   open, running ──its process is gone──▶ crashed       never stored: what has not ended and holds no lock
 *   crashed (from running), ended ──resume──▶ running     `crashed` from `open`: nothing began, it is to be run again
 *
 * The claim is a gate: `claim` resolves once the start of a task is on disk, and only then may its request leave. What was
 * claimed and has no result may have run: `lost(crash)`. What was not claimed has not begun. Rounds of a polled run only note
 * starts, since what they do is done again by the next round: there, what began in the last 100 ms may be missing.
 *
 * A killed process loses nothing that was confirmed: commits are in the kernel's hands. A loss of power loses no claim that
 * was confirmed, since each group with claims is synced, but may lose the last results; their tasks are then `lost(crash)`,
 * never repeated by themselves.
 */
import type { Limits } from '../contracts/limits.ts';
import type { Outcome, OutcomeKind } from '../contracts/outcome.ts';
import type { CauseCount, Summary } from '../contracts/summary.ts';
import type { Host, Output, StreamName, Target, TaskResult } from '../contracts/task.ts';
import type { IndexSet } from '../util/index_set.ts';

/** Who started a run, where and as what: the caller takes secrets out before it comes here. */
export interface RunRecord {
  /** Letters, digits and `-`, at most 64. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** The job on one line. */
  readonly title: string;
  /** The job's spec; stored as JSON. */
  readonly job: unknown;
  readonly limits: Limits;
  readonly argv: readonly string[];
  readonly who: Who;
}

/** The person and the process behind a run. */
export interface Who {
  /** As logged in, whatever `sudo` made of it since. */
  readonly loginUser: string;
  readonly uid: number;
  /** The terminal's device; empty where there is none. */
  readonly terminal: string;
  readonly hostName: string;
  readonly pid: number;
}

/**
 * `set`: the plan is the host set's text, counted by arithmetic · `rows`: hosts that only a list can give, read once.
 * Every host comes `repeat` times: index = (iteration − 1) × hosts + host.
 */
export type PlanRecord =
  | { readonly kind: 'set'; readonly text: string; readonly hosts: number; readonly repeat: number }
  | { readonly kind: 'rows'; readonly hosts: Iterable<Host> | AsyncIterable<Host>; readonly repeat: number };

/** What is kept of outputs: all bytes · the first 16 KiB and a hash of all · none, only their number. */
export type KeptOutput = 'all' | 'head' | 'none';

export interface JournalWriter {
  readonly run: string;
  readonly path: string;
  /**
   * Resolves once the start of the task is committed. Rejects with MyriadError `journal` where that cannot be done: the
   * task must not begin then.
   */
  claim(index: number, attempt: number, round?: number): Promise<void>;
  /**
   * The same for a task that begins at once, whatever becomes of its record: for what is repeated anyway. It is committed with
   * the results, 100 ms later, and not synced.
   */
  note(index: number, attempt: number, round?: number): void;
  /**
   * Output ahead of its result, for results that do not carry it (gather `stream`). The bytes are copied. A promise: wait
   * for it before giving more.
   */
  output(index: number, stream: StreamName, bytes: Uint8Array, round?: number): Promise<void> | undefined;
  /**
   * The one result of a task in its round. A promise: wait for it before giving more. A `not-run` of a host that was never reached
   * needs no record.
   */
  result(result: TaskResult): Promise<void> | undefined;
  /** Resolves once all that was given so far is committed. */
  flush(): Promise<void>;
  /** The round is complete. */
  roundEnd(round: number): Promise<void>;
  /** The run is complete: everything is committed and the file is marked as ended. */
  end(summary: Summary): Promise<void>;
  /** Commits what was given and lets go of the file; without `end` before, the run can be resumed. */
  close(): Promise<void>;
}

export type RunState = 'open' | 'running' | 'ended' | 'crashed';

/** Plan order is input order. Random access; structurally the engine's plan. */
export interface JournaledPlan {
  /** `set`: by arithmetic, also once the reader is closed; `rows`: read as they are asked for. */
  readonly kind: 'set' | 'rows';
  readonly count: number;
  readonly hosts: number;
  at(index: number): Target;
}

/** The part of a summary that is worth keeping. */
export type JournaledSummary = Omit<Summary, 'causes'> & { readonly causes: readonly Omit<CauseCount, 'indices'>[] };

export interface RunInfo {
  readonly id: string;
  readonly path: string;
  readonly startedAt: number;
  readonly title: string;
  readonly who: Who;
  readonly state: RunState;
  /** Tasks of one round. */
  readonly planned: number;
  /** Undefined until it ends. */
  readonly endedAt: number | undefined;
  /** Why it ended early; empty where it did not. */
  readonly stopReason: string;
  /** Results so far by outcome; tasks without a result are in none. */
  readonly outcomes: Readonly<Partial<Record<OutcomeKind, number>>>;
}

/** What a run in the folder is, or why that cannot be told. */
export type RunEntry =
  | (RunInfo & { readonly problem?: undefined })
  | { readonly id: string; readonly path: string; readonly problem: string };

/** An output as it was kept; `bytes` is read when it is asked for. */
export interface JournaledOutput extends Output {
  /** SHA-256 of all that was received by us, in hexadecimal; empty where nothing was kept of it. */
  readonly sha256: string;
}

export interface ResumeState {
  /** The round that was in progress. */
  readonly round: number;
  /** Tasks with a result that stands. */
  readonly done: IndexSet;
  /** Claimed, and without a result since: they may have run. */
  readonly lost: IndexSet;
}

export interface JournalReader {
  readonly info: RunInfo;
  readonly record: RunRecord;
  readonly summary: JournaledSummary | undefined;
  readonly plan: JournaledPlan;
  /** The last round that left a trace. */
  readonly lastRound: number;
  /** Recorded results in plan order, one at a time. */
  results(round?: number): Iterable<TaskResult>;
  /**
   * One result per planned task, in plan order, of a run that is over: what was claimed and has no result is `lost(crash)`,
   * what was not is `not-run`. Of a live run: recorded results only.
   */
  tasks(round?: number): Iterable<TaskResult>;
  /** What is recorded of one task, round after round, from the oldest round that is kept. */
  series(index: number): Iterable<TaskResult>;
  /** Targets with a selected outcome, in plan order; see `RunSelection`. */
  select(selection: RunSelection, round?: number): Iterable<Target>;
  resumeState(): ResumeState;
  close(): void;
}

/**
 * `all` the plan · `unreached` not ok and never begun · `uncertain` may have run, without a status · `bad` all but ok and
 * skipped · an outcome · an exit status (`rc=N`).
 */
export type RunSelection =
  | { readonly by: 'all' | 'unreached' | 'uncertain' | 'bad' }
  | { readonly by: 'outcome'; readonly kind: OutcomeKind }
  | { readonly by: 'status'; readonly status: number };

export interface PruneOptions {
  /** Milliseconds since a run was over. @default 30 days */
  readonly olderThanMs?: number | undefined;
  /** All runs together; the oldest go first. @default 2 GiB */
  readonly maxBytes?: number | undefined;
  /** Only says what would go. @default false */
  readonly dryRun?: boolean | undefined;
}

export interface PruneReport {
  readonly removed: readonly { readonly id: string; readonly path: string; readonly bytes: number }[];
  /** Bytes that are left. */
  readonly leftBytes: number;
  /** Runs that are in progress: never removed. */
  readonly live: readonly string[];
  /** What could not be removed, a sentence each. */
  readonly problems: readonly string[];
}

export interface WriteOptions {
  /** @default 'head' */
  readonly outputs?: KeptOutput | undefined;
  /** Of a run in rounds: older ones go as newer ones end. @default all rounds stay */
  readonly keep?: KeptRounds | undefined;
}

/** So many rounds, and no more of them than fit into so many bytes; the last one stays in any case. */
export interface KeptRounds {
  readonly rounds: number;
  readonly bytes: number;
}

/** The runs of a folder. Everything rejects and throws MyriadError `journal`, one sentence each. */
export interface Journal {
  readonly folder: string;
  /** A new run; resolves when its plan is stored. */
  create(record: RunRecord, plan: PlanRecord, options?: WriteOptions): Promise<JournalWriter>;
  /** Goes on with a run that is over. Refused while it lives, naming process, user and start. */
  resume(run: string, who: Who, options?: WriteOptions): Promise<JournalWriter>;
  /** `run`: an id, `last`, or `-N`, where `-1` is the last. */
  read(run: string): JournalReader;
  /** Newest first; costs one row per run. */
  list(): Iterable<RunEntry>;
  /** A live run is never removed. */
  prune(options?: PruneOptions): PruneReport;
}

/** The outcome of a task whose run, thread or node is gone. */
export const LOST_IN_CRASH: Outcome = {
  kind: 'lost',
  began: 'maybe',
  cause: 'crash',
  message: 'it was started, and the run ended before its result came',
};

export const NOT_RUN: Outcome = { kind: 'not-run', began: 'no' };
