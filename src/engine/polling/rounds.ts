/**
 * The rounds of a repeated run as it is told of them: what each came to, how hosts have changed, how they stand. The schedule is the
 * executor's side (`polling_executor.ts`); here is what is known once results are read.
 */
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { ChangeEvent, RoundEndEvent } from '../../contracts/events.ts';
import type { Clock } from '../../contracts/limits.ts';
import { OUTCOME_KINDS, type OutcomeKind, outcomeLabel } from '../../contracts/outcome.ts';
import type { PolledHosts, RoundsSummary } from '../../contracts/summary.ts';
import type { TaskResult } from '../../contracts/task.ts';
import { type Fingerprint, HostStates, newsOf } from './host_states.ts';
import type { PollRules } from './schedule.ts';

export interface RoundsParts {
  readonly run: string;
  readonly rules: PollRules;
  /** Tasks of a round. */
  readonly count: number;
  /** Failures in a row after which a host is down. */
  readonly failAfter: number;
  /** `ok`: whatever is not ok is a failure, and answers are not compared. @default 'answered' */
  readonly upWhen?: 'answered' | 'ok' | undefined;
  /** What of an answer is compared and told; undefined: it is not in there. @default all of its stdout */
  readonly extract?: ((result: TaskResult) => string | undefined) | undefined;
  readonly clock: Clock;
}

/** An answer is stale after so many periods without another. */
const STALE_PERIODS = 3;

export class Rounds {
  readonly #parts: RoundsParts;
  readonly #states: HostStates;
  #outcomes = noOutcomes();
  #startedAt: number;
  #ended = 0;
  #overruns = 0;
  #changes = 0;
  #changesBefore = 0;

  constructor(parts: RoundsParts) {
    this.#parts = parts;
    this.#startedAt = parts.clock.now();
    this.#states = new HostStates(parts.count, parts.failAfter, this.#startedAt, parts.upWhen !== 'ok');
  }

  /** A round begins. */
  begin(): void {
    this.#startedAt = this.#parts.clock.now();
    this.#outcomes = noOutcomes();
    this.#changesBefore = this.#changes;
  }

  /** Takes a result of the round; gives the change that it is, if any. */
  take(result: TaskResult): ChangeEvent | undefined {
    const { clock, extract, upWhen } = this.#parts;
    this.#outcomes[result.outcome.kind] += 1;
    let value: string | undefined;
    const fingerprint = (): Fingerprint => {
      value = extract?.(result);
      return fingerprintOf(result, extract === undefined ? undefined : (value ?? ''));
    };
    const change = this.#states.take(result.index, newsOf(result.outcome, upWhen), clock.now(), fingerprint);
    if (change === undefined) return undefined;
    this.#changes += 1;
    return { type: 'change', time: clock.epoch(), change, value: value ?? null, result };
  }

  /** The round is over; `overruns`: rounds that were left out so far. */
  end(round: number, overruns: number): RoundEndEvent {
    const { run, count, clock } = this.#parts;
    this.#ended += 1;
    this.#overruns = overruns;
    return {
      type: 'round:end',
      time: clock.epoch(),
      run,
      round,
      planned: count,
      outcomes: this.#outcomes,
      durationMs: clock.now() - this.#startedAt,
      changes: this.#changes - this.#changesBefore,
      hosts: this.hosts,
      overruns,
    };
  }

  /** How they stand now. */
  get hosts(): PolledHosts {
    const { rules, clock } = this.#parts;
    return this.#states.counts(clock.now(), rules.everyMs * STALE_PERIODS);
  }

  /** What all of them came to so far. */
  get summary(): RoundsSummary {
    return { rounds: this.#ended, overruns: this.#overruns, changes: this.#changes, hosts: this.hosts };
  }
}

/** An answer is another one where its status is, or what it says; what was not kept of it counts by its length. */
function fingerprintOf({ outcome, stdout }: TaskResult, value: string | undefined): Fingerprint {
  // The usual outcome is a number; a label takes longer than the whole of a short answer.
  const kind = outcome.kind === 'ok' ? (outcome.status ?? -1) : crc32(outcomeLabel(outcome));
  return value === undefined ? hashOf(stdout.bytes, kind, stdout.total) : hashOf(Buffer.from(value), kind, 0);
}

/** What is longer is hashed by OpenSSL: beneath that its call costs more than the bytes do. */
const SHORT = 512;

/** Nobody gains anything by two answers of one hash: it has to be quick. */
function hashOf(bytes: Uint8Array, kind: number, total: number): Fingerprint {
  // Two lanes of multiply and rotate, of which each goes into the other at the end.
  let [high, low] = [0x9e3779b9 ^ kind, 0x85ebca6b ^ total];
  if (bytes.length > SHORT) {
    const digest = hash('sha256', bytes, 'buffer');
    high ^= digest.readInt32LE(0);
    low ^= digest.readInt32LE(4);
  } else {
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]!;
      high = Math.imul(high ^ byte, 0x01000193);
      low = Math.imul((low << 5) | (low >>> 27), 0x5bd1e995) ^ byte;
    }
  }
  high = Math.imul(high ^ (high >>> 15) ^ low, 0x2c1b3c6d);
  low = Math.imul(low ^ (low >>> 13) ^ high, 0x297a2d39);
  return [(high ^ (high >>> 12)) >>> 0, (low ^ (low >>> 16)) >>> 0];
}

function noOutcomes(): Record<OutcomeKind, number> {
  return Object.fromEntries(OUTCOME_KINDS.map((kind) => [kind, 0])) as Record<OutcomeKind, number>;
}
