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
  /** The first round of each early window: what is kept by then is not growth, nor is the room that V8 has found for it. */
  readonly settled: { readonly live: number; readonly resident: number };
  /** The early windows end before the round after this. */
  readonly away: number;
}

export interface MemoryBounds {
  /** Of the live heap. */
  readonly live: number;
  /** Of the least resident set of each window. */
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
  const windows = (from: number, of: (sample: MemorySample) => number) => {
    const width = Math.max(1, Math.min(MOST_WINDOW, away + 1 - from, samples.length - away - 1));
    const spanned = (part: readonly MemorySample[]) => spanOf(part.map(of));
    return { width, from, early: spanned(samples.slice(from, from + width)), late: spanned(samples.slice(-width)) };
  };
  // What is in use only while a round is on is in some of the samples: the least of the live heap, too.
  const live = windows(settled.live, ({ liveMb }) => liveMb);
  const resident = windows(settled.resident, ({ rssMb }) => rssMb);
  const peak = Math.max(...samples.slice(settled.resident).map(({ rssMb }) => rssMb));
  const compared = [
    ['least', resident.early.least, resident.late.least, bounds.least],
    ['most', resident.early.most, resident.late.most, bounds.most],
    ['peak of all', resident.early.most, peak, bounds.peak],
    ['live heap', live.early.least, live.late.least, bounds.live],
  ] as const;
  const [least, most, whole, heap] = compared.map(
    ([name, from, to]) => `${name} ${from.toFixed(0)} → ${to.toFixed(0)}`,
  );
  const rounds = (of: typeof live) => `MB in ${of.width} rounds from ${of.from} on and in the last ${of.width}`;
  return {
    told: `resident ${rounds(resident)}: ${least}, ${most}, ${whole}; ${rounds(live)}: ${heap}`,
    broken: compared.filter(([, from, to, bound]) => !(from > 0 && to <= bound * from)).map(([name]) => name),
  };
}

interface Span {
  readonly least: number;
  readonly most: number;
}

function spanOf(values: readonly number[]): Span {
  return { least: Math.min(...values), most: Math.max(...values) };
}
