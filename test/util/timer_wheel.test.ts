import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TimerEntry, type TimerOwner, TimerWheel } from '../../src/util/timer_wheel.ts';
import { ManualClock } from './manual_clock.ts';

/** Notes when its entry expired. */
class Recorder implements TimerOwner {
  readonly fired: number[] = [];
  readonly entry = new TimerEntry(this);
  readonly #clock: ManualClock;
  next: (() => void) | undefined;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  expired(): void {
    this.fired.push(this.#clock.now());
    this.next?.();
  }
}

function setUp() {
  const clock = new ManualClock();
  const polls: (() => void)[] = [];
  const wheel = new TimerWheel(clock, (callback) => polls.push(callback));
  return { clock, polls, wheel };
}

/** Takes what expired out of the model: each once, not early, at most a tick late; what is overdue must have expired. */
function checkFired(recorders: readonly Recorder[], due: Map<number, number>, now: number): void {
  for (const [i, recorder] of recorders.entries()) {
    const at = due.get(i) ?? Number.NaN;
    expect(recorder.fired.length).toBeLessThanOrEqual(1);
    for (const time of recorder.fired.splice(0)) {
      expect(time).toBeGreaterThanOrEqual(at);
      // A tick, and up to a millisecond because timers take whole ones.
      expect(time).toBeLessThanOrEqual(at + 11);
      due.delete(i);
    }
    if (due.has(i)) expect(now).toBeLessThan(at + 11);
  }
}

describe('timer wheel', () => {
  test('an entry expires once, not early, at most one tick late', () => {
    const { clock, wheel } = setUp();
    const recorder = new Recorder(clock);
    clock.jump(3);
    wheel.arm(recorder.entry, 25);
    clock.advanceSync(24.9);
    expect(recorder.fired).toEqual([]);
    clock.advanceSync(100);
    expect(recorder.fired).toEqual([30]);
    expect(clock.timers).toBe(0);
    expect(wheel.size).toBe(0);
  });

  test('nothing armed holds no timer; one timer serves all', () => {
    const { clock, wheel } = setUp();
    const recorders = Array.from({ length: 100 }, () => new Recorder(clock));
    for (const [i, recorder] of recorders.entries()) wheel.arm(recorder.entry, 1000 + i * 37);
    expect(clock.timers).toBe(1);
    expect(wheel.size).toBe(100);
    for (const recorder of recorders) wheel.cancel(recorder.entry);
    expect(clock.timers).toBe(0);
    expect(wheel.size).toBe(0);
    clock.advanceSync(10_000);
    expect(recorders.every((recorder) => recorder.fired.length === 0)).toBe(true);
  });

  test('re-arming to a later time sets no new timer and moves the expiry', () => {
    const { clock, wheel } = setUp();
    const recorder = new Recorder(clock);
    wheel.arm(recorder.entry, 100);
    const { slot } = recorder.entry;
    wheel.arm(recorder.entry, 30_000);
    expect(recorder.entry.slot).toBe(slot);
    expect(clock.nextAt).toBe(100);
    clock.advanceSync(29_990);
    expect(recorder.fired).toEqual([]);
    clock.advanceSync(10);
    expect(recorder.fired).toEqual([30_000]);
  });

  test('an hour takes four wake-ups a second', () => {
    const { clock, wheel } = setUp();
    const recorders = Array.from({ length: 1000 }, () => new Recorder(clock));
    for (const [i, recorder] of recorders.entries()) wheel.arm(recorder.entry, 3_600_000 + i);
    let wakes = 0;
    while (clock.nextAt < 3_600_000) {
      clock.advanceSync(clock.nextAt - clock.now());
      wakes += 1;
    }
    expect(wakes).toBeLessThan(4 * 3600 + 100);
    clock.advanceSync(3_602_000 - clock.now());
    for (const [i, recorder] of recorders.entries()) {
      expect(recorder.fired).toHaveLength(1);
      expect(recorder.fired[0]).toBeGreaterThanOrEqual(3_600_000 + i);
      expect(recorder.fired[0]).toBeLessThan(3_600_010 + i);
    }
  });

  test('a late tick gives what expired one poll phase, and only that', () => {
    const { clock, polls, wheel } = setUp();
    const [saved, expired, later] = [new Recorder(clock), new Recorder(clock), new Recorder(clock)];
    wheel.arm(saved.entry, 100);
    wheel.arm(expired.entry, 100);
    wheel.arm(later.entry, 300);
    clock.jump(250);
    clock.fireDue();
    expect(polls).toHaveLength(1);
    expect(expired.fired).toEqual([]);
    // The poll phase brings the answer of one, and takes so long that another deadline passes in it.
    wheel.cancel(saved.entry);
    clock.jump(100);
    polls.shift()!();
    expect(saved.fired).toEqual([]);
    expect(expired.fired).toEqual([350]);
    expect(later.fired).toEqual([]);
    // 150 ms of the loop standing still and nine tenths of the long poll phase do not count.
    clock.advanceSync(189);
    expect(later.fired).toEqual([]);
    clock.advanceSync(1);
    expect(later.fired).toEqual([540]);
  });

  test('time in which the loop stood still does not count', () => {
    const { clock, polls, wheel } = setUp();
    const recorder = new Recorder(clock);
    wheel.arm(recorder.entry, 10_000);
    // Let run for 100 ms in a second, as by a machine that has too much to do: the timer comes 650 ms late each time.
    for (let second = 0; second < 20; second++) {
      clock.advanceSync(100);
      clock.jump(900);
      clock.fireDue();
      for (const poll of polls.splice(0)) poll();
    }
    expect(recorder.fired).toEqual([]);
    const left = wheel.leftMs(recorder.entry);
    expect(left).toBeGreaterThan(2_000);
    // From here on the loop runs: what was left is left.
    clock.advanceSync(left - 1);
    expect(recorder.fired).toEqual([]);
    clock.advanceSync(12);
    expect(recorder.fired).toHaveLength(1);
  });

  test('a deadline takes ten times as long at most, however long the loop stands still', () => {
    const { clock, polls, wheel } = setUp();
    const recorder = new Recorder(clock);
    wheel.arm(recorder.entry, 1000);
    for (let turns = 0; recorder.fired.length === 0 && turns < 10; turns++) {
      clock.jump(5000);
      clock.fireDue();
      for (const poll of polls.splice(0)) poll();
    }
    expect(recorder.fired).toEqual([10_000]);
  });

  test('a turn that takes long does not count, either, where a timer was set in it', () => {
    const { clock, polls, wheel } = setUp();
    const [waits, armed] = [new Recorder(clock), new Recorder(clock)];
    wheel.arm(waits.entry, 1000);
    clock.jump(600);
    // Still in that turn.
    wheel.arm(armed.entry, 20);
    clock.fireDue();
    expect(wheel.leftMs(waits.entry)).toBe(750);
    clock.advanceSync(20);
    // What came while it took long is read before anything expires.
    expect(armed.fired).toEqual([]);
    polls.shift()!();
    expect(armed.fired).toEqual([620]);
    clock.advanceSync(730);
    expect(waits.fired).toEqual([1350]);
  });

  test('a wheel without deadlines counts nothing as lost', () => {
    const { clock, polls, wheel } = setUp();
    const recorder = new Recorder(clock);
    wheel.arm(recorder.entry, 100);
    wheel.cancel(recorder.entry);
    clock.jump(60_000);
    wheel.arm(recorder.entry, 100);
    expect(wheel.leftMs(recorder.entry)).toBe(100);
    clock.advanceSync(100);
    expect(recorder.fired).toEqual([60_100]);
    expect(polls).toHaveLength(0);
  });

  test('a tick that is 50 ms late or less counts at once', () => {
    const { clock, polls, wheel } = setUp();
    const recorder = new Recorder(clock);
    wheel.arm(recorder.entry, 100);
    clock.jump(150);
    clock.fireDue();
    expect(polls).toHaveLength(0);
    expect(recorder.fired).toEqual([150]);
  });

  test('arming while a tick is overdue does not pass it over', () => {
    const { clock, wheel } = setUp();
    const [overdue, later] = [new Recorder(clock), new Recorder(clock)];
    wheel.arm(overdue.entry, 100);
    clock.jump(140);
    wheel.arm(later.entry, 1000);
    clock.fireDue();
    expect(overdue.fired).toEqual([140]);
    clock.advanceSync(1000);
    expect(later.fired).toEqual([1140]);
  });

  test('an owner may arm and cancel while entries are visited', () => {
    const { clock, wheel } = setUp();
    const [a, b, c] = [new Recorder(clock), new Recorder(clock), new Recorder(clock)];
    a.next = () => {
      wheel.cancel(b.entry);
      wheel.cancel(c.entry);
      wheel.arm(a.entry, 0);
      a.next = undefined;
    };
    for (const recorder of [b, a, c]) wheel.arm(recorder.entry, 50);
    clock.advanceSync(1000);
    expect(a.fired).toEqual([50, 60]);
    // The order within a tick is open: b and c either expired before a or never.
    for (const recorder of [b, c]) expect(recorder.fired.every((at) => at === 50)).toBe(true);
    expect(b.fired.length + c.fired.length).toBeLessThan(2);
    expect(wheel.size).toBe(0);
  });

  test('an owner that throws does not keep the others from expiring', () => {
    const { clock, wheel } = setUp();
    const recorders = Array.from({ length: 5 }, () => new Recorder(clock));
    for (const recorder of recorders) {
      recorder.next = () => {
        throw new Error('mine');
      };
      wheel.arm(recorder.entry, 20);
    }
    for (let i = 0; i < recorders.length; i++) expect(() => clock.advanceSync(20)).toThrow('mine');
    expect(recorders.map((recorder) => recorder.fired.length)).toEqual([1, 1, 1, 1, 1]);
    expect(clock.timers).toBe(0);
  });

  test('Infinity disarms', () => {
    const { clock, wheel } = setUp();
    const recorder = new Recorder(clock);
    wheel.arm(recorder.entry, 10);
    wheel.arm(recorder.entry, Number.POSITIVE_INFINITY);
    expect(recorder.entry.armed).toBe(false);
    clock.advanceSync(100);
    expect(recorder.fired).toEqual([]);
  });

  test('behaves as a naive model under any sequence', () => {
    const delay = fc.oneof(fc.double({ min: 0, max: 300, noNaN: true }), fc.integer({ min: 0, max: 200_000 }));
    const command = fc.oneof(
      fc.record({ op: fc.constant('arm' as const), entry: fc.nat(7), ms: delay }),
      fc.record({ op: fc.constant('cancel' as const), entry: fc.nat(7), ms: fc.constant(0) }),
      fc.record({ op: fc.constant('advance' as const), entry: fc.constant(0), ms: delay }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 120 }), (commands) => {
        const { clock, polls, wheel } = setUp();
        const recorders = Array.from({ length: 8 }, () => new Recorder(clock));
        const due = new Map<number, number>();
        for (const { op, entry, ms } of commands) {
          const recorder = recorders[entry]!;
          if (op === 'arm') {
            wheel.arm(recorder.entry, ms);
            due.set(entry, clock.now() + ms);
          } else if (op === 'cancel') {
            wheel.cancel(recorder.entry);
            due.delete(entry);
          } else {
            clock.advanceSync(ms);
          }
          checkFired(recorders, due, clock.now());
          expect(wheel.size).toBe(due.size);
          expect(clock.timers).toBe(due.size > 0 ? 1 : 0);
        }
        expect(polls).toHaveLength(0);
      }),
      { numRuns: 500 },
    );
  });
});
