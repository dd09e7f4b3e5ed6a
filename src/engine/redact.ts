/**
 * Takes out of all that hosts say what must not be seen, before anything is kept, told or written: matches of the user's patterns
 * and secrets. Each becomes `[redacted]`.
 *
 * A match lies within one line: bytes up to a newline, without it and without a CR before it. A line of more than 16 KiB is
 * searched in windows of 16 KiB of which each begins where the one before was given out, half of it or to the end of a match, so
 * that what is up to 8 KiB long is found wherever it stands; `^` and `$` also match at the ends of windows. What comes out does not
 * depend on the pieces in which it came in.
 *
 * Patterns see text: UTF-8, where each byte that is none is a character of its own that no other one equals. Bytes outside of
 * matches pass as they are. A pattern may take time that grows with the square of a line and worse: the window bounds what it gets.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { Outcome } from '../contracts/outcome.ts';
import type { StreamName } from '../contracts/task.ts';
import type { Secrets } from './secrets.ts';

const WINDOW = 16 * 1024;
const STEP = WINDOW / 2;
const LF = 0x0a;
const CR = 0x0d;
const REDACTED = '[redacted]';
const MARK = Buffer.from(REDACTED);
const NOTHING = Buffer.alloc(0);

type Range = [start: number, end: number];

/** Fields of outcomes whose words are ours: a pattern that matches them must not change what happened. */
const OURS: ReadonlySet<string> = new Set(['kind', 'began', 'phase', 'remote', 'cause', 'code', 'what', 'fingerprint']);

export class Redactor {
  readonly #patterns: readonly RegExp[];
  readonly #secrets: Secrets;

  constructor(patterns: readonly RegExp[], secrets: Secrets) {
    // Copies, because a search changes them.
    this.#patterns = patterns.map(({ source, flags }) => new RegExp(source, `${flags.replace(/[gyd]/g, '')}g`));
    this.#secrets = secrets;
  }

  /** What is looked for beside secrets; plain data for another thread. */
  get patterns(): readonly RegExp[] {
    return this.#patterns;
  }

  /** There is something to look for. */
  get active(): boolean {
    return this.#patterns.length > 0 || this.#secrets.size > 0;
  }

  text(text: string): string {
    if (!this.active) return text;
    const bytes = Buffer.from(text);
    const clean = this.clean(bytes);
    return clean === bytes ? text : clean.toString();
  }

  /** What a host said in an outcome. */
  plain(outcome: Outcome): Outcome {
    return this.active ? (this.#plain(outcome) as Outcome) : outcome;
  }

  #plain(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value);
    if (Array.isArray(value)) return value.map((item) => this.#plain(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, OURS.has(key) ? item : this.#plain(item)]),
    );
  }

  /** The streams of one task; `sink` gets what may be seen. */
  streams(sink: (stream: StreamName, chunk: Buffer) => void): RedactedStreams {
    return new RedactedStreams(this, sink);
  }

  /** Whole lines, or the last one without its end. The same Buffer where nothing is to be taken out. */
  clean(bytes: Buffer): Buffer {
    const found: Range[] = [];
    if (this.#patterns.length === 0) {
      this.#secrets.find(bytes, found);
      if (found.length === 0) return bytes;
      found.length = 0;
    }
    for (let start = 0; start < bytes.length; ) {
      const lf = bytes.indexOf(LF, start);
      const end = lf === -1 ? bytes.length : lf;
      let at = start;
      while (end - at > WINDOW) at = this.#window(bytes, at, found);
      this.#find(bytes, at, end, 'line', found);
      start = end + 1;
    }
    return replaced(bytes, found);
  }

  /** Gives out what may be given out of a line that goes on; what is left is no longer than a window. */
  cleanPart(bytes: Buffer): { readonly clean: Buffer; readonly rest: Buffer } {
    const found: Range[] = [];
    let at = 0;
    while (bytes.length - at > WINDOW) at = this.#window(bytes, at, found);
    return { clean: replaced(bytes.subarray(0, at), found), rest: bytes.subarray(at) };
  }

