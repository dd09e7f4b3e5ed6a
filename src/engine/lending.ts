/**
 * How many places may be lent at once: how many hosts may be silent, or be waited for between two attempts, without holding anybody
 * up.
 *
 *   allowed  starts at `START` and is at least `LEAST`
 *   ─ an attempt came to nothing with its place lent ──▶ two more     they really are bad: the next thousand may be, too
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
  /** When the host fell silent; Infinity: it is not to blame for the time since. */
  readonly at: number;
  readonly busyAt: number;
}

const BLAMELESS = { at: Number.POSITIVE_INFINITY, busyAt: 0 } as const;

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

  /** For a host that is silent, or for a task that waits between two attempts. Undefined: enough are lent. */
  take(why: 'silent' | 'waits' = 'silent'): Loan | undefined {
    if (this.#lent >= this.#allowed) return undefined;
    this.#lent += 1;
    return why === 'waits' ? BLAMELESS : { at: this.#now(), busyAt: this.#busyMs() };
  }

  /** The attempt came to nothing, and the task waits for its next one: the place stays lent. */
  goesOn(): Loan {
    this.#allowed += 2;
    return BLAMELESS;
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
