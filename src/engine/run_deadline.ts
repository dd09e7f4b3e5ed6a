/**
 * The deadline of a whole run, by the clock: other than those of hosts it counts the time, too, in which the loop stood still.
 * Whoever gave it wants the run over by then.
 */
import type { Clock } from '../contracts/limits.ts';

/** Timers take less than 2^31 ms; longer waits are cut. */
const MOST_MS = 2 ** 30;

export class RunDeadline {
  readonly #clock: Clock;
  readonly #passed: () => void;
  #timer: { cancel(): void } | undefined;

  /** `passed` is called once, unless it is cancelled before. */
  constructor(clock: Clock, passed: () => void) {
    this.#clock = clock;
    this.#passed = passed;
  }

  arm(delayMs: number): void {
    this.cancel();
    const wait = Math.min(delayMs, MOST_MS);
    this.#timer = this.#clock.setTimer(wait, () => {
      if (delayMs > wait) this.arm(delayMs - wait);
      else this.#poll();
    });
  }

  /** What has come already is read before. */
  #poll(): void {
    const immediate = setImmediate(() => {
      this.#timer = undefined;
      this.#passed();
    });
    this.#timer = { cancel: () => clearImmediate(immediate) };
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
