/**
 * Starts, pieces of output and results of tasks as one pack of bytes, in the order in which they came about. Bytes of output
 * are copied once into the pack and cross without a copy.
 *
 *   start   1, index, attempt, time
 *   output  2, index, attempt, time, stream, bytes
 *   result  3, index, attempt, start, duration, phases, outcome, reached, notes, stdout, stderr
 *
 * Both ends are of one release and one machine: no version, little endian.
 */
import { OUTCOME_KINDS, type Outcome } from '../../contracts/outcome.ts';
import {
  Bytes,
  type Output,
  type PhaseTimes,
  type Reached,
  type TaskNote,
  type TaskResult,
} from '../../contracts/task.ts';

export const START = 1;
export const OUTPUT = 2;
export const RESULT = 3;

const PHASES = ['dns', 'connect', 'handshake', 'auth', 'open', 'command'] as const;
const NOTES: readonly TaskNote[] = ['output left open', 'output cut', 'stdout truncated', 'stderr truncated'];
const TRANSPORTS: readonly Reached['transport'][] = ['native', 'openssh', 'local'];
const OK = OUTCOME_KINDS.indexOf('ok');
const NO_STATUS = -1;
const UNREACHED = 255;
/** Of a new pack: some sixty results of one line each. */
const ROOM = 16 * 1024;
/** What a record needs at most beyond its texts and bytes. */
const FIXED = 256;

/** What is part of a result beyond what the main thread knows by itself. */
export type PackedResult = Omit<TaskResult, 'run' | 'round' | 'host' | 'iteration' | 'executor'>;

export class Packer {
  #bytes = Buffer.alloc(0);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  get length(): number {
    return this.#at;
  }

  start(index: number, attempt: number, time: number): void {
    this.#reserve(FIXED);
    this.#head(START, index, attempt, time);
  }

  output(index: number, attempt: number, time: number, stream: 'stdout' | 'stderr', data: Uint8Array): void {
    this.#reserve(FIXED + data.length);
    this.#head(OUTPUT, index, attempt, time);
    this.#byte(stream === 'stdout' ? 0 : 1);
    this.#data(data);
  }

  result(result: PackedResult): void {
    const { stdout, stderr, notes } = result;
    this.#reserve(FIXED + stdout.bytes.length + stderr.bytes.length);
    this.#head(RESULT, result.index, result.attempt, result.startedAt);
    this.#number(result.durationMs);
    this.#phases(result.phases);
    this.#outcome(result.outcome);
    this.#reached(result.reached);
    this.#reserve(FIXED + stdout.bytes.length + stderr.bytes.length);
    this.#byte(notes.reduce((bits, note) => bits | (1 << NOTES.indexOf(note)), 0));
    this.#output(stdout);
    this.#output(stderr);
  }

  /** The pack so far, to be handed over; the next record begins a new one. */
  take(): ArrayBuffer {
    const { buffer } = this.#bytes;
    this.#bytes = Buffer.alloc(0);
    this.#at = 0;
    return buffer;
  }

  #reserve(more: number): void {
    if (this.#at + more <= this.#bytes.length) return;
    // A buffer of its own, not of the pool: it is handed over whole.
    const grown = Buffer.from(new ArrayBuffer(Math.max(ROOM, 2 * this.#bytes.length, this.#at + more)));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  #head(type: number, index: number, attempt: number, time: number): void {
    this.#byte(type);
    this.#number(index);
    this.#view.setUint32(this.#at, attempt, true);
    this.#at += 4;
    this.#number(time);
  }

  #byte(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  #number(value: number): void {
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  #data(data: Uint8Array): void {
    this.#view.setUint32(this.#at, data.length, true);
    this.#bytes.set(data, this.#at + 4);
    this.#at += 4 + data.length;
  }

  #text(text: string): void {
    // No character has more than three bytes per unit.
    this.#reserve(FIXED + 3 * text.length);
    const length = this.#bytes.write(text, this.#at + 4);
    this.#view.setUint32(this.#at, length, true);
    this.#at += 4 + length;
  }

  #phases(phases: PhaseTimes): void {
    const place = this.#at++;
    let bits = 0;
    for (let i = 0; i < PHASES.length; i++) {
      const span = phases[PHASES[i]!];
      if (span === undefined) continue;
      bits |= 1 << i;
      this.#number(span.start);
      this.#number(span.end);
    }
    this.#bytes[place] = bits;
  }

  /** `ok` in six bytes; what is rarer as it is. */
  #outcome(outcome: Outcome): void {
    this.#byte(OUTCOME_KINDS.indexOf(outcome.kind));
    if (outcome.kind !== 'ok') {
      this.#text(JSON.stringify(outcome));
      return;
    }
    this.#view.setFloat64(this.#at, outcome.status ?? NO_STATUS, true);
    this.#at += 8;
  }

  #reached(reached: Reached | undefined): void {
    if (reached === undefined) {
      this.#byte(UNREACHED);
      return;
    }
    this.#byte(TRANSPORTS.indexOf(reached.transport));
    this.#view.setUint16(this.#at, reached.port, true);
    this.#at += 2;
    this.#text(reached.address);
    this.#text(reached.fingerprint);
    this.#text(reached.software);
  }

  #output(output: Output): void {
    this.#number(output.total);
    this.#data(output.bytes);
  }
}