  /** Searches the window at `from`; returns where the next one begins. */
  #window(bytes: Buffer, from: number, found: Range[]): number {
    let next = characterStart(bytes, from + STEP);
    const here: Range[] = [];
    this.#find(bytes, from, from + WINDOW, 'window', here);
    for (const range of here) {
      if (range[0] >= next) break;
      found.push(range);
      next = Math.max(next, range[1]);
    }
    return next;
  }

  /** Appends the matches of a line or window: in order, apart from each other. */
  #find(bytes: Buffer, from: number, to: number, what: 'line' | 'window', found: Range[]): void {
    if (from === to) return;
    const all: Range[] = [];
    this.#secrets.find(bytes.subarray(from, to), all);
    const end = what === 'line' && bytes[to - 1] === CR ? to - 1 : to;
    if (this.#patterns.length > 0) this.#match(bytes.subarray(from, end), all);
    all.sort((a, b) => a[0] - b[0]);
    let last: Range | undefined;
    for (const [start, stop] of all) {
      if (last !== undefined && from + start < last[1]) last[1] = Math.max(last[1], from + stop);
      else {
        last = [from + start, from + stop];
        found.push(last);
      }
    }
  }

  #match(bytes: Buffer, found: Range[]): void {
    const ascii = isAscii(bytes);
    const text = ascii ? bytes.toString('latin1') : isUtf8(bytes) ? bytes.toString() : decode(bytes);
    for (const pattern of this.#patterns) {
      const offsets = new Offsets(text);
      pattern.lastIndex = 0;
      for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
        const { index } = match;
        const { length } = match[0];
        if (length === 0) pattern.lastIndex++;
        else if (ascii) found.push([index, index + length]);
        else found.push([offsets.start(index), offsets.end(index + length)]);
      }
    }
  }
}

/** The output of one task, line by line: of each stream the line that has not ended yet is held back. */
export class RedactedStreams {
  readonly #redactor: Redactor;
  readonly #sink: (stream: StreamName, chunk: Buffer) => void;
  /** At most a window each. */
  readonly #held = { stdout: NOTHING, stderr: NOTHING };

  constructor(redactor: Redactor, sink: (stream: StreamName, chunk: Buffer) => void) {
    this.#redactor = redactor;
    this.#sink = sink;
  }

  /** `chunk` is valid during the call only. */
  write(stream: StreamName, chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const end = bytes.lastIndexOf(LF) + 1;
    if (end > 0) {
      const lines = bytes.subarray(0, end);
      const held = this.#held[stream];
      this.#held[stream] = NOTHING;
      this.#give(stream, this.#redactor.clean(held.length === 0 ? lines : Buffer.concat([held, lines])));
    }
    if (end === bytes.length) return;
    // Always a copy.
    const line = Buffer.concat([this.#held[stream], bytes.subarray(end)]);
    const { clean, rest } = this.#redactor.cleanPart(line);
    this.#give(stream, clean);
    this.#held[stream] = rest.length === line.length ? line : Buffer.from(rest);
  }

  /** No more comes: what is held back is a line. */
  end(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const held = this.#held[stream];
      this.#held[stream] = NOTHING;
      this.#give(stream, this.#redactor.clean(held));
    }
  }

  #give(stream: StreamName, clean: Buffer): void {
    if (clean.length > 0) this.#sink(stream, clean);
  }
}

/** `bytes` with a mark for each range; the ranges in order, apart from each other. */
function replaced(bytes: Buffer, ranges: readonly Range[]): Buffer {
  if (ranges.length === 0) return bytes;
  const parts: Buffer[] = [];
  let at = 0;
  for (const [start, end] of ranges) {
    parts.push(bytes.subarray(at, start), MARK);
    at = end;
  }
  parts.push(bytes.subarray(at));
  return Buffer.concat(parts);
}

/** The start of the character at `at`; what is no UTF-8 is left as it is. */
function characterStart(bytes: Buffer, at: number): number {
  for (let back = 0; back < 4; back++) if ((bytes[at - back]! & 0xc0) !== 0x80) return at - back;
  return at;
}

/** UTF-8 with each byte that is none as U+DC80 to U+DCFF by itself: no text has these, and each stands for one byte. */
function decode(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) text += String.fromCharCode(0xdc00 | bytes[at]!);
    else text += bytes.toString('utf8', at, at + length);
    at += Math.max(1, length);
  }
  return text;
}

/** Bytes of the character at `at`; 0: there is none. */
function sequenceLength(bytes: Buffer, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  return first >= 0xc2 && at + length <= bytes.length && isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00;

/** From places in a text to places in its bytes; asked in ascending order. Half a character is the whole one. */
class Offsets {
  readonly #text: string;
  #unit = 0;
  #byte = 0;

  constructor(text: string) {
    this.#text = text;
  }

  start(unit: number): number {
    return this.#to(unit > 0 && isHigh(this.#text.charCodeAt(unit - 1)) ? unit - 1 : unit);
  }

  end(unit: number): number {
    return this.#to(isHigh(this.#text.charCodeAt(unit - 1)) ? unit + 1 : unit);
  }

  #to(unit: number): number {
    while (this.#unit < unit) {
      const code = this.#text.charCodeAt(this.#unit);
      const pair = isHigh(code);
      this.#byte += pair ? 4 : code < 0x80 || (code >= 0xdc80 && code < 0xdd00) ? 1 : code < 0x800 ? 2 : 3;
      this.#unit += pair ? 2 : 1;
    }
    return this.#byte;
  }
}
