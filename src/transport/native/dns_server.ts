/** One name server as the client knows it: its lanes, how fast it answers, and whether it is worth asking. */

import type { TimerSource } from '../../util/timer_wheel.ts';
import { type Lane, type LaneUser, TcpLane, UdpLane } from './dns_lane.ts';
import type { ServerAddress } from './resolv_conf.ts';

/** The first retry before anything was measured. */
const FIRST_RETRY_MS = 400;
/** A server's cache answers within a millisecond, but what it must ask for itself takes longer. */
const MIN_RETRY_MS = 100;
/** A server that was asked and has said nothing to anyone for so long is passed over, where there is another. */
const SILENT_MS = 1_000;
/** How long a server is passed over. */
const AVOID_MS = 30_000;
/** Queries on one UDP socket before another is opened: more answers at once could overrun its buffer. */
const PER_LANE = 64;
const MAX_LANES = 4;
/** Queries by which a UDP socket is used up: a port that stays the same can be found out (RFC 5452 §9.2). */
const PER_PORT = 1024;

export interface NameServerUser {
  /** A message came, of any length. */
  received(server: NameServer, lane: Lane, message: Buffer): void;
  /** `lane` is over: what left by it gets no answer there. */
  lost(server: NameServer, lane: Lane, error: NodeJS.ErrnoException): void;
}

export class NameServer implements LaneUser {
  readonly address: ServerAddress;
  readonly #user: NameServerUser;
  readonly #clock: Pick<TimerSource, 'now'>;
  readonly #timeoutMs: number;
  #lanes: UdpLane[] = [];
  /** Used up, and kept for what may still be answered by them until the next one is. */
  #used: UdpLane[] = [];
  #tcp: Lane | undefined;
  /** Smoothed time to an answer and its deviation (RFC 6298); no answer yet: NaN. */
  #answerMs = Number.NaN;
  #deviationMs = 0;
  /** Since when it is waited for without any answer at all; NaN: it is not. */
  #waitingSince = Number.NaN;
  #avoidUntil = Number.NEGATIVE_INFINITY;

  constructor(address: ServerAddress, timeoutMs: number, clock: Pick<TimerSource, 'now'>, user: NameServerUser) {
    this.address = address;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#user = user;
  }

  /** How long an answer is waited for before the query is sent again, in milliseconds. */
  get retryMs(): number {
    const measured = Math.max(MIN_RETRY_MS, this.#answerMs + 4 * this.#deviationMs);
    return Math.min(this.#timeoutMs, Number.isNaN(measured) ? FIRST_RETRY_MS : measured);
  }

  avoided(now: number): boolean {
    return now < this.#avoidUntil;
  }

  /** The lane for `queries` more (two at most): the one with the fewest, and a new one where all have enough. They are sent at once. */
  lane(overTcp: boolean, queries: number, now: number): Lane {
    if (Number.isNaN(this.#waitingSince)) this.#waitingSince = now;
    if (overTcp) {
      this.#tcp ??= new TcpLane(this.address, this);
      this.#tcp.load += queries;
      return this.#tcp;
    }
    let best = this.#lanes[0];
    for (const lane of this.#lanes) if (lane.load < best!.load) best = lane;
    if (best === undefined || (best.load >= PER_LANE && this.#lanes.length < MAX_LANES)) {
      best = new UdpLane(this.address, this);
      this.#lanes.push(best);
    }
    best.load += queries;
    best.queries += queries;
    if (best.queries + 2 > PER_PORT) this.#useUp(best);
    return best;
  }

  #useUp(lane: UdpLane): void {
    this.#lanes = without(this.#lanes, lane);
    for (const old of this.#used) if (old.load === 0) old.close();
    this.#used = [...this.#used.filter((old) => old.load > 0), lane];
  }

  /** Whether `lane` is one of its own, open, of this kind. */
  leads(lane: Lane, overTcp: boolean): boolean {
    return overTcp ? lane === this.#tcp : this.#lanes.some((own) => own === lane);
  }

  /** Something was sent to it by a lane that was there. */
  sent(now: number): void {
    if (Number.isNaN(this.#waitingSince)) this.#waitingSince = now;
  }

  /** It answered a query after `tookMs`, counted from its first copy: what a lost one adds is forgotten soon. */
  answered(tookMs: number): void {
    this.#waitingSince = Number.NaN;
    this.#avoidUntil = Number.NEGATIVE_INFINITY;
    if (Number.isNaN(this.#answerMs)) {
      this.#answerMs = tookMs;
      this.#deviationMs = tookMs / 2;
      return;
    }
    this.#deviationMs += (Math.abs(tookMs - this.#answerMs) - this.#deviationMs) / 4;
    this.#answerMs += (tookMs - this.#answerMs) / 8;
  }

  /** A query was not answered in time: where nothing else was either, it is passed over for a while. */
  missed(now: number): void {
    if (!(now - this.#waitingSince >= Math.min(SILENT_MS, this.#timeoutMs))) return;
    this.#waitingSince = Number.NaN;
    this.#avoidUntil = now + AVOID_MS;
  }

  received(lane: Lane, message: Buffer): void {
    this.#user.received(this, lane, message);
  }

  /** A lane is over. Over UDP that means that nobody is there; a TCP connection may also just have been idle. */
  failed(lane: Lane, error: NodeJS.ErrnoException): void {
    if (lane === this.#tcp) this.#tcp = undefined;
    else {
      this.#lanes = without(this.#lanes, lane);
      this.#used = without(this.#used, lane);
      this.#avoidUntil = this.#clock.now() + AVOID_MS;
    }
    this.#user.lost(this, lane, error);
  }

  close(): void {
    this.#tcp?.close();
    for (const lane of [...this.#lanes, ...this.#used]) lane.close();
  }

  toString(): string {
    const { address, port } = this.address;
    if (port === 53) return address;
    return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  }
}

function without(lanes: readonly UdpLane[], lane: Lane): UdpLane[] {
  return lanes.filter((other) => other !== lane);
}
