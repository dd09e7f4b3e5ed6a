/**
 * AES with a MAC beside it: aes-ctr (RFC 4344 §4) and, with `-etm` and for what leaves, aes-cbc (RFC 4253 §6.3).
 * With `-etm`: MAC over sequence number, length and ciphertext; without: MAC over the plain packet.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type Decipheriv, type KeyObject } from 'node:crypto';
import type { Writer } from '../wire.ts';
import { type AesStream, streamOf } from './aes_stream.ts';
import { Mac } from './mac.ts';
import {
  BLOCK,
  type CipherSpec,
  checkLength,
  type FillRandom,
  type MacSpec,
  newOpened,
  type Opened,
  type Opener,
  pad,
  type Sealer,
  unpad,
} from './packet.ts';

/** For a context that serves a whole connection: 1.2 µs with bytes and 2.7 with a KeyObject on Node 26, 14 and 4 on Node 24. */
const asKey: (key: Buffer) => Buffer | KeyObject =
  Number.parseInt(process.versions.node, 10) >= 26 ? (key) => key : createSecretKey;

export class AesSealer implements Sealer {
  readonly #stream: AesStream;
  readonly #mac: Mac;
  readonly #etm: boolean;
  readonly #fill: FillRandom;

  constructor(spec: CipherSpec, key: Buffer, iv: Buffer, macSpec: MacSpec, macKey: Buffer, fill: FillRandom) {
    this.#stream = streamOf(spec, createCipheriv(spec.algorithm, asKey(key), iv));
    this.#mac = new Mac(macSpec, macKey);
    this.#etm = macSpec.etm;
    this.#fill = fill;
  }

  seal(packet: Writer, sequence: number, out: Writer): void {
    pad(packet, BLOCK, !this.#etm, this.#fill);
    const { buffer, length } = packet;
    const start = out.length;
    out.raw(packet.view());
    if (this.#etm) {
      // The length stays as it is.
      this.#stream.apply(out.buffer, start + 4, out.length);
      this.#mac.append(sequence, out.buffer, start, out.length, out);
      return;
    }
    this.#stream.apply(out.buffer, start, out.length);
    this.#mac.append(sequence, buffer, 0, length, out);
  }
}

/** `-etm`: the MAC is checked before anything is opened, and the packet is opened where it lies. */
export class AesEtmOpener implements Opener {
  readonly #stream: AesStream;
  readonly #mac: Mac;
  readonly #opened = newOpened();

  constructor(spec: CipherSpec, key: Buffer, iv: Buffer, macSpec: MacSpec, macKey: Buffer) {
    this.#stream = streamOf(spec, createDecipheriv(spec.algorithm, asKey(key), iv));
    this.#mac = new Mac(macSpec, macKey);
  }

  size(buffer: Buffer, offset: number, available: number): number {
    if (available < 4) return 0;
    return 4 + checkLength(buffer.readUInt32BE(offset), BLOCK, false) + this.#mac.length;
  }

  open(buffer: Buffer, offset: number, size: number, sequence: number): Opened {
    const end = offset + size - this.#mac.length;
    this.#mac.check(sequence, buffer, offset, end, buffer, end);
    this.#stream.apply(buffer, offset + 4, end);
    return unpad(this.#opened, buffer, offset + 4, end - offset - 4);
  }
}

/** The length is encrypted: the first block is opened ahead, and kept until the rest has come. */
export class CtrOpener implements Opener {
  readonly #decipher: Decipheriv;
  readonly #mac: Mac;
  readonly #opened = newOpened();
  #first: Buffer | undefined;

  constructor(spec: CipherSpec, key: Buffer, iv: Buffer, macSpec: MacSpec, macKey: Buffer) {
    this.#decipher = createDecipheriv(spec.algorithm, asKey(key), iv);
    this.#mac = new Mac(macSpec, macKey);
  }

  size(buffer: Buffer, offset: number, available: number): number {
    if (this.#first === undefined) {
      if (available < BLOCK) return 0;
      this.#first = this.#decipher.update(buffer.subarray(offset, offset + BLOCK));
    }
    return 4 + checkLength(this.#first.readUInt32BE(0), BLOCK, true) + this.#mac.length;
  }

  open(buffer: Buffer, offset: number, size: number, sequence: number): Opened {
    const end = offset + size - this.#mac.length;
    const first = this.#first!;
    this.#first = undefined;
    const plain =
      end - offset > BLOCK
        ? Buffer.concat([first, this.#decipher.update(buffer.subarray(offset + BLOCK, end))])
        : first;
    this.#mac.check(sequence, plain, 0, plain.length, buffer, end);
    return unpad(this.#opened, plain, 4, plain.length - 4);
  }
}
