import { appendFileSync, existsSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findRun } from '../../src/journal/folder.ts';
import type { PruneOptions } from '../../src/journal/journal.ts';
import { temporary } from './kit.ts';
import { endedRun, made, output, result } from './runs.ts';

const DAY = 86_400_000;

/**
 * Three runs that ended just now, in this order, one of them with a large output beside its file, and one that was left
 * ten days ago.
 */
async function four(): Promise<string> {
  const folder = temporary();
  await endedRun(folder, 'first', 1, 1_790_000_000_000);
  const { journal, record, plan, summary } = made(folder, { id: 'second', startedAt: 1_790_000_000_001 });
  const writer = await journal.create(record, plan, { outputs: 'all' });
  await writer.result(result('second', 0, { stdout: output(Buffer.alloc(3_000_000, 'y')) }));
  await writer.end(summary);
  await writer.close();
  await endedRun(folder, 'third', 1, 1_790_000_000_002);
  const left = made(folder, { id: 'left', startedAt: 1_790_000_000_003 });
  await (await left.journal.create(left.record, left.plan)).close();
  const then = (Date.now() - 10 * DAY) / 1000;
  utimesSync(findRun(folder, 'left').db, then, then);
  return folder;
}

const CASES: readonly (readonly [
  what: string,
  daysLater: number,
  options: PruneOptions,
  removed: readonly string[],
])[] = [
  ['nothing that is young and small', 0, {}, []],
  ['what was left for longer than 30 days', 21, {}, ['left']],
  ['all that is older than 30 days', 31, {}, ['left', 'first', 'second', 'third']],
  ['what is older than asked', 2, { olderThanMs: 5 * DAY }, ['left']],
  ['the oldest, until the rest is small enough', 0, { maxBytes: 1_000_000 }, ['left', 'first', 'second']],
  ['all, where nothing may stay', 0, { maxBytes: 0 }, ['left', 'first', 'second', 'third']],
];

describe('prune', () => {
  it.each(CASES)('removes %s', async (_, daysLater, options, removed) => {
    const folder = await four();
    const { journal } = made(folder, { now: () => Date.now() + daysLater * DAY });
    const before = readdirSync(folder);
    const asked = journal.prune({ ...options, dryRun: true });
    expect(readdirSync(folder)).toEqual(before);
    const done = journal.prune(options);
    expect(done).toEqual(asked);
    expect(done.removed.map(({ id }) => id)).toEqual(removed);
    expect([done.live, done.problems]).toEqual([[], []]);
    const left = [...journal.list()].map(({ id }) => id);
    expect(left.sort()).toEqual(['first', 'left', 'second', 'third'].filter((id) => !removed.includes(id)).sort());
    const files = readdirSync(folder, { recursive: true }).map((name) => `${folder}/${name}`);
    const bytes = files.map((file) => statSync(file)).reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
    expect(done.leftBytes).toBe(bytes);
  });

  it('never removes a run that lives, whatever its age', async () => {
    const folder = temporary();
    const { journal, record, plan } = made(folder, { now: () => Date.now() + 1_000 * DAY });
    const writer = await journal.create(record, plan);
    expect(journal.prune({ maxBytes: 0, olderThanMs: 0 })).toMatchObject({ removed: [], live: ['run-1'] });
    await writer.claim(0, 1);
    await writer.close();
    expect(journal.prune({ maxBytes: 0 }).removed).toMatchObject([{ id: 'run-1' }]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('goes by the age of the file where it cannot be read, and leaves what is no run', async () => {
    const folder = temporary();
    const { journal } = made(folder, { now: () => Date.now() + 31 * DAY });
    appendFileSync(`${folder}/20260101T000000000-broken.db`, 'not a database, for longer than a header has');
    appendFileSync(`${folder}/notes.txt`, 'mine');
    expect(journal.prune({}).removed).toMatchObject([{ id: 'broken' }]);
    expect(existsSync(`${folder}/notes.txt`)).toBe(true);
  });
});
