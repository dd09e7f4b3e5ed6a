/**
 * Claims on their way from a thread to the caller's journal, which is on the main thread. What a thread claims in one turn of its
 * loop goes as one group, and gets one answer.
 */
import type { ExecutorHooks } from '../executor.ts';
import { errorOf, type FromThread, type PlainError, plainError, type ToThread } from './protocol.ts';

type Claims = Extract<FromThread, { type: 'claims' }>;
type Claimed = Extract<ToThread, { type: 'claimed' }>;

/** A group that is collected. */
interface Group extends PromiseWithResolvers<void> {
  /** Pairs of index and attempt. */
  readonly tasks: number[];
}

/** The thread's side. As many groups wait as tasks are in progress. */
export class RemoteClaims {
  readonly #run: number;
  readonly #post: (message: Claims, transfer: readonly ArrayBuffer[]) => void;
  readonly #waiting = new Map<number, Group>();
  #collected: Group | undefined = undefined;
  #last = 0;

  constructor(run: number, post: (message: Claims, transfer: readonly ArrayBuffer[]) => void) {
    this.#run = run;
    this.#post = post;
  }

  claim(index: number, attempt: number): Promise<void> {
    if (this.#collected === undefined) {
      this.#collected = { ...Promise.withResolvers<void>(), tasks: [] };
      // Tasks that were stopped meanwhile do not listen.
      this.#collected.promise.catch(() => {});
      setImmediate(() => this.#send());
    }
    this.#collected.tasks.push(index, attempt);
    return this.#collected.promise;
  }

  answered({ group, error }: Claimed): void {
    const waiting = this.#waiting.get(group);
    this.#waiting.delete(group);
    if (error === undefined) waiting?.resolve();
    else waiting?.reject(errorOf(error));
  }

  #send(): void {
    const collected = this.#collected!;
    this.#collected = undefined;
    this.#last += 1;
    this.#waiting.set(this.#last, collected);
    const tasks = new Float64Array(collected.tasks);
    this.#post({ type: 'claims', run: this.#run, group: this.#last, tasks }, [tasks.buffer]);
  }
}

/** The main thread's side: `answer` hears when all of the group are recorded, or that not all of them can be. */
export function claimAll(
  hooks: ExecutorHooks,
  { tasks }: Claims,
  answer: (error: PlainError | undefined) => void,
): void {
  // Those of one commit share a promise.
  const claimed = new Set<Promise<void> | undefined>();
  for (let i = 0; i < tasks.length; i += 2) claimed.add(hooks.claim?.(tasks[i]!, tasks[i + 1]!));
  Promise.all(claimed).then(
    () => answer(undefined),
    (error: unknown) => answer(plainError(error)),
  );
}
