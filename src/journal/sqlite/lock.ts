/**
 * The lock of a live run: a file beside it, in which a transaction is open for as long as the run lives. The kernel ends it
 * with the process, however that ends, so no lock is ever stale; readers still see the owner's row.
 */
import { closeSync, existsSync, openSync, statSync, unlinkSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { MyriadError } from '../../contracts/errors.ts';
import type { Who } from '../journal.ts';
import { openDatabase } from './database.ts';
import { isBusy } from './errors.ts';
import { fileError } from './open.ts';

/** For those who only look whether it is held. */
const WAIT_MS = 200;

export interface Owner {
  readonly who: Who;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

export class RunLock {
  readonly #db: DatabaseSync;
  readonly #path: string;

  private constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#path = path;
  }

  /** Throws MyriadError `journal` where the run lives, naming its process, user and start. */
  static take(path: string, owner: Owner): RunLock {
    let db: DatabaseSync | undefined;
    try {
      if (!existsSync(path)) closeSync(openSync(path, 'wx', 0o600));
      const file = statSync(path).ino;
      db = openDatabase(path, { timeout: WAIT_MS });
      // Who owns it need not outlive the machine.
      db.exec('PRAGMA synchronous = OFF; BEGIN IMMEDIATE;');
      db.exec('CREATE TABLE IF NOT EXISTS owner (one INTEGER PRIMARY KEY, json TEXT NOT NULL)');
      db.prepare('INSERT OR REPLACE INTO owner VALUES (1, ?)').run(JSON.stringify(owner));
      db.exec('COMMIT; BEGIN IMMEDIATE;');
      // The owner before may have removed the file that was locked here; a third would not see this lock.
      if (statSync(path, { throwIfNoEntry: false })?.ino !== file) throw held(path);
      return new RunLock(db, path);
    } catch (error) {
      db?.close();
      if (isBusy(error)) throw held(path);
      throw fileError(error, path);
    }
  }

  /** Nobody can take it any more: the file is removed while it is still held. */
  remove(): void {
    unlinkSync(this.#path);
    this.#db.close();
  }
}

/** Whether a run lives. */
export function isLive(path: string): boolean {
  if (!existsSync(path)) return false;
  let db: DatabaseSync | undefined;
  try {
    db = openDatabase(path, { timeout: WAIT_MS });
    db.exec('BEGIN IMMEDIATE; ROLLBACK;');
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    // On a read-only file system nothing lives.
    return false;
  } finally {
    db?.close();
  }
}

/** What a lock's owner left in it; undefined where it cannot be read. */
function readOwner(path: string): Owner | undefined {
  let db: DatabaseSync | undefined;
  try {
    db = openDatabase(path, { readOnly: true });
    const json = db.prepare('SELECT json FROM owner').get()?.json;
    return typeof json === 'string' ? (JSON.parse(json) as Owner) : undefined;
  } catch {
    return undefined;
  } finally {
    db?.close();
  }
}

function held(path: string): MyriadError {
  const owner = readOwner(path);
  if (owner === undefined) return new MyriadError('journal', `the run is still in progress (${path})`);
  const { who, since } = owner;
  const since8601 = new Date(since).toISOString();
  const by = `process ${who.pid} of ${who.loginUser} on ${who.hostName}, since ${since8601}`;
  return new MyriadError('journal', `the run is still in progress: ${by}; wait for it or stop it (${path})`);
}
