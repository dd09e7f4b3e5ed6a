/** A rate as a bucket of tokens: one per start, refilled by time. Pure: whoever asks says what time it is. */

/** What may come at once, as a part of a second: timers are 10 ms coarse, and a thousand a second must not come in one go. */
const BURST = 1 / 20;
/** Of a token: what rounding loses. */
const GRAIN = 1e-6;

export class TokenBucket {
  #rate: number;
  #tokens: number;
  #at: number;

  /** `rate` per second, above 0; Infinity: there is always a token. */
  constructor(rate: number, now: number) {
    this.#rate = rate;
    this.#tokens = this.#burst;
    this.#at = now;
  }

  get rate(): number {
    return this.#rate;
  }

  setRate(rate: number, now: number): void {
    this.#refill(now);
    this.#rate = rate;
    this.#tokens = Math.min(this.#tokens, this.#burst);
  }

  /** Milliseconds until there is a token; 0: there is one. */
  waitMs(now: number): number {
    if (this.#rate === Number.POSITIVE_INFINITY) return 0;
    this.#refill(now);
    return this.#tokens >= 1 - GRAIN ? 0 : ((1 - this.#tokens) * 1000) / this.#rate;
  }

  /** Takes a token, and where there is none goes into debt: a second's worth at most, so that it ends. */
  take(now: number): void {
    if (this.#rate === Number.POSITIVE_INFINITY) return;
    this.#refill(now);
    this.#tokens = Math.max(this.#tokens - 1, -this.#rate);
  }

  /** Gives back a token that was not needed. */
  giveBack(): void {
    this.#tokens = Math.min(this.#tokens + 1, this.#burst);
  }

  get #burst(): number {
    return Math.max(1, this.#rate * BURST);
  }

  #refill(now: number): void {
    if (this.#rate !== Number.POSITIVE_INFINITY) {
      this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) * this.#rate) / 1000);
    }
    this.#at = now;
  }
}
