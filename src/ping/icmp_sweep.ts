/**
 * The loop of an ICMP sweep: sends as the pace allows, reads what comes, closes blocks. It goes on until all is done; only the socket's
 * `wait` ever sleeps.
 *
 *   running ──stop──▶ ending ──the last probe's timeout──▶ ended        ended: also where all blocks are done
 *
 * What comes is told apart by what only we know: a tag over the probe and its address. See `Incoming` in `packet.ts`.
 */
import { Addresses, type PackedAddresses } from './addresses.ts';
import { Block, type BlockRules } from './block.ts';
import type { Pace } from './pace.ts';
import { Incoming, sequenceOf, writeProbe } from './packet.ts';
import { CONTROL, type Shared } from './shared.ts';
import type { Skipped } from './skipped.ts';
import { stateOfErrno, stateOfError } from './state.ts';
import { Tagger } from './tag.ts';

/** What sends and receives; `IcmpSocket` in `ffi.ts`, and a network that is not there in tests. */
export interface PacketSocket {
  readonly family: 4 | 6;
  readonly kind: 'raw' | 'datagram';
  readonly batch: number;
  readonly sendSize: number;
  readonly receiveSize: number;
  readonly sending: Uint8Array;
  readonly addresses: Uint8Array;
  readonly received: Uint8Array;
  readonly sources: Uint8Array;
  addressAt(i: number): number;
  /** How many of `from` … `to` - 1 went; or minus errno of the first. */
  send(from: number, to: number): number;
  /** How many came; or minus errno. */
  receive(): number;
  lengthOf(i: number): number;
  wait(milliseconds: number, room: boolean): void;
}

export interface SweepParts {
  readonly addresses: PackedAddresses;
  readonly shared: Shared;
  readonly socket: PacketSocket;
  readonly identifier: number;
  readonly rules: BlockRules;
  readonly pace: Pace;
  readonly order: 'random' | 'input';
  /** Four words: two of the tag, one of sequences, one of the order. */
  readonly secret: readonly [number, number, number, number];
  /** Addresses that are not asked. */
  readonly skipped?: Skipped | undefined;
  /** Microseconds, from whenever. */
  micros(): number;
  /** Block `number` is done; its slot is the main thread's now. */
  onBlock(place: number, number: number, count: number): void;
}

/** Longest sleep, in milliseconds: how soon a stop, or a slot that was given back, is seen. */
const LONGEST_WAIT = 10;
/** ENOBUFS, EAGAIN, ENOMEM: there is no room now. */
const NO_ROOM: ReadonlySet<number> = new Set([105, 11, 12]);
/** Reads in a row before probes are sent again. */
const READS = 4;

export class IcmpSweep {
  readonly #parts: SweepParts;
  readonly #addresses: Addresses;
  readonly #tagger: Tagger;
  readonly #incoming = new Incoming();
  /** In the order in which they were begun. */
  readonly #live: Block[] = [];
  readonly #blocks: number;
  readonly #headed: boolean;
  #begun = 0;
  /** Packets of the batch that are still to be sent, and what they are. */
  #from = 0;
  #to = 0;
  readonly #blockOf: Block[] = [];
  readonly #positionOf: Int32Array;
  /** Sends of the same packet that failed in a row. */
  #failures = 0;
  /** When all that had come was last read. */
  #drained = 0;

  constructor(parts: SweepParts) {
    this.#parts = parts;
    this.#addresses = new Addresses(parts.addresses);
    this.#tagger = new Tagger([parts.secret[0], parts.secret[1]]);
    this.#blocks = Math.ceil(this.#addresses.count / parts.shared.block);
    this.#headed = parts.socket.family === 4 && parts.socket.kind === 'raw';
    this.#positionOf = new Int32Array(parts.socket.batch);
  }

  run(): void {
    const { socket } = this.#parts;
    for (let wait = this.step(); wait !== undefined; wait = this.step()) if (wait > 0) socket.wait(wait, false);
  }

