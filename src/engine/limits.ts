/**
 * The limits of a run and what its tasks hold of them.
 *
 * connections  tasks in progress, each with at most one socket: bounds descriptors and memory. Taken when a task starts,
 *              given back when it ends; a task never waits for it, the run starts none beyond it.
 * places       the fanout. A task takes a place when it starts. While its host is silent before the identification for longer
 *              than hosts take (`patience.ts`; at most `patienceMs`), and between two attempts at once, the place is lent to the
 *              next task, so that a bad host holds nothing but its socket. When the identification comes, the task takes a
 *              place again before anything else, ahead of tasks that have not started. Given back at the end.
 *                held ──silent──▶ lent ──identification──▶ (waits) ──▶ held ──end──▶ none
 *              A host that hangs in its key exchange or login lends its place, too, once twice as many others as there are
 *              places have logged in since: then it is that host, and not a directory behind all of them, which more at once
 *              would only burden more. How many may be lent at once is the business of `lending.ts`.
 *                held ──waits for perAddress, or at a jump host──▶ resting ──has it──▶ held, or lent where the place was needed
 *              A place that rests counts for tasks that have not started, not for those that want theirs back.
 * perAddress   connections to one address and port that are not yet authenticated; waited for before the socket is made.
 *              Halved when the address throttles, one more after each four successes; none while a penalty lasts. A waiting task keeps its place:
 *              it has no socket, and a run against one address must not start all its tasks.
 * handshakes   key exchanges and authentications: bound by CPU. Lent out for good when the peer is silent for longer than logins
 *              take (a second at most), since a silent peer costs none; always before the place is. Given back once authenticated.
 *
 * Order of taking: place, (place at a jump host), perAddress, (place again), handshakes. Who takes its place again holds a connection of
 * its address or a place at its jump host, for which others wait with their places: that is why these rest. Without it they would
 * wait for each other, without a deadline.
 * Who holds a handshake waits for nothing; every other holder has a deadline. So nothing can lock up.
 */

import { TimerEntry, type TimerOwner, type TimerWheel } from '../util/timer_wheel.ts';
import { ZERO } from '../util/zero.ts';

/** Who waits for a slot: at most for one at a time. The fields belong to the slots it waits for. */
export interface Waiter {
  waitNext: Waiter | null;
  waitPrev: Waiter | null;
  waitIn: Slots | null;
  /** The slot is taken for the waiter. */
  granted(): void;
}

/** How long something has been holding others back. */
export class Blockage {
  readonly #now: () => number;
  #blocked = 0;
  #since = ZERO;
  #total = ZERO;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** How many are held back now. */
  get blocked(): number {
    return this.#blocked;
  }

