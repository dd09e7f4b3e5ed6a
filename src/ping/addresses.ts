/** The addresses of a sweep: ranges in order, indexed by arithmetic. A range costs a dozen bytes, an address nothing. */

export type Family = 4 | 6;

/** Consecutive addresses. `low`: an IPv4 address as a number, an IPv6 address as eight groups. */
export interface AddressRange {
  readonly low: number | readonly number[];
  readonly count: number;
}

/** As it goes to a thread: plain arrays. */
export interface PackedAddresses {
  readonly family: Family;
  /** Addresses before each range, and at the end all of them. */
  readonly starts: Float64Array;
  /** The first address of each range: one word for IPv4, four for IPv6. */
  readonly words: Uint32Array;
}

export function packAddresses(family: Family, ranges: readonly AddressRange[]): PackedAddresses {
  const size = family === 4 ? 1 : 4;
  const starts = new Float64Array(ranges.length + 1);
  const words = new Uint32Array(ranges.length * size);
  ranges.forEach(({ low, count }, i) => {
    starts[i + 1] = starts[i]! + count;
    if (typeof low === 'number') words[i] = low;
    else for (let w = 0; w < 4; w++) words[4 * i + w] = ((low[2 * w]! << 16) | low[2 * w + 1]!) >>> 0;
  });
  return { family, starts, words };
}

export class Addresses {
  readonly family: Family;
  readonly count: number;
  /** Words of an address. */
  readonly size: 1 | 4;
  /** The address that `find` was last asked for. */
  readonly found: Uint32Array;
  readonly #starts: Float64Array;
  readonly #words: Uint32Array;
  /** Where the last address was: the next one is mostly there, too. */
  #range = 0;
  #ascending: Uint32Array | undefined;

  constructor({ family, starts, words }: PackedAddresses) {
    this.family = family;
    this.size = family === 4 ? 1 : 4;
    this.found = new Uint32Array(this.size);
    this.#starts = starts;
    this.#words = words;
    this.count = starts.at(-1) ?? 0;
  }

  /** Ranges. */
  get ranges(): number {
    return this.#starts.length - 1;
  }

  /** Leaves the words of the address at `index` in `found`. */
  find(index: number): void {
    const starts = this.#starts;
    let range = this.#range;
    if (!(index >= starts[range]! && index < starts[range + 1]!)) {
      range = lastAtMost(starts, index);
      this.#range = range;
    }
    const offset = index - starts[range]!;
    if (this.size === 1) {
      this.found[0] = this.#words[range]! + offset;
      return;
    }
    let carry = offset;
    for (let w = 3; w >= 0; w--) {
      const sum = this.#words[4 * range + w]! + carry;
      this.found[w] = sum;
      carry = Math.floor(sum / 2 ** 32);
    }
  }

  /** Writes the address at `index` in network order. */
  write(index: number, to: Uint8Array, at: number): void {
    this.find(index);
    writeWords(this.found, to, at);
  }

  /** The address as text; IPv6 as its eight groups. */
  text(index: number): string {
    this.find(index);
    const { found } = this;
    if (this.size === 1) return ipv4Text(found[0]!);
    const groups = Array.from({ length: 8 }, (_, i) => ((found[i >> 1]! >>> (i & 1 ? 0 : 16)) & 0xffff).toString(16));
    return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
  }

  /** The index of an IPv4 address; undefined where it is not among these. */
  indexOf4(address: number): number | undefined {
    const words = this.#words;
    this.#ascending ??= new Uint32Array(this.ranges).map((_, i) => i).sort((a, b) => words[a]! - words[b]!);
    const order = this.#ascending;
    let [low, high] = [0, order.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (words[order[middle]!]! <= address) low = middle + 1;
      else high = middle;
    }
    const range = order[low - 1];
    if (range === undefined) return undefined;
    const index = this.#starts[range]! + address - words[range]!;
    return index < this.#starts[range + 1]! ? index : undefined;
  }
}

function writeWords(words: Uint32Array, to: Uint8Array, at: number): void {
  for (let w = 0; w < words.length; w++) {
    const word = words[w]!;
    const place = at + 4 * w;
    to[place] = word >>> 24;
    to[place + 1] = word >>> 16;
    to[place + 2] = word >>> 8;
    to[place + 3] = word;
  }
}

export function ipv4Text(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** The last place whose value is at most `value`; of empty ranges the one that holds it. */
function lastAtMost(values: Float64Array, value: number): number {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle + 1]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
