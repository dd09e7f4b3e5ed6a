/** How the limits of a run are split between threads, so that all together never exceed them. */
import type { Limits } from '../../contracts/limits.ts';

/** Of the fanout: less would make a thread wait for the next host instead of serving others meanwhile. */
const LEAST_PLACES = 16;
/** Of the connections to one address: with one, each retry would wait for the one before. */
const LEAST_PER_ADDRESS = 2;
/** Of the logins per second: what a thread that has nothing to do leaves unused is lost to the others. */
const LEAST_RATE = 10;
/** Tasks that wait in a thread: enough to bridge a turn of the main thread's loop, few enough to be shared out at the end. */
const MOST_AHEAD = 64;
const LEAST_AHEAD = 8;

/** Threads that a run can use, `most` by its tasks: each needs a part of every limit. */
export function threadsFor(threads: number, limits: Limits, most: number): number {
  const bounds = [
    threads,
    most,
    limits.fanout / LEAST_PLACES,
    limits.handshakes,
    limits.connections,
    limits.perAddress / LEAST_PER_ADDRESS,
    typeof limits.adapt?.rate === 'number' ? limits.adapt.rate / LEAST_RATE : threads,
  ];
  return Math.max(1, Math.floor(Math.min(...bounds)));
}

/**
 * The part of thread `place` of `count`. An address may be met in any thread, under one name or several, so that even its limit
 * is split.
 */
export function shareOf(limits: Limits, place: number, count: number): Limits {
  const part = (whole: number): number => {
    if (whole === Number.POSITIVE_INFINITY) return whole;
    return Math.floor(whole / count) + (place < whole % count ? 1 : 0);
  };
  return {
    ...limits,
    fanout: part(limits.fanout),
    handshakes: part(limits.handshakes),
    connections: part(limits.connections),
    perAddress: part(limits.perAddress),
    connecting: limits.connecting && part(limits.connecting),
    adapt: limits.adapt && {
      fanoutMost: limits.adapt.fanoutMost && part(limits.adapt.fanoutMost),
      handshakesMost: limits.adapt.handshakesMost && part(limits.adapt.handshakesMost),
      rate: typeof limits.adapt.rate === 'number' ? limits.adapt.rate / count : limits.adapt.rate,
      parts: count,
    },
  };
}

export function aheadOf(fanout: number): number {
  return Math.max(LEAST_AHEAD, Math.min(MOST_AHEAD, Math.floor(fanout / 4)));
}
