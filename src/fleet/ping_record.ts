/**
 * The record of a sweep on its way: parts of addresses that are touched, and what is counted over all of them, committed every few
 * seconds. What stood in the record before is filled into the chunks of the sweep that goes on.
 *
 *   recording ──a commit fails──▶ given up      said once; the sweep goes on without a record
 */
import { MyriadError } from '../contracts/errors.ts';
import type { OutcomeKind } from '../contracts/outcome.ts';
import type { SweepReader, SweepWriter } from '../journal/sweeps.ts';
import type { PingChunk } from '../ping/chunk.ts';
import { PART, type PartShape, SweepPart } from '../ping/part.ts';
import type { SkippedParts } from '../ping/skipped.ts';
import { ADDRESS_STATES, type AddressState, isUnasked, outcomeOf, STATE } from '../ping/state.ts';
import { NO_TOTALS, type PingTotals } from './ping_totals.ts';

/** Until the first commit; then twice as long each time, up to what a crash costs at most. */
const FIRST_COMMIT_MS = 500;
const COMMIT_MS = 3_000;
/** Parts in memory between two commits, 200 to 700 KB each. */
const MOST_PARTS = 24;

/** As JSON. */
interface StoredTotals extends Omit<PingTotals, 'histogram' | 'times'> {
  readonly states: readonly number[];
  readonly histogram: readonly number[];
  readonly times: readonly number[];
  /** The sweep was going on: what is counted is a little ahead of the states. */
  readonly live: boolean;
}

/** Parts as they were recorded, read as they are asked for. */
export class PingRecord {
  readonly shape: PartShape;
  /** What was counted when it was opened. */
  readonly before: PingTotals;
  protected readonly states: Float64Array;
  protected readonly reader: SweepReader;
  /** The last part that was asked for, for those who walk. */
  #last: SweepPart | undefined;

  constructor(reader: SweepReader, shape: PartShape) {
    this.reader = reader;
    this.shape = shape;
    const { states, histogram, times, live, ...rest } = (reader.totals as StoredTotals | undefined) ?? blankTotals();
    this.states = Float64Array.from({ length: ADDRESS_STATES.length }, (_, i) => states[i] ?? 0);
    const counts = live && shape.rules.passes === 1 ? { ...rest.counts, ...vouched(this.states) } : rest.counts;
    this.before = { ...rest, counts, histogram: Float64Array.from(histogram), times: Float64Array.from(times) };
  }

  get id(): string {
    return this.reader.info.id;
  }

  /** Addresses that are settled: they are not asked again. */
  skipped(): SkippedParts {
    const skipped = new Map<number, Uint8Array | true>();
    for (const number of this.reader.parts()) {
      const part = this.part(number);
      const bits = new Uint8Array(PART / 8);
      let settled = 0;
      for (let i = 0; i < PART; i++) {
        if (!part.settled(i)) continue;
        bits[i >> 3]! |= 1 << (i & 7);
        settled++;
      }
      const all = settled === Math.min(PART, this.reader.info.planned - number * PART);
      if (settled > 0) skipped.set(number, all || bits);
    }
    return skipped;
  }

  /** What is recorded from `from` on to before `end`, in chunks of a part. */
  *rest(from: number, end: number): Generator<PingChunk> {
    for (const number of this.reader.parts()) {
      const base = Math.max(from, number * PART);
      const count = Math.min(end, (number + 1) * PART) - base;
      if (count <= 0) continue;
      const chunk = SweepPart.blank(base, count, this.shape);
      this.part(number).give(chunk);
      yield chunk;
    }
  }

