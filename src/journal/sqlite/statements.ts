/** The statements, one function each: prepared once, then called. None waits, so none can let go of a transaction. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { OutcomeKind } from '../../contracts/outcome.ts';
import { damaged } from '../packing.ts';
import { blob, key, orNull, type Row, text, whole } from './values.ts';

export interface RunRow {
  readonly id: string;
  /** Of what is never changed. */
  readonly crc: number;
  readonly started_at: number;
  readonly phase: 'open' | 'running' | 'ended';
  readonly record: string;
  readonly plan_kind: 'set' | 'rows';
  readonly plan_text: string;
  readonly hosts: number;
  readonly repeat: number;
  readonly claims: number;
  readonly ended_at: number | null;
  readonly summary: string | null;
}

export interface ResultRow {
  readonly place: number;
  readonly outcome: number;
  readonly stdout: number | null;
  readonly stderr: number | null;
  readonly crc: number;
  readonly detail: Uint8Array;
}

export interface OutcomeRow {
  readonly json: string;
  readonly crc: number;
}

export interface OutputRow {
  readonly sha256: Uint8Array;
  readonly length: number;
  readonly crc: number;
  readonly bytes: Uint8Array | null;
}

export function readVersion(db: DatabaseSync): { readonly application: number; readonly version: number } {
  const application = db.prepare('PRAGMA application_id').get() as { application_id: number };
  const version = db.prepare('PRAGMA user_version').get() as { user_version: number };
  return { application: application.application_id, version: version.user_version };
}

/** What is wrong with the file's structure, in SQLite's words; undefined where nothing is. */
export function checkStructure(db: DatabaseSync): string | undefined {
  const found = Object.values(db.prepare('PRAGMA quick_check(1)').get() ?? {})[0];
  return found === 'ok' ? undefined : String(found);
}

export function insertRun(
  db: DatabaseSync,
  run: Omit<RunRow, 'crc' | 'phase' | 'claims' | 'ended_at' | 'summary'>,
): void {
  db.prepare(
    `INSERT INTO run VALUES (1, :id, :crc, :started_at, 'open', :record, :plan_kind, :plan_text, :hosts, :repeat, 0, NULL, NULL)`,
  ).run({ ...run, crc: runChecksum(run) });
}

/** Who the run is and what it runs on: a host set that changed by one letter means other hosts. */
export function runChecksum(run: Pick<RunRow, 'id' | 'record' | 'plan_kind' | 'plan_text' | 'repeat'>): number {
  return crc32(JSON.stringify([run.id, run.record, run.plan_kind, run.plan_text, run.repeat]));
}

const keys = Buffer.alloc(20);

/** Ties a result to its outcome and its outputs: a key that changed would give it another host's. */
export function resultChecksum(row: Omit<ResultRow, 'crc'>): number {
  const { detail } = row;
  keys.writeDoubleLE(row.place, 0);
  keys.writeUInt32LE(row.outcome, 8);
  keys.writeUInt32LE(row.stdout ?? 0, 12);
  keys.writeUInt32LE(row.stderr ?? 0, 16);
  const end = detail.length;
  return crc32(
    keys,
    (detail[end - 4]! | (detail[end - 3]! << 8) | (detail[end - 2]! << 16) | (detail[end - 1]! << 24)) >>> 0,
  );
}

export function selectRun(db: DatabaseSync): RunRow | undefined {
  const row: Row | undefined = db.prepare('SELECT * FROM run').get();
  if (row === undefined) return undefined;
  const [phase, kind] = [text(row.phase), text(row.plan_kind)];
  if ((phase !== 'open' && phase !== 'running' && phase !== 'ended') || (kind !== 'set' && kind !== 'rows')) {
    throw damaged();
  }
  return {
    id: text(row.id),
    crc: whole(row.crc),
    started_at: whole(row.started_at),
    phase,
    record: text(row.record),
    plan_kind: kind,
    plan_text: text(row.plan_text),
    hosts: whole(row.hosts),
    repeat: whole(row.repeat),
    claims: whole(row.claims),
    ended_at: orNull(row.ended_at, whole),
    summary: orNull(row.summary, text),
  };
}

