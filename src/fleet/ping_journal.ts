/** Sweeps and the journal: a record for one that begins, and one that goes on from its record. */
import { MyriadError } from '../contracts/errors.ts';
import type { Who } from '../journal/journal.ts';
import { SWEEP_KIND, type SweepRecord, type SweepWriter } from '../journal/sweeps.ts';
import { whoRuns } from '../journal/who.ts';
import { openForRecords, openRecords } from './journaling.ts';
import { type PingOptions, refuseUnknown } from './ping_options.ts';
import { restoreTargets, resumedOptions, type StoredPing, storeOptions, storeTargets } from './ping_stored.ts';
import type { Targets } from './ping_targets.ts';
import { newRunId } from './run_id.ts';
import { SELECTION_OPTIONS } from './selection_options.ts';

/** Where a sweep comes from, and goes to. */
export interface PingSource {
  readonly options: PingOptions;
  /** The host sets as they were written. */
  readonly texts: readonly string[];
  readonly argv: readonly string[];
  readonly signal: AbortSignal | undefined;
  readonly journal: boolean | string | undefined;
  /** What is to be said of the selection. */
  readonly warnings: readonly string[];
  /** The record that it goes on from. */
  readonly resumed: SweepWriter | undefined;
}

/** A title in a list is cut there in any case. */
const MOST_TITLE = 200;

/** A new record. Throws MyriadError `journal`. */
export function createRecord(
  targets: Targets,
  { options, texts, argv }: PingSource,
  journal: true | string,
  tell: (sentence: string) => void,
): SweepWriter {
  const { level = 'icmp' } = options;
  const record: SweepRecord = {
    id: newRunId(),
    startedAt: Date.now(),
    title: `ping --${level} ${texts.join(',')}`.trimEnd().slice(0, MOST_TITLE),
    job: { kind: SWEEP_KIND, version: 1, options: storeOptions(options) },
    argv: [...argv],
    who: whoRuns(),
  };
  return openForRecords(journal, tell).createSweep(record, storeTargets(targets), targets.count);
}

export interface ResumedPing {
  readonly writer: SweepWriter;
  readonly targets: Targets;
  readonly options: PingOptions;
}

/** What a sweep goes on with; the lock is taken. Throws `usage` for options that do not go with it, `journal`. */
export function openResumed(run: string, given: PingOptions, who: Who): ResumedPing {
  refuseUnknown(given);
  for (const name of ['hosts', 'hostFiles', 'exclude', 'from', 'usable', 'family', ...SELECTION_OPTIONS] as const) {
    if (given[name] !== undefined) throw new MyriadError('usage', `${name}: a sweep is resumed on its own addresses`);
  }
  const journal = openRecords(given.journal, () => {});
  const writer = journal.resumeSweep(run, who);
  try {
    const { id } = writer.info;
    const { options } = writer.record.job as { readonly options: StoredPing };
    return { writer, targets: restoreTargets(id, writer.targets), options: resumedOptions(id, options, given) };
  } catch (error) {
    writer.close();
    throw error;
  }
}
