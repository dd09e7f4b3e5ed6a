/**
 * A run from its request to its summary: tells a listener what happens, and accounts for every task.
 *
 * Results have one reader: whoever iterates `results`, or, where no one does, the summary itself (drain). Each batch is
 * accounted and told to the listener when it is read, so that a reader that is behind holds the run back.
 */
import { MyriadError } from '../contracts/errors.ts';
import type { RunEvent, RunListener, TaskOutputEvent } from '../contracts/events.ts';
import type { Clock } from '../contracts/limits.ts';
import type { Summary } from '../contracts/summary.ts';
import type { TaskResult } from '../contracts/task.ts';
import { Accounting } from './accounting.ts';
import type { Executor, ExecutorHooks, ExecutorRun, ExecutorStatus, RunRequest } from './executor.ts';

export interface StartOptions {
  /** What the job does, for people: the title of its kind. */
  readonly title: string;
  readonly clock: Clock;
  /** The consumer of gather `stream`; false holds the task's output back until `resume(index)`. @default takes all */
  readonly onOutput?: (event: TaskOutputEvent) => boolean;
  /** Secrets of the run, see ExecutorHooks. */
  readonly secret?: ExecutorHooks['secret'];
  readonly lent?: ExecutorHooks['lent'];
  readonly redactor?: ExecutorHooks['redactor'];
}

/** A run in progress. */
export interface StartedRun {
  /** Results in batches as they come; to be iterated once, and not after the summary has begun to drain them. */
  readonly results: AsyncIterable<readonly TaskResult[]>;
  /**
   * Resolves when every task has its outcome. Asked for while nobody iterates `results`, it reads them itself. Rejects
   * with MyriadError `internal` where the accounting does not come out even; never because of a host.
   */
  readonly summary: Promise<Summary>;
  /** How often the listener has thrown. */
  readonly listenerErrors: number;
  pause(): void;
  unpause(): void;
  cancel(running: 'terminate' | 'leave'): void;
  /** For guards, see ExecutorRun. */
  stop(reason: string): void;
  resume(index: number): void;
  status(slowest: number): ExecutorStatus;
}

type Step = IteratorResult<readonly TaskResult[], undefined>;

/** Calls the listener; what it throws never harms the run. Holds nothing back: `run:start` goes first. */
class Announcer {
  errors = 0;
  readonly #listener: RunListener;
  #start: RunEvent | undefined;

  constructor(listener: RunListener, start: RunEvent) {
    this.#listener = listener;
    this.#start = start;
  }

  tell(event: RunEvent): void {
    this.begin();
    this.#call(event);
  }

  /** Tells of the start, once. */
  begin(): void {
    const start = this.#start;
    if (start === undefined) return;
    this.#start = undefined;
    this.#call(start);
  }

  #call(event: RunEvent): void {
    try {
      this.#listener(event);
    } catch {
      this.errors += 1;
    }
  }
}

class Started implements StartedRun {
  readonly results: AsyncIterable<readonly TaskResult[]>;
  readonly #run: ExecutorRun;
  readonly #request: RunRequest;
  readonly #announcer: Announcer;
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #accounting: Accounting;
  readonly #source: AsyncIterator<readonly TaskResult[]>;
  readonly #summary: Promise<Summary>;
  #resolve!: (summary: Summary) => void;
  #reject!: (error: unknown) => void;
  #reader: 'none' | 'caller' | 'drain' = 'none';
  #wanted = false;
  #iterated = false;
  #finished = false;

