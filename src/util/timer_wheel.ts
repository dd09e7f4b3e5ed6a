/**
 * One hashed timer wheel: any number of deadlines on one underlying timer.
 *
 * Arming, re-arming and cancelling are O(1) and allocate nothing: the entry belongs to the caller. Time is cut into ticks
 * of 10 ms; an entry is filed in the slot of its tick, modulo the number of slots. An entry further away than one turn of
 * the wheel (41 s) is filed at the end of the turn and filed again when it is visited; so is one that was re-armed to a
 * later time, which is why re-arming only writes a field.
 *
 * Invariants: every filed tick lies in (cursor, cursor + SLOTS), so that a slot holds entries of one tick only; the
 * underlying timer is set for `#wakeTick`, which is at most the smallest filed tick, or for the next beat before it; there is
 * no timer when nothing is armed. An entry never expires early, and at most one tick late as far as the loop allows.
 *
 * Time is that of the loop: how much later than set the timer comes, from 50 ms on, is time in which this process read nothing,
 * because it computed or was not let run, and does not count. So nobody is timed out whom we did not listen to. Nine tenths at
 * most do not count, so that a deadline takes at most ten times as long by the source's clock, however slow the machine is.
 * The timer comes four times a second at least, or what happened between would not be seen.
 */
import { ZERO } from './zero.ts';

/** Where time comes from: monotonic milliseconds and a one-shot timer. */
export interface TimerSource {
  now(): number;
  setTimer(delayMs: number, callback: () => void): { cancel(): void };
}

/** Hears of its entries' expiry. Must not throw: the rest of the tick would be late. */
export interface TimerOwner {
  expired(entry: TimerEntry): void;
}

const TICK_MS = 10;
/** A power of two: 4,096 slots of 10 ms are a turn of 41 s and 32 KB. */
const SLOTS = 4096;
/** Far entries are filed at multiples of this, so that they share wake-ups: at most one in 1.28 s. */
const FAR_TICKS = 128;
/** A timer that comes later than this means the loop stood still: what expired gets one poll phase before it counts. */
const LATE_MS = 50;
/** How often the timer comes at least: it looks whether it is late. */
const BEAT_MS = 250;
/** Of the time by the source's clock, what may not count. */
const MOST_LOST = 0.9;
/** The list of entries that are being visited. */
const VISITED = SLOTS;
const UNFILED = -1;

/** One deadline, owned by the caller and used again as often as it likes. The fields are the wheel's, except `owner`. */
export class TimerEntry {
  readonly owner: TimerOwner;
  /** When it expires, in the loop's time; Infinity while it is not armed. */
  due = Number.POSITIVE_INFINITY;
  tick = 0;
  slot = UNFILED;
  next: TimerEntry | null = null;
  prev: TimerEntry | null = null;

  constructor(owner: TimerOwner) {
    this.owner = owner;
  }

  get armed(): boolean {
    return this.slot !== UNFILED;
  }
}

export class TimerWheel {
  readonly #source: TimerSource;
  readonly #afterPoll: (callback: () => void) => void;
  readonly #heads: (TimerEntry | null)[] = new Array<TimerEntry | null>(SLOTS + 1).fill(null);
  /** One bit per slot: not empty. */
  readonly #occupied = new Int32Array(SLOTS / 32);
  readonly #onTimer = (): void => this.#timerFired();
  /** The last tick that was visited. */
  #cursor = 0;
  #size = 0;
  #timer: { cancel(): void } | null = null;
  #wakeTick = Number.POSITIVE_INFINITY;
  /** How much of the source's time does not count so far. */
  #lostMs = ZERO;
  /** When the timer is to come, by the source's clock, and when it was last seen how late it is. */
  #timerAt = ZERO;
  #seenAt = ZERO;
  /** From then on it is late; Infinity where none is set. */
  #lateAt = Number.POSITIVE_INFINITY;
  /** It was late, and there may be much to read. */
  #late = false;
  /** True while entries are visited or wait for their poll phase: the timer is set afterwards. */
  #busy = false;

  /** `afterPoll` runs its callback after the loop has polled for input once. @default setImmediate */
  constructor(source: TimerSource, afterPoll: (callback: () => void) => void = setImmediate) {
    this.#source = source;
    this.#afterPoll = afterPoll;
  }

  /** Number of armed entries. */
  get size(): number {
    return this.#size;
  }

