/**
 * A block of addresses on its way: which of its probes may leave, what came back, when it is over.
 *
 *   sending ──the last pass has left──▶ waiting ──all answered, or the timeout of the last probe is over──▶ done
 *
 * There is no timer per address: probes leave in a fixed order, so that a group of them needs one time only.
 */
import { Permutation } from './permutation.ts';
import type { Shared, Slot } from './shared.ts';
import type { Skipped } from './skipped.ts';
import { STATE } from './state.ts';

/** Places in the order that share the time at which they were last sent. */
const GROUP = 64;

export interface BlockRules {
  /** Probes per address. */
  readonly passes: number;
  /** `count`: each pass asks all, `gap` apart; `retry`: each asks those that have not answered within `gap`. */
  readonly mode: 'count' | 'retry';
  /** In microseconds. */
  readonly gap: number;
  readonly timeout: number;
}

export class Block {
  readonly number: number;
  /** Index of its first address. */
  readonly base: number;
  readonly count: number;
  readonly place: number;
  readonly slot: Slot;
  readonly #shared: Shared;
  readonly #rules: BlockRules;
  readonly #order: Permutation;
  readonly #skipped: Skipped | undefined;
  readonly #times: Float64Array;
  #pass = 0;
  #next = 0;
  /** Whether the group of the next place is known to be due in this pass. */
  #due = false;
  #lastSent = 0;
  /** Probes that were taken, and have neither left nor failed to. */
  #open = 0;
  /** Probes that have left, and those whose answer is known. */
  #sent = 0;
  #resolved = 0;
  #up = 0;
  #stopped = false;

  /** `place`: of its slot among the shared ones, which is wiped. `seed`: of its order; undefined: ascending. `skipped` are never asked. */
  constructor(
    number: number,
    count: number,
    place: number,
    shared: Shared,
    rules: BlockRules,
    seed: number | undefined,
    skipped?: Skipped,
  ) {
    this.number = number;
    this.base = number * shared.block;
    this.count = count;
    this.place = place;
    this.slot = shared.slots[place]!;
    this.#shared = shared;
    this.#rules = rules;
    this.#order = new Permutation(count, seed);
    this.#skipped = skipped;
    this.#times = new Float64Array(Math.ceil(count / GROUP));
    for (const part of [this.slot.state, this.slot.rtt, this.slot.sent, this.slot.received]) part.fill(0);
    this.slot.answered.fill(0);
    this.slot.least.fill(0);
    this.slot.most.fill(0);
    if (skipped?.hasAll(this.base, count)) this.#stopped = true;
  }

  get pass(): number {
    return this.#pass;
  }

  /** All probes have left, or none may leave any more. */
  get isWaiting(): boolean {
    return this.#stopped || this.#pass === this.#rules.passes;
  }

  /** The position that is to be asked next; -1: none at `now`. Passes over those that need not be asked again. */
  take(now: number): number {
    const { mode } = this.#rules;
    while (!this.isWaiting) {
      if (this.#next === this.count) {
        this.#next = 0;
        this.#pass++;
        this.#due = false;
        continue;
      }
      if (this.#pass > 0 && !this.#isDue(now)) return -1;
      const position = this.#order.at(this.#next);
      this.#advance();
      if (this.#skipped?.has(this.base + position)) continue;
      if (this.#pass > 0 && mode === 'retry' && this.slot.state[position] === STATE.up) continue;
      this.#times[((this.#next - 1) / GROUP) | 0] = now;
      this.#open++;
      return position;
    }
    return -1;
  }

  #advance(): void {
    this.#next++;
    if (this.#next % GROUP === 0) this.#due = false;
  }

  #isDue(now: number): boolean {
    this.#due ||= now >= this.#times[(this.#next / GROUP) | 0]! + this.#rules.gap;
    return this.#due;
  }

  /** When the next probe may leave; Infinity: there is none. */
  nextAt(): number {
    if (this.isWaiting) return Number.POSITIVE_INFINITY;
    if (this.#next === this.count) return 0;
    return this.#pass === 0 || this.#due ? 0 : this.#times[(this.#next / GROUP) | 0]! + this.#rules.gap;
  }

  hasLeft(position: number, now: number): void {
    const { slot } = this;
    this.#open--;
    this.#sent++;
    this.#lastSent = now;
    const state = slot.state[position]!;
    if (state === STATE['not-probed'] || state >= STATE['no-route']) slot.state[position] = STATE['no-answer'];
    if (slot.words > 0) slot.sent[position]!++;
  }

  /** This machine would not send it. */
  hasNotLeft(position: number, state: number): void {
    this.#open--;
    if (this.slot.state[position] === STATE['not-probed']) this.slot.state[position] = state;
  }

  /** An answer in time. False: there was one already. */
  answered(position: number, pass: number, micros: number): boolean {
    const { slot } = this;
    const { state } = slot;
    const wasUp = state[position] === STATE.up;
    if (slot.words === 0) {
      if (wasUp) return false;
      // Before the answer there may have been an error; it was counted as what the probe came to.
      if (state[position] === STATE['no-answer']) this.#resolved++;
      slot.rtt[position] = micros;
    } else {
      const word = position * slot.words + (pass >>> 5);
      const bit = 1 << (pass & 31);
      if ((slot.answered[word]! & bit) !== 0) return false;
      slot.answered[word]! |= bit;
      this.#resolved++;
      slot.received[position]!++;
      slot.rtt[position]! += micros;
      if (!wasUp || micros < slot.least[position]!) slot.least[position] = micros;
      if (micros > slot.most[position]!) slot.most[position] = micros;
    }
    if (!wasUp) {
      state[position] = STATE.up;
      this.#up++;
      this.#shared.add('up');
    }
    this.#shared.addTrip(micros);
    return true;
  }

  /** An ICMP error about a probe. An answer says more, whenever it comes. */
  failed(position: number, state: number): void {
    if (this.slot.state[position] !== STATE['no-answer']) return;
    this.slot.state[position] = state;
    if (this.slot.words === 0) this.#resolved++;
  }

  /** Nothing more is sent, what was taken included. */
  stop(): void {
    this.#stopped = true;
    this.#open = 0;
  }

  /** When it is over for certain; needs `isWaiting`. */
  get overAt(): number {
    return this.#sent === 0 ? 0 : this.#lastSent + this.#rules.timeout;
  }

  /** Whether it is over; `drained`: until then all that had come was read. */
  isDone(drained: number): boolean {
    if (this.#rules.mode === 'retry' && this.#pass > 0 && this.#up === this.count) return true;
    return this.isWaiting && this.#open === 0 && (this.#resolved >= this.#sent || drained > this.overAt);
  }
}
