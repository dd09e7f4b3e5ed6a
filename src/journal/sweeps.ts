/**
 * Sweeps in the journal: a file per sweep as of any run, but with parts of many addresses instead of results, and with the targets beside
 * them. What is in a part is the sweep's affair; parts and totals are committed together, so that they never disagree.
 *
 *   (none) ──createSweep──▶ running ──end──▶ ended ──resumeSweep──▶ running
 *   running ──its process is gone──▶ crashed ──resumeSweep──▶ running
 */
import type { OutcomeKind } from '../contracts/outcome.ts';
import type { RunInfo, RunRecord, Who } from './journal.ts';

export type SweepRecord = Omit<RunRecord, 'limits'>;

/** The kind of a sweep's job in its record: what tells it from a run. */
export const SWEEP_KIND = 'sweep';

/** What is counted over all parts, as it stands with them. */
export interface SweepTotals {
  /** Plain data, stored as JSON. */
  readonly totals: unknown;
  /** For the list of runs. */
  readonly outcomes: Readonly<Partial<Record<OutcomeKind, number>>>;
}

export interface SweepReader {
  readonly info: RunInfo;
  readonly record: SweepRecord;
  /** As they were given: the targets, and the totals; undefined before the first commit. */
  readonly targets: string;
  readonly totals: unknown;
  /** Numbers of parts that are there, ascending. */
  parts(): Iterable<number>;
  part(number: number): Uint8Array | undefined;
  close(): void;
}

/** Everything throws MyriadError `journal`. */
export interface SweepWriter extends SweepReader {
  /** All of it, or none. */
  commit(parts: Iterable<readonly [number: number, bytes: Uint8Array]>, totals: SweepTotals): void;
  /** The sweep is over, whether or not it was through. */
  end(stopReason: string): void;
}

/** What a journal of sweeps does beside one of runs. */
export interface SweepJournal {
  readonly folder: string;
  createSweep(record: SweepRecord, targets: string, count: number): SweepWriter;
  /** Refused while it is in progress, naming process, user and start. */
  resumeSweep(run: string, who: Who): SweepWriter;
  /** `run`: an id, `last`, or `-N`. Undefined: it is no sweep. */
  readSweep(run: string): SweepReader | undefined;
}
