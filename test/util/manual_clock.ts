/** A clock that stands still until it is moved: timers fire in order, and between them everything settles. */

interface Timer {
  at: number;
  order: number;
  callback: () => void;
}

export class ManualClock {
  #now = 0;
  #order = 0;
  #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  epoch(): number {
    return 1_700_000_000_000 + this.#now;
  }

  setTimer(delayMs: number, callback: () => void): { cancel(): void } {
    const timer = { at: this.#now + Math.max(0, delayMs), order: this.#order++, callback };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** The time of the next timer; Infinity where none is set. */
  get nextAt(): number {
    let at = Number.POSITIVE_INFINITY;
    for (const timer of this.#timers) at = Math.min(at, timer.at);
    return at;
  }

  /** Moves the time without firing anything, as a busy loop does. */
  jump(ms: number): void {
    this.#now += ms;
  }

  /** Fires what is due now, in order, without letting anything settle in between. */
  fireDue(): void {
    for (;;) {
      let first: Timer | undefined;
      for (const timer of this.#timers) {
        if (timer.at > this.#now) continue;
        if (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order)) first = timer;
      }
      if (!first) return;
      this.#timers.delete(first);
      first.callback();
    }
  }

  /** Moves the time timer by timer, synchronously. */
  advanceSync(ms: number): void {
    const end = this.#now + ms;
    while (this.nextAt <= end) {
      this.#now = Math.max(this.#now, this.nextAt);
      this.fireDue();
    }
    this.#now = end;
  }

  /** Moves the time timer by timer; promises and immediates settle before and after each. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    while (this.nextAt <= end) {
      this.#now = Math.max(this.#now, this.nextAt);
      this.fireDue();
      await settle();
    }
    this.#now = end;
    await settle();
  }
}

/** What else must settle: other threads. */
export const settling: { also: (() => Promise<void>) | undefined } = { also: undefined };

/** Lets promises and immediates run until nothing is likely to follow. */
export async function settle(turns = 12): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  await settling.also?.();
}
