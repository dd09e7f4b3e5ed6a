/** What is counted over a sweep: that of each family and way, and of parts of it that went before; and the summary made of it. */
import { MyriadError } from '../contracts/errors.ts';
import { COUNTS, type Counts, HISTOGRAM, percentile, TIMES } from '../ping/shared.ts';
import { ADDRESS_STATES, type AddressState } from '../ping/state.ts';
import type { PingSweep } from '../ping/sweep.ts';
import type { Targets } from './ping_targets.ts';

/** Over all parts of a sweep that was stopped and resumed. */
export interface PingTotals {
  readonly counts: Counts;
  readonly histogram: Float64Array;
  /** Of all round trips: the sum, the least, the most, in microseconds. */
  readonly times: Float64Array;
  readonly elapsedMs: number;
  /** What asked: `raw ICMP socket`, `fping`; in their order. */
  readonly how: readonly string[];
  /** Identifications by their numbers from 1 on. */
  readonly banners: readonly string[];
}

/** Of a sweep that has not begun. */
export const NO_TOTALS: PingTotals = {
  counts: Object.fromEntries(COUNTS.map((name) => [name, 0])) as Counts,
  histogram: new Float64Array(HISTOGRAM),
  times: new Float64Array(TIMES),
  elapsedMs: 0,
  how: [],
  banners: [],
};

export interface PingSummary {
  readonly planned: number;
  /** How many ended how; all planned addresses are in here. */
  readonly states: Readonly<Record<AddressState, number>>;
  /** Packets, or connections. */
  readonly counts: Readonly<Counts>;
  /** Of all answers, in milliseconds; percentiles to 3 %. Undefined where there was none. */
  readonly rtt:
    | { readonly min: number; readonly avg: number; readonly p50: number; readonly p99: number; readonly max: number }
    | undefined;
  readonly durationMs: number;
  /** Ended by the caller before it was through. */
  readonly stopped: boolean;
  /** Addresses that were left out of what was selected. */
  readonly reserved: number;
  readonly unusable: number;
  /** What asked: `raw ICMP socket`, `fping`. */
  readonly how: string;
  /** The id that it is recorded under. */
  readonly run: string | undefined;
}

export function sumCounts(before: Counts, sweeps: readonly PingSweep[]): Counts {
  const all = { ...before };
  for (const { counts } of sweeps) for (const name of COUNTS) all[name] += counts[name];
  return all;
}

/** What went before, and these sweeps. */
export function sumTrips(
  before: PingTotals,
  sweeps: readonly PingSweep[],
): { readonly histogram: Float64Array; readonly times: Float64Array } {
  const histogram = before.histogram.slice();
  const times = before.times.slice();
  for (const sweep of sweeps) {
    const { times: own } = sweep;
    for (let i = 0; i < HISTOGRAM; i++) histogram[i]! += sweep.histogram[i]!;
    times[0]! += own[0]!;
    if (own[1]! > 0 && (times[1] === 0 || own[1]! < times[1]!)) times[1] = own[1]!;
    times[2] = Math.max(times[2]!, own[2]!);
  }
  return { histogram, times };
}

function roundTrips({ histogram, times }: PingTotals): PingSummary['rtt'] {
  const count = histogram.reduce((all, each) => all + each, 0);
  if (count === 0) return undefined;
  const [sum, least, most] = times as unknown as readonly [number, number, number];
  const within = (share: number) => Math.min(most, Math.max(least, percentile(histogram, share))) / 1000;
  return { min: least / 1000, avg: sum / count / 1000, p50: within(0.5), p99: within(0.99), max: most / 1000 };
}

/** `told`: how many addresses ended in each state; those that are in none were not probed. */
export function summaryOf(
  targets: Targets,
  told: Float64Array,
  totals: PingTotals,
  { stopped, run }: { readonly stopped: boolean; readonly run: string | undefined },
): PingSummary {
  const { count, reserved, unusable } = targets;
  const known = told.reduce((sum, each) => sum + each, 0);
  if (known > count) throw new MyriadError('internal', `a sweep of ${count} addresses has results of ${known}`);
  const states = Object.fromEntries(ADDRESS_STATES.map((name, code) => [name, told[code]!]));
  states['not-probed']! += count - known;
  return {
    planned: count,
    states: states as Record<AddressState, number>,
    counts: { ...totals.counts, up: states.up! },
    rtt: roundTrips(totals),
    durationMs: totals.elapsedMs,
    stopped: stopped && states['not-probed']! > 0,
    reserved,
    unusable,
    how: totals.how.join(', '),
    run,
  };
}
