import { describe, expect, it } from 'vitest';
import {
  Progress,
  type ProgressMode,
  type ProgressStatus,
  pausedText,
  progressLine,
  progressMode,
} from '../../src/output/progress.ts';
import { ManualClock, MemorySink } from './helpers.ts';

const CLEAR = '\r\x1b[K';
const idle: ProgressStatus = { planned: 100, outcomes: {}, connecting: 0, handshaking: 0, running: 0, limitedBy: '' };

describe('progressMode', () => {
  it.each([
    ['auto', true, false, 'redraw'],
    ['auto', true, true, 'off'],
    ['auto', false, false, 'off'],
    ['auto', false, true, 'off'],
    ['always', true, false, 'redraw'],
    ['always', true, true, 'lines'],
    ['always', false, false, 'lines'],
    ['always', false, true, 'lines'],
    ['never', true, false, 'off'],
    ['never', false, true, 'off'],
  ] as const)('%s, terminal %s, CI %s: %s', (option, isTTY, ci, mode) => {
    expect(progressMode(option, { isTTY, ci })).toBe(mode);
  });
});

describe('progressLine', () => {
  it.each<[string, Partial<ProgressStatus>, number, string]>([
    ['start', {}, 0, '0/100 0%, 0/s'],
    ['ok only', { outcomes: { ok: 50 } }, 10, '50/100 50%, 10/s, 5.0 s left'],
    ['never 100% too early', { planned: 1000, outcomes: { ok: 999 } }, 1, '999/1,000 99%, 1/s, 1.0 s left'],
    ['done', { outcomes: { ok: 100 } }, 10, '100/100 100%, 10/s'],
    [
      'everything',
      {
        planned: 10_000,
        outcomes: { ok: 3000, failed: 12, unreachable: 400, skipped: 8 },
        connecting: 20,
        handshaking: 64,
        running: 1800,
        limitedBy: 'MaxStartups\n',
      },
      813,
      '3,420/10,000 34%, 12 failed, 400 unreachable, 813/s, 8.1 s left, 20 connecting, 64 handshaking, 1,800 running, limited by: MaxStartups^J',
    ],
    [
      'what takes long',
      { slowest: [{ label: 'web\n7', phase: 'command', ageMs: 5999 }] },
      0,
      '0/100 0%, 0/s, slowest: web^J7 command 5 s',
    ],
    ['what does not', { slowest: [{ label: 'web7', phase: 'command', ageMs: 4999 }] }, 0, '0/100 0%, 0/s'],
  ])('%s', (_, changes, rate, line) => expect(progressLine({ ...idle, ...changes }, rate)).toBe(line));

  it('where there is no room for each outcome, what is not ok is one number', () => {
    const outcomes = { ok: 40, failed: 3, signalled: 1, unreachable: 2, skipped: 4 } as const;
    const whole = '50/100 50%, 3 failed, 1 signalled, 2 unreachable, 10/s, 5.0 s left';
    expect(progressLine({ ...idle, outcomes }, 10, whole.length)).toBe(whole);
    expect(progressLine({ ...idle, outcomes }, 10, whole.length - 1)).toBe('50/100 50%, 6 not ok, 10/s, 5.0 s left');
    const one = { ok: 49, unreachable: 1 } as const;
    expect(progressLine({ ...idle, outcomes: one }, 10, 5)).toBe('50/100 50%, 1 unreachable, 10/s, 5.0 s left');
  });
});

function setUp(mode: ProgressMode, columns = 80) {
  const clock = new ManualClock();
  const sink = new MemorySink(mode === 'redraw');
  const state = { ok: 0 };
  const status = (): ProgressStatus => ({ ...idle, outcomes: { ok: state.ok }, running: 5 });
  const progress = new Progress({ mode, sink, clock, status, columns: () => columns });
  return { clock, sink, state, progress };
}

