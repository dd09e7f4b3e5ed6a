/**
 * TCP and banner sweeps: connects to every address, and with `banner` reads what an SSH server says of itself. One thread and node:net:
 * a connection costs 60 to 90 µs of CPU, which leaves room for 8,000 hosts and more a second on one core.
 */
import { connect, type Socket } from 'node:net';
import type { Clock } from '../contracts/limits.ts';
import { TimerEntry, TimerWheel } from '../util/timer_wheel.ts';
import { Addresses, type PackedAddresses } from './addresses.ts';
import { Banner } from './banner.ts';
import { bitsOf, type PingChunk } from './chunk.ts';
import { Pace } from './pace.ts';
import { Permutation } from './permutation.ts';
import { addTrip, COUNTS, type Counts, HISTOGRAM, TIMES } from './shared.ts';
import type { Skipped } from './skipped.ts';
import { STATE } from './state.ts';
import type { PingSweep } from './sweep.ts';

export interface TcpOptions {
  readonly addresses: PackedAddresses;
  /** The port of the address at `index`. */
  port(index: number): number;
  /** Whether the server must say that it speaks SSH. */
  readonly banner: boolean;
  /** Connections at once. */
  readonly fanout: number;
  /** Connections per second; Infinity: as many as go. */
  readonly rate: number;
  /** Until the connection, and the banner, are there. */
  readonly timeoutMs: number;
  readonly order: 'random' | 'input';
  readonly clock: Clock;
  /** 32 bits for the order. */
  readonly seed: number;
  /** Addresses that are not asked. */
  readonly skipped?: Skipped | undefined;
  /** Identifications that have a number already, from 1 on. */
  readonly known?: readonly string[] | undefined;
}

/** Addresses of a block; at most LIVE blocks are on their way or wait for their reader. */
const BLOCK = 65_536;
const LIVE = 3;
/** Different identifications that are told apart; those of hosts that send ever new ones are one more. */
const MOST_BANNERS = 4096;
/** New connections between two looks at what has come. */
const PUMP = 64;

interface Block {
  readonly base: number;
  readonly count: number;
  readonly order: Permutation;
  readonly state: Uint8Array;
  readonly rtt: Uint32Array;
  readonly software: Uint16Array | undefined;
  next: number;
  left: number;
}

/** What each errno says of the address. */
const STATES: Readonly<Record<string, number>> = {
  ECONNREFUSED: STATE.refused,
  ECONNRESET: STATE.reset,
  EPIPE: STATE.reset,
  EHOSTUNREACH: STATE['host-unreachable'],
  EHOSTDOWN: STATE['host-unreachable'],
  ETIMEDOUT: STATE['no-answer'],
  ENETUNREACH: STATE['no-route'],
  ENETDOWN: STATE['network-down'],
};

export class TcpPing implements PingSweep {
  readonly counts = Object.fromEntries(COUNTS.map((name) => [name, 0])) as Counts;
  readonly histogram = new Float64Array(HISTOGRAM);
  readonly times = new Float64Array(TIMES);
  /** Identifications by the numbers that chunks have; 0 is none. */
  readonly banners: readonly string[];
  readonly #banners = [''];
  readonly #numbers = new Map<string, number>();
  readonly #options: TcpOptions;
  readonly #addresses: Addresses;
  readonly #pace: Pace;
  readonly #wheel: TimerWheel;
  readonly #live: Block[] = [];
  readonly #dials = new Set<Dial>();
  #begun = 0;
  #stopped = false;
  #timer: { cancel(): void } | undefined;
  #wake: (() => void) | undefined;
  readonly #pump = () => this.#start();

  constructor(options: TcpOptions) {
    this.#options = options;
    this.#addresses = new Addresses(options.addresses);
    this.#pace = new Pace(options.rate, options.clock.now() * 1000);
    this.#wheel = new TimerWheel(options.clock);
    for (const text of options.known ?? []) this.#numbers.set(text, this.#banners.push(text) - 1);
    this.banners = this.#banners;
  }

