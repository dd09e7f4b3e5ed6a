/** A sweep's file: the row of its run, parts of addresses, one row of totals. Written by the thread that sweeps: a commit every few seconds. */
import { existsSync, rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { MyriadError } from '../../contracts/errors.ts';
import { findRun, listRunFiles, newRunFiles, type RunFiles } from '../folder.ts';
import type { RunInfo, Who } from '../journal.ts';
import { damaged } from '../packing.ts';
import { SWEEP_KIND, type SweepReader, type SweepRecord, type SweepTotals, type SweepWriter } from '../sweeps.ts';
import { openDatabase } from './database.ts';
import { journalError } from './errors.ts';
import { RunLock } from './lock.ts';
import { migrate } from './migrations.ts';
import { createDatabase, openForReading, prepareForWriting } from './open.ts';
import { pathsOf } from './prune.ts';
import { runInfo } from './reader.ts';
import {
  checkStructure,
  insertRun,
  insertWriter,
  markEnded,
  markReopened,
  markRunning,
  type RunRow,
  readVersion,
} from './statements.ts';
import { blob, text, whole } from './values.ts';

/** The record of a run's row, where that is a sweep. */
function sweepRecord(run: RunRow): SweepRecord | undefined {
  try {
    const record = JSON.parse(run.record) as SweepRecord;
    return (record.job as { readonly kind?: string }).kind === SWEEP_KIND ? record : undefined;
  } catch {
    throw damaged();
  }
}

class Reader implements SweepReader {
  readonly info: RunInfo;
  readonly record: SweepRecord;
  readonly targets: string;
  readonly totals: unknown;
  protected readonly db: DatabaseSync;
  protected readonly files: RunFiles;

  constructor(files: RunFiles, db: DatabaseSync, run: RunRow, record: SweepRecord, info = runInfo(db, run, files)) {
    this.files = files;
    this.db = db;
    this.record = record;
    this.targets = run.plan_text;
    this.info = info;
    const row = db.prepare('SELECT totals FROM sweep').get();
    this.totals = row === undefined ? undefined : JSON.parse(text(row.totals));
  }

  parts(): number[] {
    return this.guarded(() => {
      const rows = this.db.prepare('SELECT number FROM sweep_part ORDER BY number').all();
      return rows.map((row) => whole(row.number));
    });
  }

  part(number: number): Uint8Array | undefined {
    return this.guarded(() => {
      const row = this.db.prepare('SELECT body FROM sweep_part WHERE number = ?').get(number);
      return row === undefined ? undefined : blob(row.body);
    });
  }

  close(): void {
    this.db.close();
  }

  protected guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw journalError(error, this.files.db);
    }
  }
}

class Writer extends Reader implements SweepWriter {
  readonly #lock: RunLock;
  #closed = false;

  constructor(files: RunFiles, db: DatabaseSync, run: RunRow, record: SweepRecord, lock: RunLock) {
    // It is this process that holds the lock: asking for it would wait for itself.
    super(files, db, run, record, { ...runInfo(db, run, { ...files, lock: '' }), state: 'running' });
    this.#lock = lock;
  }

  commit(parts: Iterable<readonly [number, Uint8Array]>, { totals, outcomes }: SweepTotals): void {
    this.#transact(() => {
      const part = this.db.prepare('INSERT OR REPLACE INTO sweep_part VALUES (?, ?)');
      for (const [number, bytes] of parts) part.run(number, bytes);
      this.db.prepare('INSERT OR REPLACE INTO sweep VALUES (1, ?)').run(JSON.stringify(totals));
      const tally = this.db.prepare('INSERT OR REPLACE INTO tally VALUES (?, ?)');
      for (const [kind, count] of Object.entries(outcomes)) tally.run(kind, count);
    });
  }

  end(stopReason: string): void {
    this.#transact(() => markEnded(this.db, Date.now(), JSON.stringify({ stopReason })));
  }

  override close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      // A file that is over is one file; not while it has readers.
      this.db.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE;');
    } catch {
      // It stays as it is: complete, with its log beside it.
    }
    this.db.close();
    this.#lock.remove();
  }

  #transact(work: () => void): void {
    this.guarded(() => {
      this.db.exec('BEGIN IMMEDIATE');
      try {
        work();
        this.db.exec('COMMIT');
      } catch (error) {
        // Some errors end the transaction by themselves.
        if (this.db.isTransaction) this.db.exec('ROLLBACK');
        throw error;
      }
    });
  }
}

/** How long a commit waits for a reader that recovers the log. */
const BUSY_MS = 5_000;

/** Throws MyriadError `journal`. */
export function createSweep(folder: string, record: SweepRecord, targets: string, count: number): SweepWriter {
  const files = newRunFiles(folder, record.id, record.startedAt);
  if (listRunFiles(folder).some(({ id }) => id === record.id)) {
    throw new MyriadError('journal', `run ${record.id} is in the journal ${folder} already`);
  }
  const lock = RunLock.take(files.lock, { who: record.who, since: record.startedAt });
  let db: DatabaseSync | undefined;
  try {
    db = createDatabase(files.db);
    prepareForWriting(db);
    migrate(db, 0);
    const json = JSON.stringify(record);
    insertRun(db, {
      id: record.id,
      started_at: record.startedAt,
      record: json,
      plan_kind: 'rows',
      plan_text: targets,
      hosts: count,
      repeat: 1,
    });
    insertWriter(db, record.startedAt, JSON.stringify(record.who));
    markRunning(db, count);
    return new Writer(files, db, rowOf(files), record, lock);
  } catch (error) {
    db?.close();
    // Nothing was asked: no sweep is to be seen.
    for (const path of pathsOf(files)) if (path !== files.lock) rmSync(path, { recursive: true, force: true });
    lock.remove();
    throw journalError(error, files.db);
  }
}

function rowOf({ db: path }: RunFiles): RunRow {
  const { db, run } = openForReading(path);
  db.close();
  return run;
}

/** Throws MyriadError `journal`, `usage` for what is no sweep. */
export function resumeSweep(folder: string, name: string, who: Who): SweepWriter {
  const files = findRun(folder, name);
  const record = sweepRecord(rowOf(files));
  if (record === undefined) throw new MyriadError('usage', `run ${files.id} is no sweep: resume it as a run`);
  const lock = RunLock.take(files.lock, { who, since: Date.now() });
  let db: DatabaseSync | undefined;
  try {
    db = openBefore(files);
    insertWriter(db, Date.now(), JSON.stringify(who));
    markReopened(db);
    return new Writer(files, db, rowOf(files), record, lock);
  } catch (error) {
    db?.close();
    lock.remove();
    throw journalError(error, files.db);
  }
}

/** Opened to be written. Throws where a part of the file is gone. */
function openBefore({ db: path }: RunFiles): DatabaseSync {
  if (!existsSync(path)) throw new MyriadError('journal', `the journal ${path} is not there any more`);
  const db = openDatabase(path, { timeout: BUSY_MS });
  try {
    if (checkStructure(db) !== undefined) throw damaged();
    migrate(db, readVersion(db).version);
    prepareForWriting(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Undefined: it is no sweep. Throws MyriadError `journal`. */
export function readSweep(folder: string, name: string): SweepReader | undefined {
  const files = findRun(folder, name);
  const { db, run } = openForReading(files.db);
  try {
    const record = sweepRecord(run);
    if (record !== undefined) return new Reader(files, db, run, record);
  } catch (error) {
    db.close();
    throw journalError(error, files.db);
  }
  db.close();
  return undefined;
}
