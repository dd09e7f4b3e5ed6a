/**
 * Whether memory grows over a long run, by rounds: of a window early in it and one of the same length at its end.
 *
 * A collector lets garbage pile up and takes it all at once, so that one sample says nothing, and a leak shows in the least of a
 * window: garbage can be anything, but what is in use is there in every round. The most of a window says whether the piles grow.
 */

/** After a round, in MB. */
export interface MemorySample {
  readonly rssMb: number;
  /** Of JavaScript, right after the last collection of all of it; 0: there has been none. */
  readonly liveMb: number;
}

export interface MemoryRounds {
  readonly samples: readonly MemorySample[];
  /** The first round of the early window: what is compiled and kept by then is not growth. */
  readonly settled: number;
  /** The early window ends before the round after this. */
  readonly away: number;
}

export interface MemoryBounds {
  /** Of the least resident set of each window, and of the live heap. */
  readonly least: number;
  /** Of the largest resident set of each window. */
  readonly most: number;
  /** Of the largest resident set of all rounds from the settled one on, against that of the early window. */
  readonly peak: number;
}

export interface MemoryGrowth {
  readonly told: string;
  /** Names of the bounds that were broken. */
  readonly broken: readonly string[];
}

/** Five minutes of rounds every 10 s. */
const MOST_WINDOW = 30;

export function growthOf({ samples, settled, away }: MemoryRounds, bounds: MemoryBounds): MemoryGrowth {
  const width = Math.max(1, Math.min(MOST_WINDOW, away + 1 - settled, samples.length - away - 1));
  const early = windowOf(samples.slice(settled, settled + width));
  const late = windowOf(samples.slice(-width));
  const peak = Math.max(...samples.slice(settled).map(({ rssMb }) => rssMb));
  const compared = [
    ['least', early.least, late.least, bounds.least],
    ['live heap', early.live, late.live, bounds.least],
    ['most', early.most, late.most, bounds.most],
    ['peak of all', early.most, peak, bounds.peak],
  ] as const;
  const told = compared.map(([name, from, to]) => `${name} ${from.toFixed(0)} → ${to.toFixed(0)}`).join(', ');
  return {
    told: `MB in ${width} rounds from ${settled} on and in the last ${width}: ${told}`,
    broken: compared.filter(([, from, to, bound]) => !(from > 0 && to <= bound * from)).map(([name]) => name),
  };
}

interface Window {
  readonly least: number;
  readonly most: number;
  readonly live: number;
}

function windowOf(samples: readonly MemorySample[]): Window {
  const resident = samples.map(({ rssMb }) => rssMb);
  return {
    least: Math.min(...resident),
    most: Math.max(...resident),
    // What is in use only while a round is on is in some of them: the least again.
    live: Math.min(...samples.map(({ liveMb }) => liveMb)),
  };
}
