/** How many sockets this process may have: the descriptor limit, less what everything else needs. */
import { readFileSync } from 'node:fs';

/** Kept for files, pipes, journal, agent and name queries. */
const RESERVED = 200;
/** Where the limit cannot be read. */
const USUAL_LIMIT = 1024;

/** Node raises the soft limit to the hard one by itself, so the hard one counts. */
export function connectionLimit(): number {
  return Math.max(16, hardLimit() - RESERVED);
}

function hardLimit(): number {
  try {
    const line = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    const limit = line?.[1] === 'unlimited' ? 1_000_000 : Number(line?.[1]);
    return Number.isFinite(limit) && limit > 0 ? limit : USUAL_LIMIT;
  } catch {
    return USUAL_LIMIT;
  }
}
