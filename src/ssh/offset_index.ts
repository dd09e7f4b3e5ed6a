/**
 * A multimap from byte strings to offsets in a text, for 100,000 entries and more: three typed arrays, no object per entry.
 *
 * Open addressing over `slots`; a slot names the last record of its key. Records of one key form a ring in the order of
 * insertion: `next[last]` is ~first, so that adding is O(1) even when one name stands on every line.
 * A record takes 12 bytes and a distinct key 8 to 16 in `slots` (load between a quarter and a half).
 *
 * The tables can be shared with other threads; who adds to shared ones gets tables of its own first.
 */
import { inSharedMemory } from '../util/shared_memory.ts';

/** Tables in memory that threads share; crosses as it is. */
export interface SharedOffsets {
  readonly slots: Int32Array<ArrayBufferLike>;
  readonly offsets: Uint32Array<ArrayBufferLike>;
  readonly hashes: Int32Array<ArrayBufferLike>;
  readonly next: Int32Array<ArrayBufferLike>;
  readonly keys: number;
  readonly count: number;
}

export class OffsetIndex {
  #slots: Int32Array<ArrayBufferLike> = new Int32Array(16).fill(-1);
  #offsets: Uint32Array<ArrayBufferLike> = new Uint32Array(8);
  #hashes: Int32Array<ArrayBufferLike> = new Int32Array(8);
  #next: Int32Array<ArrayBufferLike> = new Int32Array(8);
  #keys = 0;
  #count = 0;
  /** Others read the tables: they are not written to. */
  #shared = false;
  readonly #equalsAt: (offset: number, bytes: Buffer, length: number) => boolean;

  /** `equalsAt` says whether the key at an offset of the text is `bytes`. */
  constructor(equalsAt: (offset: number, bytes: Buffer, length: number) => boolean) {
    this.#equalsAt = equalsAt;
  }

  /** The number of records. */
  get count(): number {
    return this.#count;
  }

  /** Bytes held by the tables. */
  get byteLength(): number {
    return this.#slots.byteLength + this.#offsets.byteLength + this.#hashes.byteLength + this.#next.byteLength;
  }

  /** The offset of a record; records are numbered in the order of insertion. */
  offset(record: number): number {
    return this.#offsets[record]!;
  }

  /** The first record of a key, or -1. */
  first(hash: number, bytes: Buffer, length: number): number {
    const last = this.#slots[this.#slotOf(hash, bytes, length)]!;
    return last < 0 ? -1 : ~this.#next[last]!;
  }

  /** The next record of the same key, or -1. */
  after(record: number): number {
    const next = this.#next[record]!;
    return next < 0 ? -1 : next;
  }

  /** Moves the tables to where other threads can read them. */
  share(): SharedOffsets {
    this.#slots = inSharedMemory(this.#slots);
    this.#offsets = inSharedMemory(this.#offsets);
    this.#hashes = inSharedMemory(this.#hashes);
    this.#next = inSharedMemory(this.#next);
    this.#shared = true;
    const [slots, offsets, hashes, next] = [this.#slots, this.#offsets, this.#hashes, this.#next];
    return { slots, offsets, hashes, next, keys: this.#keys, count: this.#count };
  }

  /** Reads what another thread shares, instead of what was here. */
  take({ slots, offsets, hashes, next, keys, count }: SharedOffsets): void {
    this.#slots = slots;
    this.#offsets = offsets;
    this.#hashes = hashes;
    this.#next = next;
    this.#keys = keys;
    this.#count = count;
    this.#shared = true;
  }

  add(hash: number, offset: number, bytes: Buffer, length: number): void {
    if (this.#shared) this.#part();
    if (this.#count === this.#offsets.length) this.#resize(this.#count * 2);
    const record = this.#count++;
    this.#offsets[record] = offset;
    this.#hashes[record] = hash;
    const slot = this.#slotOf(hash, bytes, length);
    const last = this.#slots[slot]!;
    this.#slots[slot] = record;
    if (last >= 0) {
      this.#next[record] = this.#next[last]!;
      this.#next[last] = record;
      return;
    }
    this.#next[record] = ~record;
    if (++this.#keys * 2 > this.#slots.length) this.#rehash();
  }

  /** Gives back the room that growing by doubling left over. */
  trim(): void {
    if (this.#offsets.length > this.#count) this.#resize(Math.max(8, this.#count));
  }

  /** From here on the tables are this thread's own. */
  #part(): void {
    this.#slots = Int32Array.from(this.#slots);
    this.#resize(Math.max(8, this.#count));
    this.#shared = false;
  }

  /** The slot that holds this key, or the free one where it belongs. */
  #slotOf(hash: number, bytes: Buffer, length: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const last = this.#slots[slot]!;
      if (last < 0) return slot;
      if (this.#hashes[last] === hash && this.#equalsAt(this.#offsets[last]!, bytes, length)) return slot;
    }
  }

  #resize(capacity: number): void {
    const copy = <T extends Int32Array<ArrayBufferLike> | Uint32Array<ArrayBufferLike>>(into: T, from: T): T => {
      into.set(from.subarray(0, this.#count));
      return into;
    };
    this.#offsets = copy(new Uint32Array(capacity), this.#offsets);
    this.#hashes = copy(new Int32Array(capacity), this.#hashes);
    this.#next = copy(new Int32Array(capacity), this.#next);
  }

  #rehash(): void {
    const old = this.#slots;
    const slots = new Int32Array(old.length * 2).fill(-1);
    const mask = slots.length - 1;
    for (const last of old) {
      if (last < 0) continue;
      let slot = this.#hashes[last]! & mask;
      while (slots[slot]! >= 0) slot = (slot + 1) & mask;
      slots[slot] = last;
    }
    this.#slots = slots;
  }
}

/** FNV-1a over `bytes`, with its high bits mixed down because tables use the low ones. */
export function hashBytes(bytes: Buffer, length: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash ^ (hash >>> 15);
}
