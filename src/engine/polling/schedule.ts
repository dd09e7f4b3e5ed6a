/**
 * When rounds are due, and how many tasks of a round may have started by now. Pure: the time is given.
 *
 * Rounds are due at start + k × period, whatever they take. A round that is not over when the next is due makes that one an
 * overrun: it is left out and counted, so that no host is ever asked twice at once, and those after it keep their times.
 *
 * Within a round the hosts start one after the other over the jitter, each at the same offset every time: that of its place.
 */

export interface PollRules {
  /** From the start of a round to that of the next, in milliseconds. */
  readonly everyMs: number;
  /** Over how much of it the starts of a round are spread, in milliseconds; less than the period. */
  readonly jitterMs: number;
  /** How many rounds there are; Infinity: until the run is stopped. */
  readonly rounds: number;
}

export class RoundSchedule {
  readonly #rules: PollRules;
  readonly #startAt: number;
  /** The last round that began was due as the so-manieth. */
  #slot = -1;
  #round = -1;
  #overruns = 0;

  constructor(rules: PollRules, startAt: number) {
    this.#rules = rules;
    this.#startAt = startAt;
  }

  /** The round that began last, from 0; -1: none has. */
  get round(): number {
    return this.#round;
  }

  /** Rounds that were left out. */
  get overruns(): number {
    return this.#overruns;
  }

  get done(): boolean {
    return this.#round + 1 >= this.#rules.rounds;
  }

  /** When the next round is due. */
  get nextAt(): number {
    return this.#startAt + (this.#slot + 1) * this.#rules.everyMs;
  }

  /** The last round is over: those that were due meanwhile are left out. `counts`: somebody waited for them. */
  over(now: number, counts = true): void {
    if (this.done) return;
    const passed = Math.max(0, Math.ceil((now - this.nextAt) / this.#rules.everyMs));
    // One that is due at this very moment is not late.
    this.#slot += passed;
    if (counts) this.#overruns += passed;
  }

  /** The next round begins. */
  begin(): number {
    this.#slot += 1;
    this.#round += 1;
    return this.#round;
  }
}

/** Logins that may come in a heap before they are spread. */
const LOGIN_SLACK = 32;
/** Fifty a second are no storm. */
const MOST_LOGIN_MS = 20;
/** The part of a period over which a whole fleet's logins are spread: some time is left for the last of them. */
const LOGIN_SHARE = 0.8;

/**
 * How many tasks of one round may have started: as many as their offsets allow, and where hosts need a login (after the fleet has
 * restarted they all do) no more than keep the logins spread over the period.
 *
 *   by offsets ──more logins than spread ones would be, and 32──▶ by logins     to the end of the round
 *   (start) ──so many connections are gone that they would be──▶ by logins
 *
 * By logins, every task in progress is taken for a login until it has ended as none.
 */
export class RoundPace {
  readonly #startAt: number;
  readonly #count: number;
  readonly #jitterMs: number;
  /** Between two logins; 0: they are not spread. */
  readonly #loginMs: number;
  #logins = 0;
  #others = 0;
  #careful = false;
  #here = 0;

  /**
   * `spreads`: logins are spread. The first round of a run is all logins, and somebody waits for it: the engine's limits do. `kept`:
   * connections that there are at its start, where that is known.
   */
  constructor(rules: PollRules, count: number, startAt: number, spreads: boolean, kept = count) {
    this.#startAt = startAt;
    this.#count = count;
    this.#jitterMs = rules.jitterMs;
    this.#loginMs = spreads ? Math.min(MOST_LOGIN_MS, (rules.everyMs * LOGIN_SHARE) / count) : 0;
    this.#careful = spreads && count - kept > rules.jitterMs / this.#loginMs + LOGIN_SLACK;
  }

  /** Logins are spread: whether more may start depends on how those before have ended. */
  get careful(): boolean {
    return this.#careful;
  }

  /** A task has ended. */
  ended(login: boolean): void {
    if (login) this.#logins += 1;
    else this.#others += 1;
  }

  /** Tasks that may have started by `now`; never fewer than before. */
  here(now: number): number {
    const byOffset = this.#jitterMs === 0 ? this.#count : 1 + ((now - this.#startAt) / this.#jitterMs) * this.#count;
    if (this.#loginMs > 0) this.#careful ||= this.#logins > this.#spread(now);
    const byLogins = this.#careful ? this.#others + this.#spread(now) : this.#count;
    this.#here = Math.max(this.#here, Math.min(this.#count, Math.floor(byOffset), Math.floor(byLogins)));
    return this.#here;
  }

  /** When `here` will have grown by itself; Infinity: it has reached the count. */
  nextAt(now: number): number {
    if (this.here(now) >= this.#count) return Infinity;
    const next = this.#here + 1;
    const byOffset = this.#startAt + ((next - 1) / this.#count) * this.#jitterMs;
    if (!this.#careful) return byOffset;
    return Math.max(byOffset, this.#startAt + (next - this.#others - LOGIN_SLACK) * this.#loginMs);
  }

  /** Logins that there are by now where they are spread. */
  #spread(now: number): number {
    return (now - this.#startAt) / this.#loginMs + LOGIN_SLACK;
  }
}