export function insertWriter(db: DatabaseSync, startedAt: number, who: string): void {
  db.prepare('INSERT INTO writer (started_at, who) VALUES (?, ?)').run(startedAt, who);
}

export function insertPlanBlock(db: DatabaseSync, first: number, hosts: Uint8Array): void {
  db.prepare('INSERT INTO plan_block VALUES (?, ?)').run(first, hosts);
}

export function markRunning(db: DatabaseSync, hosts: number): void {
  db.prepare(`UPDATE run SET phase = 'running', hosts = ?`).run(hosts);
}

export function markReopened(db: DatabaseSync): void {
  db.exec(`UPDATE run SET phase = 'running', ended_at = NULL, summary = NULL`);
}

export function markEnded(db: DatabaseSync, at: number, summary: string): void {
  db.prepare(`UPDATE run SET phase = 'ended', ended_at = ?, summary = ?`).run(at, summary);
}

export function countResults(db: DatabaseSync): number {
  return Number(db.prepare('SELECT count(*) AS count FROM result').get()?.count);
}

/** Ascending by place. */
export function* selectResults(db: DatabaseSync, from: number, before: number): Generator<ResultRow> {
  const rows = db.prepare('SELECT * FROM result WHERE place >= ? AND place < ? ORDER BY place');
  for (const row of rows.iterate(from, before)) {
    yield {
      place: whole(row.place),
      outcome: key(row.outcome),
      stdout: orNull(row.stdout, key),
      stderr: orNull(row.stderr, key),
      crc: whole(row.crc),
      detail: blob(row.detail),
    };
  }
}

/** Of the result in the highest round; undefined where there is no result. */
export function selectLastPlace(db: DatabaseSync): number | undefined {
  return orNull(db.prepare('SELECT max(place) AS place FROM result').get()?.place ?? null, whole) ?? undefined;
}

/** Of the first result that is kept; undefined where there is no result. */
export function selectFirstPlace(db: DatabaseSync): number | undefined {
  return orNull(db.prepare('SELECT min(place) AS place FROM result').get()?.place ?? null, whole) ?? undefined;
}

export function selectLastClaimGroup(db: DatabaseSync): Uint8Array | undefined {
  const row = db.prepare('SELECT tasks FROM claim_group ORDER BY number DESC LIMIT 1').get();
  return row === undefined ? undefined : blob(row.tasks);
}

/** Of the last block of a listed plan. */
export function selectLastPlanBlock(db: DatabaseSync): number | undefined {
  return orNull(db.prepare('SELECT max(first) AS first FROM plan_block').get()?.first ?? null, whole) ?? undefined;
}

export function* selectClaimGroups(db: DatabaseSync): Generator<Uint8Array> {
  for (const row of db.prepare('SELECT tasks FROM claim_group ORDER BY number').iterate()) yield blob(row.tasks);
}

export function selectTally(db: DatabaseSync): Partial<Record<OutcomeKind, number>> {
  const tally: Partial<Record<OutcomeKind, number>> = {};
  for (const row of db.prepare('SELECT kind, count FROM tally').all()) {
    tally[text(row.kind) as OutcomeKind] = whole(row.count);
  }
  return tally;
}

/** Those of a reader that are called for every task. */
export class ReaderStatements {
  readonly #planBlock: StatementSync;
  readonly #outcome: StatementSync;
  readonly #output: StatementSync;

  constructor(db: DatabaseSync) {
    this.#planBlock = db.prepare('SELECT hosts FROM plan_block WHERE first = ?');
    this.#outcome = db.prepare('SELECT json, crc FROM outcome WHERE id = ?');
    this.#output = db.prepare('SELECT sha256, length, crc, bytes FROM output WHERE id = ?');
  }

