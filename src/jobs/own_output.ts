/** Output of and in a job of the caller's own: what a command of it gave, and what it writes itself. */
import { MyriadError } from '../contracts/errors.ts';
import { Bytes, type Output, type StreamName } from '../contracts/task.ts';
import type { OutputSink } from '../transport/transport.ts';

/** Written and not taken yet, while the task's output is held back. */
const MOST_WAITING = 1024 * 1024;

/** What one command gave: at most `most` bytes over both streams, the rest is counted and let go. */
export class CollectedOutput implements OutputSink {
  readonly #heard: () => void;
  readonly #kept: Record<StreamName, Buffer[]> = { stdout: [], stderr: [] };
  readonly #total: Record<StreamName, number> = { stdout: 0, stderr: 0 };
  #left: number;

  constructor(most: number, heard: () => void) {
    if (!Number.isSafeInteger(most) || most < 0) {
      throw new MyriadError('usage', `exec: maxOutput must be a whole number of bytes, not ${most}`);
    }
    this.#left = most;
    this.#heard = heard;
  }

  write(stream: StreamName, chunk: Uint8Array): boolean {
    this.#heard();
    this.#total[stream] += chunk.length;
    const take = Math.min(chunk.length, this.#left);
    this.#left -= take;
    // The chunk is the transport's.
    if (take > 0) this.#kept[stream].push(Buffer.from(chunk.subarray(0, take)));
    return true;
  }

  output(stream: StreamName): Output {
    return new Bytes(Buffer.concat(this.#kept[stream]), this.#total[stream]);
  }
}

/** Writes to a sink that may be full, in order; at most 1 MiB waits. */
export class HeldWriter {
  readonly #sink: OutputSink;
  #last: Promise<void> | undefined;
  #waiting = 0;
  #room: (() => void) | undefined;

  constructor(sink: OutputSink) {
    this.#sink = sink;
  }

  /** What was written and waits; undefined: nothing does. */
  get pending(): Promise<void> | undefined {
    return this.#last;
  }

  /** Keeps `bytes` as they are until there is room. Throws MyriadError `usage` where too much waits. */
  write(bytes: Uint8Array): Promise<void> {
    const before = this.#last;
    if (before === undefined) {
      const full = this.#give(bytes);
      return full === undefined ? Promise.resolve() : this.#follow(full);
    }
    if (this.#waiting + bytes.length > MOST_WAITING) {
      throw new MyriadError('usage', 'write: more than 1 MiB waits for who reads the output; await each write');
    }
    this.#waiting += bytes.length;
    return this.#follow(
      before.then(() => {
        this.#waiting -= bytes.length;
        return this.#give(bytes);
      }),
    );
  }

  /** The sink has room again. */
  roomAgain(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.();
  }

  #follow(last: Promise<void>): Promise<void> {
    this.#last = last;
    void last.then(() => {
      if (this.#last === last) this.#last = undefined;
    });
    return last;
  }

  /** Undefined: there is room for more. */
  #give(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#sink.write('stdout', bytes)) return undefined;
    return new Promise<void>((resolve) => {
      const room = () => resolve();
      this.#room = room;
    });
  }
}
