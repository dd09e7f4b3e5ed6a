/**
 * Bytes on their way to a file descriptor: small writes of one turn of the loop leave in one piece, what waits is
 * counted, and a reader that goes away (`| head`) never ends the run.
 *
 * States: open → closed (the stream failed or its reader went away; what waits is dropped, further writes are ignored)
 *         open → ending (`end` was called; what waits still leaves) → ended
 *         ending → closed
 * `#setState` is the only place that changes it.
 */
import type { Writable } from 'node:stream';
import { MyriadError } from '../contracts/errors.ts';

/** Where renderers write to. */
export interface Sink {
  /** True where a person looks at it: control sequences of hosts are made visible. */
  readonly terminal: boolean;
  /** Bytes accepted that have not left yet. */
  readonly pending: number;
  /** More than the bound waits: stop and await `drained()`. */
  readonly full: boolean;
  /** Takes all of it, always, and copies it. Text is UTF-8. */
  write(data: Uint8Array | string): void;
  /** Hands over what waits for the end of the turn, now. */
  flush(): void;
  /** Resolves once at most half the bound waits, or the sink is closed. */
  drained(): Promise<void>;
}

export interface WriterOptions {
  /** Bytes that may wait before `full`. @default 8 MiB */
  readonly bound?: number;
  /** Whether it is a terminal. @default the stream's `isTTY` */
  readonly terminal?: boolean;
  /** Called once when the reader has gone away (`EPIPE`) or writing failed (`ENOSPC`…). */
  readonly onClosed?: (error: Error) => void;
}

type State = 'open' | 'ending' | 'ended' | 'closed';

/** Small writes are collected up to this size, which is also what a pipe takes at once on Linux. */
const BATCH = 64 * 1024;
const BOUND = 8 * 1024 * 1024;

export class Writer implements Sink {
  readonly terminal: boolean;
  readonly #stream: Writable;
  readonly #bound: number;
  readonly #onClosed: ((error: Error) => void) | undefined;
  readonly #batch = Buffer.allocUnsafeSlow(BATCH);
  #batched = 0;
  /** Pieces for the stream, in order; one is with the stream at a time. */
  #queue: Buffer[] = [];
  #writing = false;
  #pending = 0;
  #turn: NodeJS.Immediate | undefined;
  #waiters: { below: number; resolve: () => void }[] = [];
  #state: State = 'open';
  #error: Error | undefined;

  constructor(stream: Writable, options: WriterOptions = {}) {
    this.#stream = stream;
    this.#bound = options.bound ?? BOUND;
    this.#onClosed = options.onClosed;
    this.terminal = options.terminal ?? ('isTTY' in stream && stream.isTTY === true);
    stream.on('error', this.#onError);
    stream.on('close', this.#onClose);
  }

  get pending(): number {
    return this.#pending;
  }

  get full(): boolean {
    return this.#pending > this.#bound;
  }

  /** The reader went away or writing failed: what is written from now on is ignored. */
  get closed(): boolean {
    return this.#state === 'closed';
  }

  /** Why it is closed. */
  get error(): Error | undefined {
    return this.#error;
  }

  write(data: Uint8Array | string): void {
    if (this.#state === 'closed') return;
    if (this.#state !== 'open') throw new MyriadError('internal', 'output was written after its writer had ended');
    const length = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    if (length > BATCH - this.#batched) this.#seal();
    if (length > BATCH) {
      this.#queue.push(typeof data === 'string' ? Buffer.from(data) : Buffer.from(data));
    } else {
      if (typeof data === 'string') this.#batch.write(data, this.#batched);
      else this.#batch.set(data, this.#batched);
      this.#batched += length;
    }
    this.#pending += length;
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.flush();
    });
  }

  flush(): void {
    this.#pump();
  }

  drained(): Promise<void> {
    return this.full ? this.#below(Math.floor(this.#bound / 2)) : Promise.resolve();
  }

  /** Resolves when all has left or the sink is closed; further writes throw. Leaves the stream itself open. */
  async end(): Promise<void> {
    if (this.#state === 'open') this.#setState('ending');
    this.flush();
    if (this.#pending > 0) await this.#below(0);
    if (this.#state === 'ending') this.#setState('ended');
  }

  #below(below: number): Promise<void> {
    return new Promise((resolve) => this.#waiters.push({ below, resolve }));
  }

  /** The batch becomes a piece of the queue; the batch's own memory is never handed out. */
  #seal(): void {
    if (this.#batched === 0) return;
    this.#queue.push(Buffer.from(this.#batch.subarray(0, this.#batched)));
    this.#batched = 0;
  }

  /** While a piece is with the stream the batch goes on filling, so that a slow reader makes pieces large, not many. */
  #pump(): void {
    if (this.#writing) return;
    if (this.#queue.length === 0) this.#seal();
    const piece = this.#queue.shift();
    if (piece === undefined) return;
    this.#writing = true;
    this.#stream.write(piece, (error) => {
      this.#writing = false;
      if (error) this.#fail(error);
      if (this.#state === 'closed') return;
      this.#pending -= piece.length;
      this.#wake();
      this.#pump();
    });
  }

  #wake(): void {
    const ready = this.#waiters.filter((waiter) => this.#pending <= waiter.below);
    if (ready.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => this.#pending > waiter.below);
    for (const waiter of ready) waiter.resolve();
  }

  readonly #onError = (error: Error): void => this.#fail(error);

  readonly #onClose = (): void => this.#fail(new Error('the output stream was closed'));

  #fail(error: Error): void {
    if (this.#state === 'closed' || this.#state === 'ended') return;
    this.#error = error;
    this.#setState('closed');
    this.#onClosed?.(error);
  }

  #setState(state: State): void {
    this.#state = state;
    if (state === 'closed') {
      this.#queue = [];
      this.#batched = 0;
      this.#pending = 0;
      this.#wake();
    }
    // After a failure the error listener stays: a stream emits `error` once more after the callback of the write.
    if (state === 'ended') {
      this.#stream.off('error', this.#onError);
      this.#stream.off('close', this.#onClose);
    }
    if ((state === 'closed' || state === 'ended') && this.#turn !== undefined) {
      clearImmediate(this.#turn);
      this.#turn = undefined;
    }
  }
}
