/**
 * A run in the library's hands: results as they end, a list, lines as they come, or only the summary.
 *
 *   idle ──first use──▶ running ──last result──▶ over
 *
 * Nothing connects before the first use, so that a mistake in an option is thrown where someone awaits it.
 */
import { MyriadError } from '../contracts/errors.ts';
import type { RunEvent, RunListener, TaskOutputEvent } from '../contracts/events.ts';
import { OUTCOME_KINDS, type OutcomeKind } from '../contracts/outcome.ts';
import type { Summary } from '../contracts/summary.ts';
import type { Host, Target, TaskResult } from '../contracts/task.ts';
import type { StartedRun } from '../engine/engine.ts';
import type { ExecutorStatus } from '../engine/executor.ts';
import type { LagMeter } from '../engine/lag.ts';
import type { Plan } from '../engine/plan.ts';
import type { RoundStatus } from '../engine/polling/polling_executor.ts';
import type { WaveOutline } from '../engine/waves/rules.ts';
import type { WaveStatus } from '../engine/waves/waves_executor.ts';
import { LineStream, type OutputLine } from './line_stream.ts';
import type { LocalLock } from './lock.ts';

/** Starts the run's engine; given by the fleet. */
export type StartEngine = (listener: RunListener, onOutput: (event: TaskOutputEvent) => boolean) => Promise<StartedRun>;

/** What a run is made with. */
export interface RunParts {
  readonly start: StartEngine;
  /** Throws what can be known to be wrong before anything connects. */
  readonly check: () => Promise<void>;
  /** What a task is to do, where that is not what the title says. */
  readonly line: (target: Target) => string | undefined;
  /** Its lock on this machine. @default it has none */
  readonly lock?: LocalLock | undefined;
  /** The terminals of its commands have another size. */
  readonly resize: (columns: number, rows: number) => void;
  /** Where it is recorded. */
  readonly journal: () => string | undefined;
  /** Told of listeners that keep the main thread for themselves. */
  readonly lag: LagMeter;
  /** What `cancel` does to what runs. @default 'terminate' */
  readonly onStop?: 'terminate' | 'leave' | undefined;
  /** Its waves and limits, where it has some. */
  readonly waves?: { readonly outline: WaveOutline; readonly status: WaveStatus | undefined } | undefined;
  /** Its rounds, where it is repeated. */
  readonly polling?: Rounded | undefined;
}

/** Of a repeated run. */
interface Rounded {
  readonly status: RoundStatus | undefined;
  readonly metricsUrl: string | undefined;
  /** Undefined: nobody of its own listens. */
  readonly listener: RunListener | undefined;
  close(): Promise<void>;
}

/** How far a run is. */
export interface RunStatus extends ExecutorStatus {
  readonly planned: number;
  /** Tasks per outcome so far; of a repeated run, of its round. */
  readonly outcomes: Readonly<Partial<Record<OutcomeKind, number>>>;
  /** Where it is among its waves; undefined: it goes in none. */
  readonly wave: WaveStatus | undefined;
  /** Where it is among its rounds; undefined: it is not repeated. */
  readonly round: RoundStatus | undefined;
}

/** Where live output goes, and whether it has room. */
export interface OutputSink {
  readonly full: boolean;
  /** Resolves when there is room again. */
  drained(): Promise<void>;
}

export interface AllOptions {
  /** `input`: in the order of the plan; `done`: as they ended. @default 'input' */
  readonly order?: 'input' | 'done';
}

const IDLE: ExecutorStatus = {
  connecting: 0,
  handshaking: 0,
  running: 0,
  waiting: 0,
  limitedBy: '',
  stopped: 'no',
  slowest: [],
};

/** What was asked of a run that had not started. */
interface Wanted {
  paused: boolean;
  cancelled: 'terminate' | 'leave' | undefined;
  stopped: string | undefined;
}

