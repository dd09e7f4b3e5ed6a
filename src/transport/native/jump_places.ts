/**
 * How many targets may open their channel and log in through one jump host at once: the others wait in the order in which
 * they came. Without it a jump host is asked for a thousand connections in one tick, and each of them waits for all.
 */

/** At once. */
const PLACES = 64;
/** Targets that wait at most: as many as a process could have connections. */
const MOST_WAITING = 65_536;

export class JumpPlaces {
  #free: number;
  /** Those that wait, from `#head` on. */
  #waiting: (() => void)[] = [];
  #head = 0;

  constructor(places = PLACES) {
    this.#free = places;
  }

  /** Takes a place; a promise where it must be waited for, undefined where too many wait already. */
  take(): Promise<void> | 'taken' | undefined {
    if (this.#free > 0) {
      this.#free -= 1;
      return 'taken';
    }
    if (this.#waiting.length - this.#head >= MOST_WAITING) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Gives a place back: to the one that has waited longest. */
  release(): void {
    if (this.#head === this.#waiting.length) {
      this.#free += 1;
      return;
    }
    const next = this.#waiting[this.#head++]!;
    // What was served is cut off when it is the larger half: each place is moved once.
    if (this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    next();
  }
}
