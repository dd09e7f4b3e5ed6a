/**
 * What the thread of a sweep and the main thread share: counts, a histogram of round trips, and slots that blocks of addresses pass
 * through. A slot belongs to the thread until it says that its block is done, and from then on to the main thread until that gives it back.
 */

/** Addresses of one block: what is held in memory of a sweep, times SLOTS. */
const BLOCK = 2 ** 18;
/** With several probes an address has 24 bytes instead of 5. */
const BLOCK_OF_MANY = 2 ** 16;
/** Blocks at once: one is sent, two wait for their last answers, one is read. */
const SLOTS = 4;

/** Words of control. */
export const CONTROL = { stop: 0, returned: 1, begun: 2 } as const;

/** What is counted while a sweep goes on. */
export const COUNTS = [
  'sent',
  'answers',
  /** Answers that came after their timeout. */
  'late',
  'duplicates',
  /** Answers to a probe of ours, from an address that it was not sent to. */
  'fromOthers',
  /** Echo replies with our identifier that are no answers of this sweep: of an older one, or made up. */
  'foreign',
  /** ICMP errors about our probes. */
  'errors',
  /** Sends that found a full buffer, and were done again. */
  'fullBuffers',
  /** Sends that this machine refused. */
  'sendFailures',
  /** Addresses that have answered. */
  'up',
  /** Addresses that are done. */
  'done',
] as const;

export type CountName = (typeof COUNTS)[number];
export type Counts = Record<CountName, number>;

export interface SweepShape {
  /** Addresses. */
  readonly count: number;
  /** Probes for one address, retries included. */
  readonly passes: number;
}

function blockSize({ count, passes }: SweepShape): number {
  return Math.max(1, Math.min(count, passes === 1 ? BLOCK : BLOCK_OF_MANY));
}

/** What is known of the addresses of a block, by position. With one pass only `state` and `rtt`: the rest is empty. */
export interface Slot {
  readonly state: Uint8Array;
  /** Microseconds; with several passes the sum of all answers. */
  readonly rtt: Uint32Array | Float64Array;
  readonly least: Uint32Array;
  readonly most: Uint32Array;
  readonly sent: Uint16Array;
  readonly received: Uint16Array;
  /** A bit per pass that was answered, `words` words an address. */
  readonly answered: Uint32Array;
  readonly words: number;
}

/** Sixteen steps to each power of two of microseconds. */
export const HISTOGRAM = 32 * 16;

/** Of all round trips: the sum, the least, the most, in microseconds. */
export const TIMES = 3;

/** Counts a round trip where they are counted. */
export function addTrip(histogram: Float64Array, times: Float64Array, micros: number): void {
  histogram[bucketOf(micros)]!++;
  times[0]! += micros;
  if (times[1] === 0 || micros < times[1]!) times[1] = micros;
  if (micros > times[2]!) times[2] = micros;
}

export class Shared {
  readonly memory: SharedArrayBuffer;
  readonly control: Int32Array;
  readonly counts: Float64Array;
  readonly histogram: Float64Array;
  readonly times: Float64Array;
  readonly slots: readonly Slot[];
  readonly block: number;

  constructor(shape: SweepShape, memory?: SharedArrayBuffer) {
    const size = blockSize(shape);
    const many = shape.passes > 1;
    const words = many ? Math.ceil(shape.passes / 32) : 0;
    const each = many ? size * (8 + 4 + 4 + 4 * words + 2 + 2 + 1) : size * (4 + 1);
    const slotBytes = Math.ceil(each / 8) * 8;
    const headBytes = 64 + 8 * (COUNTS.length + HISTOGRAM + TIMES);
    const slots = Math.min(SLOTS, Math.ceil(shape.count / size));
    this.block = size;
    this.memory = memory ?? new SharedArrayBuffer(headBytes + slots * slotBytes);
    this.control = new Int32Array(this.memory, 0, 16);
    this.counts = new Float64Array(this.memory, 64, COUNTS.length);
    this.histogram = new Float64Array(this.memory, 64 + 8 * COUNTS.length, HISTOGRAM);
    this.times = new Float64Array(this.memory, headBytes - 8 * TIMES, TIMES);
    this.slots = Array.from({ length: slots }, (_, i) => slotAt(this.memory, headBytes + i * slotBytes, size, words));
  }

  add(name: CountName, by = 1): void {
    this.counts[INDEX[name]]! += by;
  }

  /** A round trip, in microseconds. */
  addTrip(micros: number): void {
    addTrip(this.histogram, this.times, micros);
  }

  count(name: CountName): number {
    return this.counts[INDEX[name]]!;
  }

  allCounts(): Counts {
    return Object.fromEntries(COUNTS.map((name) => [name, this.count(name)])) as Counts;
  }
}

const INDEX = Object.fromEntries(COUNTS.map((name, i) => [name, i])) as Readonly<Record<CountName, number>>;

/** The widest first, so that each is aligned. */
function slotAt(memory: SharedArrayBuffer, from: number, size: number, words: number): Slot {
  let at = from;
  const take = (bytes: number) => {
    at += bytes;
    return at - bytes;
  };
  const many = words > 0 ? size : 0;
  const rtt = many ? new Float64Array(memory, take(8 * size), size) : new Uint32Array(memory, take(4 * size), size);
  const least = new Uint32Array(memory, take(4 * many), many);
  const most = new Uint32Array(memory, take(4 * many), many);
  const answered = new Uint32Array(memory, take(4 * many * words), many * words);
  const sent = new Uint16Array(memory, take(2 * many), many);
  const received = new Uint16Array(memory, take(2 * many), many);
  const state = new Uint8Array(memory, take(size), size);
  return { state, rtt, least, most, sent, received, answered, words };
}

/** The place of a round trip in the histogram. */
export function bucketOf(micros: number): number {
  const value = Math.max(1, Math.floor(micros));
  const power = 31 - Math.clz32(value);
  return power * 16 + (power >= 4 ? (value >>> (power - 4)) & 15 : (value << (4 - power)) & 15);
}

/** The middle of what a place of the histogram holds, in microseconds. */
export function middleOf(bucket: number): number {
  const power = bucket >> 4;
  return 2 ** power * (1 + ((bucket & 15) + 0.5) / 16);
}

/** Below this are so many of all round trips, from 0 to 1; 0 where there are none. */
export function percentile(histogram: Float64Array, share: number): number {
  const all = histogram.reduce((sum, count) => sum + count, 0);
  let below = 0;
  for (let i = 0; i < histogram.length; i++) {
    below += histogram[i]!;
    if (below > 0 && below >= all * share) return middleOf(i);
  }
  return 0;
}
