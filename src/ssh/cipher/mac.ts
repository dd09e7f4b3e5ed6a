/** Message authentication: HMAC. */
import { hash } from 'node:crypto';
import { keptRoom } from '../../util/kept_bytes.ts';
import { protocolError } from '../errors.ts';
import type { Writer } from '../wire.ts';
import type { MacSpec } from './packet.ts';

/** What one-shot digests are taken of: a packet of the usual size, and the outer stretch of an HMAC. */
const MESSAGE = Buffer.alloc(36_864);
const OUTER = Buffer.alloc(128 + 64);

/** The first so many bytes of each, for lengths that come again and again: making a view costs as much as a short digest. */
const messages: (Buffer | undefined)[] = new Array(1024).fill(undefined);
const outers: (Buffer | undefined)[] = new Array(OUTER.length + 1).fill(undefined);

/** The first `length` bytes of `of`; kept in `views` where it has room for them. */
function viewOf(of: Buffer, views: (Buffer | undefined)[], length: number): Buffer {
  const known = views[length];
  if (known !== undefined) return known;
  const view = of.subarray(0, length);
  if (length < views.length) views[length] = view;
  return view;
}

/**
 * HMAC (RFC 2104) over the sequence number and one stretch of bytes, of two one-shot digests: 1.2 µs a packet where
 * createHmac takes 2.1 and leaves an object to the collector. Digests travel as latin1, which allocates no buffer.
 */
export class Mac {
  readonly length: number;
  readonly #hash: 'sha256' | 'sha512' | 'sha1';
  /** The key xor ipad, the key xor opad: one block each. Our keys are never longer than a block. */
  readonly #inner: Buffer;
  readonly #outer: Buffer;

  constructor(spec: MacSpec, key: Buffer) {
    const block = spec.hash === 'sha512' ? 128 : 64;
    this.#hash = spec.hash;
    this.length = spec.keyLength;
    this.#inner = keptRoom(block).fill(0x36);
    this.#outer = keptRoom(block).fill(0x5c);
    for (let i = 0; i < key.length; i++) {
      this.#inner[i]! ^= key[i]!;
      this.#outer[i]! ^= key[i]!;
    }
  }

  /** One latin1 character a byte. */
  #digest(sequence: number, buffer: Buffer, start: number, end: number): string {
    const block = this.#inner.length;
    const whole = block + 4 + end - start;
    const message = whole <= MESSAGE.length ? viewOf(MESSAGE, messages, whole) : Buffer.alloc(whole);
    message.set(this.#inner);
    message.writeUInt32BE(sequence, block);
    buffer.copy(message, block + 4, start, end);
    const inner = hash(this.#hash, message, 'latin1');
    OUTER.set(this.#outer);
    OUTER.write(inner, block, 'latin1');
    return hash(this.#hash, viewOf(OUTER, outers, block + inner.length), 'latin1');
  }

  /** The MAC of `buffer` from `start` to `end`, behind what is in `out`. */
  append(sequence: number, buffer: Buffer, start: number, end: number, out: Writer): void {
    const mac = this.#digest(sequence, buffer, start, end);
    out.reserve(mac.length);
    out.buffer.write(mac, out.length, 'latin1');
    out.length += mac.length;
  }

  /** Whether the MAC of `buffer` from `start` to `end` stands at `at` of `received`; does not leak where they differ. */
  matches(sequence: number, buffer: Buffer, start: number, end: number, received: Buffer, at: number): boolean {
    const mac = this.#digest(sequence, buffer, start, end);
    let difference = 0;
    for (let i = 0; i < mac.length; i++) difference |= mac.charCodeAt(i) ^ received[at + i]!;
    return difference === 0;
  }

  /** Throws `protocol` where it does not match. */
  check(sequence: number, buffer: Buffer, start: number, end: number, received: Buffer, at: number): void {
    if (this.matches(sequence, buffer, start, end, received, at)) return;
    throw protocolError('expected a packet with a valid MAC');
  }
}
