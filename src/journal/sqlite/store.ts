/** The runs of a folder, in SQLite: one file per run, so that to forget one is to remove a file. */
import { existsSync, rmSync } from 'node:fs';
import { MyriadError } from '../../contracts/errors.ts';
import { findRun, listRunFiles, newRunFiles, type RunFiles } from '../folder.ts';
import type {
  Journal,
  JournalReader,
  JournalWriter,
  PlanRecord,
  PruneOptions,
  PruneReport,
  RunEntry,
  RunRecord,
  Who,
  WriteOptions,
} from '../journal.ts';
import type { SweepJournal, SweepReader, SweepRecord, SweepWriter } from '../sweeps.ts';
import { journalError } from './errors.ts';
import { openForReading } from './open.ts';
import type { WriterData } from './protocol.ts';
import { pathsOf, prune } from './prune.ts';
import { runInfo, SqliteReader } from './reader.ts';
import { createSweep, readSweep, resumeSweep } from './sweep_store.ts';
import { SqliteWriter } from './writer.ts';

export interface SqliteOptions {
  /** Who looks and prunes: the name in a lock. */
  readonly who: Who;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Bounds every new file, in pages of 4 KiB: for tests of a full disk. @default none */
  readonly maxPages?: number | undefined;
}

export class SqliteJournal implements Journal, SweepJournal {
  readonly folder: string;
  readonly #options: SqliteOptions;

  constructor(folder: string, options: SqliteOptions) {
    this.folder = folder;
    this.#options = options;
  }

  async create(record: RunRecord, plan: PlanRecord, options: WriteOptions = {}): Promise<JournalWriter> {
    const files = newRunFiles(this.folder, record.id, record.startedAt);
    if (listRunFiles(this.folder).some((run) => run.id === record.id)) {
      throw new MyriadError('journal', `run ${record.id} is in the journal ${this.folder} already`);
    }
    const writer = await SqliteWriter.open({
      ...this.#data(files, record.who, options),
      run: {
        id: record.id,
        started_at: record.startedAt,
        record: JSON.stringify(record),
        plan_kind: plan.kind,
        plan_text: plan.kind === 'set' ? plan.text : '',
        hosts: plan.kind === 'set' ? plan.hosts : 0,
        repeat: plan.repeat,
      },
    });
    try {
      await writer.running(plan.kind === 'set' ? plan.hosts : await writer.storePlan(plan.hosts));
      return writer;
    } catch (error) {
      // Nothing began: no run is to be seen where its plan could not be stored.
      await writer.close().catch(() => {});
      for (const path of pathsOf(files)) rmSync(path, { recursive: true, force: true });
      throw error;
    }
  }

  async resume(run: string, who: Who, options: WriteOptions = {}): Promise<JournalWriter> {
    const files = findRun(this.folder, run);
    const writer = await SqliteWriter.open({ ...this.#data(files, who, options), run: undefined });
    try {
      await writer.reopened();
      return writer;
    } catch (error) {
      await writer.close().catch(() => {});
      throw error;
    }
  }

  read(run: string): JournalReader {
    return new SqliteReader(findRun(this.folder, run));
  }

  createSweep(record: SweepRecord, targets: string, count: number): SweepWriter {
    return createSweep(this.folder, record, targets, count);
  }

  resumeSweep(run: string, who: Who): SweepWriter {
    return resumeSweep(this.folder, run, who);
  }

  readSweep(run: string): SweepReader | undefined {
    return readSweep(this.folder, run);
  }

  *list(): Generator<RunEntry> {
    for (const files of listRunFiles(this.folder)) {
      // Pruned meanwhile.
      if (existsSync(files.db)) yield entryOf(files);
    }
  }

  prune(options: PruneOptions = {}): PruneReport {
    return prune(this.folder, this.#options.who, this.#options.now(), options);
  }

  #data(files: RunFiles, who: Who, { outputs = 'head', keep }: WriteOptions): Omit<WriterData, 'run'> {
    return { files, owner: { who, since: this.#options.now() }, outputs, keep, maxPages: this.#options.maxPages ?? 0 };
  }
}

function entryOf(files: RunFiles): RunEntry {
  try {
    const { db, run } = openForReading(files.db);
    try {
      return runInfo(db, run, files);
    } finally {
      db.close();
    }
  } catch (error) {
    return { id: files.id, path: files.db, problem: journalError(error, files.db).message };
  }
}
