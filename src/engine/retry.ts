/** Which failures of a task are tried again, and after how long. */
import type { Limits, Random } from '../contracts/limits.ts';
import type { Outcome } from '../contracts/outcome.ts';

/** The first wait is up to this, each further one up to twice as long. */
const BASE_MS = 100;
const CAP_MS = 2_000;
/** Throttled attempts go on for so many connect deadlines: sshd drops at random, so that patience wins. */
const THROTTLE_CEILING = 3;

/**
 * One task's failures so far. Only transient causes that come before the job can have begun are tried again:
 * `throttled` until three connect deadlines after the first of them, waiting for limits left out; `reset` and
 * `local-limit` (descriptors, ports or buffers ran out here) at most `limits.retries` times. A host that was silent for a whole connect deadline is not: it would be so again.
 */
export class Backoff {
  #resets = 0;
  #throttles = 0;
  #throttledAt = 0;
  #waitedBefore = 0;

  /**
   * Milliseconds to wait before the next attempt, with full jitter; undefined: the outcome stands. `waitedMs`: what the
   * task has spent waiting for limits so far.
   */
  next(outcome: Outcome, now: number, waitedMs: number, limits: Limits, random: Random): number | undefined {
    if (outcome.kind !== 'unreachable') return undefined;
    if (outcome.cause === 'reset' || outcome.cause === 'local-limit') {
      if (this.#resets >= limits.retries) return undefined;
      this.#resets += 1;
      return jitter(this.#resets + this.#throttles, random);
    }
    if (outcome.cause !== 'throttled') return undefined;
    this.#throttles += 1;
    if (this.#throttles === 1) {
      this.#throttledAt = now;
      this.#waitedBefore = waitedMs;
    }
    const delay = jitter(this.#resets + this.#throttles, random);
    const spent = now - this.#throttledAt - (waitedMs - this.#waitedBefore);
    return spent + delay > THROTTLE_CEILING * limits.deadlines.connectMs ? undefined : delay;
  }
}

/** Full jitter: anything from nothing to the ceiling, so that a thousand tasks do not come back together. */
function jitter(failures: number, random: Random): number {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(failures - 1, 10));
}
