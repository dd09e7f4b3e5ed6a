/** Rounds, changes and series as people see them. */
import { describe, expect, it } from 'vitest';
import { changeLine, pollingLines, roundLine, roundProgress } from '../../src/output/polling.ts';
import { type Point, renderSeries } from '../../src/output/series.ts';
import { renderSummary } from '../../src/output/summary.ts';
import { ended, fold, label, roundEnd, summaryOf } from './helpers.ts';

const TIME = Date.UTC(2026, 0, 2, 3, 4, 5);

describe('rounds', () => {
  it.each([
    [{ round: 2, rounds: 10, nextInMs: undefined, overruns: 0 }, 'round 3 of 10'],
    [{ round: 1234, rounds: Infinity, nextInMs: 6200, overruns: 2 }, 'round 1,235, next in 7 s, 2 overruns'],
    [{ round: 0, rounds: Infinity, nextInMs: 90_000, overruns: 1 }, 'round 1, next in 1 m 30 s, 1 overrun'],
  ])('%j: %s', (status, line) => {
    expect(roundProgress(status)).toBe(line);
  });

  it('have a line each', () => {
    const { outcomes } = summaryOf([]);
    const event = { ...roundEnd(2), outcomes: { ...outcomes, ok: 98, unreachable: 2 }, durationMs: 1234, changes: 1 };
    expect(roundLine(event)).toBe('round 3: 98 ok, 2 unreachable in 1.2 s, 1 change\n');
  });

  it('have their part of the summary', () => {
    const hosts = { up: 98, down: 2, unknown: 1, stale: 2, oldestMs: 9 };
    const polling = { rounds: 12, overruns: 3, changes: 5, hosts };
    const lines = [
      '12 rounds, 5 changes, at the end 98 up, 2 down, 1 unknown',
      '3 rounds left out, as the one before was not over (--every)',
      '2 hosts without an answer for longer than three periods',
    ];
    expect(pollingLines(polling)).toEqual(lines);
    const text = renderSummary({ ...summaryOf([]), polling }, { label, fold, hostKeysVerified: true });
    for (const line of lines) expect(text).toContain(`${line}\n`);
  });

  it('name a host that failed in many of them once', () => {
    const summary = summaryOf([[{ kind: 'failed', began: 'yes', status: 1 }, 1]]);
    const causes = summary.causes.map((cause) => ({ ...cause, count: 50, places: 1 }));
    const text = renderSummary({ ...summary, causes }, { label, fold, hostKeysVerified: true });
    expect(text).toMatch(/^ {2}50 failed\(1\): web1$/m);
  });
});

describe('a change', () => {
  const line = (change: 'up' | 'down' | 'answer', wish: Parameters<typeof ended>[1], value: string | null = null) =>
    changeLine({ type: 'change', time: TIME, change, value, result: ended(0, wish).result });

  it('is a line', () => {
    expect(line('up', { stdout: 'hello\nmore\n' })).toBe('2026-01-02T03:04:05Z web1 up: hello\n');
    expect(line('answer', { stdout: 'x' }, '7')).toBe('2026-01-02T03:04:05Z web1 answers: 7\n');
    expect(line('answer', { outcome: { kind: 'failed', began: 'yes', status: 3 }, stdout: 'inactive\n' })).toBe(
      '2026-01-02T03:04:05Z web1 answers: failed(3): inactive\n',
    );
    expect(line('up', {})).toBe('2026-01-02T03:04:05Z web1 up\n');
    const gone = { kind: 'unreachable', began: 'no', cause: 'refused', message: 'connection refused' } as const;
    expect(line('down', { outcome: gone })).toBe(
      '2026-01-02T03:04:05Z web1 down: unreachable(refused): connection refused\n',
    );
  });

  it('shows control sequences and long answers cut, never whole', () => {
    const shown = line('answer', { stdout: `\x1b]0;title\x07${'y'.repeat(5000)}` });
    expect(shown).not.toContain('\x1b');
    expect(shown.length).toBeLessThan(250);
  });
});

describe('a series', () => {
  const points = (values: readonly (string | undefined)[]): Point[] =>
    values.map((value, i) => ({
      time: TIME + i * 1000,
      value,
      outcome: value === undefined ? 'timeout(connect)' : 'ok',
    }));

  it('is a chart of block characters where its values are numbers', () => {
    const text = renderSeries('web1', points(['0', '8', undefined, '4']), 80);
    expect(text.split('\n')).toEqual([
      'web1: 4 rounds, 1 without a value',
      '8  █',
      '   █',
      '   █',
      '4  █ ▁',
      '   █ █',
      '   █ █',
      '   █ █',
      '0 ▁█×█',
      '  2026-01-02T03:04:05Z – 2026-01-02T03:04:08Z',
      '',
    ]);
  });

  it('fits the width, whatever there is, and has no control sequence', () => {
    for (const columns of [30, 80, 200]) {
      for (const count of [1, 79, 1000, 100_000]) {
        const text = renderSeries(
          'h',
          points(Array.from({ length: count }, (_, i) => String(Math.sin(i / 50) * 1e6))),
          columns,
        );
        const lines = text.split('\n');
        for (const each of lines.slice(0, -2)) expect(each.length).toBeLessThanOrEqual(columns);
        expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f]/);
      }
    }
  });

  it('is the same number all the time: a line in the middle', () => {
    expect(renderSeries('h', points(['5', '5']), 80)).toContain('5 ██\n');
  });

  it('is a list of changes where they are words, the last ones', () => {
    expect(renderSeries('h', points(['a', 'a', 'b\x1b[1m', undefined, 'b']), 80)).toBe(
      [
        'h: 5 rounds, 1 without a value',
        '2026-01-02T03:04:05Z a',
        '2026-01-02T03:04:07Z b^[[1m',
        '2026-01-02T03:04:08Z timeout(connect)',
        '2026-01-02T03:04:09Z b',
        '',
      ].join('\n'),
    );
    const many = renderSeries('h', points(Array.from({ length: 100 }, (_, i) => `v${i}`)), 80).split('\n');
    expect(many).toHaveLength(43);
    expect(many[1]).toBe('… 60 changes before');
  });
});
