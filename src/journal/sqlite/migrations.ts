/**
 * The shape of a run's file, as numbered migrations. One that was released is never edited: a change is a new one at the
 * end. `user_version` in the file is the number of those it has had.
 */
import type { DatabaseSync } from 'node:sqlite';

/** `application_id`: "Myrd". Tells a journal from any other SQLite file. */
export const APPLICATION_ID = 0x4d797264;

const MIGRATIONS: readonly string[] = [
  `
  -- One row. phase: open, running, ended. crc: of what is never changed.
  CREATE TABLE run (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL,
    crc INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    phase TEXT NOT NULL,
    record TEXT NOT NULL,
    plan_kind TEXT NOT NULL,
    plan_text TEXT NOT NULL,
    hosts INTEGER NOT NULL,
    repeat INTEGER NOT NULL,
    claims INTEGER NOT NULL,
    ended_at INTEGER,
    summary TEXT
  ) STRICT;
  -- The processes that wrote, the first as it started the run and one for each resume.
  CREATE TABLE writer (number INTEGER PRIMARY KEY, started_at INTEGER NOT NULL, who TEXT NOT NULL) STRICT;
  -- Hosts of a plan that is a list, packed: first is the host's place.
  CREATE TABLE plan_block (first INTEGER PRIMARY KEY, hosts BLOB NOT NULL) STRICT;
  -- A group of tasks that were about to begin, packed: (round, index, attempt).
  CREATE TABLE claim_group (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, tasks BLOB NOT NULL) STRICT;
  -- Each distinct outcome, mostly once.
  CREATE TABLE outcome (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    began TEXT NOT NULL,
    status INTEGER,
    json TEXT NOT NULL,
    crc INTEGER NOT NULL
  ) STRICT;
  -- Each distinct output, mostly once. bytes: what is kept; NULL where all of it is in a file named by its hash. crc: of them.
  CREATE TABLE output (
    id INTEGER PRIMARY KEY, sha256 BLOB NOT NULL, length INTEGER NOT NULL, crc INTEGER NOT NULL, bytes BLOB
  ) STRICT;
  -- place = round * 2^32 + index. crc: of the row, from that of detail on.
  CREATE TABLE result (
    place INTEGER PRIMARY KEY,
    outcome INTEGER NOT NULL,
    stdout INTEGER,
    stderr INTEGER,
    crc INTEGER NOT NULL,
    detail BLOB NOT NULL
  ) STRICT;
  -- Results by the kind of their outcome, so that a list of runs reads no results.
  CREATE TABLE tally (kind TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  `,
  `
  -- Of a sweep: 65,536 addresses each, packed, by their place in it.
  CREATE TABLE sweep_part (number INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
  -- One row, which changes together with the parts: what is counted over all of them, as JSON.
  CREATE TABLE sweep (one INTEGER PRIMARY KEY CHECK (one = 1), totals TEXT NOT NULL) STRICT;
  `,
];

export const FORMAT_VERSION = MIGRATIONS.length;

/** Brings a file from `version` to FORMAT_VERSION, all or nothing. */
export function migrate(db: DatabaseSync, version: number): void {
  if (version >= FORMAT_VERSION) return;
  const steps = MIGRATIONS.slice(version).join('\n');
  const stamp = `PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT_VERSION};`;
  db.exec(`BEGIN IMMEDIATE; ${steps} ${stamp} COMMIT;`);
}
