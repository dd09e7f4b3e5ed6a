/** Recorded runs from the library: the folder, the daily pruning, and the results of a run once more. */
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openJournal, parseRunReference, pruneDaily, type RunJournal, replay } from '../../src/index.ts';
import { sentence, temporary } from '../journal/kit.ts';
import { endedRun, made, result } from '../journal/runs.ts';

const DAY = 86_400_000;

describe('openJournal', () => {
  it('reads what is there, and makes no folder that was named', async () => {
    const folder = temporary();
    await endedRun(folder, 'one', 3);
    const journal = openJournal({ folder });
    expect([...journal.list()].map(({ id }) => id)).toEqual(['one']);
    expect(await sentence(() => openJournal({ folder: join(folder, 'other') }))).toBe(
      `journal folder ${folder}/other is not there`,
    );
    const file = join(folder, 'file');
    writeFileSync(file, '');
    expect(await sentence(() => openJournal({ folder: file }))).toBe(`journal folder ${file} is not a directory`);
    expect(await sentence(() => openJournal({ folder: join(file, 'below') }))).toContain(
      `journal folder ${file}/below`,
    );
    expect(readdirSync(folder)).not.toContain('other');
  });
});

describe('replay', () => {
  it('accounts for every task of a run that crashed', async () => {
    const folder = temporary();
    const { journal, record, plan } = made(folder, { count: 6 });
    const writer = await journal.create(record, plan);
    for (const index of [1, 3, 4]) await writer.claim(index, 1);
    const startedAt = record.startedAt + 1000;
    await writer.result(result('run-1', 3, { startedAt, durationMs: 500, attempt: 2 }));
    await writer.close();
    const reader = openJournal({ folder }).read('last');
    try {
      const results = replay(reader);
      const outcomes = [...results].map(({ index, outcome }) => `${index} ${outcome.kind}`);
      expect(outcomes).toEqual(['0 not-run', '1 lost', '2 not-run', '3 ok', '4 lost', '5 not-run']);
      const summary = results.summary();
      expect(summary).toMatchObject({ planned: 6, retries: 1, uncertain: 2, durationMs: 1500, stopped: 'no' });
      expect(summary.outcomes).toMatchObject({ ok: 1, lost: 2, 'not-run': 3 });
      expect([...summary.causes.find(({ label }) => label === 'lost(crash)')!.indices()]).toEqual([1, 4]);
    } finally {
      reader.close();
    }
  });

  it('of a run in progress counts what has ended', async () => {
    const folder = temporary();
    const { journal, record, plan } = made(folder, { count: 6 });
    const writer = await journal.create(record, plan);
    await writer.result(result('run-1', 5));
    await writer.flush();
    const reader = openJournal({ folder }).read('run-1');
    try {
      const results = replay(reader);
      expect([...results].map(({ index }) => index)).toEqual([5]);
      expect(results.summary()).toMatchObject({ planned: 1, outcomes: { ok: 1, 'not-run': 0 } });
    } finally {
      reader.close();
      await writer.close();
    }
  });
});

describe('pruneDaily', () => {
  /** How often it was pruned. */
  function counted(folder: string): { readonly journal: RunJournal; pruned: number } {
    const journal = openJournal({ folder });
    const count = { pruned: 0 };
    const prune: RunJournal['prune'] = (options) => {
      count.pruned += 1;
      return journal.prune(options);
    };
    const { list, read, readSweep } = journal;
    const counting = {
      folder,
      list: list.bind(journal),
      read: read.bind(journal),
      readSweep: readSweep.bind(journal),
      prune,
    };
    return Object.assign(count, { journal: counting });
  }

  it('forgets what is old, once a day', async () => {
    const folder = temporary();
    await endedRun(folder, 'one', 1);
    const count = counted(folder);
    const now = Date.UTC(2027, 0, 1, 12);
    for (const at of [now, now + 60_000, now + DAY / 3]) pruneDaily(count.journal, at);
    expect(count.pruned).toBe(1);
    expect(statSync(join(folder, '.pruned')).mtimeMs).toBe(now);
    pruneDaily(count.journal, now + DAY / 2);
    expect(count.pruned).toBe(2);
    // The clock of the journal is this machine's: a run of today stays.
    expect([...count.journal.list()].map(({ id }) => id)).toEqual(['one']);
  });

  it('never throws', () => {
    const fail = () => {
      throw new Error('not to be heard of');
    };
    const journal = { folder: temporary(), list: fail, read: fail, prune: fail };
    expect(() => pruneDaily(journal)).not.toThrow();
    expect(() => pruneDaily({ ...journal, folder: '/proc/nowhere' })).not.toThrow();
  });
});

it('a reference names a run and a selection', () => {
  expect(parseRunReference('-2:rc=7')).toEqual({ run: '-2', selection: { by: 'status', status: 7 } });
  expect(() => parseRunReference(':bad')).toThrow('names no run');
});
