/** Bytes into whole, prefixed lines. */

const LF = 0x0a;
const NEWLINE = Buffer.from('\n');

/**
 * Puts `prefix` before every line and a newline after the last one where it lacks one. Empty input gives none.
 * Returns the same Buffer where nothing changes.
 */
export function prefixLines(bytes: Buffer, prefix: Buffer): Buffer {
  if (bytes.length === 0) return bytes;
  const open = bytes[bytes.length - 1] !== LF;
  if (prefix.length === 0) return open ? Buffer.concat([bytes, NEWLINE]) : bytes;
  let count = open ? 1 : 0;
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) count++;
  const out = Buffer.allocUnsafe(bytes.length + count * prefix.length + (open ? 1 : 0));
  let from = 0;
  let to = 0;
  while (from < bytes.length) {
    const newline = bytes.indexOf(LF, from);
    const end = newline === -1 ? bytes.length : newline + 1;
    to += prefix.copy(out, to);
    to += bytes.copy(out, to, from, end);
    from = end;
  }
  if (open) out[to] = LF;
  return out;
}

/** The lines without their newlines; what follows the last newline is one where it is not empty. */
export function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let from = 0; from < bytes.length; ) {
    const newline = bytes.indexOf(LF, from);
    const end = newline === -1 ? bytes.length : newline;
    lines.push(bytes.subarray(from, end));
    from = end + 1;
  }
  return lines;
}

/** One stream of one task: holds back what is not yet a whole line, in memory at most twice as large. */
export class LineBuffer {
  #buffer = Buffer.alloc(0);
  #held = 0;

  /** Bytes held back. */
  get held(): number {
    return this.#held;
  }

  /** Takes a piece, which is copied where it is kept; gives the whole lines that are there now, newline included. */
  push(piece: Uint8Array): Buffer {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    const end = bytes.lastIndexOf(LF) + 1;
    if (end === 0) {
      this.#keep(bytes);
      return bytes.subarray(0, 0);
    }
    const whole = this.#held === 0 ? bytes.subarray(0, end) : Buffer.concat([this.take(), bytes.subarray(0, end)]);
    this.#keep(bytes.subarray(end));
    return whole;
  }

  /** Gives what is held back, which is no whole line, and holds nothing any more. */
  take(): Buffer {
    const rest = this.#buffer.subarray(0, this.#held);
    this.#buffer = Buffer.alloc(0);
    this.#held = 0;
    return rest;
  }

  /** One growing buffer and no list of pieces: a host may send a byte at a time. */
  #keep(bytes: Buffer): void {
    const held = this.#held + bytes.length;
    if (held > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(held, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, this.#held);
      this.#buffer = larger;
    }
    bytes.copy(this.#buffer, this.#held);
    this.#held = held;
  }
}
