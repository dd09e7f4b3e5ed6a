/** Addresses of a sweep that are not asked, for what they are is known: a bit each, in parts of 65,536; whole parts cost nothing. */
import { PART } from './part.ts';

/** By the number of the part: its bits, or `true` where it is all of it. */
export type SkippedParts = ReadonlyMap<number, Uint8Array | true>;

export class Skipped {
  readonly #parts: SkippedParts;
  /** The place in the whole sweep of what is asked about as 0. */
  readonly #base: number;

  constructor(parts: SkippedParts, base: number) {
    this.#parts = parts;
    this.#base = base;
  }

  has(index: number): boolean {
    const at = this.#base + index;
    const part = this.#parts.get(Math.floor(at / PART));
    if (part === undefined || part === true) return part === true;
    const place = at % PART;
    return (part[place >> 3]! & (1 << (place & 7))) !== 0;
  }

  /** Whether all of `count` addresses from `index` on are in whole parts. */
  hasAll(index: number, count: number): boolean {
    const last = Math.floor((this.#base + index + count - 1) / PART);
    for (let part = Math.floor((this.#base + index) / PART); part <= last; part++) {
      if (this.#parts.get(part) !== true) return false;
    }
    return true;
  }
}
