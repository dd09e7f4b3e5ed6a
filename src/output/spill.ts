/** Bytes that would fill memory, put aside in a file that has no name and ends with the process. */
import { closeSync, mkdtempSync, openSync, readSync, rmdirSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SpillOptions {
  /** Bytes it takes at most. */
  readonly maxBytes: number;
  /** @default the folder for temporary files */
  readonly folder?: string | undefined;
}

/** Opened with the first piece. Once it cannot be written to it takes nothing more; what it has stays. */
export class Spill {
  readonly #maxBytes: number;
  readonly #folder: string;
  #file: number | undefined;
  #length = 0;
  #isFull = false;

  constructor(options: SpillOptions) {
    this.#maxBytes = options.maxBytes;
    this.#folder = options.folder ?? tmpdir();
  }

  /** Bytes in the file. */
  get length(): number {
    return this.#length;
  }

  /** Where the bytes stand from now on; undefined: there is no room for them. */
  add(bytes: Uint8Array): number | undefined {
    if (this.#isFull || this.#length + bytes.length > this.#maxBytes) return undefined;
    try {
      this.#file ??= nameless(this.#folder);
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(this.#file, bytes, done, bytes.length - done, this.#length + done);
      }
    } catch {
      // No folder, no room on its disk: whoever asks does without, and says so.
      this.#isFull = true;
      return undefined;
    }
    const at = this.#length;
    this.#length += bytes.length;
    return at;
  }

  read(at: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let done = 0; done < length; ) {
      const count = readSync(this.#file!, bytes, done, length - done, at + done);
      if (count === 0) throw new Error('a file of outputs that were put aside has become shorter');
      done += count;
    }
    return bytes;
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    this.#length = 0;
    this.#isFull = false;
  }
}

/** A folder of our own around it, so that nobody can put a link where the file is made. */
function nameless(folder: string): number {
  const own = mkdtempSync(join(folder, 'myriad-fold-'));
  const path = join(own, 'outputs');
  try {
    const file = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
    return file;
  } finally {
    rmdirSync(own);
  }
}
