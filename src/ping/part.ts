/**
 * What is recorded of a sweep: parts of 65,536 addresses by their place in it, whatever blocks it was swept in, with three bytes an
 * address (how it ended, its round trip), or eleven where it is asked several times.
 */
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import type { PingChunk } from './chunk.ts';
import { ADDRESS_STATES, isUnasked, STATE } from './state.ts';

/** Addresses of a part. */
export const PART = 65_536;

/** What stands in a part beside the states. */
export interface PartShape {
  /** Probes for each address; see `BlockRules`. */
  readonly rules: { readonly passes: number; readonly mode: 'count' | 'retry' };
  readonly banner: boolean;
}

/** Columns of sixteen bits. */
const ONE = ['rtt'] as const;
const MANY = ['rtt', 'sent', 'received', 'least', 'most'] as const;
type Column = (typeof MANY)[number] | 'software';

/** A round trip in sixteen bits: exact up to 4 ms, to a two-thousandth beyond. */
export function packMicros(micros: number): number {
  const shift = Math.max(0, 20 - Math.clz32(micros));
  return shift === 0 ? micros : 4096 + (shift - 1) * 2048 + ((micros >>> shift) - 2048);
}

export function unpackMicros(packed: number): number {
  if (packed < 4096) return packed;
  const shift = ((packed - 4096) >>> 11) + 1;
  return (((packed - 4096) & 2047) + 2048) * 2 ** shift;
}

export class SweepPart {
  readonly number: number;
  readonly #shape: PartShape;
  readonly #bytes: Uint8Array;
  readonly #state: Uint8Array;
  readonly #columns: Readonly<Partial<Record<Column, Uint16Array>>>;

  /** `stored`: as `encode` gave it. Throws RangeError where it is not that. */
  constructor(number: number, shape: PartShape, stored?: Uint8Array) {
    this.number = number;
    this.#shape = shape;
    const names: Column[] = [
      ...(shape.rules.passes > 1 ? MANY : ONE),
      ...(shape.banner ? (['software'] as const) : []),
    ];
    const length = PART * (1 + 2 * names.length);
    this.#bytes = stored === undefined ? new Uint8Array(length) : inflated(stored, length);
    this.#state = this.#bytes.subarray(0, PART);
    const columns: Partial<Record<Column, Uint16Array>> = {};
    names.forEach((name, i) => {
      columns[name] = new Uint16Array(this.#bytes.buffer, this.#bytes.byteOffset + PART * (1 + 2 * i), PART);
    });
    this.#columns = columns;
  }

  encode(): Uint8Array {
    const packed = deflateRawSync(this.#bytes, { level: 1 });
    const crc = Buffer.alloc(4);
    crc.writeUInt32LE(crc32(packed));
    return Buffer.concat([crc, packed]);
  }

  /** As `ADDRESS_STATES` has them. */
  get states(): Uint8Array {
    return this.#state;
  }

  /** Whether the address at place `i` need not be asked any more. What kept us from asking may be over, so that is not settled. */
  settled(i: number): boolean {
    const state = this.#state[i]!;
    if (state === STATE.name) return true;
    if (isUnasked(ADDRESS_STATES[state]!)) return false;
    const { passes, mode } = this.#shape.rules;
    if (passes === 1 || (mode === 'retry' && state === STATE.up)) return true;
    return this.#columns.sent![i]! >= passes;
  }

  /**
   * Takes what a chunk knows of the addresses of this part, and tells of each state that changes. `live`: the chunk's block is not over, so
   * that only what cannot change any more counts.
   */
  take(chunk: PingChunk, live: boolean, changed: (before: number, after: number) => void): void {
    const [from, to] = this.#span(chunk);
    for (let i = from; i < to; i++) {
      const at = i - chunk.base;
      const place = i - this.number * PART;
      const after = chunk.state[at]!;
      if (after === STATE['not-probed'] || (live && !this.#isFinal(chunk, at)) || this.settled(place)) continue;
      changed(this.#state[place]!, after);
      this.#state[place] = after;
      this.#columns.rtt![place] = packMicros(chunk.rtt[at]!);
      if (chunk.many) this.#takeMany(chunk.many, at, place);
      if (chunk.software) this.#columns.software![place] = chunk.software[at]!;
    }
  }

  #takeMany({ sent, received, least, most }: NonNullable<PingChunk['many']>, at: number, place: number): void {
    const columns = this.#columns;
    columns.sent![place] = sent[at]!;
    columns.received![place] = received[at]!;
    columns.least![place] = packMicros(least[at]!);
    columns.most![place] = packMicros(most[at]!);
  }

  /** Whether nothing that may still come changes it. */
  #isFinal({ state, many }: PingChunk, at: number): boolean {
    if (this.#shape.rules.mode === 'count' && many) return many.received[at]! >= this.#shape.rules.passes;
    return state[at] === STATE.up;
  }

  /** Fills in what the chunk does not know. */
  give(chunk: PingChunk): void {
    const [from, to] = this.#span(chunk);
    const { rtt, sent, received, least, most, software } = this.#columns;
    for (let i = from; i < to; i++) {
      const at = i - chunk.base;
      const place = i - this.number * PART;
      if (chunk.state[at] !== STATE['not-probed'] || this.#state[place] === STATE['not-probed']) continue;
      chunk.state[at] = this.#state[place]!;
      if (chunk.state[at] === STATE.up) chunk.bits[at >> 3]! |= 1 << (at & 7);
      chunk.rtt[at] = unpackMicros(rtt![place]!);
      if (chunk.software && software) chunk.software[at] = software[place]!;
      if (!chunk.many || !sent) continue;
      chunk.many.sent[at] = sent[place]!;
      chunk.many.received[at] = received![place]!;
      chunk.many.least[at] = unpackMicros(least![place]!);
      chunk.many.most[at] = unpackMicros(most![place]!);
    }
  }

  #span({ base, count }: PingChunk): readonly [from: number, to: number] {
    return [Math.max(base, this.number * PART), Math.min(base + count, (this.number + 1) * PART)];
  }

  /** A chunk of nothing, `count` addresses from `base` on, to be filled. */
  static blank(base: number, count: number, { rules, banner }: PartShape): PingChunk {
    const many =
      rules.passes > 1
        ? {
            sent: new Uint16Array(count),
            received: new Uint16Array(count),
            least: new Uint32Array(count),
            most: new Uint32Array(count),
          }
        : undefined;
    return {
      base,
      count,
      bits: new Uint8Array(Math.ceil(count / 8)),
      rtt: new Uint32Array(count),
      state: new Uint8Array(count),
      many,
      software: banner ? new Uint16Array(count) : undefined,
    };
  }
}

function inflated(stored: Uint8Array, length: number): Uint8Array {
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  if (bytes.length < 4 || crc32(bytes.subarray(4)) !== bytes.readUInt32LE(0)) throw new RangeError('damaged');
  const whole = new Uint8Array(length);
  const plain = inflateRawSync(bytes.subarray(4), { maxOutputLength: length });
  if (plain.length !== length) throw new RangeError('damaged');
  // A copy of its own: sixteen-bit columns need an even place in memory.
  whole.set(plain);
  return whole;
}
