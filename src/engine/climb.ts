/**
 * One limit that looks for its own height.
 *
 *   growing ──it holds tasks back, there is room──▶ probing      half as much again
 *   probing ──a second, and more is done than before──▶ growing
 *   probing ──a second, and nothing came of it──▶ settled        as before
 *   settled ──five seconds──▶ growing
 *   any ──something is wrong──▶ backed off                       three quarters, at most once a second
 *   backed off ──two seconds without──▶ growing
 */

const PROBE_MS = 1_000;
const SETTLED_MS = 5_000;
const BACK_OFF_MS = 1_000;
const QUIET_MS = 2_000;
const GROWTH = 1.5;
const CUT = 0.75;
/** Growth has helped when one of the measures is so much more. */
const HELPED = 1.05;

/** What a limit is judged by, at one moment. */
export interface View {
  /** The limit holds tasks back, and what is behind it has room. */
  readonly wanted: boolean;
  readonly wrong: boolean;
  /** In progress now, of what the limit is for. */
  readonly busy: number;
  /** Done since the run began, of what the limit is for. */
  readonly done: number;
}

export class Climb {
  state: 'growing' | 'probing' | 'settled' | 'backed off' = 'growing';
  readonly #least: number;
  readonly #most: number;
  #value: number;
  #since: number;
  /** Before the growth that is being probed. */
  #before = 0;
  #busy = 0;
  #pace = 0;
  /** `done` when the probe began. */
  #doneAt = 0;
  /** Done per millisecond in the last whole second; 0: there was none. */
  #lastPace = 0;
  #lastDone = 0;
  #lastAt: number;

  constructor(start: number, least: number, most: number, now: number) {
    this.#value = start;
    this.#least = Math.min(least, start);
    this.#most = Math.max(most, start);
    this.#since = now;
    this.#lastAt = now;
  }

  get value(): number {
    return this.#value;
  }

  tick(now: number, view: View): void {
    this.#measure(now, view.done);
    if (view.wrong) this.#wrong(now);
    else if (this.state === 'backed off') {
      if (now - this.#since >= QUIET_MS) this.#to('growing', now);
    } else if (this.state === 'settled') {
      if (now - this.#since >= SETTLED_MS) this.#to('growing', now);
    } else if (this.state === 'probing') this.#probe(now, view);
    else if (view.wanted && this.#value < this.#most) this.#grow(now, view);
  }

  #measure(now: number, done: number): void {
    const ms = now - this.#lastAt;
    if (ms < PROBE_MS) return;
    this.#lastPace = (done - this.#lastDone) / ms;
    this.#lastAt = now;
    this.#lastDone = done;
  }

  #grow(now: number, view: View): void {
    this.#before = this.#value;
    this.#busy = view.busy;
    this.#pace = this.#lastPace;
    this.#doneAt = view.done;
    this.#value = Math.min(this.#most, Math.ceil(this.#value * GROWTH));
    this.#to('probing', now);
  }

  #probe(now: number, view: View): void {
    const ms = now - this.#since;
    const more = view.busy >= this.#busy * HELPED + 1;
    if (more) this.#to('growing', now);
    else if (ms >= PROBE_MS) {
      if ((view.done - this.#doneAt) / ms > this.#pace * HELPED) this.#to('growing', now);
      else {
        this.#value = this.#before;
        this.#to('settled', now);
      }
    }
  }

  #wrong(now: number): void {
    if (this.state === 'backed off' && now - this.#since < BACK_OFF_MS) return;
    this.#value = Math.max(this.#least, Math.floor(this.#value * CUT));
    this.#to('backed off', now);
  }

  #to(state: Climb['state'], now: number): void {
    this.state = state;
    this.#since = now;
  }
}
