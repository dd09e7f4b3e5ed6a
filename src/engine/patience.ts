/**
 * How long a host may be silent before what it holds is lent to others: six times as long as hosts take, within bounds.
 *
 * A fixed time is too long for a fast fleet: with 250 ms and hosts that are done after 10 ms, one silent host in a hundred costs the
 * good ones a quarter. It is measured here, where hosts and our own loop may be slow: a loop that comes late to all makes all of
 * them slower by the same. Too short costs little: a task that is not late stands in front of those that have not started.
 */

/** So much weight has what came last: about the last sixteen hosts count. */
const WEIGHT = 1 / 16;
/** Before so many were heard of, nothing is known. */
const FEWEST = 8;
const TIMES = 6;

export class Patience {
  readonly #least: number;
  readonly #most: number;
  #mean = 0;
  #count = 0;

  /** `most`: while nothing is known, and at the most; in milliseconds. */
  constructor(least: number, most: number) {
    this.#least = Math.min(least, most);
    this.#most = most;
  }

  get ms(): number {
    if (this.#count < FEWEST) return this.#most;
    return Math.min(this.#most, Math.max(this.#least, this.#mean * TIMES));
  }

  /** How many hosts were not silent. */
  get count(): number {
    return this.#count;
  }

  /** A host took so long. */
  heard(ms: number): void {
    this.#count += 1;
    this.#mean += (ms - this.#mean) * Math.max(WEIGHT, 1 / this.#count);
  }
}
