/** What holds a run back, in words: now, and over the whole run. */
import type { Cause } from './adaptive.ts';
import { Blockage } from './limits.ts';

/** A limit is named for the whole run when it held someone back for a tenth of it. */
const WORTH_NAMING = 0.1;
/** Queues outside the engine that are told apart. */
const MOST_QUEUES = 64;

export class Bottleneck {
  /** Tasks that could start but for a place. */
  readonly fanout: Blockage;
  /** Tasks that wait to have their place back. */
  readonly places: Blockage;
  readonly connections: Blockage;
  readonly reader: Blockage;
  readonly handshakes: Blockage;
  readonly addresses: Blockage;
  /** Tasks that could start but for the hosts that are silent. */
  readonly connecting: Blockage;
  /** Tasks that could start but for the rate. */
  readonly rate: Blockage;
  /** Tasks that wait between attempts because a peer throttled or reset them. */
  readonly throttled: Blockage;
  /** Tasks that wait between attempts because this machine ran out of something. */
  readonly localLimit: Blockage;
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #connectionsBy: string;
  /** Why the fanout is less than it was, while it holds tasks back. */
  readonly #causes = new Map<Cause, Blockage>();
  /** What many share outside the engine, and attempts wait for: jump hosts. */
  readonly #queues = new Map<string, Blockage>();
  #rateText = 'rate';
  #outOf = 'descriptors';
  /** The address that throttled most, by which limit, and how often. */
  #worst = '';
  #throttles = 0;

  /** `connectionsBy`: what bounds the connections, in words. */
  constructor(now: () => number, connectionsBy = 'connections') {
    this.#now = now;
    this.#startedAt = now();
    this.#connectionsBy = connectionsBy;
    this.fanout = new Blockage(now);
    this.places = new Blockage(now);
    this.connections = new Blockage(now);
    this.reader = new Blockage(now);
    this.handshakes = new Blockage(now);
    this.addresses = new Blockage(now);
    this.connecting = new Blockage(now);
    this.rate = new Blockage(now);
    this.throttled = new Blockage(now);
    this.localLimit = new Blockage(now);
  }

  /** `address` throttled for the `throttles`-th time, by sshd's `limit`. */
  noteThrottle(address: string, throttles: number, limit: 'MaxStartups' | 'PerSourcePenalties' = 'MaxStartups'): void {
    if (throttles < this.#throttles) return;
    this.#worst = `${limit} at ${address}`;
    this.#throttles = throttles;
  }

  /** This machine ran out of something, as the system names it. */
  noteLocalLimit(outOf: string): void {
    this.#outOf = outOf;
  }

  /** The limits were looked at: why there is less than there was, and the rate in words. */
  adapted(cause: Cause | undefined, rateText: string): void {
    this.#rateText = rateText;
    const blocked = this.fanout.blocked > 0 || this.places.blocked > 0;
    for (const [known, blockage] of this.#causes) blockage.set(blocked && known === cause);
    if (cause === undefined || this.#causes.has(cause)) return;
    const blockage = new Blockage(this.#now);
    blockage.set(blocked);
    this.#causes.set(cause, blockage);
  }

  /** An attempt waits for its turn at `what`, until the function that comes back is called. */
  queues(what: string): () => void {
    let queue = this.#queues.get(what);
    if (queue === undefined) {
      if (this.#queues.size >= MOST_QUEUES) return () => {};
      queue = new Blockage(this.#now);
      this.#queues.set(what, queue);
    }
    const entered = queue;
    let over = false;
    entered.begin();
    return () => {
      if (!over) entered.end();
      over = true;
    };
  }

  /** The narrowest limit that holds anyone back now. */
  now(): string {
    return this.#first((blockage) => blockage.blocked > 0);
  }

  /** The narrowest limit that held someone back for a good part of the run. */
  overall(): string {
    const enough = (this.#now() - this.#startedAt) * WORTH_NAMING;
    return this.#first((blockage) => {
      const total = blockage.total();
      return total > 0 && total >= enough;
    });
  }

  #first(holds: (blockage: Blockage) => boolean): string {
    if (this.#throttles > 0 && (holds(this.throttled) || holds(this.addresses))) {
      return `${this.#worst} (throttled ${this.#throttles} times)`;
    }
    if (holds(this.localLimit)) return `local limit (${this.#outOf})`;
    if (holds(this.addresses)) return 'connections per address';
    const queue = this.#mostOf(this.#queues, holds);
    if (queue !== undefined) return queue;
    if (holds(this.rate)) return this.#rateText;
    if (holds(this.handshakes)) return 'handshakes';
    if (holds(this.connections)) return this.#connectionsBy;
    if (holds(this.connecting)) return 'neighbour table (gc_thresh3)';
    if (holds(this.reader)) return 'unread results';
    return this.#mostOf(this.#causes, holds) ?? (holds(this.fanout) || holds(this.places) ? 'fanout' : '');
  }

  /** Of those that hold tasks back the one that has done it longest. */
  #mostOf(among: ReadonlyMap<string, Blockage>, holds: (blockage: Blockage) => boolean): string | undefined {
    let [most, name]: [number, string | undefined] = [-1, undefined];
    for (const [each, blockage] of among) {
      const total = blockage.total();
      if (total > most && holds(blockage)) [most, name] = [total, each];
    }
    return name;
  }
}
