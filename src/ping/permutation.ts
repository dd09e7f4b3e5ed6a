/** A random order of 0 … count - 1 without a list: a Feistel network over the bits of an index. */

/** Rounds of the network: with four the order passes for random; nothing secret hangs on it. */
const ROUNDS = 4;

/** `at(i)` for i = 0 … count - 1 gives each of 0 … count - 1 once. */
export class Permutation {
  readonly count: number;
  readonly #seed: number;
  readonly #low: number;
  readonly #high: number;

  /** `count` from 1 to 2^30. `seed`: 32 bits; undefined: as they come. */
  constructor(count: number, seed: number | undefined) {
    this.count = count;
    this.#seed = seed ?? 0;
    const bits = seed === undefined ? 0 : 32 - Math.clz32(Math.max(1, count - 1));
    this.#low = bits >>> 1;
    this.#high = bits - this.#low;
  }

  /** What falls outside goes through the network again: less than twice on average, for it has less than twice the places. */
  at(place: number): number {
    if (this.#high === 0) return place;
    let value = place;
    do value = this.#through(value);
    while (value >= this.count);
    return value;
  }

  #through(value: number): number {
    let lowBits = this.#low;
    let highBits = this.#high;
    let mixed = value;
    for (let round = 0; round < ROUNDS; round++) {
      const low = mixed & ((1 << lowBits) - 1);
      const high = mixed >>> lowBits;
      // The halves change places, and so do their widths: after an even number of rounds all is where it was.
      const moved = (high ^ scramble(low ^ (round << 24) ^ this.#seed)) & ((1 << highBits) - 1);
      mixed = (low << highBits) | moved;
      [lowBits, highBits] = [highBits, lowBits];
    }
    return mixed;
  }
}

/** The finaliser of MurmurHash3: every bit of the input changes half of those of the output. */
export function scramble(word: number): number {
  let mixed = word | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
