/** Recorded runs for people: within the width of the terminal, whatever is in a title. */
import { describe, expect, it } from 'vitest';
import type { RunInfo } from '../../src/journal/journal.ts';
import { pruneLines, runLines, runsHead } from '../../src/output/runs.ts';

const NOW = new Date(2026, 10, 21, 15, 2, 3).getTime();

function run(changes: Partial<RunInfo>): RunInfo {
  return {
    id: '3hk2b0-0f3k2l1n',
    path: '/j/x.db',
    startedAt: NOW,
    title: 'uptime',
    who: { loginUser: 'ada', uid: 1000, terminal: '', hostName: 'desk', pid: 1 },
    state: 'ended',
    planned: 1_000_000,
    endedAt: NOW,
    stopReason: '',
    outcomes: { ok: 1_000_000 },
    ...changes,
  };
}

const lines = (changes: Partial<RunInfo>, columns?: number) =>
  runLines(run(changes), { now: NOW, ...(columns && { columns }) }).split('\n');

describe('a list of runs', () => {
  it('has its columns under their heads', () => {
    expect(runsHead()).toBe('RUN             STARTED     WHO          TASKS STATE    JOB\n');
    expect(lines({})).toEqual(['3hk2b0-0f3k2l1n 11-21 15:02 ada      1,000,000 ok       uptime', '']);
    const other = new Date(2025, 10, 21).getTime();
    expect(lines({ startedAt: other })[0]).toBe('3hk2b0-0f3k2l1n 2025-11-21  ada      1,000,000 ok       uptime');
  });

  it('of a run in rounds all tasks count', () => {
    const [line, next] = lines({ planned: 8, outcomes: { ok: 24 } });
    expect([line, next]).toEqual(['3hk2b0-0f3k2l1n 11-21 15:02 ada             24 ok       uptime', '']);
    expect(lines({ planned: 8, outcomes: { ok: 20, failed: 4 } })[1]!.trim()).toBe('20 ok, 4 failed');
  });

  it.each([80, 100, 60])('cuts titles and wraps outcomes to %i columns', (columns) => {
    const outcomes = { ok: 900_000, failed: 1, timeout: 20_000, unreachable: 30_000, 'auth-failed': 7, lost: 12 };
    const title = '\x1b]0;owned\x07 '.repeat(30);
    const who = { loginUser: 'a-very-long-user-name', uid: 1, terminal: '', hostName: '', pid: 1 };
    const text = lines({ outcomes, title, who, state: 'crashed' }, columns);
    for (const line of text) expect(line.length).toBeLessThanOrEqual(columns);
    expect(text[0]).toContain('a-very-… 1,000,000 crashed');
    expect(text.join('\n')).not.toMatch(/[\x00-\x09\x0b-\x1f]/);
    expect(text.slice(1).join(' ').replace(/\s+/g, ' ')).toContain('12 lost, 49,980 without a result');
  });

  it('tells what did not run from what has no result', () => {
    expect(lines({ planned: 9, outcomes: { ok: 5 } })[1]!.trim()).toBe('5 ok, 4 not-run');
    expect(lines({ planned: 9, outcomes: {}, state: 'open' })[1]!.trim()).toBe('9 without a result');
  });

  it('says what is wrong with a file', () => {
    const entry = { id: 'x', path: '/j/x.db', problem: 'the journal /j/\x1bx.db is damaged' };
    expect(runLines(entry, { now: NOW })).toBe('x               the journal /j/^[x.db is damaged\n');
  });
});

it('what was pruned', () => {
  const removed = [{ id: 'a', path: '/a', bytes: 2048 }];
  const report = { removed, leftBytes: 0, live: ['b', 'c'], problems: ['d could not be removed'] };
  expect(pruneLines(report, false)).toBe(
    'a  2 KiB\nremoved 1 run, 2 KiB; 0 B left\n2 runs in progress: b c\nd could not be removed\n',
  );
});
