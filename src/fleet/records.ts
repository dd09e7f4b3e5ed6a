/** Runs that are recorded, looked at afterwards: the journal's folder, and the results of a run once more. */
import { statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Summary } from '../contracts/summary.ts';
import type { TaskResult } from '../contracts/task.ts';
import { Accounting } from '../engine/accounting.ts';
import type { Journal, JournalReader } from '../journal/journal.ts';
import type { SweepJournal } from '../journal/sweeps.ts';
import { openRecords } from './journaling.ts';

export interface JournalOptions {
  /** It must be there. @default $XDG_STATE_HOME/myriad/runs, on a network file system /var/tmp/myriad-UID */
  readonly folder?: string | undefined;
  /** Hears, in one sentence, that the journal lies elsewhere. @default nobody */
  readonly tell?: ((sentence: string) => void) | undefined;
}

/** The runs of a folder, to be read and forgotten. Everything throws MyriadError `journal`, one sentence. */
export type RunJournal = Pick<Journal, 'folder' | 'read' | 'list' | 'prune'> & Pick<SweepJournal, 'readSweep'>;

/** Opens a journal for reading. Throws `journal` where its folder cannot be used. */
export function openJournal({ folder, tell = () => {} }: JournalOptions = {}): RunJournal {
  return openRecords(folder, tell);
}

/** When runs were last forgotten is the time of this file. */
const MARK = '.pruned';
const DAY_MS = 86_400_000;

/**
 * Forgets runs that are old, or too many, once a day: 30 days, 2 GiB. Never throws: the run that was is none the worse for
 * what is left lying about.
 */
export function pruneDaily(journal: Pick<RunJournal, 'folder' | 'prune'>, now = Date.now()): void {
  const mark = join(journal.folder, MARK);
  try {
    const last = statSync(mark, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (Math.floor(last / DAY_MS) === Math.floor(now / DAY_MS)) return;
    // Marked first: of two runs that end at once one does it, and what fails is not tried again the same day.
    writeFileSync(mark, '', { mode: 0o600 });
    utimesSync(mark, now / 1000, now / 1000);
    journal.prune();
  } catch {
    // The next day will do.
  }
}

/** The results of a recorded run: to be walked once, to their end, before the summary is asked for. */
export interface Replay extends Iterable<TaskResult> {
  /** Of a run in progress: of what has ended so far, `planned` included. */
  summary(): Summary;
}

/**
 * One result per planned task, in plan order; of a run in progress, those that there are. What had begun when a run crashed is
 * `lost`, what had not is `not-run`. Outputs are read when they are asked for.
 */
export function replay(reader: JournalReader): Replay {
  return new RecordedResults(reader);
}

class RecordedResults implements Replay {
  readonly #reader: JournalReader;
  readonly #accounting: Accounting;
  #lastEndedAt = 0;

  constructor(reader: JournalReader) {
    this.#reader = reader;
    this.#accounting = new Accounting(reader.info.id);
  }

  *[Symbol.iterator](): Generator<TaskResult> {
    const { lastRound, plan } = this.#reader;
    this.#accounting.startRound(lastRound, plan.count);
    for (const result of this.#reader.tasks()) {
      this.#accounting.add(result);
      this.#lastEndedAt = Math.max(this.#lastEndedAt, result.startedAt + result.durationMs);
      yield result;
    }
    if (!this.#isLive) this.#accounting.endRound(lastRound);
  }

  summary(): Summary {
    const { info, summary } = this.#reader;
    const last = Math.max(info.startedAt, info.endedAt ?? this.#lastEndedAt);
    const facts = {
      // The summary of a run that was resumed has the time of its last part alone.
      durationMs: summary === undefined || summary.resumed > 0 ? last - info.startedAt : summary.durationMs,
      stopped: summary?.stopped ?? 'no',
      stopReason: summary?.stopReason ?? '',
      limitedBy: summary?.limitedBy ?? '',
    };
    return this.#isLive ? this.#accounting.soFar(facts) : this.#accounting.summary(facts);
  }

  get #isLive(): boolean {
    return this.#reader.info.state === 'open' || this.#reader.info.state === 'running';
  }
}
