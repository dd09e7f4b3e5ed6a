/** A thread's part in one run, as the main thread keeps it: what it was given and what came back. */
import type { Target, TaskResult } from '../../contracts/task.ts';
import type { ExecutorStatus } from '../executor.ts';
import { packTargets, type ThreadRequest } from './protocol.ts';
import type { ThreadSlot } from './thread_slot.ts';

export class Lane {
  readonly slot: ThreadSlot;
  readonly request: ThreadRequest;
  /** Given and without a result: at most what the thread's limits and `ahead` let it have. */
  readonly open = new Map<number, Target>();
  /** Of the thread, in this run: `opening` also while a new thread starts in the place of one that died. */
  state: 'opening' | 'up' | 'over' | 'lost' = 'opening';
  /** Tasks that the thread would take now. */
  want = 0;
  /** As last told, and when that was. */
  status: ExecutorStatus | undefined;
  statusAt = 0;
  limitedBy = '';
  recalled = false;
  /** Threads that died in its place. */
  deaths = 0;
  #given = 0;
  #started = 0;
  #ended = 0;

  constructor(slot: ThreadSlot, request: ThreadRequest) {
    this.slot = slot;
    this.request = request;
  }

  /** Given and not started, as far as is known here: never too few. */
  get waiting(): number {
    return this.#given - this.#started;
  }

  /** Places of its fanout that nothing is known to be in. */
  get idle(): number {
    return this.request.limits.fanout - (this.#started - this.#ended) - this.waiting;
  }

  give(run: number, targets: readonly Target[]): void {
    for (const target of targets) this.open.set(target.index, target);
    this.#given += targets.length;
    this.want = Math.max(0, this.want - targets.length);
    const packed = packTargets(targets);
    this.slot.post({ type: 'tasks', run, targets: packed }, [packed.numbers.buffer]);
  }

  told(started: number, want: number): void {
    this.#started = started;
    this.want = want;
  }

  /** The target of a task that has its result; undefined: it is not this lane's. */
  ended(index: TaskResult['index']): Target | undefined {
    const target = this.open.get(index);
    if (target === undefined) return undefined;
    this.open.delete(index);
    this.#ended += 1;
    return target;
  }

  /** Takes back what had not started. */
  returned(indices: readonly number[]): Target[] {
    this.recalled = false;
    this.#given -= indices.length;
    const targets: Target[] = [];
    for (const index of indices) {
      const target = this.open.get(index);
      if (target === undefined) continue;
      this.open.delete(index);
      targets.push(target);
    }
    return targets;
  }

  /** The thread died: everything it had, and a clean start. */
  clear(): Target[] {
    this.deaths += 1;
    const targets = [...this.open.values()];
    this.open.clear();
    this.#given = 0;
    this.#started = 0;
    this.#ended = 0;
    this.want = 0;
    this.status = undefined;
    this.recalled = false;
    return targets;
  }
}
