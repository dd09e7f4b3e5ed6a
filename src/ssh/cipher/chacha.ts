/**
 * chacha20-poly1305@openssh.com (OpenSSH's PROTOCOL.chacha20poly1305): one key for the length, one for the rest and, by its
 * first block, for Poly1305 over both as they are encrypted. The nonce is the packet's sequence number.
 */
import { createCipheriv, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { createRequire } from 'node:module';
import { protocolError } from '../errors.ts';
import type { Writer } from '../wire.ts';
import {
  append,
  checkLength,
  type FillRandom,
  newOpened,
  type Opened,
  type Opener,
  pad,
  type Sealer,
  unpad,
} from './packet.ts';

/** Of what is padded: a stream cipher has no block of its own. */
const UNIT = 8;
const TAG = 16;
const KEY = 32;
/** The first block of the key stream is not for the packet; Poly1305 takes its first half. */
const FIRST_BLOCK = Buffer.alloc(64);
/** Block counter and nonce, 8 bytes each, as OpenSSL takes them; the counter starts at 0. */
const NONCE = Buffer.alloc(16);

type Poly1305 = typeof import('@noble/ciphers/_poly1305.js').poly1305;
let loaded: Poly1305 | undefined;

/** Loaded with the first connection that needs it: 3 ms. 4 µs for a packet of 1 KiB, 92 for one of 32. */
function poly1305(bytes: Buffer, key: Buffer): Uint8Array {
  loaded ??= (createRequire(import.meta.url)('@noble/ciphers/_poly1305.js') as { poly1305: Poly1305 }).poly1305;
  return loaded(bytes, key);
}

/** The two ciphers of a direction; those of a packet are valid for it only (node:crypto takes the nonce at their creation). */
class ChachaKeys {
  readonly #main: KeyObject;
  readonly #length: KeyObject;

  constructor(key: Buffer) {
    this.#main = createSecretKey(key.subarray(0, KEY));
    this.#length = createSecretKey(key.subarray(KEY));
  }

  /** Encrypts or decrypts the length: the same thing for a stream cipher. */
  length(bytes: Buffer, sequence: number): Buffer {
    NONCE.writeUInt32BE(sequence, 12);
    return createCipheriv('chacha20', this.#length, NONCE).update(bytes);
  }

  /** The key of Poly1305, and the cipher of what follows the length. */
  main(sequence: number) {
    NONCE.writeUInt32BE(sequence, 12);
    const cipher = createCipheriv('chacha20', this.#main, NONCE);
    return { macKey: cipher.update(FIRST_BLOCK).subarray(0, KEY), cipher };
  }
}

export class ChachaSealer implements Sealer {
  readonly #keys: ChachaKeys;
  readonly #fill: FillRandom;

  constructor(key: Buffer, fill: FillRandom) {
    this.#keys = new ChachaKeys(key);
    this.#fill = fill;
  }

  seal(packet: Writer, sequence: number, out: Writer): void {
    pad(packet, UNIT, false, this.#fill);
    const { buffer, length } = packet;
    const { macKey, cipher } = this.#keys.main(sequence);
    append(out, this.#keys.length(buffer.subarray(0, 4), sequence));
    append(out, cipher.update(buffer.subarray(4, length)));
    out.raw(poly1305(out.buffer.subarray(out.length - length, out.length), macKey));
  }
}

export class ChachaOpener implements Opener {
  readonly #keys: ChachaKeys;
  readonly #opened = newOpened();
  /** Of the packet that is not whole yet; 0: not known. */
  #size = 0;

  constructor(key: Buffer) {
    this.#keys = new ChachaKeys(key);
  }

  size(buffer: Buffer, offset: number, available: number, sequence: number): number {
    if (this.#size === 0) {
      if (available < 4) return 0;
      const length = this.#keys.length(buffer.subarray(offset, offset + 4), sequence).readUInt32BE(0);
      this.#size = 4 + checkLength(length, UNIT, false) + TAG;
    }
    return this.#size;
  }

  open(buffer: Buffer, offset: number, size: number, sequence: number): Opened {
    this.#size = 0;
    const end = offset + size - TAG;
    const { macKey, cipher } = this.#keys.main(sequence);
    const tag = poly1305(buffer.subarray(offset, end), macKey);
    if (!timingSafeEqual(tag, buffer.subarray(end, end + TAG))) {
      throw protocolError('expected a packet with a valid authentication tag');
    }
    const plain = cipher.update(buffer.subarray(offset + 4, end));
    return unpad(this.#opened, plain, 0, plain.length);
  }
}
