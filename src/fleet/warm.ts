/** How many connections a fleet keeps for its next run, and how long. */
import { MyriadError } from '../contracts/errors.ts';
import type { WarmOptions } from '../transport/native/warm_pool.ts';

export interface WarmFleetOptions {
  /**
   * Connections that are kept after a task, for the next run of this fleet on the same host; 0: none. The next command needs no login
   * then, and finds the host as that login did: who must be seen anew (groups, limits, a password) is not. Hosts with ForwardAgent or a
   * ProxyCommand are always left, and `check` always logs in. `auto`: 1,024, or an eighth of what the descriptor limit leaves.
   * @default 'auto'
   */
  readonly warm?: number | 'auto';
  /** How long a connection is kept that no task takes, in milliseconds. @default 60000 */
  readonly warmMs?: number;
}

export const WARM_OPTIONS = ['warm', 'warmMs'] as const;

/** 15 KB each: what a process has to spare. */
const AUTO_WARM = 1024;

/**
 * `pools`: who may have so many each: the main thread, and all others together. No more than half the descriptors are theirs. Throws
 * `usage` for what cannot be had.
 */
export function resolveWarm(
  { warm = 'auto', warmMs }: WarmFleetOptions,
  descriptors: number,
  pools: 1 | 2,
): WarmOptions {
  if (warmMs !== undefined && !(Number.isFinite(warmMs) && warmMs > 0)) {
    throw new MyriadError('usage', `warmMs: expected milliseconds above 0, got ${warmMs}`);
  }
  if (warm === 'auto') return { most: Math.min(AUTO_WARM, Math.floor(descriptors / 8)), idleMs: warmMs };
  const most = Math.floor(descriptors / (2 * pools));
  if (Number.isInteger(warm) && warm >= 0 && warm <= most) return { most: warm, idleMs: warmMs };
  throw new MyriadError(
    'usage',
    `warm: expected auto, or a whole number from 0 to ${most} (by the limit of open files), got ${warm}`,
  );
}
