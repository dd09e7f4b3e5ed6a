/**
 * The program fping as a way to ping without a socket of our own: Debian gives it the right that we may not have. A thousand addresses at
 * a time go to it on stdin, and come back as a line each: `10.0.0.1 : 0.03 - 0.05`, a time per probe.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { MyriadError } from '../contracts/errors.ts';
import { Addresses, type PackedAddresses } from './addresses.ts';
import type { BlockRules } from './block.ts';
import { bitsOf, type ManyProbes, type PingChunk } from './chunk.ts';
import { Permutation } from './permutation.ts';
import { addTrip, COUNTS, type Counts, HISTOGRAM, TIMES } from './shared.ts';
import type { Skipped } from './skipped.ts';
import { STATE } from './state.ts';
import type { PingSweep } from './sweep.ts';

export interface FpingOptions {
  readonly program: string;
  readonly addresses: PackedAddresses;
  readonly rules: BlockRules;
  readonly rate: number;
  readonly order: 'random' | 'input';
  readonly seed: number;
  /** Addresses that are not asked. */
  readonly skipped?: Skipped | undefined;
}

/** Addresses of one process. */
const BLOCK = 1000;
/** The least that it takes between two packets without being root. */
const LEAST_MS = 1;
/** A line has an address and a time per probe; what is longer is not fping's. */
const MAX_LINE = 64 * 1024;

export class FpingSweep implements PingSweep {
  readonly counts = Object.fromEntries(COUNTS.map((name) => [name, 0])) as Counts;
  readonly histogram = new Float64Array(HISTOGRAM);
  readonly times = new Float64Array(TIMES);
  readonly #options: FpingOptions;
  readonly #addresses: Addresses;
  #child: ChildProcess | undefined;
  #stopped = false;

  constructor(options: FpingOptions) {
    this.#options = options;
    this.#addresses = new Addresses(options.addresses);
  }

  async *chunks(): AsyncGenerator<PingChunk> {
    const all = this.#addresses.count;
    for (let base = 0; base < all && !this.#stopped; base += BLOCK) {
      const chunk = await this.#ask(base, Math.min(BLOCK, all - base));
      this.counts.done += chunk.count;
      yield chunk;
    }
  }

  /** A thousand at a time are soon over. */
  *live(): Generator<PingChunk> {}

  stop(): void {
    this.#stopped = true;
    this.#child?.kill('SIGINT');
  }

  async close(): Promise<void> {
    this.#stopped = true;
    this.#child?.kill('SIGKILL');
  }

  async #ask(base: number, count: number): Promise<PingChunk> {
    const { order, seed, program, skipped } = this.#options;
    const places = new Permutation(count, order === 'random' ? (seed + base) | 0 : undefined);
    const index = new Map<string, number[]>();
    let input = '';
    for (let i = 0; i < count; i++) {
      const position = places.at(i);
      if (skipped?.has(base + position)) continue;
      const text = this.#addresses.text(base + position);
      const same = index.get(text);
      // fping asks an address that stands there twice twice, and tells of each: the first line is for the first.
      if (same) same.push(position);
      else index.set(text, [position]);
      input += `${text}\n`;
    }
    const block = new Answers(base, count, this.#options.rules.passes);
    if (input === '') return block.chunk();
    const child = spawn(program, this.#args(), {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { LC_ALL: 'C', PATH: process.env.PATH },
    });
    this.#child = child;
    let rest = '';
    child.stderr.setEncoding('latin1').on('data', (data: string) => {
      const lines = (rest + data).split('\n');
      rest = lines.pop()!.slice(0, MAX_LINE);
      for (const line of lines) this.#line(line, index, block);
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    await new Promise<void>((resolve, reject) => {
      child.on('error', (cause) =>
        reject(new MyriadError('file', `cannot run ${program}: ${cause.message}`, { cause })),
      );
      child.on('close', () => resolve());
    });
    this.#child = undefined;
    return block.chunk();
  }

  #args(): string[] {
    const { rules, rate, addresses } = this.#options;
    const between = Math.max(LEAST_MS, Number.isFinite(rate) ? 1000 / rate : LEAST_MS);
    const ms = (micros: number) => String(Math.max(1, Math.round(micros / 1000)));
    const interval = ['-C', String(rules.passes), '-p', ms(Math.max(rules.gap, 10_000)), '-t', ms(rules.timeout)];
    return [`-${addresses.family}`, '-q', ...interval, '-i', String(Math.round(between * 10) / 10)];
  }

  #line(line: string, index: ReadonlyMap<string, number[]>, block: Answers): void {
    const match = /^(\S+) +: ([-\d. ]+)$/.exec(line);
    if (!match) return;
    const position = index.get(match[1]!)?.shift();
    if (position === undefined) return;
    const times = match[2]!.trim().split(' ');
    this.counts.sent += times.length;
    const answers = times.filter((time) => time !== '-').map((time) => Math.max(1, Number(time) * 1000));
    this.counts.answers += answers.length;
    if (answers.length > 0) this.counts.up++;
    for (const micros of answers) addTrip(this.histogram, this.times, micros);
    block.set(position, times.length, answers);
  }
}

/** What one process tells. */
class Answers {
  readonly #base: number;
  readonly #state: Uint8Array;
  readonly #rtt: Uint32Array;
  readonly #many: ManyProbes | undefined;

  constructor(base: number, count: number, passes: number) {
    this.#base = base;
    this.#state = new Uint8Array(count);
    this.#rtt = new Uint32Array(count);
    if (passes === 1) return;
    const [sent, received] = [new Uint16Array(count), new Uint16Array(count)];
    this.#many = { sent, received, least: new Uint32Array(count), most: new Uint32Array(count) };
  }

  set(position: number, sent: number, answers: readonly number[]): void {
    this.#state[position] = answers.length > 0 ? STATE.up : STATE['no-answer'];
    if (answers.length > 0) this.#rtt[position] = answers.reduce((sum, each) => sum + each, 0) / answers.length;
    if (!this.#many) return;
    this.#many.sent[position] = sent;
    this.#many.received[position] = answers.length;
    if (answers.length === 0) return;
    this.#many.least[position] = Math.min(...answers);
    this.#many.most[position] = Math.max(...answers);
  }

  chunk(): PingChunk {
    const state = this.#state;
    return { base: this.#base, count: state.length, bits: bitsOf(state), rtt: this.#rtt, state, many: this.#many };
  }
}