/** Reads a pack record by record: `next`, then all of what the record has. */
export class Unpacker {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly #length: number;
  #at = 0;
  index = 0;
  attempt = 0;
  /** Since the epoch: of the event, or the start of the task. */
  time = 0;

  constructor(pack: ArrayBuffer, length: number) {
    this.#bytes = Buffer.from(pack);
    this.#view = new DataView(pack);
    this.#length = length;
  }

  /** The next record's type, its head read; undefined: that was all. */
  next(): number | undefined {
    if (this.#at >= this.#length) return undefined;
    const type = this.#byte();
    this.index = this.#number();
    this.attempt = this.#view.getUint32(this.#at, true);
    this.#at += 4;
    this.time = this.#number();
    return type;
  }

  /** The rest of an output. The bytes are the pack's. */
  output(): { readonly stream: 'stdout' | 'stderr'; readonly data: Uint8Array } {
    const stream = this.#byte() === 0 ? 'stdout' : 'stderr';
    return { stream, data: this.#data() };
  }

  /** The rest of a result. The bytes are the pack's. */
  result(): PackedResult {
    return {
      index: this.index,
      attempt: this.attempt,
      startedAt: this.time,
      durationMs: this.#number(),
      phases: this.#phases(),
      outcome: this.#outcome(),
      reached: this.#reached(),
      notes: this.#notes(),
      stdout: this.#kept(),
      stderr: this.#kept(),
    };
  }

  #byte(): number {
    return this.#bytes[this.#at++]!;
  }

  #number(): number {
    const value = this.#view.getFloat64(this.#at, true);
    this.#at += 8;
    return value;
  }

  #data(): Buffer {
    const length = this.#view.getUint32(this.#at, true);
    const start = this.#at + 4;
    this.#at = start + length;
    return this.#bytes.subarray(start, this.#at);
  }

  #text(): string {
    const length = this.#view.getUint32(this.#at, true);
    const start = this.#at + 4;
    this.#at = start + length;
    return this.#bytes.toString('utf8', start, this.#at);
  }

  #phases(): PhaseTimes {
    const bits = this.#byte();
    const phases: PhaseTimes = {};
    for (let i = 0; i < PHASES.length; i++) {
      if ((bits & (1 << i)) === 0) continue;
      const start = this.#number();
      phases[PHASES[i]!] = { start, end: this.#number() };
    }
    return phases;
  }

  #outcome(): Outcome {
    if (this.#byte() !== OK) return JSON.parse(this.#text()) as Outcome;
    const status = this.#number();
    return { kind: 'ok', began: 'yes', status: status === NO_STATUS ? null : status };
  }

  #reached(): Reached | undefined {
    const transport = TRANSPORTS[this.#byte()];
    if (transport === undefined) return undefined;
    const port = this.#view.getUint16(this.#at, true);
    this.#at += 2;
    return { transport, port, address: this.#text(), fingerprint: this.#text(), software: this.#text() };
  }

  #notes(): readonly TaskNote[] {
    const bits = this.#byte();
    return bits === 0 ? NO_NOTES : NOTES.filter((_, place) => (bits & (1 << place)) !== 0);
  }

  #kept(): Output {
    const total = this.#number();
    const bytes = this.#data();
    return total === 0 ? Bytes.empty : new Bytes(bytes, total);
  }
}

const NO_NOTES: readonly TaskNote[] = [];
