/** RFC 4251 §5 data types: a reader that trusts no length, and a writer over one growing buffer. */
import { protocolError } from './errors.ts';

/** Reads one payload. Every accessor throws `protocol` when the payload ends first. Strings are views, not copies. */
export class Reader {
  readonly bytes: Buffer;
  offset: number;
  readonly end: number;

  constructor(bytes: Buffer, offset = 0, end = bytes.length) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  byte(): number {
    this.#need(1);
    return this.bytes[this.offset++]!;
  }

  boolean(): boolean {
    return this.byte() !== 0;
  }

  uint32(): number {
    this.#need(4);
    const value = this.bytes.readUInt32BE(this.offset);
    this.offset += 4;
    return value;
  }

  uint64(): bigint {
    this.#need(8);
    const value = this.bytes.readBigUInt64BE(this.offset);
    this.offset += 8;
    return value;
  }

  /** `count` raw bytes, as a view. */
  raw(count: number): Buffer {
    this.#need(count);
    const view = this.bytes.subarray(this.offset, this.offset + count);
    this.offset += count;
    return view;
  }

  /** A length-prefixed string, as a view. */
  string(): Buffer {
    return this.raw(this.uint32());
  }

  /** A length-prefixed string as UTF-8. */
  text(): string {
    const length = this.uint32();
    this.#need(length);
    const text = this.bytes.toString('utf8', this.offset, this.offset + length);
    this.offset += length;
    return text;
  }

  nameList(): string[] {
    const text = this.text();
    return text === '' ? [] : text.split(',');
  }

  /** A positive mpint as a view without its leading zero. */
  mpint(): Buffer {
    const bytes = this.string();
    if (bytes.length > 0 && bytes[0]! >= 0x80) throw protocolError('expected a positive mpint');
    return bytes.length > 0 && bytes[0] === 0 ? bytes.subarray(1) : bytes;
  }

  #need(count: number): void {
    if (count > this.end - this.offset) {
      throw protocolError(`expected ${count} more bytes in the message, got ${this.end - this.offset}`);
    }
  }
}

/** Builds payloads. Reused: `reset` starts the next one; `view` is valid until then. */
export class Writer {
  buffer: Buffer;
  length = 0;

  constructor(capacity = 1024) {
    // Out of Node's pool: a buffer of its own costs ten times as much, and most writers are small and soon gone.
    this.buffer = Buffer.allocUnsafe(capacity);
  }

  reset(): this {
    this.length = 0;
    return this;
  }

  byte(value: number): this {
    this.reserve(1);
    this.buffer[this.length++] = value;
    return this;
  }

  boolean(value: boolean): this {
    return this.byte(value ? 1 : 0);
  }

  uint32(value: number): this {
    this.reserve(4);
    this.buffer.writeUInt32BE(value >>> 0, this.length);
    this.length += 4;
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  string(bytes: Uint8Array): this {
    this.uint32(bytes.length);
    return this.raw(bytes);
  }

  text(text: string): this {
    const most = text.length * 3;
    this.reserve(4 + most);
    const written = this.buffer.write(text, this.length + 4, most, 'utf8');
    this.buffer.writeUInt32BE(written, this.length);
    this.length += 4 + written;
    return this;
  }

  /** A positive integer, big-endian, any leading zeros. */
  mpint(bytes: Uint8Array): this {
    let start = 0;
    while (start < bytes.length && bytes[start] === 0) start++;
    const pad = start < bytes.length && bytes[start]! >= 0x80 ? 1 : 0;
    this.uint32(bytes.length - start + pad);
    if (pad === 1) this.byte(0);
    return this.raw(start === 0 ? bytes : bytes.subarray(start));
  }

  /** What was written since `reset`, as a view. */
  view(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  /** What was written since `reset`, as bytes of their own. */
  copy(): Buffer {
    return Buffer.from(this.view());
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    if (this.length + count <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.length + count));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }
}
