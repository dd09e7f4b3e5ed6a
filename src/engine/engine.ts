/**
 * A run from its request to its summary: tells a listener what happens, and accounts for every task.
 *
 * Results have one reader: whoever iterates `results`, or, where no one does, the summary itself (drain). Each batch is
 * accounted and told to the listener when it is read, so that a reader that is behind holds the run back.
 */
import { MyriadError } from '../contracts/errors.ts';
import type { RunEvent, RunListener, TaskOutputEvent } from '../contracts/events.ts';
import type { Clock } from '../contracts/limits.ts';
import type { OutcomeKind } from '../contracts/outcome.ts';
import type { Summary } from '../contracts/summary.ts';
import type { TaskResult } from '../contracts/task.ts';
import type { JournalWriter } from '../journal/journal.ts';
import { Accounting } from './accounting.ts';
import type { Executor, ExecutorHooks, ExecutorRun, ExecutorStatus, RunRequest } from './executor.ts';
import type { PollingExecutor, RoundHooks } from './polling/polling_executor.ts';
import type { Rounds } from './polling/rounds.ts';
import { Recording } from './recording.ts';

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
  /** Where it is recorded; the run closes it, whatever becomes of it. @default nowhere */
  readonly journal?: JournalWriter | undefined;
  /** What was decided before, where a recorded run goes on; the request's plan gives the rest. @default nothing */
  readonly before?: Before | undefined;
  /** Of a run in rounds, which is to be started on this executor. @default it has one */
  readonly polling?: { readonly executor: PollingExecutor; readonly rounds: Rounds } | undefined;
}

/** Tasks of a run that goes on which no executor gets. */
export interface Before {
  /** They stand: they are counted, and told of to nobody again. */
  readonly results: Iterable<TaskResult>;
  /** They are decided now. */
  readonly decided: Iterable<TaskResult>;
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
  /** Tasks per outcome that stood before it went on. */
  readonly stood: Readonly<Record<OutcomeKind, number>>;
  /** As `summary`, but nothing is drained for who asks. */
  readonly ended: Promise<Summary>;
  /** The run was ended: results that nobody reads go to the journal alone, which is closed then. Never rejects. */
  close(): Promise<void>;
}

/** Results that are looked at in one turn of the loop. */
const BATCH = 1024;

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

/** What a run in progress is made of, beside its executor's side. */
interface StartedParts {
  readonly request: RunRequest;
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly startedAt: number;
  readonly recording: Recording | undefined;
  /** Its round has begun, where it has only one. */
  readonly accounting: Accounting;
  readonly rounds: Rounds | undefined;
  readonly decided: Iterable<TaskResult> | undefined;
}

class Started implements StartedRun {
  readonly results: AsyncIterable<readonly TaskResult[]>;
  readonly stood: Readonly<Record<OutcomeKind, number>>;
  readonly #run: ExecutorRun;
  readonly #request: RunRequest;
  readonly #announcer: Announcer;
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #recording: Recording | undefined;
  readonly #accounting: Accounting;
  readonly #rounds: Rounds | undefined;
  readonly #source: AsyncIterator<readonly TaskResult[]>;
  readonly #summary: Promise<Summary>;
  #resolve!: (summary: Summary) => void;
  #reject!: (error: unknown) => void;
  #reader: 'none' | 'caller' | 'drain' = 'none';
  #wanted = false;
  #iterated = false;
  #finished = false;
  #closed = false;
  #pulling: Promise<Step> | undefined;