export class Run implements AsyncIterable<TaskResult> {
  readonly id: string;
  /** The job on one line, for people. */
  readonly title: string;
  readonly #plan: Plan;
  readonly #parts: RunParts;
  #checked: Promise<void> | undefined;
  #locked: Promise<void> | undefined;
  readonly #listeners = new Set<RunListener>();
  readonly #outcomes: Partial<Record<OutcomeKind, number>> = {};
  readonly #signal: AbortSignal | undefined;
  readonly #held = new Set<number>();
  #sink: OutputSink | undefined;
  #round = 0;
  #engine: Promise<StartedRun> | undefined;
  #running: StartedRun | undefined;
  #lines: LineStream | undefined;
  #wanted: Wanted = { paused: false, cancelled: undefined, stopped: undefined };

  constructor(id: string, title: string, plan: Plan, parts: RunParts, signal?: AbortSignal) {
    this.id = id;
    this.title = title;
    this.#plan = plan;
    this.#parts = parts;
    this.#signal = signal;
    if (parts.polling?.listener) this.on(parts.polling.listener);
  }

  /** The file that it is recorded in, once it has begun. */
  get journal(): string | undefined {
    return this.#parts.journal();
  }

  /** Tasks planned. */
  get planned(): number {
    return this.#plan.count;
  }

