/** What holds a run back, in words: now, and over the whole run. */
import { Blockage } from './limits.ts';

/** A limit is named for the whole run when it held someone back for a tenth of it. */
const WORTH_NAMING = 0.1;

export class Bottleneck {
  /** Tasks that could start but for a place. */
  readonly fanout: Blockage;
  /** Tasks that wait to have their place back. */
  readonly places: Blockage;
  readonly connections: Blockage;
  readonly reader: Blockage;
  readonly handshakes: Blockage;
  readonly addresses: Blockage;
  /** Tasks that wait between attempts because a peer throttled or reset them. */
  readonly throttled: Blockage;
  readonly #now: () => number;
  readonly #startedAt: number;
  /** The address that throttled most, and how often. */
  #worst = '';
  #throttles = 0;

  constructor(now: () => number) {
    this.#now = now;
    this.#startedAt = now();
    this.fanout = new Blockage(now);
    this.places = new Blockage(now);
    this.connections = new Blockage(now);
    this.reader = new Blockage(now);
    this.handshakes = new Blockage(now);
    this.addresses = new Blockage(now);
    this.throttled = new Blockage(now);
  }

  /** `address` throttled for the `throttles`-th time. */
  noteThrottle(address: string, throttles: number): void {
    if (throttles < this.#throttles) return;
    this.#worst = address;
    this.#throttles = throttles;
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
      return `MaxStartups at ${this.#worst} (throttled ${this.#throttles} times)`;
    }
    if (holds(this.addresses)) return 'connections per address';
    if (holds(this.handshakes)) return 'handshakes';
    if (holds(this.connections)) return 'connections';
    if (holds(this.reader)) return 'unread results';
    if (holds(this.fanout) || holds(this.places)) return 'fanout';
    return '';
  }
}