  selectPlanBlock(first: number): Uint8Array | undefined {
    const row = this.#planBlock.get(first);
    return row === undefined ? undefined : blob(row.hosts);
  }

  selectOutcome(id: number): OutcomeRow | undefined {
    const row = this.#outcome.get(id);
    return row === undefined ? undefined : { json: text(row.json), crc: whole(row.crc) };
  }

  selectOutput(id: number): OutputRow | undefined {
    const row = this.#output.get(id);
    if (row === undefined) return undefined;
    const { sha256, length, crc, bytes } = row;
    return { sha256: blob(sha256), length: whole(length), crc: whole(crc), bytes: orNull(bytes, blob) };
  }
}

/** Those of the writer, which are called a million times. */
export class WriterStatements {
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;
  readonly #claims: StatementSync;
  readonly #progress: StatementSync;
  readonly #outcome: StatementSync;
  readonly #output: StatementSync;
  readonly #result: StatementSync;
  readonly #replace: StatementSync;
  readonly #existing: StatementSync;
  readonly #remove: StatementSync;
  readonly #tally: StatementSync;

  constructor(db: DatabaseSync) {
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#rollback = db.prepare('ROLLBACK');
    this.#claims = db.prepare('INSERT INTO claim_group (at, tasks) VALUES (?, ?)');
    this.#progress = db.prepare('UPDATE run SET claims = claims + ?');
    this.#outcome = db.prepare('INSERT INTO outcome (kind, label, began, status, json, crc) VALUES (?, ?, ?, ?, ?, ?)');
    this.#output = db.prepare('INSERT INTO output (sha256, length, crc, bytes) VALUES (?, ?, ?, ?)');
    this.#result = db.prepare('INSERT OR IGNORE INTO result VALUES (?, ?, ?, ?, ?, ?)');
    this.#replace = db.prepare('INSERT OR REPLACE INTO result VALUES (?, ?, ?, ?, ?, ?)');
    this.#existing = db.prepare(
      'SELECT kind, label, began FROM outcome WHERE id = (SELECT outcome FROM result WHERE place = ?)',
    );
    this.#remove = db.prepare('DELETE FROM result WHERE place = ?');
    this.#tally = db.prepare(
      'INSERT INTO tally VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET count = count + excluded.count',
    );
  }

  begin(): void {
    this.#begin.run();
  }

  commit(): void {
    this.#commit.run();
  }

  rollback(): void {
    this.#rollback.run();
  }

  insertClaims(at: number, tasks: Uint8Array): void {
    this.#claims.run(at, tasks);
  }

  addClaims(claims: number): void {
    this.#progress.run(claims);
  }

  insertOutcome(kind: string, label: string, began: string, status: number | null, json: string, crc: number): number {
    return Number(this.#outcome.run(kind, label, began, status, json, crc).lastInsertRowid);
  }

  insertOutput(sha256: Uint8Array, length: number, bytes: Uint8Array | null): number {
    return Number(this.#output.run(sha256, length, bytes === null ? 0 : crc32(bytes), bytes).lastInsertRowid);
  }

  /** False where the task has a result already. */
  insertResult({ place, outcome, stdout, stderr, crc, detail }: ResultRow): boolean {
    return this.#result.run(place, outcome, stdout, stderr, crc, detail).changes !== 0;
  }

  replaceResult({ place, outcome, stdout, stderr, crc, detail }: ResultRow): void {
    this.#replace.run(place, outcome, stdout, stderr, crc, detail);
  }

  removeResult(place: number): void {
    this.#remove.run(place);
  }

  existingOutcome(
    place: number,
  ): { readonly kind: OutcomeKind; readonly label: string; readonly began: string } | undefined {
    return this.#existing.get(place) as ReturnType<WriterStatements['existingOutcome']>;
  }

  addTally(kind: string, count: number): void {
    this.#tally.run(kind, count);
  }
}
