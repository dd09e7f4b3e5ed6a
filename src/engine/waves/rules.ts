/** What a run in waves is made with, and what that comes to for a plan: sizes of waves, limits, the most that can be at risk. */
import { type Share, shareOf, shareText } from '../../util/share.ts';

export interface WaveRules {
  /** Sizes of waves; the last repeats until the plan is done. @default the whole plan is one, and nobody is told of its end */
  readonly serial?: readonly Share[] | undefined;
  /** After each wave somebody says whether it has passed. @default false */
  readonly checked?: boolean;
  /** Between a wave that has passed and the next, in milliseconds. @default 0 */
  readonly betweenMs?: number;
  /** The starts of a wave are spread over so many milliseconds. @default 0 */
  readonly splayMs?: number;
  /** Tasks that may have begun, or come to the door, and not end ok. @default any number */
  readonly maxFail?: Share | undefined;
  /** Tasks whose hosts may not be reached. @default any number */
  readonly maxUnreached?: Share | undefined;
}

/** Unfinished tasks per failure that is still allowed, the one that stops the run included. */
const UNFINISHED_PER_FAILURE = 10;

/** The waves of a plan, by arithmetic: there may be as many as there are tasks. */
export class WaveSizes {
  /** How many there are. */
  readonly count: number;
  readonly #planned: number;
  readonly #ends: readonly number[];
  readonly #step: number;

  constructor(serial: readonly Share[] | undefined, planned: number) {
    const sizes = (serial ?? [{ count: planned }]).map((share) => Math.max(1, shareOf(share, planned)));
    const ends: number[] = [];
    let end = 0;
    for (const size of sizes) {
      if (end >= planned) break;
      end = Math.min(planned, end + size);
      ends.push(end);
    }
    this.#planned = planned;
    this.#ends = ends;
    this.#step = sizes.at(-1)!;
    this.count = ends.length + Math.ceil((planned - end) / this.#step);
  }

  /** Where wave `number` (from 1) ends in the plan; the next begins there. */
  end(number: number): number {
    if (number <= 0) return 0;
    const known = this.#ends[number - 1];
    if (known !== undefined) return known;
    return Math.min(this.#planned, (this.#ends.at(-1) ?? 0) + (number - this.#ends.length) * this.#step);
  }

  size(number: number): number {
    return this.end(number) - this.end(number - 1);
  }

  /** Tasks of the largest. */
  get largest(): number {
    let largest = 0;
    for (let number = 1; number <= Math.min(this.count, this.#ends.length + 1); number++) {
      largest = Math.max(largest, this.size(number));
    }
    return largest;
  }
}

/** A limit on what goes wrong, over the whole plan. */
export class Limit {
  /** Tasks it allows; Infinity: any number. */
  readonly most: number;
  /** As it was given, with its number: `5% (50)`. */
  readonly text: string;

  constructor(share: Share | undefined, planned: number) {
    this.most = share === undefined ? Infinity : shareOf(share, planned);
    const asGiven = share === undefined ? 'none' : shareText(share);
    this.text = share !== undefined && 'percent' in share ? `${asGiven} (${this.most})` : asGiven;
  }

  get given(): boolean {
    return this.most !== Infinity;
  }

  /** How many tasks may be unfinished when so many have failed; Infinity: any number. */
  unfinished(counted: number): number {
    return this.given ? UNFINISHED_PER_FAILURE * Math.max(1, this.most - counted + 1) : Infinity;
  }
}

/** What waves and limits come to for a plan, before anything connects. */
export interface WaveOutline {
  /** How many waves there are; undefined: the run has none. */
  readonly waves: number | undefined;
  /** Tasks of wave `number`, from 1. */
  size(number: number): number;
  /**
   * Tasks that can have begun without having ended ok when the limit of failures stops the run: those that failed, and those
   * that go on. Undefined: there is no such limit.
   */
  readonly atRisk: number | undefined;
}

/** `begunAtOnce`: tasks that can be past their start at once. */
export function outlineOf(rules: WaveRules, planned: number, begunAtOnce: number): WaveOutline {
  const sizes = new WaveSizes(rules.serial, planned);
  const limit = new Limit(rules.maxFail, planned);
  return {
    waves: rules.serial && sizes.count,
    size: (number) => sizes.size(number),
    atRisk: limit.given ? Math.min(planned, mostAtRisk(limit, Math.min(begunAtOnce, sizes.largest))) : undefined,
  };
}

/**
 * The sum of failed and unfinished tasks grows only by starts, and with `j` failures one starts only below
 * min(at once, 10 × budget left). So it is at most the largest j + min(at once, 10 × (limit − j + 1)): the first part grows with
 * j, the second falls, so that the largest is where they meet.
 */
function mostAtRisk(limit: Limit, atOnce: number): number {
  const sum = (failed: number): number => failed + Math.min(atOnce, limit.unfinished(failed));
  const meet = Math.floor(limit.most + 1 - atOnce / UNFINISHED_PER_FAILURE);
  const within = (failed: number): number => Math.max(0, Math.min(limit.most, failed));
  return Math.max(sum(0), sum(within(meet)), sum(within(meet + 1)), sum(limit.most));
}
