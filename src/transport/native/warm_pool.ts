/**
 * Connections that have done their work and wait for more of it: logged in, their host's key verified, without a channel.
 *
 *   in use ──put──▶ warm ──take──▶ in use
 *   in use ──put: the pool is full, or the connection too old──▶ closed, by who has it
 *   warm ──nobody took it, or it is too old──▶ closed, with DISCONNECT     within a second of its time
 *   warm ──the peer ends it──▶ closed       at once
 *   any ──close──▶ closed
 *
 * A connection is for one task at a time, and only for hosts whose route would have made the same login. Where the pool is full
 * what comes is not kept, and what is there stays: runs of a fleet go over its hosts in the same order each time, so that a pool
 * that gives up its oldest would have given up each host just before its turn.
 *
 * Connections of one age would all be made anew at one time: each lives for between half of `ageMs` and all of it, by when it was made.
 *
 * `most` bounds it: a connection at rest takes 15 KB and one descriptor, nothing is sent on it, and it does not keep the process.
 */
import type { Clock } from '../../contracts/limits.ts';
import { type Route, routeId } from './route.ts';

/** A connection as far as the pool knows it. */
export interface Restable {
  /** False: it cannot be kept. `gone` is called once when it is over, before it is taken out again. */
  rest(gone: () => void): boolean;
  /** Says goodbye. */
  close(): void;
}

export interface WarmOptions {
  /** Connections at once; 0: none is kept. */
  readonly most: number;
  /** How long one is kept that nobody takes, in milliseconds. @default 60000 */
  readonly idleMs?: number | undefined;
  /** After so long from its login it is not kept, in milliseconds. @default 600000 */
  readonly ageMs?: number | undefined;
}

/** A connection to a host, since when, and where it was found. */
export interface Kept<C extends Restable> {
  readonly client: C;
  readonly route: Route;
  readonly address: string;
  /** Of its login, by the clock. */
  readonly bornAt: number;
}

/**
 * One a connection, made when it rests for the first time: what is made anew each time it rests becomes old with it, and waits
 * for a collection of all memory.
 */
class Entry<C extends Restable> implements Kept<C> {
  readonly client: C;
  readonly route: Route;
  readonly address: string;
  readonly bornAt: number;
  readonly gone: () => void;
  dueAt = 0;
  /** To the same name, at rest for longer. */
  next: Entry<C> | undefined = undefined;

  constructor({ client, route, address, bornAt }: Kept<C>, remove: (entry: Entry<C>) => void) {
    this.client = client;
    this.route = route;
    this.address = address;
    this.bornAt = bornAt;
    const gone = (): void => remove(this);
    this.gone = gone;
  }
}

/** Connections that are due are looked for so often at most. */
const SWEEP_MS = 1000;
/** Names without a connection that are kept in any case. */
const SPARE_NAMES = 1024;
/** Hosts remembered as taking one session a connection; with one more all are forgotten, and learnt again. */
const MOST_SINGLE = 4096;

