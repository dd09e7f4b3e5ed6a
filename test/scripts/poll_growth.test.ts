/** That the check `poll` sees a leak, and takes a collector's sawtooth for none. */
import { expect, it } from 'vitest';
import { growthOf, type MemorySample } from '../../scripts/soak/poll_growth.ts';

const ROUNDS = 179;
const COURSE = { settled: { live: 18, resident: 54 }, away: 88 };
const BOUNDS = { live: 1.05, least: 1.03, most: 1.07, peak: 1.3 };

/** Live memory, and garbage that piles up to `most` over `rounds` and goes at once. */
function sawtooth(most: number, rounds: number, live: (round: number) => number): MemorySample[] {
  return Array.from({ length: ROUNDS }, (_, round) => {
    const garbage = ((round % rounds) / rounds) * most;
    return { rssMb: 180 + live(round) + garbage, liveMb: live(round) };
  });
}

function brokenBy(samples: readonly MemorySample[]): readonly string[] {
  return growthOf({ samples, ...COURSE }, BOUNDS).broken;
}

it('takes a sawtooth for no growth, wherever it stands', () => {
  for (const rounds of [2, 7, 13, 29]) expect(brokenBy(sawtooth(110, rounds, () => 110))).toEqual([]);
});

it('sees 40 bytes a poll of 10,000 hosts that stay', () => {
  const leak = (round: number): number => 110 + (round * 10_000 * 40) / 2 ** 20;
  for (const rounds of [2, 7, 13, 29]) expect(brokenBy(sawtooth(110, rounds, leak))).toContain('live heap');
});

it('sees memory outside of the heap that stays', () => {
  const samples = sawtooth(110, 13, () => 110).map((sample, round) => ({ ...sample, rssMb: sample.rssMb + round / 4 }));
  expect(brokenBy(samples)).toEqual(['least']);
});

it('sees piles of garbage that become larger, although all of it goes', () => {
  const samples = sawtooth(110, 13, () => 110).map((sample, round) => {
    return { ...sample, rssMb: sample.rssMb + (((round % 13) / 13) * round) / 2 };
  });
  expect(brokenBy(samples)).toEqual(['most']);
});

it('sees a restart that takes a third more, although it is given back', () => {
  const samples = sawtooth(110, 13, () => 110).map((sample, round) => {
    return round === COURSE.away + 2 ? { ...sample, rssMb: 600 } : sample;
  });
  expect(brokenBy(samples)).toEqual(['peak of all']);
});

it('does not pass where the heap was never looked at', () => {
  const samples = sawtooth(110, 13, () => 110).map((sample) => ({ ...sample, liveMb: 0 }));
  expect(brokenBy(samples)).toEqual(['live heap']);
});
