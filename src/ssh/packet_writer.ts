/**
 * What leaves: packets are sealed one after the other into one buffer, which is written in one piece.
 *
 * Two bounds hold for a peer that does not read. Data stops while more than `MOST_DATA` wait in the stream (`room`), and goes
 * on when it has drained. Answers are owed at once, so they have no such gate: a peer that asks on without taking them ends
 * its connection (`flush`).
 */

import { freeBytes } from '../util/free_bytes.ts';
import { keptRoom } from '../util/kept_bytes.ts';
import type { ByteStream } from './byte_stream.ts';
import type { Sealer } from './cipher/packet.ts';
import { PlainCipher } from './cipher/plain.ts';
import { Reader, Writer } from './wire.ts';

/** Bytes in the stream above which data waits; above Node's high-water mark of 64 KiB, so that `drained` follows. */
const MOST_DATA = 256 * 1024;
/** Bytes in the stream that end the connection: a MiB of answers above the data. */
const MOST_UNSENT = MOST_DATA + 1024 * 1024;
/** Of packets held back during a key exchange. */
export const MOST_HELD = 1024 * 1024;
/** Data is written out by this much. */
const DUE = 64 * 1024;
/** More than this is written from where it was sealed, without a copy. */
const COPIED = 8 * 1024;
/** Room for our KEXINIT, the largest packet of most connections: 1,064 bytes with all that is offered. */
const USUAL_SIZE = 1280;
/** Room for what is due and the packet that made it so, with its protection. */
const SPARE_SIZE = DUE + 36 * 1024;
/** Buffers of all connections that wait for the next large write: 3.1 MiB. */
const MOST_SPARE = 32;
/** And for the next small one: 320 KiB, or 2 MiB where all have grown. */
const MOST_SMALL = 256;
/** What a connection at rest may keep sealed: a CLOSE takes 52 bytes, and 84 with the longest MAC. */
const REST_SIZE = 96;

const spare: Writer[] = [];
const small: Writer[] = [];

/** Its bytes have left. */
function keepSpare(writer: Writer): void {
  if (writer.buffer.length < SPARE_SIZE || writer.buffer.length > 2 * SPARE_SIZE) return;
  if (spare.length < MOST_SPARE) spare.push(writer.reset());
  else freeBytes(writer.buffer);
}

/** Its bytes were copied. */
function keepSmall(writer: Writer): void {
  if (small.length < MOST_SMALL && writer.buffer.length <= COPIED) small.push(writer.reset());
}

export class PacketWriter {
  readonly #stream: ByteStream;
  #sealer: Sealer = new PlainCipher();
  #sequence = 0;
  #out: Writer | undefined;
  /** What was sealed before the connection came to rest; the room for it is kept. */
  #rested: Buffer | undefined;
  #restedLength = 0;
  /** Payloads held back, each after its length: many small ones cost no more than their bytes. */
  #held: Writer | undefined;
  #full = false;
  /** Under the current keys. */
  keyedBytes = 0;
  keyedPackets = 0;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /** Seals the packet that is in `packet`, after its 5 free bytes. */
  seal(packet: Writer): void {
    const out = this.#begun(packet.length);
    const before = out.length;
    this.#sealer.seal(packet, this.#sequence, out);
    this.#sequence = (this.#sequence + 1) >>> 0;
    this.keyedBytes += out.length - before;
    this.keyedPackets++;
  }

  /** The buffer that leaves next, with what waits in it; a new one for a packet of `size`. */
  #begun(size: number): Writer {
    if (this.#out !== undefined) return this.#out;
    const large = size > COPIED;
    const out = large ? (spare.pop() ?? new Writer(SPARE_SIZE)) : (small.pop() ?? new Writer(USUAL_SIZE));
    if (this.#restedLength > 0) out.raw(this.#rested!.subarray(0, this.#restedLength));
    this.#restedLength = 0;
    this.#out = out;
    return out;
  }

  /** The connection rests: what is sealed waits in as little room as it takes, and its buffer is for others. */
  rest(): void {
    const out = this.#out;
    if (out === undefined || out.length > REST_SIZE) return;
    this.#rested ??= keptRoom(REST_SIZE);
    this.#rested.set(out.view());
    this.#restedLength = out.length;
    this.#out = undefined;
    keepSmall(out);
  }

  /** What is sealed from now on is under these keys. `strict`: sequence numbers begin again. */
  useKeys(sealer: Sealer, strict: boolean): void {
    this.#sealer = sealer;
    if (strict) this.#sequence = 0;
    this.keyedBytes = 0;
    this.keyedPackets = 0;
  }

  /** Keeps a packet until `sealHeld`; false: there is no room for it. */
  hold(packet: Writer): boolean {
    this.#held ??= new Writer(1024);
    if (this.#held.length + packet.length - 1 > MOST_HELD) return false;
    this.#held.string(packet.buffer.subarray(5, packet.length));
    return true;
  }

  /** Seals what was held back; `packet` is scratch. */
  sealHeld(packet: Writer): void {
    if (this.#held === undefined) return;
    const held = new Reader(this.#held.view());
    this.#held = undefined;
    while (held.remaining > 0) {
      packet.length = 5;
      packet.raw(held.string());
      this.seal(packet);
    }
  }

  /** Writes out what was sealed. False: so much waits for this peer that it does not read; nothing was written. */
  flush(): boolean {
    const out = this.#restedLength > 0 ? this.#begun(0) : this.#out;
    if (out === undefined || out.length === 0) return true;
    if (this.#stream.waiting + out.length > MOST_UNSENT) return false;
    this.#out = undefined;
    if (out.length <= COPIED) {
      this.#stream.write(out.copy());
      keepSmall(out);
    } else {
      this.#stream.write(out.view(), () => keepSpare(out));
    }
    return true;
  }

  /** Enough was sealed to be written out now. */
  get due(): boolean {
    return this.#out !== undefined && this.#out.length >= DUE;
  }

  /** False while the stream is full: data waits for `drained`. */
  get room(): boolean {
    if (this.#stream.waiting <= MOST_DATA) return true;
    this.#full = true;
    return false;
  }

  /** The stream has drained; true where something waited for that. */
  drained(): boolean {
    const waited = this.#full;
    this.#full = false;
    return waited;
  }

  /** Drops what has not been written. */
  drop(): void {
    this.#out = undefined;
    this.#restedLength = 0;
    this.#held = undefined;
  }
}
