/**
 * How many logins a second a run may start where nobody said so. A directory or a gateway behind all hosts is not seen from here;
 * what is seen is that logins take longer.
 *
 *   unknown ──first host on loopback──▶ free           unknown: as many as at the start
 *   unknown, free ──a host elsewhere──▶ growing        free: any number, for good once lifted
 *   growing ──a second in which it held tasks back, logins fast──▶ growing   twice as many; a quarter more once it was held
 *   growing ──logins slow, or hosts hang up──▶ held    three quarters of it
 *   held ──another such second──▶ held                 three quarters again, never under the start
 *   held ──three fast seconds──▶ growing
 *   growing ──above MOST──▶ free
 *
 * Slow: the median time of a second's authentications is above 1.5 × that of the first second which had enough of them. A second
 * with too few says nothing: the rate grows only if there is nobody whose login is awaited.
 */

/** Logins per second off loopback, at the start. */
const RAMP_START = 50;
/** No single thread comes near it. */
const MOST = 10_000;
const WINDOW_MS = 1_000;
const SLOW = 1.5;
/** Below it a turn of our own loop weighs as much as the host's work, so that no faster start is taken as the measure. */
const LEAST_START_MS = 20;
const FEWEST_SAMPLES = 8;
const MOST_SAMPLES = 256;
const QUIET_WINDOWS = 3;

export class Ramp {
  state: 'unknown' | 'free' | 'growing' | 'held' = 'unknown';
  readonly #start: number;
  readonly #most: number;
  readonly #samples = new Float64Array(MOST_SAMPLES);
  #seen = 0;
  #rate: number;
  #factor = 2;
  #windowAt: number;
  #startMs: number | undefined;
  #slowness = 1;
  #quiet = 0;
  #lifted = false;
  #hungUp = false;
  #heldBack = false;

  /** `parts`: this is one of so many ramps of a run, and has its share of the rate. */
  constructor(now: number, parts = 1) {
    this.#start = RAMP_START / parts;
    this.#most = MOST / parts;
    this.#rate = this.#start;
    this.#windowAt = now;
  }

  /** Logins per second. */
  get rate(): number {
    return this.state === 'free' ? Number.POSITIVE_INFINITY : this.#rate;
  }

  /** Logins take longer than they did at the start. */
  get slow(): boolean {
    return this.#slowness > SLOW;
  }

  /** How many times as long as at the start logins take. */
  get slowness(): number {
    return this.#slowness;
  }

  /** A host is about to be connected to. */
  reached(loopback: boolean, now: number): void {
    if (this.#lifted || this.state === 'growing' || this.state === 'held') return;
    if (loopback) {
      if (this.state === 'unknown') this.state = 'free';
      return;
    }
    this.state = 'growing';
    this.#windowAt = now;
    this.#seen = 0;
  }

  /** A login took so long. */
  loggedIn(ms: number): void {
    this.#samples[this.#seen++ % MOST_SAMPLES] = ms;
  }

  /** Hosts hung up, or reset connections, more often than chance explains. */
  hungUp(): void {
    this.#hungUp = true;
  }

  /** The rate held a task back. */
  heldBack(): void {
    this.#heldBack = true;
  }

  /** Looks at the last second, once it is over; `awaited`: logins in progress. */
  tick(now: number, awaited: number): void {
    if (now - this.#windowAt < WINDOW_MS) return;
    this.#windowAt = now;
    const known = this.#measure();
    if (this.state === 'growing') this.#grow(known || awaited < FEWEST_SAMPLES);
    else if (this.state === 'held') this.#hold();
    this.#hungUp = false;
    this.#heldBack = false;
  }

  /** Whether the window had enough logins to say how long they take. */
  #measure(): boolean {
    const count = Math.min(this.#seen, MOST_SAMPLES);
    this.#seen = 0;
    if (count < FEWEST_SAMPLES) return false;
    const sorted = this.#samples.subarray(0, count).toSorted();
    const median = sorted[count >> 1]!;
    this.#startMs ??= Math.max(LEAST_START_MS, median);
    this.#slowness = median / this.#startMs;
    return true;
  }

  #grow(known: boolean): void {
    if (this.slow || this.#hungUp) this.#reduce();
    else if (known && this.#heldBack) {
      this.#rate *= this.#factor;
      if (this.#rate <= this.#most) return;
      this.#lifted = true;
      this.state = 'free';
    }
  }

  #hold(): void {
    if (this.slow || this.#hungUp) {
      this.#reduce();
      return;
    }
    this.#quiet += 1;
    if (this.#quiet >= QUIET_WINDOWS) this.state = 'growing';
  }

  #reduce(): void {
    this.state = 'held';
    this.#quiet = 0;
    this.#factor = 1.25;
    this.#rate = Math.max(this.#start, this.#rate * 0.75);
  }
}
