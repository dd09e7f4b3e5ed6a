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
import { type Fingerprint, HostStates } from './host_states.ts';
import type { PollRules } from './schedule.ts';

export interface RoundsParts {
  readonly run: string;
  readonly rules: PollRules;
  /** Tasks of a round. */
  readonly count: number;
  /** Failures in a row after which a host is down. */
  readonly failAfter: number;
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
    this.#states = new HostStates(parts.count, parts.failAfter, this.#startedAt);
  }

  /** A round begins. */
  begin(): void {
    this.#startedAt = this.#parts.clock.now();
    this.#outcomes = noOutcomes();
    this.#changesBefore = this.#changes;
  }

  /** Takes a result of the round; gives the change that it is, if any. */
  take(result: TaskResult): ChangeEvent | undefined {
    const { clock, extract } = this.#parts;
    this.#outcomes[result.outcome.kind] += 1;
    let value: string | undefined;
    const fingerprint = (): Fingerprint => {
      value = extract?.(result);
      return fingerprintOf(result, extract === undefined ? undefined : (value ?? ''));
    };
    const change = this.#states.take(result, clock.now(), fingerprint);
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
  const digest = hash('sha256', value ?? stdout.bytes, 'buffer');
  const rest = crc32(`${value === undefined ? stdout.total : ''} ${outcomeLabel(outcome)}`);
  return [(digest.readUInt32LE(0) ^ rest) >>> 0, digest.readUInt32LE(4)];
}

function noOutcomes(): Record<OutcomeKind, number> {
  return Object.fromEntries(OUTCOME_KINDS.map((kind) => [kind, 0])) as Record<OutcomeKind, number>;
}
