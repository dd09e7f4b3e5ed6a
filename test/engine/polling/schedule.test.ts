/** When rounds are due and how their starts are spread, by arithmetic alone. */
import { describe, expect, it } from 'vitest';
import { type PollRules, RoundPace, RoundSchedule } from '../../../src/engine/polling/schedule.ts';

/** The same numbers every time. */
function randoms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

const rulesOf = (rules: Partial<PollRules>): PollRules => ({
  everyMs: 1000,
  jitterMs: 100,
  rounds: Infinity,
  ...rules,
});

describe('RoundSchedule', () => {
  it('every round begins at a multiple of the period, none twice, and those between are the overruns', () => {
    const random = randoms(7);
    for (let run = 0; run < 50; run++) {
      const everyMs = 10 + Math.floor(random() * 1000);
      const schedule = new RoundSchedule(rulesOf({ everyMs, jitterMs: 0 }), 5);
      const starts: number[] = [];
      for (let round = 0; round < 40; round++) {
        const at = schedule.nextAt;
        starts.push(at);
        expect(schedule.begin()).toBe(round);
        schedule.over(at + random() * 3 * everyMs);
      }
      for (const [round, at] of starts.entries()) {
        expect((at - 5) % everyMs).toBe(0);
        if (round > 0) expect(at).toBeGreaterThan(starts[round - 1]!);
      }
      const slots = (schedule.nextAt - 5) / everyMs;
      expect(slots).toBe(40 + schedule.overruns);
    }
  });

  it.each([
    [0, 1000, 0],
    [999.9, 1000, 0],
    [1000, 1000, 0],
    [1000.1, 2000, 1],
    [2000, 2000, 1],
    [2000.1, 3000, 2],
  ])('a round that is over after %d ms: the next at %d, %d left out', (took, next, overruns) => {
    const schedule = new RoundSchedule(rulesOf({}), 0);
    schedule.begin();
    schedule.over(took);
    expect([schedule.nextAt, schedule.overruns]).toEqual([next, overruns]);
  });

  it('what was due while nobody wanted a round is no overrun', () => {
    const schedule = new RoundSchedule(rulesOf({}), 0);
    schedule.begin();
    schedule.over(4500, false);
    expect([schedule.nextAt, schedule.overruns]).toEqual([5000, 0]);
  });

  it('ends after its rounds, and what would have come later is no overrun', () => {
    const schedule = new RoundSchedule(rulesOf({ rounds: 2 }), 0);
    schedule.begin();
    schedule.over(10);
    expect(schedule.done).toBe(false);
    schedule.begin();
    schedule.over(9999);
    expect([schedule.done, schedule.overruns]).toEqual([true, 0]);
  });
});

/** When each place may start, where each start takes so long and is a login or not. */
function starts(pace: RoundPace, count: number, login: (place: number) => boolean, tookMs: number): number[] {
  const at: number[] = [];
  const ends: { readonly at: number; readonly place: number }[] = [];
  let now = 0;
  while (at.length < count) {
    while (ends.length > 0 && ends[0]!.at <= now) pace.ended(login(ends.shift()!.place));
    const here = pace.here(now);
    while (at.length < here) {
      ends.push({ at: now + tookMs, place: at.length });
      at.push(now);
    }
    const next = Math.min(pace.nextAt(now), ends[0]?.at ?? Infinity);
    if (at.length < count) expect(next).toBeGreaterThanOrEqual(now);
    now = Math.max(next, now + 0.001);
  }
  return at;
}

describe('RoundPace', () => {
  it('spreads warm hosts over the jitter, each at the same offset in every round', () => {
    const random = randoms(3);
    for (let run = 0; run < 20; run++) {
      const count = 1 + Math.floor(random() * 500);
      const jitterMs = Math.floor(random() * 900);
      const rules = rulesOf({ jitterMs });
      const first = starts(new RoundPace(rules, count, 0, true), count, () => false, 3);
      const again = starts(new RoundPace(rules, count, 0, true), count, () => false, 90);
      for (const [place, at] of first.entries()) {
        expect(at).toBeGreaterThanOrEqual((place / count) * jitterMs - 0.01);
        expect(at).toBeLessThan((place / count) * jitterMs + 0.01);
        expect(again[place]).toBeCloseTo(at, 1);
      }
    }
  });

  it('without jitter all may start at once', () => {
    expect(new RoundPace(rulesOf({ jitterMs: 0 }), 1_000_000, 50, true).here(50)).toBe(1_000_000);
  });

  it('spreads the logins of a fleet that has restarted over four fifths of the period', () => {
    const count = 1000;
    const at = starts(
      new RoundPace(rulesOf({ everyMs: 10_000, jitterMs: 1000 }), count, 0, true),
      count,
      () => true,
      20,
    );
    // What was under way when it was noticed, then one every 8 ms.
    const atOnce = at.filter((start) => start <= 100).length;
    expect(atOnce).toBeLessThan(120);
    for (let from = 200; from < 7800; from += 400) {
      const inWindow = at.filter((start) => start >= from && start < from + 400).length;
      expect(inWindow).toBeLessThanOrEqual(90);
    }
    expect(at.at(-1)).toBeGreaterThan(6500);
    expect(at.at(-1)).toBeLessThan(8100);
  });

  it('spreads them from the first where it is known that the connections are gone', () => {
    const count = 1000;
    const rules = rulesOf({ everyMs: 10_000, jitterMs: 1000 });
    // So slow that none has ended while all of them would have started.
    const paced = (kept: number) => starts(new RoundPace(rules, count, 0, true, kept), count, () => true, 1500);
    const inFirstSecond = (at: readonly number[]) => at.filter((start) => start <= 1000).length;
    expect(inFirstSecond(paced(0))).toBeLessThan(32 + 1000 / 8 + 2);
    expect(paced(0).at(-1)).toBeLessThan(8100);
    // As many as are no heap: offsets say when.
    expect(inFirstSecond(paced(900))).toBe(count);
  });

  it('goes on as before where some hosts of many log in anew', () => {
    const count = 1000;
    const rules = rulesOf({ everyMs: 10_000, jitterMs: 1000 });
    const at = starts(new RoundPace(rules, count, 0, true), count, (place) => place % 50 === 0, 20);
    expect(at.at(-1)).toBeLessThan(1000);
  });

  it('fifty logins a second are no storm, and the first round is none', () => {
    const rules = rulesOf({ everyMs: 600_000, jitterMs: 0 });
    const few = starts(new RoundPace(rules, 100, 0, true), 100, () => true, 1);
    expect(few.at(-1)).toBeLessThan(2000);
    const first = starts(new RoundPace(rules, 10_000, 0, false), 10_000, () => true, 1);
    expect(first.at(-1)).toBe(0);
  });
});
