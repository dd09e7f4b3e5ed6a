/** Options of fleets and runs that have to do with the journal. */
import type { KeptOutput } from '../journal/journal.ts';

/** Whether runs are recorded, and what they have to do with runs that are. */
export interface JournalingOptions {
  /**
   * Records every run, so that it can be looked at and resumed: in this folder; true: in $XDG_STATE_HOME/myriad/runs, on a network
   * file system in /var/tmp/myriad-UID. @default false
   */
  readonly journal?: boolean | string;
  /** Hosts of runs that are recorded, `RUN` or `RUN:SELECTION`, as `last:bad`. */
  readonly from?: string | readonly string[];
  /** The run to go on with, by `resume()`: its hosts, and how they were reached, where these options say nothing else. */
  readonly resume?: string;
  /** The command line, for the record. @default that of this process */
  readonly argv?: readonly string[];
}

export const JOURNALING_OPTIONS: readonly (keyof JournalingOptions)[] = ['journal', 'from', 'resume', 'argv'];

/** How a run is recorded. */
export interface RecordOptions {
  /** What is kept of outputs: the first 16 KiB of a host and a hash of all, all, or only how much they were. @default 'head' */
  readonly journalOutput?: KeptOutput;
  /** A run that is resumed does over what may have run when it crashed. @default false: it is `lost(crash)` */
  readonly idempotent?: boolean;
}

export const RECORD_OPTIONS: readonly (keyof RecordOptions)[] = ['journalOutput', 'idempotent'];
