/** What a report is made of: histograms, time, answers; and a page that nothing from a host can break out of. */
import { describe, expect, it } from 'vitest';
import { foldHosts } from '../../src/hostset/fold.ts';
import { changedLines } from '../../src/output/diff_runs.ts';
import { reportPage } from '../../src/output/report.ts';
import { columnStart, Histogram, ReportData, Timeline } from '../../src/output/report_data.ts';
import { output, result } from '../journal/runs.ts';

describe('histogram', () => {
  it('each time is in the column that begins at or before it', () => {
    for (const time of [0, 0.5, 1, 1.18, 1.2, 2, 3, 1000, 123_456, 1e9]) {
      const histogram = new Histogram();
      histogram.add(time);
      const column = histogram.columns.indexOf(1);
      expect(columnStart(column)).toBeLessThanOrEqual(time);
      if (column < histogram.columns.length - 1) expect(columnStart(column + 1)).toBeGreaterThan(time);
    }
  });

  it('quantiles are at most a fifth too long, and never beyond the longest', () => {
    const histogram = new Histogram();
    for (let time = 1; time <= 1000; time++) histogram.add(time);
    for (const share of [0.1, 0.5, 0.95, 0.99]) {
      expect(histogram.quantile(share)).toBeGreaterThanOrEqual(share * 1000);
      expect(histogram.quantile(share)).toBeLessThanOrEqual(share * 1000 * 1.2);
    }
    expect(histogram.quantile(1)).toBe(1000);
  });
});

describe('timeline', () => {
  it('loses none however long it goes on', () => {
    const line = new Timeline();
    for (let at = 0; at < 1000; at++) line.add(at * 50, at * 50 + 120, at % 10 !== 0);
    const sum = (list: Iterable<number>) => [...list].reduce((before, count) => before + count, 0);
    expect([sum(line.ok), sum(line.bad)]).toEqual([900, 100]);
    expect(line.slots * line.slotMs).toBeGreaterThanOrEqual(50_070);
    expect(line.slots).toBeLessThanOrEqual(240);
  });

  it('in progress is what started and has not ended', () => {
    const line = new Timeline();
    line.add(0, 100, true);
    line.add(50, 100, true);
    line.add(50, 2000, true);
    expect(line.inProgress[0]).toBe(1);
    expect(Math.max(...line.inProgress)).toBe(3);
    expect(line.inProgress.at(-1)).toBe(1);
  });
});

const EVIL = `</pre></details><script>alert(1)</script><img src=x onerror='alert("2")'>&amp;\u202e\x1b[31m`;

function page(count: number, make: (index: number) => ReturnType<typeof result>): string {
  const data = new ReportData(1000);
  for (let index = 0; index < count; index++) data.add(make(index));
  const who = { loginUser: EVIL, uid: 0, terminal: '', hostName: EVIL, pid: 1 };
  const info = { id: 'abc', path: '', startedAt: 1000, title: EVIL, who, state: 'ended', planned: count } as const;
  const record = { id: 'abc', startedAt: 1000, title: EVIL, job: {}, limits: {}, argv: [], who };
  const summary = { durationMs: 5000, retries: 3, stopReason: EVIL, limitedBy: EVIL };
  const options = { info, record, summary, data, fold: foldHosts, hosts: count, version: '1' };
  return reportPage(options as unknown as Parameters<typeof reportPage>[0]);
}

/** Every tag is opened and closed in its order, and is one of ours. */
function checkTags(text: string): void {
  const VOID = ['meta', '!doctype'];
  const open: string[] = [];
  for (const [, slash, name, rest] of text.matchAll(/<(\/?)([!a-zA-Z][a-zA-Z0-9]*)((?:\s[^<>]*)?)>/g)) {
    expect(['script', 'img', 'link', 'iframe']).not.toContain(name);
    expect(rest).not.toMatch(/\son\w+=|javascript:|url\(|(?:href|src)=/i);
    if (VOID.includes(name!) || rest!.endsWith('/')) continue;
    if (slash === '') open.push(name!);
    else expect(open.pop()).toBe(name);
  }
  expect(open).toEqual([]);
}

describe('page', () => {
  it('nothing from a host breaks out of it', () => {
    const failed = { kind: 'unreachable', began: 'no', cause: 'refused', message: EVIL } as const;
    const text = page(20, (index) => ({
      ...result('abc', index, {
        stdout: output(EVIL),
        stderr: output(EVIL),
        ...(index % 2 === 0 && { outcome: failed }),
      }),
      host: { label: `${EVIL}${index}`, name: 'x' },
    }));
    checkTags(text);
    expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(text).not.toMatch(/\u202e|\x1b/);
    expect(text).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
    for (const title of ['Outcomes', 'What was not ok', 'Over time', 'Answers', 'What went to stderr', 'The slowest']) {
      expect(text).toContain(`<h2>${title}</h2>`);
    }
  });

  it('says what to do, and which hosts are not ok in all', () => {
    const outcomes = [
      { kind: 'unreachable', began: 'no', cause: 'refused', message: 'no way' },
      { kind: 'failed', began: 'yes', status: 127 },
      { kind: 'ok', began: 'yes', status: 0 },
    ] as const;
    const text = page(30, (index) => ({
      ...result('abc', index, { outcome: outcomes[index % 3]! }),
      host: { label: `web${index}`, name: 'x' },
    }));
    expect(text).toContain('<p>nothing listens there: check -p and that sshd runs</p>');
    expect(text).toContain('<p>the host knows no such command: check its name and PATH there</p>');
    expect(text).toContain('<b>20</b>not ok in all');
    expect(text).toContain('<code class="hosts">web[0-1,3-4,6-7,9-10,12-13,15-16,18-19,21-22,24-25,27-28]</code>');
    expect(text).toContain('<code>--from abc:bad</code>');
  });

  it('answers are shown as they were: tabs, other ends of lines, no half of a character', () => {
    const whole = `a\tb\r\n${'é'.repeat(4000)}`;
    const text = page(1, () => result('abc', 0, { stdout: output(whole), stderr: output('on stderr') }));
    expect(text).toContain('<pre>a\tb\né');
    expect(text).toContain('<p class="more">cut here</p>');
    expect(text).not.toContain('\ufffd');
    expect(text).toContain('<pre>on stderr</pre>');
  });

  it('an empty run has a page, too', () => {
    const text = page(0, () => result('abc', 0));
    checkTags(text);
    expect(text).not.toContain('NaN');
  });

  it('100,000 hosts, each with an answer and a cause of its own: less than 1 MiB', () => {
    const text = page(100_000, (index) => ({
      ...result('abc', index, {
        stdout: output(`${index} ${'x<'.repeat(3000)}`),
        ...(index % 2 === 0 && { outcome: { kind: 'failed', began: 'yes', status: index } as const }),
      }),
      host: { label: `host-${index * 7}.example.org`, name: 'x' },
    }));
    expect(text.length).toBeLessThan(1 << 20);
    expect(text).toContain('>50.0%<');
    expect(text).toContain('and 98,000 tasks with other answers');
    checkTags(text);
  });
});

describe('lines that changed', () => {
  it.each([
    [
      ['a', 'b', 'c'],
      ['a', 'x', 'c'],
      ['-b', '+x'],
    ],
    [['a'], ['a', 'b'], ['+b']],
    [['a', 'b'], [], ['-a', '-b']],
    [
      ['1', '2', '3', '4'],
      ['0', '2', '4', '5'],
      ['-1', '+0', '-3', '+5'],
    ],
    [['a'], ['a'], []],
  ])('%j to %j', (before, after, expected) => expect(changedLines(before, after)).toEqual(expected));
});
