/** A network that is not there: packets of a sweep reach a function, and what that gives comes back after its time. */
import type { PacketSocket } from '../../src/ping/icmp_sweep.ts';
import { checksum } from '../../src/ping/packet.ts';

export interface Echo {
  /** Where the request went. */
  readonly to: number;
  /** The request itself: its ICMP part. */
  readonly request: Uint8Array;
  /** Sends to this address before this one. */
  readonly before: number;
}

/** A packet that comes back: its ICMP part, from whom, after how many milliseconds. */
export interface Back {
  readonly icmp: Uint8Array;
  readonly from: number;
  readonly afterMs: number;
}

export const reply = (request: Uint8Array): Uint8Array => Uint8Array.from(request).fill(0, 0, 1);

/** The answer of a host that is up. */
export const up =
  (afterMs = 1) =>
  ({ to, request }: Echo): Back[] => [{ icmp: reply(request), from: to, afterMs }];

/** An ICMP error that quotes `quoted` bytes of the request. */
export function error({ to, request }: Echo, type: number, code: number, quoted = request.length): Uint8Array {
  const bytes = new Uint8Array(8 + 20 + quoted);
  bytes[0] = type;
  bytes[1] = code;
  bytes.set(header(0x0a000001, to), 8);
  bytes.set(request.subarray(0, quoted), 28);
  return bytes;
}

function header(from: number, to: number): Uint8Array {
  const bytes = Buffer.alloc(20);
  bytes[0] = 0x45;
  bytes[8] = 64;
  bytes[9] = 1;
  bytes.writeUInt32BE(from, 12);
  bytes.writeUInt32BE(to, 16);
  return bytes;
}

export class FakeNetwork implements PacketSocket {
  readonly family = 4;
  readonly kind = 'raw';
  readonly batch = 8;
  readonly sendSize = 64;
  readonly receiveSize = 256;
  readonly sending = new Uint8Array(8 * 64);
  readonly addresses = new Uint8Array(8 * 4);
  readonly received = new Uint8Array(8 * 256);
  readonly sources = new Uint8Array(8 * 4);
  /** Requests in the order in which they left, with their times in microseconds. */
  readonly sent: { to: number; at: number }[] = [];
  now = 0;
  /** Gives errno for sends that fail. */
  refuse: (to: number) => number = () => 0;
  onWait: () => void = () => {};
  readonly #respond: (echo: Echo) => readonly Back[];
  readonly #lengths = new Array<number>(8).fill(0);
  #queue: { at: number; icmp: Uint8Array; from: number }[] = [];
  readonly #before = new Map<number, number>();

  constructor(respond: (echo: Echo) => readonly Back[]) {
    this.#respond = respond;
  }

  readonly micros = (): number => this.now;

  addressAt(i: number): number {
    return 4 * i;
  }

  send(from: number, to: number): number {
    for (let i = from; i < to; i++) {
      const address = Buffer.from(this.addresses.buffer).readUInt32BE(4 * i);
      const errno = this.refuse(address);
      if (errno !== 0) return i === from ? -errno : i - from;
      const request = this.sending.slice(64 * i, 64 * i + 28);
      // What the other side would drop: the checksum over it all is 0.
      if (checksum(request, 0, request.length) !== 0) throw new Error('a request with a wrong checksum');
      const before = this.#before.get(address) ?? 0;
      this.#before.set(address, before + 1);
      this.sent.push({ to: address, at: this.now });
      for (const back of this.#respond({ to: address, request, before })) {
        this.#queue.push({ at: this.now + 1000 * back.afterMs, icmp: back.icmp, from: back.from });
      }
      this.now += 5;
    }
    return to - from;
  }

  receive(): number {
    const due = this.#queue.filter(({ at }) => at <= this.now).slice(0, this.batch);
    this.#queue = this.#queue.filter((packet) => !due.includes(packet));
    due.forEach(({ icmp, from }, i) => {
      this.received.set(header(from, 0x0a000001), 256 * i);
      this.received.set(icmp, 256 * i + 20);
      this.#lengths[i] = 20 + icmp.length;
      Buffer.from(this.sources.buffer).writeUInt32BE(from, 4 * i);
    });
    return due.length;
  }

  lengthOf(i: number): number {
    return this.#lengths[i]!;
  }

  wait(milliseconds: number): void {
    this.onWait();
    const next = Math.min(...this.#queue.map(({ at }) => at), this.now + 1000 * milliseconds);
    this.now = Math.max(this.now + 1, next);
  }
}