  begin(): void {
    if (this.#blocked++ === 0) this.#since = this.#now();
  }

  end(): void {
    if (--this.#blocked === 0) this.#total += this.#now() - this.#since;
  }

  /** Makes it blocked once, or not at all. */
  set(blocked: boolean): void {
    if (blocked && this.#blocked === 0) this.begin();
    else if (!blocked && this.#blocked > 0) this.end();
  }

  /** Milliseconds during which anyone was held back. */
  total(): number {
    return this.#total + (this.#blocked > 0 ? this.#now() - this.#since : 0);
  }
}

/** A number of slots with waiters in the order of their coming. */
export class Slots {
  readonly #blockage: Blockage;
  #limit: number;
  #used = 0;
  /** Of those in use, held by who waits for something else and does nothing meanwhile. */
  #resting = 0;
  #head: Waiter | null = null;
  #tail: Waiter | null = null;

  constructor(limit: number, blockage: Blockage) {
    this.#limit = limit;
    this.#blockage = blockage;
  }

  get limit(): number {
    return this.#limit;
  }

  get used(): number {
    return this.#used;
  }

  /** A slot could be taken without passing anyone who waits. */
  get free(): boolean {
    return this.#used < this.#limit && this.#head === null;
  }

  /** Takes a slot, if one is free, without waiting for it. */
  tryTake(): boolean {
    if (!this.free) return false;
    this.#used += 1;
    return true;
  }

  /** Takes a slot; false: none is free, and `waiter` stands in the queue until `granted` or `leave`. */
  take(waiter: Waiter): boolean {
    if (this.#head === null && this.#used - this.#resting < this.#limit) {
      this.#used += 1;
      return true;
    }
    waiter.waitIn = this;
    waiter.waitPrev = this.#tail;
    waiter.waitNext = null;
    if (this.#tail === null) this.#head = waiter;
    else this.#tail.waitNext = waiter;
    this.#tail = waiter;
    this.#blockage.begin();
    return false;
  }

  /** Gives a slot back; the first in the queue has it. */
  release(): void {
    this.#used -= 1;
    this.#grant();
  }

  /** A holder waits for something else: who stands in the queue may pass it. */
  rest(): void {
    this.#resting += 1;
    this.#grant();
  }

  /** The holder goes on; false: its slot went to another, and it holds none. */
  rouse(): boolean {
    this.#resting -= 1;
    if (this.#used - this.#resting <= this.#limit) return true;
    this.#used -= 1;
    return false;
  }

  /** Takes `waiter` out of the queue. */
  leave(waiter: Waiter): void {
    if (waiter.waitIn !== this) return;
    if (waiter.waitPrev === null) this.#head = waiter.waitNext;
    else waiter.waitPrev.waitNext = waiter.waitNext;
    if (waiter.waitNext === null) this.#tail = waiter.waitPrev;
    else waiter.waitNext.waitPrev = waiter.waitPrev;
    waiter.waitIn = null;
    waiter.waitNext = null;
    waiter.waitPrev = null;
    this.#blockage.end();
  }

  /** Fewer slots let the holders finish; more let waiters in. */
  setLimit(limit: number): void {
    this.#limit = limit;
    this.#grant();
  }

  #grant(): void {
    while (this.#head !== null && this.#used - this.#resting < this.#limit) {
      const waiter = this.#head;
      this.leave(waiter);
      this.#used += 1;
      waiter.granted();
    }
  }
}

/** Successes that win back one connection after throttling. */
const SUCCESSES_PER_SLOT = 4;
/** Refusals of a single connection, one after the other: MaxStartups' usual 30 % make so many once in 400 times. */
const LONE_REFUSALS = 5;

/** The slots of one address, and what it taught us; lives as long as a task refers to it. */
export class AddressSlots extends Slots implements TimerOwner {
  readonly address: string;
  readonly #full: number;
  readonly #wheel: TimerWheel | undefined;
  #penalty: TimerEntry | undefined;
  refs = 0;
  /** How often it throttled. */
  throttles = 0;
  /** How often it hung up, or reset a connection. */
  cutOffs = 0;
  #successes = 0;
  /** Refused one after the other, although there was no other connection of ours. */
  #lone = 0;

  constructor(address: string, limit: number, blockage: Blockage, wheel?: TimerWheel) {
    super(limit, blockage);
    this.address = address;
    this.#full = limit;
    this.#wheel = wheel;
  }

  /** The peer hung up before its identification: half as many at once, at least one. */
  throttled(): void {
    this.throttles += 1;
    this.#successes = 0;
    this.#lone = this.used <= 1 ? this.#lone + 1 : 0;
    if (this.limit > 0) this.setLimit(Math.max(1, Math.floor(this.limit / 2)));
  }

  /** What was refused was no matter of how many there were at once. */
  get refusesAll(): boolean {
    return this.#lone >= LONE_REFUSALS;
  }

  /** The peer lets nobody in from here for a while: nobody tries, and afterwards one at a time. */
  penalised(ms: number): void {
    if (this.#wheel === undefined) return;
    this.#penalty ??= new TimerEntry(this);
    this.setLimit(0);
    this.#wheel.arm(this.#penalty, ms);
  }

  /** The penalty is over. */
  expired(): void {
    this.setLimit(1);
  }

  /** No task refers to it any more. */
  forget(): void {
    if (this.#penalty !== undefined) this.#wheel?.cancel(this.#penalty);
  }

  /** A connection was authenticated. */
  succeeded(): void {
    this.#lone = 0;
    if (this.limit >= this.#full || this.limit === 0) return;
    this.#successes += 1;
    if (this.#successes < SUCCESSES_PER_SLOT) return;
    this.#successes = 0;
    this.setLimit(this.limit + 1);
  }
}

/** Slots per address; an address that no task refers to is forgotten. */
export class AddressLimits {
  readonly blockage: Blockage;
  readonly #limit: number;
  readonly #wheel: TimerWheel | undefined;
  readonly #entries = new Map<string, AddressSlots>();

  /** Without a wheel no address is left alone for a while. */
  constructor(limit: number, blockage: Blockage, wheel?: TimerWheel) {
    this.#limit = limit;
    this.blockage = blockage;
    this.#wheel = wheel;
  }

  /** Addresses in use. */
  get size(): number {
    return this.#entries.size;
  }

  /** The slots of `address`, to be let go with `drop`. */
  refer(address: string): AddressSlots {
    let entry = this.#entries.get(address);
    if (entry === undefined) {
      entry = new AddressSlots(address, this.#limit, this.blockage, this.#wheel);
      this.#entries.set(address, entry);
    }
    entry.refs += 1;
    return entry;
  }

  drop(entry: AddressSlots): void {
    entry.refs -= 1;
    if (entry.refs > 0) return;
    entry.forget();
    this.#entries.delete(entry.address);
  }
}
