/** The statements by which old rounds of a run go. */
import type { DatabaseSync } from 'node:sqlite';
import { text, whole } from './values.ts';

/** The last key of each table whose rows results point to, or that belong to rounds. */
export interface SharedKeys {
  readonly outcome: number;
  readonly output: number;
  readonly claims: number;
}

/** Bytes of the file that hold something: what was freed is used again. */
export function usedBytes(db: DatabaseSync): number {
  const pragma = (name: string): number => Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
  return (pragma('page_count') - pragma('freelist_count')) * pragma('page_size');
}

export function lastKeys(db: DatabaseSync): SharedKeys {
  const row = db
    .prepare(
      `SELECT (SELECT ifnull(max(id), 0) FROM outcome) AS outcome, (SELECT ifnull(max(id), 0) FROM output) AS output,
       (SELECT ifnull(max(number), 0) FROM claim_group) AS claims`,
    )
    .get()!;
  return { outcome: whole(row.outcome), output: whole(row.output), claims: whole(row.claims) };
}

/** Results before a place, by the kind of their outcome. */
export function countByKind(db: DatabaseSync, place: number): ReadonlyMap<string, number> {
  const rows = db
    .prepare(
      'SELECT kind, count(*) AS count FROM result JOIN outcome ON outcome.id = result.outcome WHERE place < ? GROUP BY kind',
    )
    .all(place);
  return new Map(rows.map((row) => [text(row.kind), whole(row.count)]));
}

/** The tally is of the results that are there. */
export function deleteRoundsBefore(db: DatabaseSync, place: number, byKind: ReadonlyMap<string, number>): void {
  db.prepare('DELETE FROM result WHERE place < ?').run(place);
  const less = db.prepare('UPDATE tally SET count = count - ? WHERE kind = ?');
  for (const [kind, count] of byKind) less.run(count, kind);
}

/** Outcomes, outputs and claims that only results had which are gone. */
export function deleteSharedUpTo(db: DatabaseSync, keys: SharedKeys): void {
  db.prepare('DELETE FROM outcome WHERE id <= ?').run(keys.outcome);
  db.prepare('DELETE FROM output WHERE id <= ?').run(keys.output);
  // Each group is its claims at 12 bytes, and 4 of a checksum.
  db.prepare(
    `UPDATE run SET claims = claims - (SELECT ifnull(sum((length(tasks) - 4) / 12), 0) FROM claim_group WHERE number <= ?)`,
  ).run(keys.claims);
  db.prepare('DELETE FROM claim_group WHERE number <= ?').run(keys.claims);
}
