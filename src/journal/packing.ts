/**
 * Bytes between the threads and in the blobs of the file: little-endian, texts and byte strings after their length as
 * uint32. A structured clone of result objects costs the main thread five times as much.
 */
import { crc32 } from 'node:zlib';
import { MyriadError } from '../contracts/errors.ts';

const CRC_BYTES = 4;

/**
 * Room that two threads see. To hand over a buffer of one thread detaches it, and with the first that is detached V8 throws away
 * whatever it has compiled that reads bytes, and checks each from then on: a hundred functions in the first second of a run.
 */
export function sharedRoom(bytes: number): Buffer<SharedArrayBuffer> {
  return Buffer.from(new SharedArrayBuffer(bytes));
}

/** Collects values in a buffer that grows by doubling. */
export class Packer {
  readonly #allocate: (bytes: number) => Buffer;
  #bytes: Buffer;
  #length = 0;

  /** @param allocate makes its room, at first and when it grows */
  constructor(capacity: number, allocate: (bytes: number) => Buffer = Buffer.allocUnsafeSlow) {
    this.#allocate = allocate;
    this.#bytes = allocate(capacity);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  u32(value: number): void {
    this.#room(4);
    this.#length = this.#bytes.writeUInt32LE(value, this.#length);
  }

  f64(value: number): void {
    this.#room(8);
    this.#length = this.#bytes.writeDoubleLE(value, this.#length);
  }

  /** A safe integer from 0 on, seven bits a byte. */
  varint(value: number): void {
    this.#room(8);
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
  }

  text(value: string): void {
    // UTF-8 takes at most three bytes for a UTF-16 unit.
    this.#room(4 + value.length * 3);
    const length = this.#bytes.write(value, this.#length + 4, 'utf8');
    this.#bytes.writeUInt32LE(length, this.#length);
    this.#length += 4 + length;
  }

  bytes(value: Uint8Array): void {
    this.#room(4 + value.length);
    this.#bytes.writeUInt32LE(value.length, this.#length);
    this.#bytes.set(value, this.#length + 4);
    this.#length += 4 + value.length;
  }

  /** Room for a length that is known later. */
  beginPart(): number {
    this.u32(0);
    return this.#length;
  }

  /** The part since `beginPart` ends, with a checksum. */
  endPart(start: number): void {
    this.u32(crc32(this.#bytes.subarray(start, this.#length)));
    this.#bytes.writeUInt32LE(this.#length - start, start - 4);
  }

  /** Forgets what was packed. */
  reset(): void {
    this.#length = 0;
  }

  /** What was packed, with the buffer itself: the packer starts anew, in `spare` where that is given. */
  take(spare: Buffer): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = spare;
    this.#length = 0;
    return taken;
  }

  /** A copy of what was packed, closed with a checksum; the packer starts anew. */
  sealed(): Buffer {
    this.u32(crc32(this.#bytes.subarray(0, this.#length)));
    const copy = Buffer.from(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    return copy;
  }

  #room(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = this.#allocate(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** Reads what a Packer wrote. Throws MyriadError `journal` where the bytes end early or have changed. */
export class Unpacker {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Over bytes with a checksum at their end, which is looked at first. */
  static sealed(bytes: Uint8Array): Unpacker {
    const end = bytes.length - CRC_BYTES;
    if (end < 0) throw damaged();
    const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (crc32(whole.subarray(0, end)) !== whole.readUInt32LE(end)) throw damaged();
    return new Unpacker(whole.subarray(0, end));
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  u8(): number {
    return this.#bytes[this.#step(1)]!;
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#step(4));
  }

  f64(): number {
    return this.#bytes.readDoubleLE(this.#step(8));
  }

  varint(): number {
    let value = 0;
    for (let unit = 1; unit <= 2 ** 49; unit *= 128) {
      const byte = this.u8();
      value += (byte % 128) * unit;
      if (byte < 128) return value;
    }
    throw damaged();
  }

  text(): string {
    const length = this.u32();
    const at = this.#step(length);
    return this.#bytes.toString('utf8', at, at + length);
  }

  /** A view, not a copy. */
  bytes(): Buffer {
    const length = this.u32();
    const at = this.#step(length);
    return this.#bytes.subarray(at, at + length);
  }

  #step(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#bytes.length - at) throw damaged();
    this.#at = at + bytes;
    return at;
  }
}

/** A record that is not as it was written; who knows the file makes a sentence of it. */
export class DamagedRecord extends MyriadError {
  constructor() {
    super('journal', 'the journal is damaged: a record is not as it was written');
  }
}

export function damaged(): DamagedRecord {
  return new DamagedRecord();
}
