/** Sweeps in the journal: parts and totals stand together, one process has it at a time, and it is never taken for a run. */
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { SqliteJournal } from '../../src/journal/sqlite/store.ts';
import { SWEEP_KIND, type SweepRecord } from '../../src/journal/sweeps.ts';
import { whoRuns } from '../../src/journal/who.ts';
import { temporary } from './kit.ts';

const record: SweepRecord = {
  id: 'sweep-1',
  startedAt: Date.UTC(2026, 0, 1),
  title: 'ping --icmp 10.0.0.0/8',
  job: { kind: SWEEP_KIND, version: 1, options: {} },
  argv: ['myriad', 'ping'],
  who: whoRuns(),
};

const bytes = (...values: number[]) => Uint8Array.from(values);

function begun() {
  const journal = new SqliteJournal(temporary(), { who: whoRuns(), now: Date.now });
  return { journal, writer: journal.createSweep(record, '{"targets":1}', 70_000) };
}

describe('a sweep in the journal', () => {
  it('is read as it was committed, and goes on', () => {
    const { journal, writer } = begun();
    expect(writer.totals).toBeUndefined();
    writer.commit([[0, bytes(1, 2)]], { totals: { sent: 5 }, outcomes: { ok: 5, timeout: 1 } });
    writer.commit([[1, bytes(3)]], { totals: { sent: 9 }, outcomes: { ok: 9, timeout: 0 } });
    writer.end('stopped');
    writer.close();
    const reader = journal.readSweep('last')!;
    expect([...reader.parts()]).toEqual([0, 1]);
    expect(reader.part(0)).toEqual(bytes(1, 2));
    expect(reader.part(7)).toBeUndefined();
    expect([reader.targets, reader.totals]).toEqual(['{"targets":1}', { sent: 9 }]);
    expect(reader.info).toMatchObject({ state: 'ended', planned: 70_000, stopReason: 'stopped', outcomes: { ok: 9 } });
    reader.close();
    const again = journal.resumeSweep('sweep-1', whoRuns());
    expect(again.totals).toEqual({ sent: 9 });
    again.commit([[0, bytes(9)]], { totals: { sent: 12 }, outcomes: { ok: 12 } });
    expect([...again.parts()]).toEqual([0, 1]);
    expect(again.part(0)).toEqual(bytes(9));
    expect(journal.readSweep('last')!.info.state).toBe('running');
    again.close();
    expect(journal.readSweep('last')!.info.state).toBe('crashed');
  });

  it('is refused to a second process while one has it', () => {
    const { journal, writer } = begun();
    expect(() => journal.resumeSweep('last', whoRuns())).toThrow(/^the run is still in progress: process \d+ of /);
    writer.close();
    journal.resumeSweep('last', whoRuns()).close();
  });

  it('is no run, nor a run a sweep', async () => {
    const { journal, writer } = begun();
    writer.close();
    expect(() => journal.read('last')).toThrow('run sweep-1 is a sweep of "myriad ping", which has no tasks');
    expect([...journal.list()]).toMatchObject([{ id: 'sweep-1', planned: 70_000, title: record.title }]);
    const limits = {} as never;
    const run = { ...record, id: 'run-1', startedAt: Date.UTC(2026, 1, 1), job: { kind: 'command' }, limits };
    const other = await journal.create(run, { kind: 'set', text: 'a[1-3]', hosts: 3, repeat: 1 });
    await other.close();
    expect(journal.readSweep('last')).toBeUndefined();
    expect(() => journal.resumeSweep('last', whoRuns())).toThrow('run run-1 is no sweep');
  });

  it('whose targets have changed is damaged', () => {
    const { journal, writer } = begun();
    writer.close();
    const db = new DatabaseSync(writer.info.path);
    db.exec(`UPDATE run SET plan_text = '{"targets":2}'`);
    db.close();
    expect(() => journal.readSweep('last')).toThrow('is damaged');
    expect(() => journal.resumeSweep('last', whoRuns())).toThrow('is damaged');
  });
});
