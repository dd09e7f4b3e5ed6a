/**
 * How many places may be lent at once: how many hosts may be silent before their identification without holding anybody up.
 *
 *   allowed  starts at `START` and is at least `LEAST`
 *   ─ a host stayed silent to its end ──▶ two more     they really are silent: the next thousand may be, too
 *   ─ a host answered after more than a second, in which this loop had no time left ──▶ an eighth less
 *
 * The second says that not the host is slow but we are, or what shares our processor with us. To start more tasks then makes all
 * of them later still, until none answers before its deadline: of 5,000 hosts 383 were ok on a machine that was busy otherwise.
 * A loop that had time, with hosts that answer late, is what lending is for.
 */

const START = 512;
const LEAST = 16;
const LATE_MS = 1000;
/** Of the time, spent on computing. */
const BUSY = 0.9;

/** A place that was lent; given back once. */
export interface Loan {
  readonly at: number;
  readonly busyAt: number;
}

export class Lending {
  readonly #now: () => number;
  readonly #busyMs: () => number;
  #allowed = START;
  #lent = 0;

  /** `busyMs`: how long the loop has been computing so far. */
  constructor(now: () => number, busyMs: () => number) {
    this.#now = now;
    this.#busyMs = busyMs;
  }

  get allowed(): number {
    return this.#allowed;
  }

  /** Undefined: enough are lent. */
  take(): Loan | undefined {
    if (this.#lent >= this.#allowed) return undefined;
    this.#lent += 1;
    return { at: this.#now(), busyAt: this.#busyMs() };
  }

  /** Its host has answered. */
  answered({ at, busyAt }: Loan): void {
    this.#lent -= 1;
    const silentMs = this.#now() - at;
    const busy = this.#busyMs() - busyAt;
    if (silentMs <= LATE_MS || busy < BUSY * silentMs) return;
    this.#allowed = Math.max(LEAST, Math.floor(this.#allowed - this.#allowed / 8));
  }

  /** Its task ended, or its attempt did, before the host had answered. */
  ended(): void {
    this.#lent -= 1;
    this.#allowed += 2;
  }
}
