/** Live output as lines for one consumer: bounded, and what does not fit keeps the hosts waiting. */
import { StringDecoder } from 'node:string_decoder';
import type { TaskOutputEvent } from '../contracts/events.ts';
import type { Host, StreamName } from '../contracts/task.ts';

/** One line of live output, without its newline. */
export interface OutputLine {
  readonly host: Host;
  readonly index: number;
  readonly stream: StreamName;
  readonly line: string;
}

/** Characters that wait for the consumer; beyond, hosts are held back. One more window a host may follow. */
const HIGH_WATER = 1024 * 1024;
/** A line longer than this is given in pieces. */
const MAX_LINE = 1024 * 1024;

interface Partial {
  readonly decoder: StringDecoder;
  readonly host: Host;
  readonly index: number;
  readonly stream: StreamName;
  text: string;
}

export class LineStream implements AsyncIterable<OutputLine> {
  readonly #resume: (index: number) => void;
  readonly #partials = new Map<string, Partial>();
  readonly #heldBack = new Set<number>();
  #lines: OutputLine[] = [];
  #waiting = 0;
  #finished = false;
  #error: unknown;
  #wake: (() => void) | undefined;

  constructor(resume: (index: number) => void) {
    this.#resume = resume;
  }

  /** Takes a piece of output; false holds this task back. */
  push(event: TaskOutputEvent): boolean {
    if (this.#finished) return true;
    const id = `${event.index}:${event.stream}`;
    let partial = this.#partials.get(id);
    if (!partial) {
      const { host, index, stream } = event;
      partial = { decoder: new StringDecoder('utf8'), host, index, stream, text: '' };
      this.#partials.set(id, partial);
    }
    const text = partial.text + partial.decoder.write(event.data as Buffer);
    const lines = text.split('\n');
    partial.text = lines.pop() ?? '';
    for (const line of lines) this.#add(partial, line);
    if (partial.text.length > MAX_LINE) {
      this.#add(partial, partial.text);
      partial.text = '';
    }
    if (this.#waiting < HIGH_WATER) return true;
    this.#heldBack.add(event.index);
    return false;
  }

  #add(from: Partial, line: string): void {
    this.#lines.push({ host: from.host, index: from.index, stream: from.stream, line });
    this.#waiting += line.length + 1;
    this.#wake?.();
  }

  /** All tasks are over. */
  finish(): void {
    for (const partial of this.#partials.values()) {
      const rest = partial.text + partial.decoder.end();
      if (rest !== '') this.#add(partial, rest);
    }
    this.#partials.clear();
    this.#finished = true;
    this.#wake?.();
  }

  fail(error: unknown): void {
    this.#error = error;
    this.finish();
  }

  /** The consumer is gone: nothing is kept or held back any more. */
  abandon(): void {
    this.#finished = true;
    this.#lines = [];
    this.#release();
  }

  #release(): void {
    this.#waiting = 0;
    const held = [...this.#heldBack];
    this.#heldBack.clear();
    for (const index of held) this.#resume(index);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<OutputLine> {
    for (;;) {
      const lines = this.#lines;
      this.#lines = [];
      yield* lines;
      this.#release();
      if (this.#lines.length > 0) continue;
      if (this.#finished) break;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    if (this.#error !== undefined) throw this.#error;
  }
}