  /** The first tasks as they would be done, each on one line; undefined where the title says it for all. Nothing is connected. */
  *preview(most: number): Generator<{ readonly host: Host; readonly line: string | undefined }> {
    for (let index = 0; index < Math.min(most, this.#plan.count); index++) {
      const target = this.#plan.at(index);
      yield { host: target, line: this.#parts.line(target) };
    }
  }

  /** Where the metrics of a repeated run are read, once it has begun; undefined: nowhere. */
  get metricsUrl(): string | undefined {
    return this.#parts.polling?.metricsUrl;
  }

  /** Resolves when what follows changes of a repeated run that is over has ended, too; what went wrong with it is among the fleet's warnings. */
  async settled(): Promise<void> {
    await this.#parts.polling?.close();
  }

  /** What its waves and limits come to; undefined: it has none. */
  get waves(): WaveOutline | undefined {
    return this.#parts.waves?.outline;
  }

  /** How the host of task `index` was written. */
  label(index: number): string {
    return this.#plan.at(index).label;
  }

  /**
   * Throws what can be known to be wrong before anything connects: a variable that a host does not have, stdin that cannot be read.
   * A run does it by itself; asked for before, it is known before a person is asked.
   */
  check(): Promise<void> {
    this.#checked ??= this.#parts.check();
    return this.#checked;
  }

  /**
   * Takes the run's lock on this machine, where it has one. Rejects with `locked` where another run has it. A run does it by itself;
   * asked for before, a person can be asked before output begins.
   */
  lock(): Promise<void> {
    this.#locked ??= this.#parts.lock?.take() ?? Promise.resolve();
    return this.#locked;
  }

  /** Frees the lock of a run that is not to begin. Its end does it by itself. */
  unlock(): void {
    this.#parts.lock?.free();
  }

  /** The terminal that its commands were given has another size now. Nothing happens where they have none. */
  resize(columns: number, rows: number): void {
    this.#parts.resize(columns, rows);
  }

  /** Hears every event from now on; what it throws is not heard of. Returns a function that ends it. */
  on(listener: RunListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Results as tasks end, in batches; to be used once. A reader that waits holds back new tasks, not running ones. */
  async *batches(): AsyncGenerator<readonly TaskResult[]> {
    const engine = await this.#begin();
    yield* engine.results;
  }

  /** Results as tasks end. */
  async *[Symbol.asyncIterator](): AsyncGenerator<TaskResult> {
    for await (const batch of this.batches()) yield* batch;
  }

  /** All results as a list: of every host what was kept of its output, so mind the memory. */
  async all(options: AllOptions = {}): Promise<TaskResult[]> {
    const results: TaskResult[] = [];
    for await (const batch of this.batches()) results.push(...batch);
    if (options.order !== 'done') results.sort((a, b) => a.index - b.index);
    return results;
  }

  /** Only the summary. Never rejects because a host failed. */
  async summary(): Promise<Summary> {
    return (await this.#begin()).summary;
  }

  /**
   * Lines as they come, of all hosts; needs gather mode `stream`. One consumer: while it does not read, hosts wait.
   * Afterwards the summary tells how the tasks ended.
   */
  async *lines(): AsyncGenerator<OutputLine> {
    if (this.#engine) throw new MyriadError('usage', 'lines(): the run has already been started');
    const stream = new LineStream((index) => this.#running?.resume(index));
    this.#lines = stream;
    const engine = await this.#begin();
    engine.summary.then(
      () => stream.finish(),
      (error) => stream.fail(error),
    );
    try {
      yield* stream;
    } finally {
      stream.abandon();
    }
  }

  #begin(): Promise<StartedRun> {
    this.#engine ??= this.#launch();
    return this.#engine;
  }

  async #launch(): Promise<StartedRun> {
    this.#signal?.throwIfAborted();
    await this.check();
    await this.lock();
    const engine = await this.#start();
    this.#running = engine;
    for (const kind of OUTCOME_KINDS) if (engine.stood[kind] > 0) this.#outcomes[kind] = engine.stood[kind];
    if (this.#wanted.paused) engine.pause();
    if (this.#wanted.cancelled) engine.cancel(this.#wanted.cancelled);
    if (this.#wanted.stopped !== undefined) engine.stop(this.#wanted.stopped);
    if (this.#signal?.aborted) this.cancel();
    const onAbort = () => this.cancel();
    this.#signal?.addEventListener('abort', onAbort, { once: true });
    const release = () => {
      this.#signal?.removeEventListener('abort', onAbort);
      this.#parts.lock?.free();
    };
    engine.summary.then(release, release);
    return engine;
  }

  async #start(): Promise<StartedRun> {
    try {
      return await this.#parts.start(
        (event) => this.#hear(event),
        (event) => this.#lines?.push(event) ?? this.#hasRoom(event.index),
      );
    } catch (error) {
      this.#parts.lock?.free();
      throw error;
    }
  }

  /** Gather mode `stream`: holds hosts back while `sink` is full, for listeners that write to it. */
  throttle(sink: OutputSink): void {
    this.#sink = sink;
  }

  #hasRoom(index: number): boolean {
    if (!this.#sink?.full) return true;
    if (this.#held.size === 0) {
      void this.#sink.drained().then(() => {
        const held = [...this.#held];
        this.#held.clear();
        for (const task of held) this.#running?.resume(task);
      });
    }
    this.#held.add(index);
    return false;
  }

  #hear(event: RunEvent): void {
    if (event.type === 'task:end') {
      const { outcome, round } = event.result;
      const { kind } = outcome;
      if (round !== this.#round) for (const before of OUTCOME_KINDS) delete this.#outcomes[before];
      this.#round = round;
      this.#outcomes[kind] = (this.#outcomes[kind] ?? 0) + 1;
    }
    const { lag } = this.#parts;
    for (const listener of this.#listeners) {
      const startedAt = lag.start();
      try {
        listener(event);
      } catch (error) {
        // A listener must never harm the run; the process hears of it as a warning.
        process.emitWarning(`a run listener threw: ${error instanceof Error ? error.message : String(error)}`);
      } finally {
        // Nobody waits any more for what is done at the end.
        if (event.type !== 'run:end') lag.end(startedAt, 'a listener', listener.name);
      }
    }
  }

  /** No task starts until `unpause`; what has begun goes on. */
  pause(): void {
    this.#wanted.paused = true;
    this.#running?.pause();
  }

  unpause(): void {
    this.#wanted.paused = false;
    this.#running?.unpause();
  }

  /** Ends what runs (`leave`: only stops waiting for it), or does what the run's `onStop` says; what has not begun becomes `not-run`. */
  cancel(running: 'terminate' | 'leave' = this.#parts.onStop ?? 'terminate'): void {
    this.#wanted.cancelled ??= running;
    this.#running?.cancel(running);
  }

  /** Going on would do harm: nothing new starts, what has begun goes on. `reason`: one sentence for the summary. */
  stop(reason: string): void {
    this.#wanted.stopped ??= reason;
    this.#running?.stop(reason);
  }

  /** How far it is, with the `slowest` oldest tasks. */
  status(slowest = 0): RunStatus {
    const status = this.#running?.status(slowest) ?? { ...IDLE, waiting: this.planned };
    return {
      ...status,
      planned: this.planned,
      outcomes: this.#outcomes,
      wave: this.#parts.waves?.status,
      round: this.#parts.polling?.status,
    };
  }
}
