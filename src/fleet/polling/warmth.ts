/** How many connections a run in rounds keeps, and how long. */
import { MyriadError } from '../../contracts/errors.ts';
import type { WarmOptions } from '../../transport/native/warm_pool.ts';
import { connectionLimit } from '../descriptors.ts';
import type { WarmFleetOptions } from '../warm.ts';

/** Rounds that a connection lives through at least, and how long it rests beyond a period. */
const ROUNDS_OF_AGE = 20;
const PERIODS_OF_REST = 2;
const LEAST_IDLE_MS = 60_000;
/** A login costs as much as five polls: with ten minutes, and polls every 10 s, logins were an eighth of all work. */
const LEAST_AGE_MS = 3_600_000;
/** Of the descriptors, for connections that are kept: a host that has none logs in each round. */
const KEPT_SHARE = 3 / 4;

/**
 * What was not asked for by name is as large as rounds need it: one connection a host as far as three quarters of the descriptors go, longer than a
 * period. Throws `usage` where connections would be closed before their next round.
 */
export function warmOfRounds(
  resolved: WarmOptions,
  { warm = 'auto', warmMs, threads }: WarmFleetOptions & { readonly threads?: number | 'auto' },
  everyMs: number,
  hosts: number,
): WarmOptions {
  if (warmMs !== undefined && warmMs <= everyMs && resolved.most > 0) {
    const why = 'connections would be closed before the next round';
    throw new MyriadError('usage', `warmMs ${warmMs}: ${why}; it must be more than everyMs (${everyMs})`);
  }
  const most = Math.floor((connectionLimit() * KEPT_SHARE) / poolsOf(threads));
  return {
    most: warm === 'auto' ? Math.max(resolved.most, Math.min(hosts, most)) : resolved.most,
    idleMs: warmMs ?? Math.max(LEAST_IDLE_MS, PERIODS_OF_REST * everyMs),
    ageMs: Math.max(LEAST_AGE_MS, ROUNDS_OF_AGE * everyMs),
  };
}

/** Connections at once that are left beside those that are kept. */
export function connectionsBeside(warm: WarmOptions, threads: number | 'auto' | undefined): number {
  return connectionLimit() - poolsOf(threads) * warm.most;
}

/** The main thread's, and that of all others together. */
function poolsOf(threads: number | 'auto' | undefined): number {
  return threads === 1 ? 1 : 2;
}