export class WarmPool<C extends Restable> {
  readonly #clock: Clock;
  #most: number;
  #idleMs: number;
  #ageMs: number;
  /**
   * By the name that was dialled, the one that came last first. Undefined: all of them are in use, or gone. A Map from which each name
   * is deleted and put again copies all that is in it every so many times.
   */
  readonly #entries = new Map<string, Entry<C> | undefined>();
  /** Routes to hosts that refused a second session. */
  readonly #single = new Set<string>();
  readonly #removeEntry: (entry: Entry<C>) => void;
  #size = 0;
  #sweep: { cancel(): void } | undefined;
  #sweepAt = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(options: WarmOptions, clock: Clock) {
    this.#clock = clock;
    this.#most = options.most;
    this.#idleMs = options.idleMs ?? 60_000;
    this.#ageMs = options.ageMs ?? 600_000;
    const removeEntry = (entry: Entry<C>): void => this.#remove(entry);
    this.#removeEntry = removeEntry;
  }

  /** From here on it keeps as much as that, where it kept less. What is there has its time. */
  grow({ most, idleMs = 0, ageMs = 0 }: WarmOptions): void {
    this.#most = Math.max(this.#most, most);
    this.#idleMs = Math.max(this.#idleMs, idleMs);
    this.#ageMs = Math.max(this.#ageMs, ageMs);
  }

  get size(): number {
    return this.#size;
  }

  /** Names it knows: those of connections that wait, and of some that are in use or gone. */
  get names(): number {
    return this.#entries.size;
  }

  /** Keeps a connection that nobody uses; `kept` is what `take` gave, where it did. False: it is not kept, and still the caller's. */
  put(kept: Kept<C>): boolean {
    if (this.#closed || this.#size >= this.#most || !keepable(kept.route)) return false;
    const now = this.#clock.now();
    const dueAt = Math.min(now + this.#idleMs, kept.bornAt + this.#ageMs * lifeOf(kept.bornAt));
    if (dueAt <= now || (this.#single.size > 0 && this.#single.has(routeId(kept.route)))) return false;
    const { name } = kept.route;
    const entry = kept instanceof Entry ? (kept as Entry<C>) : new Entry(kept, this.#removeEntry);
    if (!kept.client.rest(entry.gone)) return false;
    entry.dueAt = dueAt;
    entry.next = this.#entries.get(name);
    this.#entries.set(name, entry);
    this.#size += 1;
    this.#sweepBy(dueAt, now);
    return true;
  }

  /** A connection with the login that `route` asks for; it is the caller's from here on. */
  take(route: Route): Kept<C> | undefined {
    if (this.#size === 0) return undefined;
    const now = this.#clock.now();
    for (let entry = this.#entries.get(route.name); entry !== undefined; entry = entry.next) {
      if (entry.dueAt <= now || !sameLogin(entry.route, route)) continue;
      this.#remove(entry);
      entry.next = undefined;
      return entry;
    }
    return undefined;
  }

  /** One of this route's turned out dead: the others are hardly better. */
  drop(route: Route): void {
    for (let entry = this.#entries.get(route.name); entry !== undefined; entry = entry.next) {
      if (sameLogin(entry.route, route)) this.#end(entry);
    }
  }

  /** The host opens one session a connection: none to it is kept any more. */
  single(route: Route): void {
    if (this.#single.size >= MOST_SINGLE) this.#single.clear();
    this.#single.add(routeId(route));
    this.drop(route);
  }

  /** Says goodbye to all; none is kept from here on. */
  close(): void {
    this.#closed = true;
    this.#sweep?.cancel();
    this.#sweep = undefined;
    for (const newest of this.#entries.values()) {
      for (let entry: Entry<C> | undefined = newest; entry !== undefined; entry = entry.next) this.#end(entry);
    }
  }

  #end(entry: Entry<C>): void {
    this.#remove(entry);
    entry.client.close();
  }

  /** Again is nothing. `entry.next` stays: who walks along is not lost. */
  #remove(entry: Entry<C>): void {
    const { name } = entry.route;
    let before: Entry<C> | undefined;
    let at = this.#entries.get(name);
    while (at !== undefined && at !== entry) {
      before = at;
      at = at.next;
    }
    if (at === undefined) return;
    this.#size -= 1;
    if (before !== undefined) before.next = entry.next;
    else this.#entries.set(name, entry.next);
    this.#forgetNames();
  }

  /** Those without a connection, once they are the most: each is looked at a bounded number of times. */
  #forgetNames(): void {
    if (this.#entries.size <= 2 * this.#size + SPARE_NAMES) return;
    for (const [name, entry] of this.#entries) if (entry === undefined) this.#entries.delete(name);
  }

  #sweepBy(dueAt: number, now: number): void {
    if (dueAt >= this.#sweepAt) return;
    this.#sweep?.cancel();
    this.#sweepAt = dueAt;
    const sweep = this.#clock.setTimer(Math.max(0, dueAt - now), () => this.#closeDue());
    sweep.unref?.();
    this.#sweep = sweep;
  }

  /** Those that are due go; the next look is when the first of the rest is, a second from now at least. */
  #closeDue(): void {
    this.#sweep = undefined;
    this.#sweepAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    let first = Number.POSITIVE_INFINITY;
    for (const newest of this.#entries.values()) {
      for (let entry: Entry<C> | undefined = newest; entry !== undefined; entry = entry.next) {
        if (entry.dueAt <= now) this.#end(entry);
        else first = Math.min(first, entry.dueAt);
      }
    }
    if (first < Number.POSITIVE_INFINITY) this.#sweepBy(Math.max(first, now + SWEEP_MS), now);
  }
}

/** Between a half and 1, spread evenly for logins one after the other (by the golden ratio). */
function lifeOf(bornAt: number): number {
  return 1 - ((bornAt * 0.618_033_988_75) % 1) / 2;
}

/**
 * A host that may use our agent keeps it no longer than its command: what that left behind could go on asking. A ProxyCommand
 * is a program of ours for each connection, which is more than a pool of a thousand should hold.
 */
function keepable({ profile, proxyCommand }: Route): boolean {
  return profile.forwardAgent === undefined && proxyCommand === undefined;
}

/**
 * By identity where things are shared: routes to the same host of one fleet have the same objects, and where they do not, a
 * login too many does no harm. The same profile is the same verifier of host keys, which has said yes to this very key.
 */
function sameLogin(a: Route, b: Route): boolean {
  const { keys, user } = a.credentials;
  return (
    a.port === b.port &&
    user === b.credentials.user &&
    a.profile === b.profile &&
    (keys === b.credentials.keys || (keys.length === 0 && b.credentials.keys.length === 0)) &&
    (a.via === b.via || (a.via.length === 0 && b.via.length === 0)) &&
    a.keyHost.name === b.keyHost.name &&
    a.keyHost.port === b.keyHost.port
  );
}
