import { appendFileSync, copyFileSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeAll, describe, expect, it } from 'vitest';
import { MyriadError } from '../../src/contracts/errors.ts';
import { findRun } from '../../src/journal/folder.ts';
import type { JournalReader } from '../../src/journal/journal.ts';
import { sentence, temporary } from './kit.ts';
import { endedRun, made, output, result, WHO } from './runs.ts';

const COUNT = 1_500;

/** A run that crashed, with a listed plan, all kinds of rows, and its whole truth. */
async function crashedRun(folder: string): Promise<void> {
  const { journal, record } = made(folder, { count: COUNT });
  const hosts = Array.from({ length: COUNT }, (_, i) => ({ label: `h${i + 1}`, name: `h${i + 1}` }));
  const writer = await journal.create(record, { kind: 'rows', hosts, repeat: 1 });
  for (let index = 0; index < COUNT - 200; index++) {
    void writer.claim(index, 1);
    const outcome = { kind: 'failed', began: 'yes', status: index % 50 } as const;
    if (index % 7 !== 0) await writer.result(result('run-1', index, { outcome, stderr: output(`e${index % 90}`) }));
  }
  await writer.close();
}

/** All that a reader says, as one text. */
function everything(reader: JournalReader): string {
  const tasks = [...reader.tasks()].map(({ stdout, stderr, ...rest }) => [rest, stdout.text(), stderr.text()]);
  const { round, done, lost } = reader.resumeState();
  const bad = [...reader.select({ by: 'bad' })];
  return JSON.stringify([tasks, round, [...done], [...lost], bad, reader.record]);
}

/** What reading comes to: the truth's text, or the sentence. */
function attempt(folder: string): { readonly text?: string; readonly why?: string } {
  let reader: JournalReader | undefined;
  try {
    reader = made(folder).journal.read('last');
    return { text: everything(reader) };
  } catch (error) {
    if (error instanceof MyriadError && error.code === 'journal') return { why: error.message };
    throw error;
  } finally {
    reader?.close();
  }
}

/** Repeatable numbers from 0 to 2^32. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state;
  };
}

describe('a damaged file', () => {
  let whole: Buffer;
  let truth: string;
  const name = '20260920T000000000-run-1.db';

  beforeAll(async () => {
    const folder = temporary();
    await crashedRun(folder);
    whole = readFileSync(findRun(folder, 'last').db);
    truth = attempt(folder).text!;
    expect(truth.length).toBeGreaterThan(100_000);
  });

  /** In a folder of its own: is the file left as it was, and what is said of it? */
  function judged(bytes: Buffer): ReturnType<typeof attempt> {
    const folder = temporary();
    const path = join(folder, name);
    writeFileSync(path, bytes);
    const found = attempt(folder);
    expect(readFileSync(path).equals(bytes)).toBe(true);
    rmSync(folder, { recursive: true });
    return found;
  }

  it('is the truth where nothing changed', () => {
    expect(judged(whole).text).toBe(truth);
  });

  it.each([0, 1, 99, 100, 4_096, 40_000, 100_001])('that was cut at %i bytes is told in a sentence', (length) => {
    const { why } = judged(whole.subarray(0, length));
    expect(why).toMatch(/^the journal \/.*(is damaged and was left as it is|no journal of Myriad|cannot be used)/);
  });

  it('with random bytes in the middle says so, or says the truth, never anything else', () => {
    let told = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const random = numbers(seed * 7_919);
      const bytes = Buffer.from(whole);
      const at = 100 + (random() % (bytes.length - 200));
      const length = seed % 3 === 0 ? 1 : 1 + (random() % 64);
      for (let i = 0; i < length; i++) bytes[at + i] = random() >>> 24;
      const { text, why } = judged(bytes);
      if (text !== undefined && text !== truth) throw new Error(`seed ${seed}: another truth after byte ${at}`);
      if (why !== undefined) told += 1;
    }
    // Unused bytes of a page may change unseen.
    expect(told).toBeGreaterThan(30);
  });

  it('is not gone on with, nor changed by the try', async () => {
    const folder = temporary();
    const path = join(folder, name);
    const bytes = Buffer.from(whole);
    bytes.fill(0x5a, 20_000, 30_000);
    writeFileSync(path, bytes);
    expect(await sentence(() => made(folder).journal.resume('last', WHO))).toContain(
      'is damaged and was left as it is',
    );
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  it('stands in the list with its sentence, beside those that can be read', async () => {
    const folder = temporary();
    await endedRun(folder, 'good', 1);
    writeFileSync(join(folder, name), whole.subarray(0, 5_000));
    expect([...made(folder).journal.list()]).toMatchObject([
      { id: 'good', state: 'ended' },
      { id: 'run-1', problem: expect.stringContaining('is damaged') },
    ]);
  });

  it('beside the journal is told when it is read', async () => {
    const folder = temporary();
    const { journal, record, plan } = made(folder);
    const writer = await journal.create(record, plan, { outputs: 'all' });
    await writer.result(result('run-1', 0, { stdout: output(Buffer.alloc(2_000_000, 'z')) }));
    await writer.close();
    const reader = journal.read('last');
    const [task] = [...reader.results()];
    const spilled = join(findRun(folder, 'last').outputs, (task!.stdout as { sha256?: string }).sha256!);
    truncateSync(spilled, 1_999_999);
    expect(await sentence(() => task!.stdout.text())).toContain('is damaged');
    rmSync(spilled);
    expect(await sentence(() => task!.stdout.text())).toMatch(/the output .* cannot be read/);
    reader.close();
  });
});

