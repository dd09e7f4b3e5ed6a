/** Rounds in a journal: what is kept, what goes, and that a file of many rounds does not grow. */
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../src/contracts/outcome.ts';
import type { KeptRounds } from '../../src/journal/journal.ts';
import { temporary } from './kit.ts';
import { made, OK, output, result } from './runs.ts';

const COUNT = 6;
const LARGE = 2 ** 30;

/** Rows per table, and what the file has in use. */
function contents(path: string): { readonly rows: Readonly<Record<string, number>>; readonly pages: number } {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const count = (table: string) => Number(db.prepare(`SELECT count(*) AS n FROM ${table}`).get()!.n);
    const pragma = (name: string) => Number(Object.values(db.prepare(`PRAGMA ${name}`).get()!)[0]);
    const tables = ['result', 'outcome', 'output', 'claim_group'];
    return {
      rows: Object.fromEntries(tables.map((table) => [table, count(table)])),
      pages: pragma('page_count'),
    };
  } finally {
    db.close();
  }
}

/** Every host answers something else in each round, in its own words; some fail. */
const failure = (round: number, index: number): Outcome => ({
  kind: 'unreachable',
  began: 'no',
  cause: 'refused',
  message: `refused ${round} ${index}`,
});

async function record(
  rounds: number,
  keep: KeptRounds,
  text = (round: number, index: number) => `${round} ${index}\n`,
) {
  const folder = temporary();
  const { journal, record, plan, summary } = made(folder, { count: COUNT });
  const writer = await journal.create(record, plan, { keep });
  for (let round = 0; round < rounds; round++) {
    for (let index = 0; index < COUNT; index++) {
      await writer.claim(index, 1, round);
      const outcome = index === 5 ? failure(round, index) : OK;
      writer.result(result('run-1', index, { round, outcome, stdout: output(text(round, index)) }));
    }
    await writer.roundEnd(round);
  }
  return { journal, writer, summary, path: writer.path };
}

describe('rounds that are kept', () => {
  it('are the last ones, each as it was, and the file is whole', async () => {
    const { journal, writer, summary } = await record(25, { rounds: 10, bytes: LARGE });
    await writer.end(summary);
    await writer.close();
    const reader = journal.read('run-1');
    for (let index = 0; index < COUNT; index++) {
      const seen = [...reader.series(index)].map(({ round, stdout, outcome }) => [round, stdout.text(), outcome]);
      const rounds = Array.from({ length: 10 }, (_, i) => 15 + i);
      expect(seen).toEqual(rounds.map((r) => [r, `${r} ${index}\n`, index === 5 ? failure(r, index) : OK]));
    }
    // Both count all rows against what was claimed and tallied: a row too many or too few is damage.
    expect([...reader.tasks()]).toHaveLength(COUNT);
    expect([...reader.select({ by: 'bad' })].map(({ index }) => index)).toEqual([5]);
    expect(reader.info.outcomes).toEqual({ ok: 50, unreachable: 10 });
    expect(reader.lastRound).toBe(24);
    reader.close();
  });

  it('bound every table and the file, however many rounds there were', async () => {
    const grown = async (rounds: number) => {
      const { writer, path } = await record(rounds, { rounds: 20, bytes: LARGE });
      const seen = contents(path);
      await writer.close();
      return seen;
    };
    const [some, many] = [await grown(60), await grown(300)];
    expect(many.rows).toEqual(some.rows);
    expect(many.pages).toBeLessThanOrEqual(some.pages + 2);
  });

  it('are fewer where they do not fit, and never less than the last', async () => {
    const text = (round: number, index: number) => `${round} ${index} `.padEnd(8_000, 'x');
    const { writer, path } = await record(40, { rounds: 1000, bytes: 1_000_000 }, text);
    expect(contents(path).pages * 4096).toBeLessThan(2_000_000);
    await writer.close();
    const tiny = await record(5, { rounds: 1000, bytes: 1 });
    expect(contents(tiny.path).rows.result).toBe(COUNT);
    await tiny.writer.close();
  });

  it('are all where nothing else was asked for', async () => {
    const folder = temporary();
    const { journal, record: row, plan } = made(folder, { count: 1 });
    const writer = await journal.create(row, plan);
    for (let round = 0; round < 30; round++) {
      await writer.claim(0, 1, round);
      writer.result(result('run-1', 0, { round }));
      await writer.roundEnd(round);
    }
    await writer.close();
    const reader = journal.read('run-1');
    expect([...reader.series(0)]).toHaveLength(30);
    reader.close();
  });
});
