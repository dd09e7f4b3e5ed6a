/** What SQLite throws, as one sentence with what to do. */
import { MyriadError } from '../../contracts/errors.ts';
import { DamagedRecord } from '../packing.ts';

/** Primary result codes. */
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const PERM = 3;
const AUTH = 23;
const NOTADB = 26;

/** The primary result code of an error of SQLite's; undefined for any other. */
function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & 0xff;
}

export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === BUSY || code === LOCKED;
}

/** A MyriadError `journal` that names the file; other MyriadErrors stay as they are. */
export function journalError(error: unknown, path: string): MyriadError {
  // An integer that no number of ours has been.
  const outOfRange = error instanceof RangeError && 'code' in error && error.code === 'ERR_OUT_OF_RANGE';
  if (error instanceof DamagedRecord || outOfRange) return damagedFile(path, error);
  if (error instanceof MyriadError) return error;
  const why = error instanceof Error ? error.message : String(error);
  switch (sqliteCode(error)) {
    case FULL:
      return made(`the journal ${path} cannot grow: the disk is full; free some space and resume the run`, error);
    case READONLY:
      return made(`the journal ${path} cannot be written: it is read-only; use --journal or --no-journal`, error);
    case CANTOPEN:
    case PERM:
    case AUTH:
      return made(`the journal ${path} cannot be opened (${why}); check its permissions`, error);
    case CORRUPT:
    case NOTADB:
      return damagedFile(path, error);
    case BUSY:
    case LOCKED:
      return made(`the journal ${path} is locked by another process; try again when that is done`, error);
    case IOERR:
      return made(`the journal ${path} cannot be read or written (${why}); check the disk`, error);
    default:
      return made(`the journal ${path} cannot be used: ${why}`, error);
  }
}

export function damagedFile(path: string, cause?: unknown): MyriadError {
  return made(`the journal ${path} is damaged and was left as it is; use --no-journal, or another run`, cause);
}

function made(message: string, cause: unknown): MyriadError {
  return new MyriadError('journal', message, { cause });
}