describe('a file that is not for us', () => {
  async function changed(sql: string): Promise<{ folder: string; path: string; bytes: Buffer }> {
    const folder = temporary();
    await endedRun(folder, 'run-1', 2);
    const path = findRun(folder, 'last').db;
    const db = new DatabaseSync(path);
    db.exec(sql);
    db.close();
    return { folder, path, bytes: readFileSync(path) };
  }

  it.each([
    ['PRAGMA user_version = 7', /was written by a newer Myriad \(format 7, this one knows up to 2\); update Myriad$/],
    ['PRAGMA application_id = 1', /is no journal of Myriad; it was left as it is$/],
    [`UPDATE run SET plan_text = 'g[1-2]'`, /is damaged and was left as it is/],
    [`UPDATE run SET phase = 'paused'`, /is damaged and was left as it is/],
    ['DELETE FROM result WHERE place = 1', /is damaged and was left as it is/],
    ['DELETE FROM claim_group', /is damaged and was left as it is/],
  ])('after %s is told in a sentence and left as it is', async (sql, expected) => {
    const { folder, path, bytes } = await changed(sql);
    expect(attempt(folder).why).toMatch(expected);
    expect(readFileSync(path).equals(bytes)).toBe(true);
    expect(existsSync(`${path}-wal`)).toBe(false);
  });

  it('is not gone on with when it is newer', async () => {
    const { folder, path, bytes } = await changed('PRAGMA user_version = 7');
    expect(await sentence(() => made(folder).journal.resume('last', WHO))).toContain('newer Myriad');
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  it('is never written over', async () => {
    const folder = temporary();
    const { journal, record, plan } = made(folder, { startedAt: Date.UTC(2026, 8, 20) });
    appendFileSync(join(folder, '20260920T000000000-run-1.db'), 'mine');
    expect(await sentence(() => journal.create(record, plan))).toContain('already');
    copyFileSync(join(folder, '20260920T000000000-run-1.db'), join(folder, 'copy'));
    expect(readFileSync(join(folder, 'copy'), 'utf8')).toBe('mine');
  });
});

describe('a file that reached its bound', () => {
  it('refuses claims, keeps what was confirmed, and can be gone on with', async () => {
    const folder = temporary();
    const { journal, record, plan } = made(folder, { count: 100_000, maxPages: 60 });
    const writer = await journal.create(record, plan, { outputs: 'all' });
    const claimed: number[] = [];
    let why = '';
    for (let index = 0; why === '' && index < 100_000; index += 50) {
      const group = Array.from({ length: 50 }, (_, i) => index + i);
      await Promise.all(group.map((i) => writer.claim(i, 1))).then(
        () => claimed.push(...group),
        (error: Error) => {
          why = error.message;
        },
      );
      for (const i of group) await writer.result(result('run-1', i, { stdout: output(`${i}`.repeat(20)) }));
    }
    expect(why).toMatch(/^the journal \/.* cannot grow: the disk is full; free some space and resume the run$/);
    expect(claimed.length).toBeGreaterThan(100);
    // It goes on refusing: nothing begins that is not recorded.
    expect(await sentence(() => writer.claim(99_999, 1))).toContain('the disk is full');
    expect(await sentence(() => writer.close())).toContain('the disk is full');

    const reader = journal.read('last');
    const { done, lost } = reader.resumeState();
    expect(claimed.every((index) => done.has(index) || lost.has(index))).toBe(true);
    expect(lost.has(99_999)).toBe(false);
    reader.close();
    const again = await made(folder).journal.resume('last', WHO);
    await again.claim(99_999, 1);
    await again.close();
  });
});
