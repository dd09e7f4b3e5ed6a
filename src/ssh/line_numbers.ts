/** From an offset in a text of several files back to file and line, at 4 bytes for 16 lines. */

import { inSharedMemory } from '../util/shared_memory.ts';

interface FileSpan {
  /** Absent for what was added in this run. */
  readonly file: string | undefined;
  readonly start: number;
  /** Lines of the text before this file. */
  readonly linesBefore: number;
}

/** Where the lines of a text are, in memory that threads share; crosses as it is. */
export interface SharedLines {
  readonly files: readonly FileSpan[];
  readonly marks: Uint32Array<ArrayBufferLike>;
  readonly lines: number;
}

/** One line in 16 has its offset in a table, so that a line number costs at most 16 short searches. */
const LINES_PER_MARK = 16;

export class LineNumbers {
  readonly #files: FileSpan[] = [];
  #marks: Uint32Array<ArrayBufferLike> = new Uint32Array(64);
  #lines = 0;

  get byteLength(): number {
    return this.#marks.byteLength;
  }

  /** Moves the table to where other threads can read it: no line is added any more. */
  share(): SharedLines {
    this.#marks = inSharedMemory(this.#marks);
    return { files: this.#files, marks: this.#marks, lines: this.#lines };
  }

  /** Reads what another thread shares, instead of what was here. */
  take({ files, marks, lines }: SharedLines): void {
    this.#files.splice(0, Infinity, ...files);
    this.#marks = marks;
    this.#lines = lines;
  }

  /** A file starts at `offset`; from a file without a name on, nothing has a place. */
  startFile(file: string | undefined, offset: number): void {
    this.#files.push({ file, start: offset, linesBefore: this.#lines });
  }

  /** A line starts at `offset`. Returns its number in its file, from 1. */
  startLine(offset: number): number {
    if (this.#lines % LINES_PER_MARK === 0) {
      const mark = this.#lines / LINES_PER_MARK;
      if (mark === this.#marks.length) {
        const grown = new Uint32Array(mark * 2);
        grown.set(this.#marks);
        this.#marks = grown;
      }
      this.#marks[mark] = offset;
    }
    this.#lines++;
    return this.#lines - this.#files[this.#files.length - 1]!.linesBefore;
  }

  /** The file and line around `offset`; undefined for what was added. */
  place(text: Buffer, offset: number): { readonly file: string; readonly line: number } | undefined {
    let span = this.#files[0]!;
    for (const next of this.#files) if (next.start <= offset) span = next;
    if (span.file === undefined) return undefined;
    return { file: span.file, line: this.#lineAt(text, offset) - span.linesBefore };
  }

  #lineAt(text: Buffer, offset: number): number {
    let low = 0;
    let high = Math.ceil(this.#lines / LINES_PER_MARK) - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#marks[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    let line = low * LINES_PER_MARK + 1;
    for (let at = text.indexOf(10, this.#marks[low]!); at >= 0 && at < offset; at = text.indexOf(10, at + 1)) line++;
    return line;
  }
}
