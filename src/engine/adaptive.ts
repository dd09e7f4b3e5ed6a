/**
 * The limits of a run that follow what is measured. Pure: events and the time come in, limits go out.
 *
 * fanout, handshakes  each climbs (see `climb.ts`) while it holds tasks back and the loop has time left; falls with a cause:
 *                       loop lag           the loop comes 100 ms late
 *                       descriptors, ports this machine ran out of something (EMFILE, EADDRNOTAVAIL …)
 *                       resets             a fifth of the hosts that were tried, ten at least, cut us off before the login. A host
 *                                          counts once: what it does again at each retry, or to the next task at its address,
 *                                          says something of that host, which is left alone (`limits.ts`, `retry.ts`), and
 *                                          nothing of the network
 *                       refused sessions   so many sessions were refused after a login
 *                       slow logins        see `ramp.ts`
 *                     A cause is named for two seconds after it was seen last.
 * connections         whole ──out of descriptors, ports, buffers──▶ cut: nine tenths of what was open, at most twice a second
 *                     cut ──each second without──▶ a twentieth more ──▶ whole
 * rate                a number, or as `ramp.ts` says
 */
import type { Limits } from '../contracts/limits.ts';
import { ZERO } from '../util/zero.ts';
import { Climb } from './climb.ts';
import { Ramp } from './ramp.ts';
import { TokenBucket } from './token_bucket.ts';

export type Cause = 'loop lag' | 'resets' | 'refused sessions' | 'slow logins' | `local limit (${string})`;

const LAG_MS = 100;
/** Of the time, spent computing: above it more at once would only wait longer. */
const BUSY = 0.8;
const LEAST_FANOUT = 64;
const LEAST_HANDSHAKES = 16;
const LEAST_CONNECTIONS = 16;
const CUT_AGAIN_MS = 500;
const REGROW_MS = 1_000;
const CAUSE_MS = 2_000;
/** Failures of one kind that count as a cause: so many, and such a part of the hosts. */
const FEWEST_FAILURES = 10;
const FAILURE_SHARE = 0.2;

/** The run, as it is now. */
export interface RunView {
  /** The loop came so late, in milliseconds. */
  readonly lateMs: number;
  /** The part of the time that it was computing. */
  readonly load: number;
  /** Tasks could start but for a place. */
  readonly wantsPlaces: boolean;
  readonly wantsHandshakes: boolean;
  readonly handshaking: number;
  readonly running: number;
  /** Tasks that ended, and logins that were made, since the run began. */
  readonly ended: number;
}

export class Controller {
  readonly #limits: Limits;
  readonly #parts: number;
  readonly #fanout: Climb | undefined;
  readonly #handshakes: Climb | undefined;
  readonly #ramp: Ramp | undefined;
  readonly #bucket: TokenBucket | undefined;
  #connections: number;
  #cutAt = Number.NEGATIVE_INFINITY;
  #regrownAt = ZERO;
  /** Hosts of late, and what became of them: halved with each look that had enough of them, as what a host does comes later. */
  #tried = ZERO;
  #letIn = ZERO;
  #cutOff = ZERO;
  #outOf = '';
  #refused = ZERO;
  #logins = 0;
  #offLoopback = false;
  #cause: Cause | undefined;
  #causeAt = ZERO;

  constructor(limits: Limits, now: number) {
    const { fanoutMost, handshakesMost, rate, parts = 1 } = limits.adapt ?? {};
    this.#limits = limits;
    this.#parts = parts;
    if (fanoutMost !== undefined) this.#fanout = new Climb(limits.fanout, LEAST_FANOUT, fanoutMost, now);
    if (handshakesMost !== undefined)
      this.#handshakes = new Climb(limits.handshakes, LEAST_HANDSHAKES, handshakesMost, now);
    if (rate === 'ramp') this.#ramp = new Ramp(now, parts);
    if (rate !== undefined) this.#bucket = new TokenBucket(this.#ramp?.rate ?? (rate as number), now);
    this.#connections = limits.connections;
  }

  get fanout(): number {
    return this.#fanout?.value ?? this.#limits.fanout;
  }

  get handshakes(): number {
    return this.#handshakes?.value ?? this.#limits.handshakes;
  }

  get connections(): number {
    return this.#connections;
  }

  /** Hosts that may be silent before their identification at once. */
  get connecting(): number {
    return this.#offLoopback ? (this.#limits.connecting ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
  }

  /** Why there is less than there was; undefined: there is not. */
  get cause(): Cause | undefined {
    return this.#cause;
  }

