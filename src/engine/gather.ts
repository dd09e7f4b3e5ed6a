/** What is kept of a task's output: at most `maxOutput` bytes over both streams; the rest is counted and let go. */
import type { Output, StreamName, TaskNote } from '../contracts/task.ts';
import { Bytes } from '../contracts/task.ts';

/** Room for the second chunk on, so that a host that writes byte by byte costs no object per byte. */
const MIN_ROOM = 1024;

/** One stream's bytes: the first chunk as it came, a buffer that doubles from the second on. */
class Kept {
  #buffer: Buffer;
  #length: number;
  total = 0;

  constructor() {
    this.#buffer = Bytes.empty.bytes;
    this.#length = 0;
  }

  get length(): number {
    return this.#length;
  }

  /** Copies the first `take` bytes of `chunk`; there are at most `left` more to come. */
  add(chunk: Uint8Array, take: number, left: number): void {
    const needed = this.#length + take;
    if (needed > this.#buffer.length) {
      const room = this.#length === 0 ? take : Math.min(Math.max(2 * needed, MIN_ROOM), needed + left);
      const grown = Buffer.allocUnsafe(room);
      grown.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = grown;
    }
    this.#buffer.set(take === chunk.length ? chunk : chunk.subarray(0, take), this.#length);
    this.#length = needed;
  }

  output(): Output {
    // Room that was never used must not live as long as the result does.
    const slack = this.#buffer.length - this.#length;
    const bytes = this.#buffer.subarray(0, this.#length);
    return new Bytes(slack * 4 > this.#buffer.length ? Buffer.from(bytes) : bytes, this.total);
  }
}

/** A task's output. Nothing is allocated for a stream that stays silent. */
export class Gathered {
  #left: number;
  #stdout: Kept | undefined;
  #stderr: Kept | undefined;

  /** `keep`: bytes kept over both streams; 0 only counts. */
  constructor(keep: number) {
    this.#left = keep;
  }

  add(stream: StreamName, chunk: Uint8Array): void {
    const kept = this.#of(stream);
    kept.total += chunk.length;
    const take = Math.min(chunk.length, this.#left);
    if (take === 0) return;
    this.#left -= take;
    kept.add(chunk, take, this.#left);
  }

  get stdout(): Output {
    return this.#stdout?.output() ?? Bytes.empty;
  }

  get stderr(): Output {
    return this.#stderr?.output() ?? Bytes.empty;
  }

  /** The streams that were cut, as remarks. */
  noteCuts(notes: TaskNote[]): void {
    if (this.#stdout && this.#stdout.length < this.#stdout.total) notes.push('stdout truncated');
    if (this.#stderr && this.#stderr.length < this.#stderr.total) notes.push('stderr truncated');
  }

  #of(stream: StreamName): Kept {
    if (stream === 'stdout') {
      this.#stdout ??= new Kept();
      return this.#stdout;
    }
    this.#stderr ??= new Kept();
    return this.#stderr;
  }
}
