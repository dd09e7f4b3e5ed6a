/**
 * Results on their way to the one reader of a run, in batches. A reader that waits gets what one turn of the loop
 * brought; a reader that is behind gets all that waits. The bound is the run's: it starts nothing while too many wait.
 */
import { MyriadError } from '../contracts/errors.ts';
import type { TaskResult } from '../contracts/task.ts';

/** The run behind the queue. */
export interface ResultSource {
  /** Results that are made only when they are asked for: tasks that will not run. Empty where there are none. */
  lateResults(): TaskResult[];
  /** Nothing will come any more. */
  readonly finished: boolean;
  /** The reader took what waited. */
  taken(): void;
  /** The reader went away. */
  abandoned(): void;
}

type Step = IteratorResult<readonly TaskResult[], undefined>;

const DONE: Step = { done: true, value: undefined };

export class ResultQueue implements AsyncIterable<readonly TaskResult[]> {
  readonly #source: ResultSource;
  #batch: TaskResult[] = [];
  #reader: ((step: Step) => void) | undefined = undefined;
  #flushing = false;
  #iterated = false;
  #closed = false;

  constructor(source: ResultSource) {
    this.#source = source;
  }

  /** Results that wait to be read. */
  get unread(): number {
    return this.#batch.length;
  }

  push(result: TaskResult): void {
    if (this.#closed) return;
    this.#batch.push(result);
    this.wake();
  }

  /** There may be something for the reader: a result, late results, the end. */
  wake(): void {
    if (this.#reader === undefined || this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      const reader = this.#reader;
      const step = reader && this.#take();
      if (reader === undefined || step === undefined) return;
      this.#reader = undefined;
      reader(step);
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<readonly TaskResult[], undefined> {
    if (this.#iterated)
      throw new MyriadError('usage', 'the results of a run can be read only once: keep what is needed');
    this.#iterated = true;
    return {
      next: () => this.#next(),
      return: () => {
        this.#close();
        return Promise.resolve(DONE);
      },
    };
  }

  #next(): Promise<Step> {
    if (this.#reader !== undefined) {
      return Promise.reject(new MyriadError('usage', 'the next batch was asked for before the last one had come'));
    }
    const step = this.#take();
    if (step !== undefined) return Promise.resolve(step);
    return new Promise((resolve) => {
      this.#reader = resolve;
    });
  }

  /** What there is now; undefined: nothing yet. */
  #take(): Step | undefined {
    if (this.#closed) return DONE;
    if (this.#batch.length > 0) {
      const value = this.#batch;
      this.#batch = [];
      this.#source.taken();
      return { done: false, value };
    }
    const late = this.#source.lateResults();
    if (late.length > 0) return { done: false, value: late };
    return this.#source.finished ? DONE : undefined;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#batch = [];
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.(DONE);
    this.#source.abandoned();
  }
}
