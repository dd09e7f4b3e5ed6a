/**
 * The limits of a run and what its tasks hold of them.
 *
 * connections  tasks in progress, each with at most one socket: bounds descriptors and memory. Taken when a task starts,
 *              given back when it ends; a task never waits for it, the run starts none beyond it.
 * places       the fanout. A task takes a place when it starts. While its host is silent before the identification
 *              (phases dns and connect, and between attempts) for longer than `patienceMs`, the place is lent to the next
 *              task, so that a silent host holds nothing but its socket. When the identification comes, the task takes a
 *              place again before anything else, ahead of tasks that have not started. Given back at the end.
 *                held ──silent for patienceMs──▶ lent ──identification──▶ (waits) ──▶ held ──end──▶ none
 * perAddress   connections to one address and port that are not yet authenticated; waited for before the socket is made.
 *              Halved when the address throttles, one more after each four successes. A waiting task keeps its place:
 *              it has no socket, and a run against one address must not start all its tasks.
 * handshakes   key exchanges and authentications: bound by CPU. Lent out for good when the peer is silent for a second,
 *              since a silent peer costs none. Given back once authenticated.
 *
 * Order of taking: place, perAddress, (place again), handshakes. Who holds a later one never waits for an earlier one, and
 * every holder has a deadline, so nothing can lock up.
 */

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
  #since = 0;
  #total = 0;

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
    if (this.tryTake()) return true;
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
    while (this.#head !== null && this.#used < this.#limit) {
      const waiter = this.#head;
      this.leave(waiter);
      this.#used += 1;
      waiter.granted();
    }
  }
}

/** Successes that win back one connection after throttling. */
const SUCCESSES_PER_SLOT = 4;

/** The slots of one address, and what it taught us; lives as long as a task refers to it. */
export class AddressSlots extends Slots {
  readonly address: string;
  readonly #full: number;
  refs = 0;
  /** How often it throttled. */
  throttles = 0;
  #successes = 0;

  constructor(address: string, limit: number, blockage: Blockage) {
    super(limit, blockage);
    this.address = address;
    this.#full = limit;
  }

  /** The peer hung up before its identification: half as many at once, at least one. */
  throttled(): void {
    this.throttles += 1;
    this.#successes = 0;
    this.setLimit(Math.max(1, Math.floor(this.limit / 2)));
  }

  /** A connection was authenticated. */
  succeeded(): void {
    if (this.limit >= this.#full) return;
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
  readonly #entries = new Map<string, AddressSlots>();

  constructor(limit: number, blockage: Blockage) {
    this.#limit = limit;
    this.blockage = blockage;
  }

  /** Addresses in use. */
  get size(): number {
    return this.#entries.size;
  }

  /** The slots of `address`, to be let go with `drop`. */
  refer(address: string): AddressSlots {
    let entry = this.#entries.get(address);
    if (entry === undefined) {
      entry = new AddressSlots(address, this.#limit, this.blockage);
      this.#entries.set(address, entry);
    }
    entry.refs += 1;
    return entry;
  }

  drop(entry: AddressSlots): void {
    entry.refs -= 1;
    if (entry.refs === 0) this.#entries.delete(entry.address);
  }
}