  /** Does what there is to do now. For how many milliseconds there is nothing, unless a packet comes; undefined: all is done. */
  step(): number | undefined {
    const { shared } = this.#parts;
    const stopped = Atomics.load(shared.control, CONTROL.stop) !== 0;
    if (stopped) this.#stop();
    const sent = stopped ? 0 : this.#send();
    const got = this.#read();
    this.#close();
    if (this.#live.length === 0 && (stopped || this.#begun === this.#blocks)) return undefined;
    return sent === 0 && got === 0 ? this.#pause() : 0;
  }

  #stop(): void {
    this.#from = this.#to;
    for (const block of this.#live) block.stop();
  }

  /** Packets that left. */
  #send(): number {
    if (this.#from === this.#to) this.#fill();
    if (this.#from === this.#to) return 0;
    const { socket, shared, pace, micros } = this.#parts;
    const went = socket.send(this.#from, this.#to);
    if (went <= 0) return this.#refused(-went);
    const now = micros();
    for (let i = this.#from; i < this.#from + went; i++) this.#blockOf[i]!.hasLeft(this.#positionOf[i]!, now);
    this.#from += went;
    this.#failures = 0;
    pace.take(went);
    shared.add('sent', went);
    return went;
  }

  /**
   * A send that failed. A socket may give an error of an earlier packet to the next send: only the second in a row is about the
   * packet itself.
   */
  #refused(errno: number): number {
    const { socket, shared } = this.#parts;
    if (errno === 0 || NO_ROOM.has(errno)) {
      shared.add('fullBuffers');
      socket.wait(1, true);
      return 0;
    }
    this.#failures++;
    if (this.#failures < 2) return 1;
    this.#failures = 0;
    shared.add('sendFailures');
    this.#blockOf[this.#from]!.hasNotLeft(this.#positionOf[this.#from]!, stateOfErrno(errno));
    this.#from++;
    return 1;
  }

  /** Builds the packets that may leave now. */
  #fill(): void {
    const { socket, pace, micros } = this.#parts;
    const now = micros();
    const room = pace.available(now, socket.batch);
    this.#from = 0;
    this.#to = 0;
    while (this.#to < room) {
      const block = this.#blockWithProbes(now);
      if (!block) return;
      const position = block.take(now);
      if (position < 0) continue;
      this.#build(this.#to++, block, position, now);
    }
  }

  /** The first block of which a probe is due; a new one where there is none and a slot is free. */
  #blockWithProbes(now: number): Block | undefined {
    const due = this.#live.find((block) => block.nextAt() <= now);
    if (due || this.#begun === this.#blocks) return due;
    const { shared, rules, order, secret, skipped } = this.#parts;
    if (this.#begun - Atomics.load(shared.control, CONTROL.returned) >= shared.slots.length) return undefined;
    const number = this.#begun++;
    const count = Math.min(shared.block, this.#addresses.count - number * shared.block);
    const seed = order === 'random' ? (secret[3] + Math.imul(number, 0x9e3779b1)) | 0 : undefined;
    const block = new Block(number, count, number % shared.slots.length, shared, rules, seed, skipped);
    // From here on the main thread may look at what the slot holds so far.
    Atomics.store(shared.control, CONTROL.begun, this.#begun);
    this.#live.push(block);
    return block;
  }

  #build(i: number, block: Block, position: number, now: number): void {
    const { socket, identifier, secret } = this.#parts;
    const { pass } = block;
    const time = now >>> 0;
    this.#addresses.write(block.base + position, socket.addresses, socket.addressAt(i));
    const tag = this.#tagger.tag(position, block.number, pass, time, this.#addresses.found);
    const sequence = sequenceOf(secret[2], position, pass);
    const probe = { tag, position, block: block.number, pass, time };
    writeProbe(socket.sending, i * socket.sendSize, socket.family, identifier, sequence, probe);
    this.#blockOf[i] = block;
    this.#positionOf[i] = position;
  }

  /** Packets that came. */
  #read(): number {
    const { socket, micros } = this.#parts;
    let all = 0;
    for (let reads = 0; reads < READS; reads++) {
      const before = micros();
      const got = socket.receive();
      const now = micros();
      for (let i = 0; i < got; i++) this.#take(i, now);
      if (got > 0) all += got;
      if (got < socket.batch) {
        // An error of an earlier packet is no answer: what had come is still to be read.
        if (got >= 0) this.#drained = before;
        break;
      }
    }
    return all;
  }

  #take(i: number, now: number): void {
    const { socket, shared, identifier } = this.#parts;
    const incoming = this.#incoming;
    const length = Math.min(socket.lengthOf(i), socket.receiveSize);
    incoming.read(socket.received, i * socket.receiveSize, length, socket.family, this.#headed);
    if (incoming.kind === 'other' || (socket.kind === 'raw' && incoming.identifier !== identifier)) return;
    if (incoming.kind === 'error') this.#error();
    else if (!this.#isOurs()) shared.add('foreign');
    else this.#answer(i, now);
  }

  /** Whether the probe that came back is one of ours; leaves its address in `found`. */
  #isOurs(): boolean {
    const { probe, whole } = this.#incoming;
    if (!whole || probe.block >= this.#begun || probe.position >= this.#parts.shared.block) return false;
    const index = probe.block * this.#parts.shared.block + probe.position;
    if (index >= this.#addresses.count) return false;
    this.#addresses.find(index);
    return this.#tagger.tag(probe.position, probe.block, probe.pass, probe.time, this.#addresses.found) === probe.tag;
  }

  /** Needs `#isOurs`. */
  #answer(i: number, now: number): void {
    const { shared, rules } = this.#parts;
    const { probe } = this.#incoming;
    if (!this.#isFrom(i)) {
      shared.add('fromOthers');
      return;
    }
    const block = this.#blockAt(probe.block);
    const micros = (now - probe.time) >>> 0;
    // It may have come right after all was read the last time: what this thread was late is not the host's.
    if (!block || ((this.#drained - probe.time) | 0) > rules.timeout) {
      shared.add('late');
      return;
    }
    if (block.answered(probe.position, probe.pass, Math.max(1, micros))) shared.add('answers');
    else shared.add('duplicates');
  }

  /** Whether the `i`-th packet came from the address in `found`. */
  #isFrom(i: number): boolean {
    const { sources } = this.#parts.socket;
    const { found } = this.#addresses;
    const at = this.#parts.socket.addressAt(i);
    for (let w = 0; w < found.length; w++) {
      const place = at + 4 * w;
      const word =
        (sources[place]! << 24) | (sources[place + 1]! << 16) | (sources[place + 2]! << 8) | sources[place + 3]!;
      if (word >>> 0 !== found[w]) return false;
    }
    return true;
  }

  #error(): void {
    const { shared, socket } = this.#parts;
    const { probe, whole, type, code } = this.#incoming;
    const index = whole && this.#isOurs() ? probe.block * shared.block + probe.position : this.#quotedIndex();
    if (index === undefined) {
      shared.add('foreign');
      return;
    }
    shared.add('errors');
    const block = this.#blockAt(Math.floor(index / shared.block));
    block?.failed(index - block.base, stateOfError(socket.family, type, code));
  }

  /** The address that an error is about which quotes eight bytes only: the sequence shows whether it is ours. */
  #quotedIndex(): number | undefined {
    const { destination, sequence } = this.#incoming;
    const { shared, rules, secret, socket } = this.#parts;
    const index = socket.family === 4 ? this.#addresses.indexOf4(destination) : undefined;
    if (index === undefined) return undefined;
    const first = sequenceOf(secret[2], index % shared.block, 0);
    return ((sequence - first) & 0xffff) < rules.passes ? index : undefined;
  }

  #blockAt(number: number): Block | undefined {
    return this.#live.find((block) => block.number === number);
  }

  /** Hands out the blocks that are done, in order: the main thread reads them in order. */
  #close(): void {
    const { shared, onBlock } = this.#parts;
    for (let block = this.#live[0]; block?.isDone(this.#drained); block = this.#live[0]) {
      this.#live.shift();
      shared.add('done', block.count);
      onBlock(block.place, block.number, block.count);
    }
  }

  #pause(): number {
    const { pace, micros } = this.#parts;
    const now = micros();
    let until = now + (this.#begun < this.#blocks ? Math.min(pace.wait(), LONGEST_WAIT * 1000) : LONGEST_WAIT * 1000);
    // All slots are with the main thread, or wait for their last answers.
    if (pace.wait() === 0) until = now + LONGEST_WAIT * 1000;
    for (const block of this.#live) {
      const next = block.nextAt();
      if (next < until) until = Math.max(next, now + pace.wait());
      if (block.isWaiting) until = Math.min(until, block.overAt + 1000);
    }
    const milliseconds = Math.ceil((until - now) / 1000);
    return Math.max(1, Math.min(LONGEST_WAIT, milliseconds));
  }
}