  constructor(run: ExecutorRun, parts: StartedParts) {
    const { request, announcer, clock, startedAt, recording, accounting, rounds, decided } = parts;
    this.#run = run;
    this.#request = request;
    this.#announcer = announcer;
    this.#clock = clock;
    this.#startedAt = startedAt;
    this.#recording = recording;
    this.#accounting = accounting;
    this.#rounds = rounds;
    this.stood = accounting.outcomes;
    const { results } = run;
    this.#source = (decided === undefined ? results : following(decided, results))[Symbol.asyncIterator]();
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

  get ended(): Promise<Summary> {
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
    (this.#recording ?? this.#run).resume(index);
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
    return { next: () => this.#read(), return: () => this.#detach() };
  }

  #read(): Promise<Step> {
    if (!this.#closed) return this.#pull();
    return Promise.reject(new MyriadError('closed', 'the fleet was closed before all results were read'));
  }

  async close(): Promise<void> {
    if (this.#recording === undefined) return;
    // Who reads goes on to the end.
    while (!this.#finished && this.#reader !== 'none') {
      await this.#pulling?.catch(() => {});
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.#pulling === undefined) break;
    }
    if (!this.#finished) {
      this.#closed = true;
      this.#reader = 'drain';
      await this.#drain().catch(() => {});
    }
    await this.#summary.catch(() => {});
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

  #pull(): Promise<Step> {
    const pulling = this.#next().finally(() => {
      this.#pulling = undefined;
    });
    this.#pulling = pulling;
    return pulling;
  }

  /** The next batch, accounted for, recorded and announced. */
  async #next(): Promise<Step> {
    if (this.#finished) return { done: true, value: undefined };
    try {
      const step = await this.#source.next();
      if (step.done) {
        await this.#finish();
        return { done: true, value: undefined };
      }
      const time = this.#clock.epoch();
      for (const result of step.value) {
        this.#accounting.add(result);
        const wait = this.#recording?.result(result);
        if (wait !== undefined) await wait;
        this.#announcer.tell({ type: 'task:end', time, result });
        const change = this.#rounds?.take(result);
        if (change !== undefined) this.#announcer.tell(change);
      }
      return { done: false, value: step.value };
    } catch (error) {
      // What is not accounted for must not go on either.
      this.#finished = true;
      this.#run.cancel('terminate');
      await this.#recording?.close();
      this.#reject(error);
      throw error;
    }
  }

  async #finish(): Promise<void> {
    this.#finished = true;
    const { stopped, stopReason = '', limitedBy } = this.#run.status(0);
    if (this.#rounds === undefined) this.#accounting.endRound(this.#request.round);
    const durationMs = this.#clock.now() - this.#startedAt;
    const all = this.#accounting.summary({ durationMs, stopped, stopReason, limitedBy });
    const counted = this.#rounds === undefined ? all : { ...all, polling: this.#rounds.summary };
    const summary = (await this.#recording?.end(counted)) ?? counted;
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
  const { clock, title, journal } = options;
  const startedAt = clock.now();
  const { run, job, plan } = request;
  const time = clock.epoch();
  const announcer = new Announcer(listener, {
    type: 'run:start',
    time,
    run,
    job: job.kind,
    title,
    planned: plan.planned ?? plan.count,
  });
  const recording = journal && new Recording(journal, request.round, options.polling !== undefined);
  try {
    const accounting = new Accounting(run);
    const { polling } = options;
    if (polling === undefined) accounting.startRound(request.round, plan.planned ?? plan.count);
    else polling.executor.hooks = roundHooks(polling.rounds, plan.count, accounting, recording, announcer);
    if (options.before !== undefined) await countAll(options.before.results, accounting);
    const executing = await executor.run(request, hooksOf(options, announcer, recording));
    if (recording !== undefined) recording.run = executing;
    announcer.begin();
    const decided = options.before?.decided;
    const rounds = polling?.rounds;
    return new Started(executing, { request, announcer, clock, startedAt, recording, accounting, rounds, decided });
  } catch (error) {
    await recording?.close();
    throw error;
  }
}

function hooksOf(options: StartOptions, announcer: Announcer, recording: Recording | undefined): ExecutorHooks {
  const { onOutput, secret, lent, redactor } = options;
  return {
    ...(recording && { claim: (index, attempt) => recording.claim(index, attempt) }),
    onStart: (event) => announcer.tell(event),
    onOutput: (event) => {
      announcer.tell(event);
      const room = onOutput?.(event) ?? true;
      return recording === undefined ? room : recording.output(event, room);
    },
    ...(secret ? { secret } : {}),
    ...(lent ? { lent } : {}),
    redactor,
  };
}

/** Each round is accounted for by itself, and begins once the one before is told of. */
function roundHooks(
  rounds: Rounds,
  planned: number,
  accounting: Accounting,
  recording: Recording | undefined,
  announcer: Announcer,
): RoundHooks {
  return {
    begin: (round) => {
      accounting.startRound(round, planned);
      recording?.begin(round);
      rounds.begin();
    },
    end: async (round, overruns) => {
      accounting.endRound(round);
      await recording?.roundEnd();
      announcer.tell(rounds.end(round, overruns));
    },
  };
}

/** Counts what was decided before. */
async function countAll(results: Iterable<TaskResult>, accounting: Accounting): Promise<void> {
  let count = 0;
  for (const result of results) {
    accounting.addEarlier(result);
    if (++count % BATCH === 0) await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** What is decided already, then what executes. */
async function* following(
  decided: Iterable<TaskResult>,
  results: AsyncIterable<readonly TaskResult[]>,
): AsyncGenerator<readonly TaskResult[], undefined> {
  let batch: TaskResult[] = [];
  for (const result of decided) {
    batch.push(result);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
  yield* results;
}
