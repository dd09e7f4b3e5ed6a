/**
 * Streamed output on its way from threads to its consumer. Where the consumer is full, what is under way waits here, at most
 * a window (`thread_run.ts`) and a piece of each task; the task's result waits behind it.
 */
import type { TaskOutputEvent } from '../../contracts/events.ts';
import type { TaskResult } from '../../contracts/task.ts';

interface Held {
  /** The consumer said that it has no room. */
  full: boolean;
  readonly events: TaskOutputEvent[];
  result: TaskResult | undefined;
}

export class HeldStreams {
  readonly #deliver: (event: TaskOutputEvent) => boolean;
  readonly #taken: (index: number, bytes: number) => void;
  readonly #ended: (result: TaskResult) => void;
  readonly #held = new Map<number, Held>();

  /** `deliver`: false holds the task back; `taken`: the consumer has so many bytes; `ended`: the result after the last of them. */
  constructor(
    deliver: (event: TaskOutputEvent) => boolean,
    taken: (index: number, bytes: number) => void,
    ended: (result: TaskResult) => void,
  ) {
    this.#deliver = deliver;
    this.#taken = taken;
    this.#ended = ended;
  }

  /** No result waits for its consumer. */
  get empty(): boolean {
    for (const { result } of this.#held.values()) if (result !== undefined) return false;
    return true;
  }

  output(event: TaskOutputEvent): void {
    const held = this.#held.get(event.index);
    if (held !== undefined) held.events.push(event);
    else if (!this.#give(event)) this.#held.set(event.index, { full: true, events: [], result: undefined });
  }

  /** True: the result waits. */
  result(result: TaskResult): boolean {
    const held = this.#held.get(result.index);
    if (held === undefined) return false;
    held.result = result;
    return true;
  }

  resume(index: number): void {
    const held = this.#held.get(index);
    if (held === undefined || !held.full) return;
    held.full = false;
    for (let event = held.events.shift(); event !== undefined; event = held.events.shift()) {
      if (this.#give(event)) continue;
      held.full = true;
      return;
    }
    this.#held.delete(index);
    if (held.result !== undefined) this.#ended(held.result);
  }

  /** The run ends what goes on: results do not wait any more, and what waits before them is let go. */
  letGo(): void {
    for (const [index, { result }] of this.#held) {
      this.#held.delete(index);
      if (result !== undefined) this.#ended(result);
    }
  }

  /** Nothing more of this task will come. */
  forget(index: number): void {
    this.#held.delete(index);
  }

  #give(event: TaskOutputEvent): boolean {
    this.#taken(event.index, event.data.length);
    return this.#deliver(event);
  }
}
