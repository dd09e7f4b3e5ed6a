/** SQLite, loaded with the first journal that is opened: what records nothing need not pay for it at its start. */
import type { DatabaseSync, DatabaseSyncOptions } from 'node:sqlite';

export function openDatabase(path: string, options: DatabaseSyncOptions): DatabaseSync {
  const sqlite = process.getBuiltinModule('node:sqlite');
  return new sqlite.DatabaseSync(path, options);
}