  /**
   * Lets `entry` expire `delayMs` after `now`, whatever it was armed for before. Infinity disarms it. `now` is the
   * source's time, for callers that have just asked for it.
   */
  arm(entry: TimerEntry, delayMs: number, now = this.#source.now()): void {
    if (!(delayMs < Number.POSITIVE_INFINITY)) {
      this.cancel(entry);
      return;
    }
    const time = this.#timeAt(now);
    entry.due = time + Math.max(0, delayMs);
    if (entry.slot !== UNFILED) {
      if (entry.slot === VISITED || entry.tick <= Math.ceil(entry.due / TICK_MS)) return;
      this.#unlink(entry);
      this.#size -= 1;
    }
    // Nothing is filed before the wake-up, so the cursor may follow the time: filing measures from it.
    const tick = Math.floor(time / TICK_MS);
    if (!this.#busy && tick < this.#wakeTick && tick > this.#cursor) this.#cursor = tick;
    this.#size += 1;
    this.#file(entry);
    this.#wakeAt(entry.tick);
  }

  /** Disarms `entry`; nothing happens where it was not armed. */
  cancel(entry: TimerEntry): void {
    if (entry.slot === UNFILED) return;
    this.#unlink(entry);
    entry.due = Number.POSITIVE_INFINITY;
    this.#size -= 1;
    if (this.#size === 0 && !this.#busy) this.#stopTimer();
  }

  /** What `entry` has left, in milliseconds, to be armed with again. `now` as for `arm`. */
  leftMs(entry: TimerEntry, now = this.#source.now()): number {
    return entry.due - this.#timeAt(now);
  }

  #timerFired(): void {
    this.#timer = null;
    const now = this.#source.now();
    const time = this.#timeAt(now);
    if (!this.#late) {
      this.#visit(time);
      return;
    }
    // What expires during the poll phase has had none of its own: only what had expired before it counts after it.
    this.#busy = true;
    this.#expect(now, now);
    this.#afterPoll(() => {
      this.#timeAt(this.#source.now());
      this.#late = false;
      this.#visit(time);
    });
  }

  /** The loop's time for one of the source's. */
  #timeAt(now: number): number {
    if (now > this.#lateAt) {
      this.#lostMs += Math.min(now - this.#timerAt, MOST_LOST * (now - this.#seenAt));
      this.#late = true;
      this.#expect(now, now);
    }
    return now - this.#lostMs;
  }

  #expect(timerAt: number, now: number): void {
    this.#timerAt = timerAt;
    this.#seenAt = now;
    this.#lateAt = timerAt + LATE_MS;
  }

  /** Expires what is due at `time` and files the rest of the visited slots again. */
  #visit(time: number): void {
    this.#busy = true;
    const target = Math.floor(time / TICK_MS);
    this.#gather(target);
    try {
      for (let entry = this.#heads[VISITED]!; entry !== null; entry = this.#heads[VISITED]!) {
        this.#unlink(entry);
        if (entry.due > time) {
          this.#file(entry);
          continue;
        }
        entry.due = Number.POSITIVE_INFINITY;
        this.#size -= 1;
        entry.owner.expired(entry);
      }
    } finally {
      this.#busy = false;
      this.#stopTimer();
      if (this.#heads[VISITED] !== null) this.#wakeAt(this.#cursor);
      else if (this.#size > 0) this.#wakeAt(this.#firstTick());
    }
  }

  /** Moves the entries of all slots up to the tick `target` into the list of visited ones. */
  #gather(target: number): void {
    while (this.#size > 0) {
      const tick = this.#firstTick();
      if (tick > target) break;
      const slot = tick % SLOTS;
      for (let entry = this.#heads[slot]!; entry !== null; entry = this.#heads[slot]!) {
        this.#unlink(entry);
        this.#link(entry, VISITED);
      }
      this.#cursor = tick;
    }
    this.#cursor = Math.max(this.#cursor, target);
  }

  #file(entry: TimerEntry): void {
    let tick = Math.max(Math.ceil(entry.due / TICK_MS), this.#cursor + 1);
    if (tick - this.#cursor >= SLOTS) {
      tick = this.#cursor + SLOTS - 1;
      tick -= tick % FAR_TICKS;
    }
    entry.tick = tick;
    this.#link(entry, tick % SLOTS);
  }

  #link(entry: TimerEntry, slot: number): void {
    const head = this.#heads[slot]!;
    entry.slot = slot;
    entry.prev = null;
    entry.next = head;
    if (head !== null) head.prev = entry;
    else if (slot !== VISITED) this.#occupied[slot >>> 5]! |= 1 << (slot & 31);
    this.#heads[slot] = entry;
  }

  #unlink(entry: TimerEntry): void {
    const { slot, next, prev } = entry;
    if (next !== null) next.prev = prev;
    if (prev !== null) prev.next = next;
    else {
      this.#heads[slot] = next;
      if (next === null && slot !== VISITED) this.#occupied[slot >>> 5]! &= ~(1 << (slot & 31));
    }
    entry.slot = UNFILED;
    entry.next = null;
    entry.prev = null;
  }

  /** The smallest filed tick, found by the bitmap from the cursor on; Infinity where nothing is filed. */
  #firstTick(): number {
    const from = (this.#cursor + 1) % SLOTS;
    let word = from >>> 5;
    let bits = this.#occupied[word]! & (-1 << (from & 31));
    for (let seen = 0; seen <= this.#occupied.length; seen++) {
      if (bits !== 0) return this.#heads[word * 32 + 31 - Math.clz32(bits & -bits)]!.tick;
      word = (word + 1) % this.#occupied.length;
      bits = this.#occupied[word]!;
    }
    return Number.POSITIVE_INFINITY;
  }

  #wakeAt(tick: number): void {
    if (this.#busy || tick >= this.#wakeTick) return;
    this.#stopTimer();
    this.#wakeTick = tick;
    const now = this.#source.now();
    // Rounded up: timers cut off fractions, and would fire just before their tick.
    const delay = Math.min(BEAT_MS, Math.max(0, Math.ceil(tick * TICK_MS - this.#timeAt(now))));
    this.#expect(now + delay, now);
    this.#timer = this.#source.setTimer(delay, this.#onTimer);
  }

  #stopTimer(): void {
    this.#wakeTick = Number.POSITIVE_INFINITY;
    this.#lateAt = Number.POSITIVE_INFINITY;
    this.#timer?.cancel();
    this.#timer = null;
  }
}
