/**
 * A run on its way into the journal, the engine's side: what is recorded when, and what becomes of the run where it cannot be.
 *
 *   going ──a claim is refused──▶ failed     the run is stopped: what has begun goes on, the rest is `not-run`
 *   going, failed ──end──▶ closed            a journal that is not complete says so in the summary
 *   going, failed ──close──▶ closed          without an end: the run can be resumed
 */
import { MyriadError } from '../contracts/errors.ts';
import type { TaskOutputEvent } from '../contracts/events.ts';
import type { Summary } from '../contracts/summary.ts';
import type { TaskResult } from '../contracts/task.ts';
import type { JournalWriter } from '../journal/journal.ts';
import { textOf } from './task_outcome.ts';

/** The run behind a recording. */
export interface RecordedRun {
  stop(reason: string): void;
  resume(index: number): void;
}

export class Recording {
  /** Set as soon as there is one: nothing begins before. */
  run: RecordedRun | undefined = undefined;
  readonly #journal: JournalWriter;
  /** What a round does the next one does again: nothing waits for the record of its start. */
  readonly #repeated: boolean;
  #round: number;
  /** Tasks whose output waits for the journal, and those whose consumer is full: only what is in neither goes on. */
  readonly #behind = new Set<number>();
  readonly #full = new Set<number>();
  #watched: Promise<void> | undefined = undefined;
  #failure: string | undefined = undefined;
  #closed: Promise<void> | undefined = undefined;

  constructor(journal: JournalWriter, round: number, repeated: boolean) {
    this.#journal = journal;
    this.#repeated = repeated;
    this.#round = round;
  }

  /** The next round of a repeated run: from here on there is nothing more of the one before. */
  begin(round: number): void {
    this.#round = round;
  }

  /** The round is over; resolves when it is recorded. What cannot be, stops the run. */
  async roundEnd(): Promise<void> {
    try {
      await this.#journal.roundEnd(this.#round);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Resolves when the start of the task is recorded; undefined: it may begin. Where it cannot be, nothing else begins either. */
  claim(index: number, attempt: number): Promise<void> | undefined {
    if (this.#repeated) {
      this.#journal.note(index, attempt, this.#round);
      return undefined;
    }
    const claimed = this.#journal.claim(index, attempt, this.#round);
    // Tasks of one commit share a promise.
    if (claimed !== this.#watched) {
      this.#watched = claimed;
      claimed.catch((error: unknown) => this.#fail(error));
    }
    return claimed;
  }

  /** A piece of output that no result will carry; `room`: its consumer takes more. False holds the task back. */
  output({ index, stream, data }: TaskOutputEvent, room: boolean): boolean {
    const wait = this.#journal.output(index, stream, data, this.#round);
    if (!room) this.#full.add(index);
    if (wait !== undefined && !this.#behind.has(index)) {
      this.#behind.add(index);
      const go = (): void => {
        this.#behind.delete(index);
        if (!this.#full.has(index)) this.run?.resume(index);
      };
      wait.then(go, go);
    }
    return room && !this.#behind.has(index);
  }

  /** The consumer of its output has room. */
  resume(index: number): void {
    this.#full.delete(index);
    if (!this.#behind.has(index)) this.run?.resume(index);
  }

  /** A promise: wait for it before giving more. */
  result(result: TaskResult): Promise<void> | undefined {
    this.#full.delete(result.index);
    return this.#journal.result(result);
  }

  /** Completes the journal; gives the summary as it is to be told, with what went wrong here. Never rejects. */
  async end(summary: Summary): Promise<Summary> {
    try {
      await this.#journal.roundEnd(this.#round);
      await this.#journal.end(this.#told(summary));
    } catch (error) {
      this.#failure ??= textOf(error);
    }
    await this.close();
    return this.#told(summary);
  }

  /** Lets go of it, complete or not. Never rejects: what had no place in it is in no summary either. */
  close(): Promise<void> {
    this.#closed ??= this.#journal.close().catch(() => {});
    return this.#closed;
  }

  #told(summary: Summary): Summary {
    if (this.#failure === undefined) return summary;
    const stopped = summary.stopped === 'cancelled' ? summary.stopped : 'journal';
    return { ...summary, stopped, stopReason: this.#failure };
  }

  #fail(error: unknown): void {
    if (this.#closed !== undefined) return;
    this.#failure ??= error instanceof MyriadError ? error.message : `the journal failed: ${textOf(error)}`;
    this.run?.stop(this.#failure);
  }
}
