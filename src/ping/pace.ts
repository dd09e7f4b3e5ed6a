/** How many probes may leave now: a bucket of tokens that time fills. Pure: whoever asks says what time it is, in microseconds. */

/** What may leave at once, as a part of a second: a network card and a neighbour table must not get more in one go. */
const BURST = 1 / 100;

export class Pace {
  readonly rate: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  /** `rate` per second, above 0; Infinity: there is no bound. */
  constructor(rate: number, now: number) {
    this.rate = rate;
    this.#burst = Math.max(1, rate * BURST);
    this.#tokens = 1;
    this.#at = now;
  }

  /** Whole tokens that are there, at most `most`. */
  available(now: number, most: number): number {
    if (this.rate === Number.POSITIVE_INFINITY) return most;
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) * this.rate) / 1e6);
    this.#at = now;
    return Math.min(most, Math.floor(this.#tokens + 1e-6));
  }

  take(count: number): void {
    if (this.rate !== Number.POSITIVE_INFINITY) this.#tokens -= count;
  }

  /** Microseconds until there is a token. */
  wait(): number {
    return this.#tokens >= 1 ? 0 : ((1 - this.#tokens) * 1e6) / this.rate;
  }
}
