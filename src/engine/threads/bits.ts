/** A bit per task in memory that all threads share: it stays when the thread that wrote it dies. */

const PER_WORD = 32;

export class SharedBits {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** For `count` tasks, all 0. Pages that nobody touches cost nothing. */
  static of(count: number): SharedBits {
    return new SharedBits(new SharedArrayBuffer(4 * Math.max(1, Math.ceil(count / PER_WORD))));
  }

  set(index: number): void {
    Atomics.or(this.#words, Math.floor(index / PER_WORD), 1 << (index % PER_WORD));
  }

  clear(index: number): void {
    Atomics.and(this.#words, Math.floor(index / PER_WORD), ~(1 << (index % PER_WORD)));
  }

  has(index: number): boolean {
    return (Atomics.load(this.#words, Math.floor(index / PER_WORD)) & (1 << (index % PER_WORD))) !== 0;
  }
}