  async *chunks(): AsyncGenerator<PingChunk> {
    this.#start();
    for (;;) {
      const block = this.#live[0];
      if (block && (block.left === 0 || (this.#stopped && this.#dials.size === 0))) {
        this.#live.shift();
        const { base, count, state, rtt, software } = block;
        this.counts.done += count;
        this.#start();
        yield { base, count, state, rtt, bits: bitsOf(state), software };
        continue;
      }
      if (!block && (this.#stopped || this.#begun >= this.#addresses.count)) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  *live(): Generator<PingChunk> {
    for (const { base, count, state, rtt, software } of this.#live) {
      yield { base, count, state, rtt, bits: bitsOf(state), software };
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#awake();
  }

  async close(): Promise<void> {
    this.stop();
    for (const dial of this.#dials) dial.drop();
  }

  #awake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Connects to as many as may be connected to now. */
  #start(): void {
    const { fanout, clock, skipped } = this.#options;
    this.#timer?.cancel();
    this.#timer = undefined;
    for (let begun = 0; !this.#stopped && this.#dials.size < fanout; begun++) {
      if (begun === PUMP) {
        this.#timer = clock.setTimer(0, this.#pump);
        return;
      }
      if (this.#pace.available(clock.now() * 1000, 1) === 0) {
        this.#timer = clock.setTimer(Math.max(1, this.#pace.wait() / 1000), this.#pump);
        return;
      }
      const block = this.#blockWithAddresses();
      if (!block) return;
      const position = block.order.at(block.next++);
      if (skipped?.has(block.base + position)) {
        if (--block.left === 0) this.#awake();
        begun--;
        continue;
      }
      this.#pace.take(1);
      this.#dial(block, position);
    }
  }

  #blockWithAddresses(): Block | undefined {
    const open = this.#live.find((block) => block.next < block.count);
    if (open || this.#begun >= this.#addresses.count || this.#live.length >= LIVE) return open;
    const base = this.#begun;
    const count = Math.min(BLOCK, this.#addresses.count - base);
    this.#begun += count;
    const { order, seed, banner } = this.#options;
    const block: Block = {
      base,
      count,
      order: new Permutation(count, order === 'random' ? (seed + base) | 0 : undefined),
      state: new Uint8Array(count),
      rtt: new Uint32Array(count),
      software: banner ? new Uint16Array(count) : undefined,
      next: 0,
      left: count,
    };
    this.#live.push(block);
    return block;
  }

  #dial(block: Block, position: number): void {
    const { banner, clock, timeoutMs } = this.#options;
    const index = block.base + position;
    const host = this.#addresses.text(index);
    const started = clock.now();
    this.counts.sent++;
    const dial = new Dial(host, this.#options.port(index), banner, (state, identification) => {
      this.#wheel.cancel(dial.deadline);
      this.#dials.delete(dial);
      this.#ended(block, position, state, identification, (clock.now() - started) * 1000);
    });
    this.#dials.add(dial);
    this.#wheel.arm(dial.deadline, timeoutMs, started);
  }

  #ended(block: Block, position: number, state: number, identification: string, micros: number): void {
    block.state[position] = state;
    block.left--;
    if (state === STATE.up) {
      this.counts.up++;
      this.counts.answers++;
      block.rtt[position] = Math.max(1, micros);
      addTrip(this.histogram, this.times, micros);
      if (block.software) block.software[position] = this.#numberOf(identification);
    } else if (state === STATE.refused || state === STATE.reset || state === STATE['no-banner']) {
      this.counts.answers++;
    } else if (state >= STATE['no-route']) {
      this.counts.sendFailures++;
      this.counts.sent--;
    }
    if (block.left === 0 || (this.#stopped && this.#dials.size === 0)) this.#awake();
    if (this.#timer === undefined) this.#start();
  }

  #numberOf(identification: string): number {
    const text = this.#numbers.size < MOST_BANNERS ? identification : 'others';
    const known = this.#numbers.get(identification) ?? this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.#banners.push(text) - 1;
    this.#numbers.set(text, number);
    return number;
  }
}

/** One connection. It ends once, with a state and what the server said. */
class Dial {
  readonly deadline: TimerEntry;
  readonly #socket: Socket;
  readonly #end: (state: number, identification: string) => void;
  #over = false;
  #connected = false;

  constructor(host: string, port: number, banner: boolean, end: (state: number, identification: string) => void) {
    this.#end = end;
    this.deadline = new TimerEntry(this);
    const socket = connect({ host, port, autoSelectFamily: false });
    this.#socket = socket;
    let reader: Banner | undefined;
    socket.on('connect', () => {
      this.#connected = true;
      if (banner) reader = new Banner();
      else this.#finish(STATE.up);
    });
    socket.on('error', (error: NodeJS.ErrnoException) =>
      this.#finish(STATES[error.code ?? ''] ?? STATE['local-limit']),
    );
    if (!banner) return;
    socket.on('data', (chunk: Buffer) => {
      const identification = reader?.read(chunk);
      if (identification !== undefined)
        this.#finish(identification === '' ? STATE['no-banner'] : STATE.up, identification);
    });
    socket.on('end', () => this.#finish(STATE['no-banner']));
  }

  /** A connection that came about, and over which nothing came, is no silence of the host. */
  expired(): void {
    this.#finish(this.#connected ? STATE['no-banner'] : STATE['no-answer']);
  }

  /** Ends it without a word. */
  drop(): void {
    this.#finish(STATE['not-probed']);
  }

  #finish(state: number, identification = ''): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.destroy();
    this.#end(state, identification);
  }
}
