/**
 * What is known of each host over the rounds: whether it is up, what it answered last, and when.
 *
 *   unknown ──an answer──▶ up                                    no change: that is where it starts
 *   unknown, up ──`failAfter` failures in a row──▶ down          change `down`
 *   down ──an answer──▶ up                                       change `up`
 *   up ──another answer than the last──▶ up                      change `answer`
 *
 * An answer is an exit status, or that there is none: a command that fails has answered. A failure is whatever kept the host
 * from answering. What says nothing about the host (cancelled, not run, a fault on our side) is neither.
 *
 * 14 bytes a host, allocated once; 6 where answers are not compared.
 */
import type { Change } from '../../contracts/events.ts';
import type { Outcome } from '../../contracts/outcome.ts';
import type { PolledHosts } from '../../contracts/summary.ts';

const UNKNOWN = 0;
const UP = 1;
const DOWN = 2;

/** Times are kept in so many milliseconds: 32 bits are 497 days. */
const TICK_MS = 10;

/** An answer as far as it is compared: two halves of a hash. */
export type Fingerprint = readonly [number, number];

/** What a result says about its host. */
export type News = 'answer' | 'failure' | 'none';

/** All answers that are not compared are one. */
const SAME: Fingerprint = [0, 0];

/** More would not fit into a byte. */
export const MOST_FAIL_AFTER = 255;

export class HostStates {
  readonly #failAfter: number;
  readonly #startAt: number;
  readonly #states: Uint8Array;
  readonly #failures: Uint8Array;
  /** Undefined: they are not compared. */
  readonly #answers: Uint32Array | undefined;
  readonly #answeredAt: Uint32Array;
  #up = 0;
  #down = 0;

  /** `count`: tasks of a round; `compares`: another answer than the last is a change. */
  constructor(count: number, failAfter: number, startAt: number, compares = true) {
    this.#failAfter = failAfter;
    this.#startAt = startAt;
    this.#states = new Uint8Array(count);
    this.#failures = new Uint8Array(count);
    this.#answers = compares ? new Uint32Array(2 * count) : undefined;
    this.#answeredAt = new Uint32Array(count);
  }

  /** Takes what is new of a host; gives the change that it is, if any. `fingerprint` is asked for answers that are compared only. */
  take(index: number, news: News, now: number, fingerprint: () => Fingerprint): Change | undefined {
    if (news === 'none') return undefined;
    if (news === 'failure') return this.#failed(index);
    return this.#answered(index, now, this.#answers === undefined ? SAME : fingerprint());
  }

  /** `staleMs`: answers older than that are stale. */
  counts(now: number, staleMs: number): PolledHosts {
    const at = (now - this.#startAt) / TICK_MS;
    const staleBefore = at - staleMs / TICK_MS;
    let stale = 0;
    let oldest = at;
    for (const answeredAt of this.#answeredAt) {
      if (answeredAt < staleBefore) stale += 1;
      if (answeredAt < oldest) oldest = answeredAt;
    }
    const [up, down] = [this.#up, this.#down];
    return {
      up,
      down,
      unknown: this.#states.length - up - down,
      stale,
      oldestMs: Math.round(Math.max(0, at - oldest) * TICK_MS),
    };
  }

  #answered(index: number, now: number, [high, low]: Fingerprint): Change | undefined {
    const before = this.#states[index];
    const answers = this.#answers;
    const same = answers === undefined || (answers[2 * index] === high && answers[2 * index + 1] === low);
    this.#failures[index] = 0;
    if (answers !== undefined) {
      answers[2 * index] = high;
      answers[2 * index + 1] = low;
    }
    this.#answeredAt[index] = Math.floor((now - this.#startAt) / TICK_MS);
    if (before === UP) return same ? undefined : 'answer';
    this.#states[index] = UP;
    this.#up += 1;
    if (before === UNKNOWN) return undefined;
    this.#down -= 1;
    return 'up';
  }

  #failed(index: number): Change | undefined {
    const before = this.#states[index];
    if (before === DOWN) return undefined;
    const failures = this.#failures[index]! + 1;
    this.#failures[index] = failures;
    if (failures < this.#failAfter) return undefined;
    this.#states[index] = DOWN;
    this.#down += 1;
    if (before === UP) this.#up -= 1;
    return 'down';
  }
}

/** What an outcome says about its host; `upWhen`: `ok`: nothing else is an answer. */
export function newsOf({ kind }: Outcome, upWhen: 'answered' | 'ok' = 'answered'): News {
  switch (kind) {
    case 'ok':
      return 'answer';
    case 'failed':
    case 'signalled':
    case 'no-status':
      return upWhen === 'ok' ? 'failure' : 'answer';
    case 'cancelled':
    case 'skipped':
    case 'not-run':
    case 'error':
      return 'none';
    default:
      return 'failure';
  }
}
