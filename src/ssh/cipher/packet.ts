/** What protects packets, and how a packet is built: RFC 4253 §6. */
import { freeBytes } from '../../util/free_bytes.ts';
import { protocolError } from '../errors.ts';
import { MAX_PACKET } from '../messages.ts';
import type { Writer } from '../wire.ts';

export interface CipherSpec {
  readonly name: string;
  /** What it is, and what node:crypto calls it. */
  readonly mode: 'gcm' | 'ctr' | 'cbc' | 'chacha';
  readonly algorithm: string;
  readonly keyLength: number;
  readonly ivLength: number;
  /** True: the cipher authenticates, no MAC is negotiated. */
  readonly aead: boolean;
}

export interface MacSpec {
  readonly name: string;
  readonly hash: 'sha256' | 'sha512' | 'sha1';
  readonly keyLength: number;
  readonly etm: boolean;
}

/** Of AES, in bytes. */
export const BLOCK = 16;

/** Protects packets. `packet` holds 5 free bytes (length, padding length), then the payload. */
export interface Sealer {
  /** Appends the protected packet to `out`. `packet` is scratch afterwards. */
  seal(packet: Writer, sequence: number, out: Writer): void;
}

/** Checks and opens packets that start at `offset` of a buffer. */
export interface Opener {
  /**
   * The packet's size on the wire, or 0 when more bytes are needed to know. May be asked again for the same packet, which
   * may have become larger. Throws `protocol` for an impossible length.
   */
  size(buffer: Buffer, offset: number, available: number, sequence: number): number;
  /**
   * Opens the packet of `size` bytes, once, and where it lies, if that costs less. Afterwards the payload is
   * `plain.subarray(start, end)` of the returned Opened, valid until the next call and as long as `buffer` is.
   */
  open(buffer: Buffer, offset: number, size: number, sequence: number): Opened;
}

/** Reused by its opener. */
export interface Opened {
  plain: Buffer;
  start: number;
  end: number;
}

/** Random bytes for padding. */
export type FillRandom = (buffer: Buffer, offset: number, count: number) => void;

/** Writes lengths and padding; `aligned` is what must be a multiple of the block: with or without the length field. */
export function pad(packet: Writer, block: number, lengthCounts: boolean, fill: FillRandom | undefined): void {
  const payload = packet.length - 5;
  const head = lengthCounts ? 5 : 1;
  let padding = block - ((head + payload) % block);
  if (padding < 4) padding += block;
  packet.reserve(padding);
  if (fill) fill(packet.buffer, packet.length, padding);
  else packet.buffer.fill(0, packet.length, packet.length + padding);
  packet.length += padding;
  packet.buffer.writeUInt32BE(1 + payload + padding, 0);
  packet.buffer[4] = padding;
}

export function checkLength(length: number, block: number, lengthCounts: boolean): number {
  if (length > MAX_PACKET || length < 5 || (length + (lengthCounts ? 4 : 0)) % block !== 0) {
    throw protocolError(`expected a packet length of at most ${MAX_PACKET} in blocks of ${block}, got ${length}`);
  }
  return length;
}

/** Sets `opened` to the payload inside a plain packet that begins at `at` with its padding length. */
export function unpad(opened: Opened, plain: Buffer, at: number, length: number): Opened {
  const padding = plain[at]!;
  if (padding < 4 || padding + 1 >= length)
    throw protocolError(`expected 4 to ${length - 2} bytes of padding, got ${padding}`);
  opened.plain = plain;
  opened.start = at + 1;
  opened.end = at + length - padding;
  return opened;
}

export function newOpened(): Opened {
  return { plain: Buffer.alloc(0), start: 0, end: 0 };
}

/** The cipher's own bytes are needed no more. */
export function append(out: Writer, sealed: Buffer): void {
  out.raw(sealed);
  freeBytes(sealed);
}