  protected part(number: number): SweepPart {
    if (this.#last?.number !== number) this.#last = this.load(number);
    return this.#last;
  }

  /** Throws MyriadError `journal` where it is damaged. */
  protected load(number: number): SweepPart {
    const stored = this.reader.part(number);
    try {
      return new SweepPart(number, this.shape, stored);
    } catch (cause) {
      throw new MyriadError('journal', `run ${this.id}: part ${number} of the sweep is damaged`, { cause });
    }
  }

  close(): void {
    this.reader.close();
  }
}

/** Of one probe an address: what the states say. Whatever else was sent when the sweep was killed is sent once more. */
function vouched(states: Float64Array): { readonly sent: number; readonly answers: number } {
  const answered: readonly AddressState[] = ['up', 'refused', 'reset', 'no-banner'];
  const sum = (wanted: (state: AddressState) => boolean) =>
    ADDRESS_STATES.reduce((all, state, code) => all + (wanted(state) ? states[code]! : 0), 0);
  return { sent: sum((state) => !isUnasked(state)), answers: sum((state) => answered.includes(state)) };
}

function blankTotals(): StoredTotals {
  const { histogram, times, ...rest } = NO_TOTALS;
  return { ...rest, live: false, states: [], histogram: [...histogram], times: [...times] };
}

/** What a recorder asks while it records. */
export interface Recordable {
  totals(): PingTotals;
  /** What is known of addresses in progress, by their place in the whole sweep. */
  live(): Iterable<PingChunk>;
  /** It is not recorded any more. */
  gaveUp(why: string): void;
}

export class PingRecorder extends PingRecord {
  readonly #writer: SweepWriter;
  readonly #sweep: Recordable;
  /** Touched since the last commit. */
  readonly #open = new Map<number, SweepPart>();
  #timer: NodeJS.Timeout | undefined;
  #givenUp = false;
  readonly #changed = (before: number, after: number) => {
    this.states[before]!--;
    this.states[after]!++;
  };

  constructor(writer: SweepWriter, shape: PartShape, count: number, sweep: Recordable) {
    super(writer, shape);
    this.#writer = writer;
    this.#sweep = sweep;
    if (this.states.every((number) => number === 0)) this.states[STATE['not-probed']] = count;
  }

  /** Commits every few seconds from here on. */
  start(afterMs = FIRST_COMMIT_MS): void {
    const commit = () => {
      this.commit();
      this.start(Math.min(COMMIT_MS, 2 * afterMs));
    };
    this.#timer = setTimeout(commit, afterMs);
  }

  /** Results that stand. What the record has of addresses that were not asked this time is filled in. */
  take(chunk: PingChunk): void {
    for (const part of this.#partsOf(chunk)) {
      part.take(chunk, false, this.#changed);
      part.give(chunk);
    }
    if (this.#open.size > MOST_PARTS) this.#store(true);
  }

  /** All that is known by now. */
  commit(): void {
    if (this.#givenUp) return;
    for (const chunk of this.#sweep.live()) {
      for (const part of this.#partsOf(chunk)) part.take(chunk, true, this.#changed);
    }
    this.#store(true);
  }

  /** The sweep is over; `stopReason`: why it was not through, empty where it was. */
  end(stopReason: string): void {
    clearTimeout(this.#timer);
    this.#store(false);
    if (!this.#givenUp) this.#guard(() => this.#writer.end(stopReason));
  }

  override close(): void {
    clearTimeout(this.#timer);
    super.close();
  }

  protected override part(number: number): SweepPart {
    return this.#open.get(number) ?? super.part(number);
  }

  *#partsOf({ base, count }: PingChunk): Generator<SweepPart> {
    for (let number = Math.floor(base / PART); number * PART < base + count; number++) {
      let part = this.#open.get(number);
      if (part === undefined) {
        part = this.load(number);
        this.#open.set(number, part);
      }
      yield part;
    }
  }

  #store(live: boolean): void {
    if (this.#givenUp) {
      this.#open.clear();
      return;
    }
    const { histogram, times, ...rest } = this.#sweep.totals();
    const totals: StoredTotals = {
      ...rest,
      live,
      states: [...this.states],
      histogram: [...histogram],
      times: [...times],
    };
    const parts = [...this.#open.values()].map((part) => [part.number, part.encode()] as const);
    this.#guard(() => this.#writer.commit(parts, { totals, outcomes: outcomesOf(this.states) }));
    this.#open.clear();
  }

  /** A probe does no harm: a sweep whose record cannot be written goes on. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#givenUp = true;
      this.#sweep.gaveUp((error as Error).message);
    }
  }
}

/** For the list of runs; what was not asked has none. Zeros are in it: what there was may be no more. */
function outcomesOf(states: ArrayLike<number>): Partial<Record<OutcomeKind, number>> {
  const outcomes: Partial<Record<OutcomeKind, number>> = {};
  ADDRESS_STATES.forEach((state, code) => {
    const { kind } = outcomeOf(state);
    if (kind !== 'not-run') outcomes[kind] = (outcomes[kind] ?? 0) + (states[code] ?? 0);
  });
  return outcomes;
}
