/** What comes: bytes in pieces of any size, packets out of them. */
import type { Opened, Opener } from './cipher/packet.ts';
import { PlainCipher } from './cipher/plain.ts';

const NOTHING = Buffer.alloc(0);
/** A buffer above this is not kept for a few bytes. */
const KEEP_PENDING = 128 * 1024;

export class PacketReader {
  #opener: Opener = new PlainCipher();
  /** Bytes of a packet that is not whole yet, at the start of a buffer with room to grow. */
  #pending: Buffer = NOTHING;
  #pendingLength = 0;
  /** Of the next packet. */
  sequence = 0;
  /** Under the current keys. */
  keyedBytes = 0;
  keyedPackets = 0;

  /** Bytes kept. */
  get pending(): number {
    return this.#pendingLength;
  }

  /** What was kept, with `chunk` after it; `chunk` itself where nothing was. Each byte is copied a bounded number of times. */
  join(chunk: Buffer): Buffer {
    if (this.#pendingLength === 0) return chunk;
    const length = this.#pendingLength + chunk.length;
    if (length > this.#pending.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.#pending.length, length));
      this.#pending.copy(grown, 0, 0, this.#pendingLength);
      this.#pending = grown;
    }
    chunk.copy(this.#pending, this.#pendingLength);
    this.#pendingLength = length;
    return this.#pending.subarray(0, length);
  }

  /** Keeps what `join` gave, from `offset` on; no view of it is valid afterwards. */
  keep(joined: Buffer, offset: number): void {
    const length = joined.length - offset;
    const large = this.#pending.length > KEEP_PENDING && length * 4 < this.#pending.length;
    if (length === 0) this.#pending = NOTHING;
    else if (this.#pendingLength === 0 || large) this.#pending = Buffer.from(joined.subarray(offset));
    // Only what follows a packet that became whole is moved, and that came with the last piece.
    else if (offset > 0) this.#pending.copyWithin(0, offset, joined.length);
    this.#pendingLength = length;
  }

  /** The size of the packet at `offset`; 0 where it is not whole. Throws `protocol`. */
  size(buffer: Buffer, offset: number): number {
    const available = buffer.length - offset;
    const size = this.#opener.size(buffer, offset, available, this.sequence);
    return size > available ? 0 : size;
  }

  /** Opens it; what is returned is valid until the next call. Throws `protocol`. */
  open(buffer: Buffer, offset: number, size: number): Opened {
    const opened = this.#opener.open(buffer, offset, size, this.sequence);
    this.sequence = (this.sequence + 1) >>> 0;
    this.keyedBytes += size;
    this.keyedPackets++;
    return opened;
  }

  /** What is opened from now on is under these keys. `strict`: sequence numbers begin again. */
  useKeys(opener: Opener, strict: boolean): void {
    this.#opener = opener;
    if (strict) this.sequence = 0;
  }

  /** The keys of the other direction have changed: both count from there on. */
  resetKeyed(): void {
    this.keyedBytes = 0;
    this.keyedPackets = 0;
  }

  drop(): void {
    this.#pending = NOTHING;
    this.#pendingLength = 0;
  }
}
