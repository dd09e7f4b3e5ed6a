/**
 * A set of non-negative integers that costs bits, not objects: for sets that may hold a dense half of a million numbers
 * as well as three of them.
 *
 * Up to FEW members are a plain list, since most sets stay tiny and a page costs 128 bytes. Beyond that each page of
 * 1,024 numbers that has a member owns 32 words of one slab; the map says which.
 */

const FEW = 16;
const PAGE_BITS = 1024;
const PAGE_WORDS = PAGE_BITS / 32;

export class IndexSet {
  #few: number[] | undefined = [];
  readonly #pages = new Map<number, number>();
  #slab = new Uint32Array(0);
  #size = 0;

  /** Members. */
  get size(): number {
    return this.#size;
  }

  /** Adds a number; false where it was a member already. Throws RangeError for what is no safe integer from 0 on. */
  add(index: number): boolean {
    if (!Number.isSafeInteger(index) || index < 0) throw new RangeError(`not an index: ${index}`);
    if (this.#few !== undefined) {
      if (this.#few.includes(index)) return false;
      if (this.#few.length < FEW) {
        this.#few.push(index);
        this.#size++;
        return true;
      }
      this.#leaveFew(this.#few);
    }
    return this.#set(index);
  }

  has(index: number): boolean {
    if (this.#few !== undefined) return this.#few.includes(index);
    const at = this.#pages.get(Math.floor(index / PAGE_BITS));
    if (at === undefined) return false;
    const bit = index % PAGE_BITS;
    return (this.#slab[at + (bit >>> 5)]! & (1 << (bit & 31))) !== 0;
  }

  /** The smallest member; undefined where the set is empty. */
  get first(): number | undefined {
    for (const index of this) return index;
    return undefined;
  }

  /** Ascending. What is added while walking may or may not come. */
  *[Symbol.iterator](): Generator<number, void, undefined> {
    if (this.#few !== undefined) {
      yield* this.#few.toSorted((a, b) => a - b);
      return;
    }
    const pages = [...this.#pages.keys()].sort((a, b) => a - b);
    for (const page of pages) yield* this.#walkPage(page);
  }

  *#walkPage(page: number): Generator<number, void, undefined> {
    const at = this.#pages.get(page)!;
    for (let word = 0; word < PAGE_WORDS; word++) {
      let bits = this.#slab[at + word]!;
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits & -bits);
        yield page * PAGE_BITS + word * 32 + bit;
        bits &= bits - 1;
      }
    }
  }

  /** The list has become too long to search: its members move into pages. */
  #leaveFew(few: readonly number[]): void {
    this.#few = undefined;
    this.#size = 0;
    for (const index of few) this.#set(index);
  }

  #set(index: number): boolean {
    const at = this.#pageAt(Math.floor(index / PAGE_BITS));
    const bit = index % PAGE_BITS;
    const word = at + (bit >>> 5);
    const mask = 1 << (bit & 31);
    const old = this.#slab[word]!;
    if ((old & mask) !== 0) return false;
    this.#slab[word] = old | mask;
    this.#size++;
    return true;
  }

  /** Where the page's words start in the slab; a new page is put at its end, and the slab doubles when it is full. */
  #pageAt(page: number): number {
    const known = this.#pages.get(page);
    if (known !== undefined) return known;
    const at = this.#pages.size * PAGE_WORDS;
    if (at + PAGE_WORDS > this.#slab.length) {
      const larger = new Uint32Array(Math.max(PAGE_WORDS * 2, this.#slab.length * 2));
      larger.set(this.#slab);
      this.#slab = larger;
    }
    this.#pages.set(page, at);
    return at;
  }
}