  /** The rate in words, of all parts of the run together. */
  get rateText(): string {
    const rate = (this.#bucket?.rate ?? 0) * this.#parts;
    const text = `rate ${rate < 10 ? Number(rate.toFixed(1)) : Math.round(rate)}/s`;
    if (this.#ramp === undefined) return text;
    if (this.#ramp.state !== 'held') return `${text}, growing`;
    if (!this.#ramp.slow) return `${text}, held: hosts hang up`;
    return `${text}, held: logins take ${this.#ramp.slowness.toFixed(1)} times as long as at the start`;
  }

  /** Milliseconds until the rate lets a task start; 0: it does. */
  waitMs(now: number): number {
    const ms = this.#bucket?.waitMs(now) ?? 0;
    if (ms > 0) this.#ramp?.heldBack();
    return ms;
  }

  /** A task started. */
  tries(now: number): void {
    this.#tried += 1;
    this.triesAgain(now);
  }

  /** Of the rate a further try is as much as a first one. */
  triesAgain(now: number): void {
    this.#bucket?.take(now);
  }

  /** A task that has started needs no login: its connection was there. */
  reused(): void {
    this.#bucket?.giveBack();
  }

  /** A task is about to connect to `address`, as the transport names it. True: the rate is another one now. */
  reached(address: string | undefined, now: number): boolean {
    if (this.#offLoopback) return false;
    const loopback = address !== undefined && isLoopback(address);
    if (!loopback) this.#offLoopback = true;
    const ramp = this.#ramp;
    if (ramp === undefined || (loopback && ramp.state !== 'unknown')) return false;
    ramp.reached(loopback, now);
    this.#bucket?.setRate(ramp.rate, now);
    return true;
  }

  loggedIn(ms: number): void {
    this.#logins += 1;
    this.#letIn += 1;
    this.#ramp?.loggedIn(ms);
  }

  /** A host, for the first time, ended a connection before its login. */
  cutOff(): void {
    this.#cutOff += 1;
  }

  /** A login was taken, and its session refused. */
  refusedSession(): void {
    this.#refused += 1;
  }

  /** This machine ran out of something, while so many tasks were in progress. */
  ranOut(of: string, inProgress: number, now: number): void {
    this.#outOf = of;
    if (now - this.#cutAt < CUT_AGAIN_MS) return;
    this.#cutAt = now;
    this.#regrownAt = now;
    this.#connections = Math.max(LEAST_CONNECTIONS, Math.floor(Math.min(this.#connections, inProgress) * 0.9));
  }

  /** Looks at the run; four times a second. */
  tick(now: number, view: RunView): void {
    const cause = this.#look(view);
    if (cause !== undefined) {
      this.#cause = cause;
      this.#causeAt = now;
    } else if (now - this.#causeAt >= CAUSE_MS) this.#cause = undefined;
    const idle = view.load < BUSY;
    this.#fanout?.tick(now, {
      wanted: view.wantsPlaces && idle,
      wrong: cause !== undefined && cause !== 'slow logins',
      busy: view.running,
      done: view.ended,
    });
    this.#handshakes?.tick(now, {
      wanted: view.wantsHandshakes && idle,
      wrong: cause === 'loop lag' || cause === 'slow logins' || cause === 'resets',
      busy: 0,
      done: this.#logins,
    });
    if (this.#ramp !== undefined) {
      if (cause === 'resets') this.#ramp.hungUp();
      this.#ramp.tick(now, view.handshaking);
      if (this.#ramp.rate !== this.#bucket!.rate) this.#bucket!.setRate(this.#ramp.rate, now);
    }
    this.#regrow(now);
  }

  /** The worst that happened since the last look. */
  #look({ lateMs }: RunView): Cause | undefined {
    // Where nothing starts any more, as many have been tried as have answered.
    const hosts = Math.max(this.#tried, this.#letIn + this.#cutOff);
    const often = (times: number): boolean => times >= FEWEST_FAILURES && times >= FAILURE_SHARE * hosts;
    const [resets, refused, outOf] = [often(this.#cutOff), often(this.#refused), this.#outOf];
    // A part of the run that is too small to tell is told together with the next.
    if (resets || refused) this.#keepOfHosts(0);
    else if (hosts >= FEWEST_FAILURES / FAILURE_SHARE) this.#keepOfHosts(0.5);
    this.#outOf = '';
    if (outOf !== '') return `local limit (${outOf})`;
    if (lateMs > LAG_MS) return 'loop lag';
    if (resets) return 'resets';
    if (refused) return 'refused sessions';
    return this.#ramp?.slow ? 'slow logins' : undefined;
  }

  #keepOfHosts(part: number): void {
    this.#tried *= part;
    this.#letIn *= part;
    this.#cutOff *= part;
    this.#refused *= part;
  }

  #regrow(now: number): void {
    const whole = this.#limits.connections;
    if (this.#connections >= whole || now - this.#regrownAt < REGROW_MS) return;
    this.#regrownAt = now;
    this.#connections = Math.min(whole, Math.ceil(this.#connections * 1.05));
  }
}

/** 127.0.0.0/8 and ::1, with a port, as transports write addresses; not what lies behind a jump host. */
export function isLoopback(address: string): boolean {
  return (address.startsWith('127.') || address.startsWith('::1:')) && !address.includes(' ');
}
