/** Which limits of a run may change while it goes on, from what the caller asked for. */
import { MyriadError } from '../contracts/errors.ts';
import type { Adaptation } from '../contracts/limits.ts';
import { tasksInMemory } from './machine.ts';

/** `fanout: auto` never goes beyond it: an idle session costs 25 KB, and the loop time to look after it. */
const MOST_FANOUT = 8_192;
const MOST_HANDSHAKES = 512;

/** What was asked for; undefined: nothing. */
export interface AskedLimits {
  readonly fanout: number | 'auto';
  readonly handshakes: number | undefined;
  readonly rate: number | 'max' | undefined;
}

/** Throws `usage` for what is no rate. */
export function resolveRate(rate: unknown): number | 'max' | undefined {
  if (rate === undefined || rate === 'max') return rate;
  if (typeof rate === 'number' && Number.isFinite(rate) && rate > 0) return rate;
  throw new MyriadError('usage', `rate: expected logins per second above 0, or "max", got ${JSON.stringify(rate)}`);
}

/** Where a run starts, and what the machine has for it. */
export interface Start {
  readonly fanout: number;
  readonly handshakes: number;
  readonly connections: number;
  /** Bytes that are kept per host. */
  readonly kept: number;
  /** Bytes of memory. */
  readonly available: number;
}

export function adaptation(asked: AskedLimits, start: Start): Adaptation {
  const auto = asked.fanout === 'auto';
  const room = Math.min(MOST_FANOUT, start.connections, tasksInMemory(start.available, start.kept));
  const fanoutMost = auto && room > start.fanout ? room : undefined;
  const handshakesMost = Math.min(MOST_HANDSHAKES, fanoutMost ?? start.fanout);
  // Who says how many at once has chosen; who says nothing gets the careful start.
  const rate = asked.rate ?? (auto ? 'ramp' : 'max');
  return {
    // Where it cannot grow it still falls.
    fanoutMost: auto ? (fanoutMost ?? start.fanout) : undefined,
    handshakesMost: asked.handshakes === undefined ? Math.max(start.handshakes, handshakesMost) : undefined,
    rate: rate === 'max' ? undefined : rate,
  };
}