describe('Progress on a terminal', () => {
  it('draws after a moment, redraws in place, and takes the line away', () => {
    const { clock, sink, state, progress } = setUp('redraw');
    progress.start();
    clock.advance(299);
    expect(sink.text).toBe('');
    clock.advance(1);
    expect(sink.text).toBe(`${CLEAR}0/100 0%, 0/s, 5 running`);
    state.ok = 10;
    clock.advance(200);
    expect(sink.log.at(-1)!.toString()).toMatch(/^\r\x1b\[K10\/100 10%, [\d.]+\/s, [\d.]+ s left, 5 running$/);
    progress.stop();
    expect(sink.log.at(-1)!.toString()).toBe(CLEAR);
    const written = sink.log.length;
    clock.advance(10_000);
    expect(sink.log.length).toBe(written);
    expect(clock.timers).toBe(0);
  });

  it('draws at most five frames a second, and none that shows nothing new', () => {
    const { clock, sink, state, progress } = setUp('redraw');
    progress.start();
    clock.advance(300);
    const before = sink.log.length;
    for (let step = 0; step < 100; step++) {
      state.ok++;
      clock.advance(10);
    }
    expect(sink.log.length - before).toBeLessThanOrEqual(5);
    expect(sink.log.length - before).toBeGreaterThan(2);
    const still = setUp('redraw');
    still.progress.start();
    still.clock.advance(2000);
    expect(still.sink.log.length).toBe(1);
  });

  it.each([20, 10, 2, 1])('fits into %d columns', (columns) => {
    const { clock, sink, progress } = setUp('redraw', columns);
    progress.start();
    clock.advance(300);
    const line = sink.text.replaceAll(CLEAR, '');
    expect(line.length).toBe(Math.max(0, columns - 3));
    if (columns > 3) expect(line.endsWith('…')).toBe(true);
  });

  it('is cleared before output and comes back after it', () => {
    const { clock, sink: stderr, progress } = setUp('redraw');
    const stdout = new MemorySink(true);
    const order: string[] = [];
    stderr.onWrite = () => order.push('line');
    stdout.onWrite = () => order.push('text');
    const wrapped = progress.wrap(stdout);
    progress.start();
    wrapped.write('before any line\n');
    clock.advance(300);
    wrapped.write('a\n');
    wrapped.write('b\n');
    const flushed = stdout.flushes;
    clock.advance(200);
    expect(order).toEqual(['text', 'line', 'line', 'text', 'text', 'line']);
    expect(stderr.log.map(String)[1]).toBe(CLEAR);
    expect(stdout.flushes).toBeGreaterThan(flushed);
    expect(stderr.flushes).toBe(3);
    expect(stdout.text).toBe('before any line\na\nb\n');
  });

  it('does not draw while the terminal does not take what it has', () => {
    const { clock, sink, progress } = setUp('redraw');
    const stdout = new MemorySink(true);
    progress.wrap(stdout);
    stdout.pending = 1;
    progress.start();
    clock.advance(1000);
    expect(sink.text).toBe('');
    stdout.pending = 0;
    clock.advance(200);
    expect(sink.text).not.toBe('');
  });

  it('leaves alone a sink that is no terminal', () => {
    const { progress } = setUp('redraw');
    const file = new MemorySink(false);
    expect(progress.wrap(file)).toBe(file);
  });

  it('shows a steady rate as it is from the first second on', () => {
    const { clock, sink, state, progress } = setUp('redraw');
    progress.start();
    for (let step = 0; step < 20; step++) {
      state.ok += 4;
      clock.advance(200);
    }
    expect(sink.log.at(-1)!.toString()).toContain(', 20/s, ');
  });
});

it('of a run that waits, all of it within the width', () => {
  const outcomes = { ok: 40, failed: 3, signalled: 1, unreachable: 2 } as const;
  expect(pausedText({ ...idle, outcomes, running: 5 }, 40)).toBe(
    '46/100 46%, 3 failed, 1 signalled,\n  2 unreachable, paused, 5 running',
  );
});

describe('Progress for somebody who asks', () => {
  it('tells all of it, within the width, with the slowest tasks', () => {
    const clock = new ManualClock();
    const asked: number[] = [];
    const status = (most: number): ProgressStatus => {
      asked.push(most);
      const ages = [75_000, 3000].slice(0, most);
      const slowest = ages.map((ageMs, at) => ({ label: `web${at}`, phase: 'command', ageMs }));
      return { ...idle, outcomes: { ok: clock.now() / 100 }, running: 2, limitedBy: 'fanout', slowest };
    };
    const progress = new Progress({ mode: 'redraw', sink: new MemorySink(true), clock, status, columns: () => 41 });
    progress.start();
    clock.advance(1000);
    expect(progress.describe()).toBe(
      [
        '10/100 10%, 10/s, 9.0 s left, 2 running,',
        '  limited by: fanout',
        'slowest: web0 command 1 m 15 s,',
        '  web1 command 3 s',
        '',
      ].join('\n'),
    );
    expect(new Set(asked)).toEqual(new Set([0, 1, 5]));
    progress.stop();
  });
});

describe('Progress elsewhere', () => {
  it('writes a line every ten seconds', () => {
    const { clock, sink, state, progress } = setUp('lines');
    progress.start();
    clock.advance(9999);
    expect(sink.text).toBe('');
    state.ok = 20;
    clock.advance(1);
    expect(sink.text).toBe('20/100 20%, 2/s, 40.0 s left, 5 running\n');
    clock.advance(60_000);
    expect(sink.log.length).toBe(7);
    progress.stop();
    expect(sink.log.length).toBe(7);
    expect(clock.timers).toBe(0);
  });

  it('off does nothing', () => {
    const { clock, sink, progress } = setUp('off');
    progress.start();
    clock.advance(60_000);
    progress.stop();
    expect(sink.text).toBe('');
  });
});
