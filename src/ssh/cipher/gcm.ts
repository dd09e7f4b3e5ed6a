/** aes-gcm: RFC 5647 as OpenSSH does it: the length is authenticated, not encrypted. */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import { SshError } from '../errors.ts';
import type { Writer } from '../wire.ts';
import {
  append,
  BLOCK,
  type CipherSpec,
  checkLength,
  type FillRandom,
  newOpened,
  type Opened,
  type Opener,
  pad,
  type Sealer,
  unpad,
} from './packet.ts';

const GCM_TAG = 16;

/** The 12-byte nonce of RFC 5647: 4 fixed bytes, then a counter of 8. */
class GcmNonce {
  readonly bytes: Buffer;

  constructor(iv: Buffer) {
    this.bytes = Buffer.from(iv);
  }

  advance(): void {
    for (let at = 11; at >= 4; at--) {
      const next = (this.bytes[at]! + 1) & 0xff;
      this.bytes[at] = next;
      if (next !== 0) return;
    }
  }
}

const GCM_OPTIONS = { authTagLength: GCM_TAG };

export class GcmSealer implements Sealer {
  readonly #algorithm: 'aes-128-gcm' | 'aes-256-gcm';
  readonly #key: KeyObject;
  readonly #nonce: GcmNonce;
  readonly #fill: FillRandom;

  constructor(spec: CipherSpec, key: Buffer, iv: Buffer, fill: FillRandom) {
    this.#algorithm = spec.algorithm as 'aes-128-gcm';
    this.#key = createSecretKey(key);
    this.#nonce = new GcmNonce(iv);
    this.#fill = fill;
  }

  seal(packet: Writer, _sequence: number, out: Writer): void {
    pad(packet, BLOCK, false, this.#fill);
    const { buffer, length } = packet;
    const cipher = createCipheriv(this.#algorithm, this.#key, this.#nonce.bytes, GCM_OPTIONS);
    const head = buffer.subarray(0, 4);
    cipher.setAAD(head);
    out.raw(head);
    append(out, cipher.update(buffer.subarray(4, length)));
    cipher.final();
    out.raw(cipher.getAuthTag());
    this.#nonce.advance();
  }
}

export class GcmOpener implements Opener {
  readonly #algorithm: 'aes-128-gcm' | 'aes-256-gcm';
  readonly #key: KeyObject;
  readonly #nonce: GcmNonce;
  readonly #opened = newOpened();

  constructor(spec: CipherSpec, key: Buffer, iv: Buffer) {
    this.#algorithm = spec.algorithm as 'aes-128-gcm';
    this.#key = createSecretKey(key);
    this.#nonce = new GcmNonce(iv);
  }

  size(buffer: Buffer, offset: number, available: number): number {
    if (available < 4) return 0;
    return 4 + checkLength(buffer.readUInt32BE(offset), BLOCK, false) + GCM_TAG;
  }

  open(buffer: Buffer, offset: number, size: number): Opened {
    const decipher = createDecipheriv(this.#algorithm, this.#key, this.#nonce.bytes, GCM_OPTIONS);
    decipher.setAAD(buffer.subarray(offset, offset + 4));
    decipher.setAuthTag(buffer.subarray(offset + size - GCM_TAG, offset + size));
    const plain = decipher.update(buffer.subarray(offset + 4, offset + size - GCM_TAG));
    try {
      decipher.final();
    } catch (cause) {
      throw new SshError('protocol', 'expected a packet with a valid authentication tag', {}, { cause });
    }
    this.#nonce.advance();
    return unpad(this.#opened, plain, 0, plain.length);
  }
}