  constructor(run: ExecutorRun, request: RunRequest, announcer: Announcer, clock: Clock, startedAt: number) {
    this.#run = run;
    this.#request = request;
    this.#announcer = announcer;
    this.#clock = clock;
    this.#startedAt = startedAt;
    this.#accounting = new Accounting(request.run);
    this.#accounting.startRound(request.round, request.plan.count);
    this.#source = run.results[Symbol.asyncIterator]();
    this.#summary = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // The reader of the results hears of it too; a summary nobody asked for must not end the process.
    this.#summary.catch(() => {});
    this.results = { [Symbol.asyncIterator]: () => this.#iterate() };
  }

  get summary(): Promise<Summary> {
    if (!this.#wanted) {
      this.#wanted = true;
      // A caller that asks for the summary first and iterates right after is still the reader.
      setImmediate(() => this.#drainUnread());
    }
    return this.#summary;
  }

  get listenerErrors(): number {
    return this.#announcer.errors;
  }

  pause(): void {
    this.#run.pause();
  }

  unpause(): void {
    this.#run.unpause();
  }

  cancel(running: 'terminate' | 'leave'): void {
    this.#run.cancel(running);
  }

  stop(reason: string): void {
    this.#run.stop(reason);
  }

  resume(index: number): void {
    this.#run.resume(index);
  }

  status(slowest: number): ExecutorStatus {
    return this.#run.status(slowest);
  }

  #iterate(): AsyncIterator<readonly TaskResult[], undefined> {
    if (this.#iterated || this.#reader !== 'none') {
      const why = this.#iterated ? 'they are read already' : 'the summary is draining them: iterate before awaiting it';
      throw new MyriadError('usage', `the results of a run can be read only once, and ${why}`);
    }
    this.#iterated = true;
    this.#reader = 'caller';
    return { next: () => this.#pull(), return: () => this.#detach() };
  }

  /** The reader went away: the run goes on as soon as somebody wants its summary. */
  #detach(): Promise<Step> {
    this.#reader = 'none';
    if (this.#wanted) setImmediate(() => this.#drainUnread());
    return Promise.resolve({ done: true, value: undefined });
  }

  #drainUnread(): void {
    if (this.#reader !== 'none') return;
    this.#reader = 'drain';
    // What goes wrong reaches the summary.
    void this.#drain().catch(() => {});
  }

  async #drain(): Promise<void> {
    while (!(await this.#pull()).done);
  }

  /** The next batch, accounted for and announced. */
  async #pull(): Promise<Step> {
    if (this.#finished) return { done: true, value: undefined };
    try {
      const step = await this.#source.next();
      if (step.done) {
        this.#finish();
        return { done: true, value: undefined };
      }
      const time = this.#clock.epoch();
      for (const result of step.value) {
        this.#accounting.add(result);
        this.#announcer.tell({ type: 'task:end', time, result });
      }
      return { done: false, value: step.value };
    } catch (error) {
      // What is not accounted for must not go on either.
      this.#finished = true;
      this.#run.cancel('terminate');
      this.#reject(error);
      throw error;
    }
  }

  #finish(): void {
    this.#finished = true;
    const { stopped, stopReason = '', limitedBy } = this.#run.status(0);
    this.#accounting.endRound(this.#request.round);
    const durationMs = this.#clock.now() - this.#startedAt;
    const summary = this.#accounting.summary({ durationMs, stopped, stopReason, limitedBy });
    this.#announcer.tell({ type: 'run:end', time: this.#clock.epoch(), summary });
    this.#resolve(summary);
  }
}

/**
 * Starts a run and tells `listener` of it: `run:start` before anything else, `task:start` and `task:output` as they
 * happen, `task:end` as results are read, `run:end` last. Throws what the executor throws for a request it cannot take.
 */
export async function startRun(
  executor: Executor,
  request: RunRequest,
  listener: RunListener,
  options: StartOptions,
): Promise<StartedRun> {
  const { clock, title, onOutput, secret, lent, redactor } = options;
  const startedAt = clock.now();
  const { run, job, plan } = request;
  const time = clock.epoch();
  const announcer = new Announcer(listener, {
    type: 'run:start',
    time,
    run,
    job: job.kind,
    title,
    planned: plan.count,
  });
  const hooks: ExecutorHooks = {
    onStart: (event) => announcer.tell(event),
    onOutput: (event) => {
      announcer.tell(event);
      return onOutput?.(event) ?? true;
    },
    ...(secret ? { secret } : {}),
    ...(lent ? { lent } : {}),
    redactor,
  };
  const executing = await executor.run(request, hooks);
  announcer.begin();
  return new Started(executing, request, announcer, clock, startedAt);
}
