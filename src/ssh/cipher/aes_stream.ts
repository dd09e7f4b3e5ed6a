/** AES over stretches of bytes, one after the other, where they lie. */
import type { Cipheriv, Decipheriv } from 'node:crypto';
import { freeBytes } from '../../util/free_bytes.ts';
import { keptRoom } from '../../util/kept_bytes.ts';
import type { CipherSpec } from './packet.ts';

/** One direction of a connection under one key. */
export interface AesStream {
  /** Encrypts or decrypts the bytes from `start` to `end`, which follow those of the last call: whole blocks, unless it is aes-ctr. */
  apply(buffer: Buffer, start: number, end: number): void;
}

export function streamOf({ mode }: CipherSpec, context: Cipheriv | Decipheriv): AesStream {
  return mode === 'ctr' ? new CtrStream(context) : new BlockStream(context.setAutoPadding(false));
}

/** Of key stream made at a time: what two commands send, and one answers. */
const AHEAD = 256;
const ZEROS = Buffer.alloc(AHEAD);

/**
 * Counter mode is bytes xor a key stream that does not depend on them (RFC 4344 §4), so it can be made before they come: packets of a
 * command have 16 to 64 bytes, and a call of the context, its buffer and its collection cost as much for them as for 256. Each byte
 * of key stream is used once, and in its turn, whatever the sizes are.
 */
class CtrStream implements AesStream {
  readonly #context: Cipheriv | Decipheriv;
  #ahead: Buffer | undefined;
  /** Of `#ahead`, the first byte that was not used. */
  #at = AHEAD;

  constructor(context: Cipheriv | Decipheriv) {
    this.#context = context;
  }

  apply(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#at === AHEAD) {
        if (end - at >= AHEAD) {
          applyWhole(this.#context, buffer, at, end);
          return;
        }
        this.#refill();
      }
      const until = Math.min(end, at + AHEAD - this.#at);
      this.#mix(buffer, at, until);
      at = until;
    }
  }

  #refill(): void {
    this.#ahead ??= keptRoom(AHEAD);
    this.#ahead.set(this.#context.update(ZEROS));
    this.#at = 0;
  }

  #mix(buffer: Buffer, start: number, end: number): void {
    const ahead = this.#ahead!;
    let from = this.#at;
    for (let i = start; i < end; i++) buffer[i]! ^= ahead[from++]!;
    this.#at = from;
  }
}

/** aes-cbc: each block depends on the one before. */
class BlockStream implements AesStream {
  readonly #context: Cipheriv | Decipheriv;

  constructor(context: Cipheriv | Decipheriv) {
    this.#context = context;
  }

  apply(buffer: Buffer, start: number, end: number): void {
    applyWhole(this.#context, buffer, start, end);
  }
}

function applyWhole(context: Cipheriv | Decipheriv, buffer: Buffer, start: number, end: number): void {
  const bytes = context.update(buffer.subarray(start, end));
  buffer.set(bytes, start);
  freeBytes(bytes);
}
