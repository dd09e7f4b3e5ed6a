/**
 * aes-cbc without `-etm`, opening half (RFC 4253 §6). The length is encrypted by the block before it, so a man in the middle who
 * sends a block of an earlier packet as the start of the next learns of its plain bytes by how soon the connection
 * ends (CVE-2008-5161). As in OpenSSH a packet that cannot be is no error before as many bytes have come as the largest
 * packet has, whatever was wrong with it.
 */
import { createDecipheriv, createSecretKey, type Decipheriv } from 'node:crypto';
import { protocolError, SshError } from '../errors.ts';
import { MAX_PACKET } from '../messages.ts';
import { Mac } from './mac.ts';
import {
  BLOCK,
  type CipherSpec,
  checkLength,
  type MacSpec,
  newOpened,
  type Opened,
  type Opener,
  unpad,
} from './packet.ts';

export class CbcOpener implements Opener {
  readonly #decipher: Decipheriv;
  readonly #mac: Mac;
  readonly #opened = newOpened();
  /** The packet that is coming: its first block, then, once all of it is here and its MAC holds, the whole. */
  #first: Buffer | undefined;
  #plain: Buffer | undefined;
  #broken = false;

  constructor(spec: CipherSpec, key: Buffer, iv: Buffer, macSpec: MacSpec, macKey: Buffer) {
    this.#decipher = createDecipheriv(spec.algorithm, createSecretKey(key), iv).setAutoPadding(false);
    this.#mac = new Mac(macSpec, macKey);
  }

  size(buffer: Buffer, offset: number, available: number, sequence: number): number {
    if (this.#broken) return MAX_PACKET;
    try {
      return this.#size(buffer, offset, available, sequence);
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
      this.#broken = true;
      return MAX_PACKET;
    }
  }

  #size(buffer: Buffer, offset: number, available: number, sequence: number): number {
    if (this.#first === undefined) {
      if (available < BLOCK) return 0;
      this.#first = this.#decipher.update(buffer.subarray(offset, offset + BLOCK));
    }
    const length = 4 + checkLength(this.#first.readUInt32BE(0), BLOCK, true);
    const size = length + this.#mac.length;
    if (this.#plain === undefined && available >= size) {
      const end = offset + length;
      const rest = this.#decipher.update(buffer.subarray(offset + BLOCK, end));
      this.#plain = Buffer.concat([this.#first, rest]);
      this.#mac.check(sequence, this.#plain, 0, length, buffer, end);
      // What it says of its padding is under the MAC, but comes from the peer all the same.
      unpad(this.#opened, this.#plain, 4, length - 4);
    }
    return size;
  }

  open(_buffer: Buffer, _offset: number, _size: number): Opened {
    const plain = this.#plain;
    if (this.#broken || plain === undefined) throw protocolError('expected a packet with a valid length and MAC');
    this.#first = undefined;
    this.#plain = undefined;
    return unpad(this.#opened, plain, 4, plain.length - 4);
  }
}
