/** Opens a run's file, or says in one sentence why not; what is opened to be read is never changed. */
import { closeSync, existsSync, openSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { MyriadError } from '../../contracts/errors.ts';
import { damaged } from '../packing.ts';
import { openDatabase } from './database.ts';
import { journalError } from './errors.ts';
import { APPLICATION_ID, FORMAT_VERSION, migrate } from './migrations.ts';
import {
  checkStructure,
  countResults,
  type RunRow,
  readVersion,
  runChecksum,
  selectRun,
  selectTally,
} from './statements.ts';

/** How long a statement waits for a reader that recovers the log, or for the other's commit. */
const BUSY_MS = 5_000;

/** A new, empty file of mode 0600; SQLite gives its side files the same. */
export function createDatabase(path: string): DatabaseSync {
  try {
    // Before SQLite has it open: closing a descriptor later would drop its locks.
    closeSync(openSync(path, 'wx', 0o600));
    return openDatabase(path, { timeout: BUSY_MS });
  } catch (error) {
    throw fileError(error, path);
  }
}

/** An error of the file system or of SQLite. */
export function fileError(error: unknown, path: string): MyriadError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const why =
    code === 'EROFS'
      ? 'the file system is read-only'
      : code === 'ENOSPC'
        ? 'the disk is full'
        : code === 'EACCES' || code === 'EPERM'
          ? 'permission denied'
          : code === 'EEXIST'
            ? 'it is there already'
            : undefined;
  if (why === undefined) return journalError(error, path);
  return new MyriadError('journal', `the journal ${path} cannot be created: ${why}; use --journal or --no-journal`, {
    cause: error,
  });
}

/** For the writer. */
export function prepareForWriting(db: DatabaseSync): void {
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;');
}

/** A run that is to be read. The caller closes it. */
export function openForReading(path: string): { readonly db: DatabaseSync; readonly run: RunRow } {
  return opened(path, true);
}

/** A run that is to be gone on with: its whole structure is looked at first. */
export function openForResuming(path: string): { readonly db: DatabaseSync; readonly run: RunRow } {
  const { db, run } = opened(path, false);
  try {
    checkWhole(db);
    migrate(db, readVersion(db).version);
    prepareForWriting(db);
    return { db, run };
  } catch (error) {
    db.close();
    throw journalError(error, path);
  }
}

/** Throws where a part of the file is gone: what is not there would be taken for not run. */
export function checkWhole(db: DatabaseSync): void {
  if (checkStructure(db) !== undefined || countResults(db) !== tallied(db)) throw damaged();
}

/** Results that were counted as they were written. */
export function tallied(db: DatabaseSync): number {
  return Object.values(selectTally(db)).reduce((sum, count) => sum + count, 0);
}

function opened(path: string, readOnly: boolean): { readonly db: DatabaseSync; readonly run: RunRow } {
  if (!existsSync(path)) throw new MyriadError('journal', `the journal ${path} is not there any more`);
  let db: DatabaseSync | undefined;
  try {
    db = openDatabase(path, { readOnly, timeout: BUSY_MS });
    checkVersion(db, path);
    const run = selectRun(db);
    if (run === undefined || runChecksum(run) !== run.crc) throw damaged();
    return { db, run };
  } catch (error) {
    db?.close();
    throw journalError(error, path);
  }
}

function checkVersion(db: DatabaseSync, path: string): void {
  const { application, version } = readVersion(db);
  if (application !== APPLICATION_ID) {
    const empty = application === 0 && version === 0;
    const what = empty ? 'was never begun, or is' : 'is';
    throw new MyriadError('journal', `the journal ${path} ${what} no journal of Myriad; it was left as it is`);
  }
  if (version <= FORMAT_VERSION) return;
  const versions = `format ${version}, this one knows up to ${FORMAT_VERSION}`;
  throw new MyriadError('journal', `the journal ${path} was written by a newer Myriad (${versions}); update Myriad`);
}
