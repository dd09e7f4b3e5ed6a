/** A run in waves, or under limits, on top of any executor: it shows that one the plan piece by piece. */
import type { RunListener, WaveEndEvent } from '../../contracts/events.ts';
import type { Clock, Random } from '../../contracts/limits.ts';
import type { TaskResult } from '../../contracts/task.ts';
import type { Executor, ExecutorHooks, ExecutorRun, ExecutorStatus, RunRequest } from '../executor.ts';
import type { Plan, PlanFeed } from '../plan.ts';
import { textOf } from '../task_outcome.ts';
import type { WaveRules } from './rules.ts';
import { type Verdict, type Wave, WaveControl, type WaveEnd, type WaveMode } from './wave_control.ts';

export interface WavesParts {
  readonly rules: WaveRules;
  readonly clock: Clock;
  readonly random: Random;
  /**
   * Says whether a wave has passed, where the rules ask for it. Settles soon after `signal` is aborted: the run waits for it. What
   * it throws is why the wave has not passed.
   */
  readonly check?: (wave: Wave, signal: AbortSignal) => Promise<Verdict>;
  /** Hears of each wave that is over, after the results of its tasks. */
  readonly listener: RunListener;
}

/** Where a run in waves is. */
export interface WaveStatus {
  /** The wave that is on, from 1. */
  readonly number: number;
  readonly count: number;
  readonly mode: WaveMode;
}

/** Starts of a wave that are closer together come together. */
const LEAST_TICK_MS = 10;

/** For one run. */
export class WavesExecutor implements Executor {
  readonly name: string;
  readonly #executor: Executor;
  readonly #parts: WavesParts;
  #run: WavesRun | undefined;

  constructor(executor: Executor, parts: WavesParts) {
    this.name = executor.name;
    this.#executor = executor;
    this.#parts = parts;
  }

  /** Undefined: it has not begun, or has no waves. */
  get status(): WaveStatus | undefined {
    return this.#parts.rules.serial && this.#run?.wave;
  }

  async run(request: RunRequest, hooks: ExecutorHooks): Promise<ExecutorRun> {
    const run = new WavesRun(request, this.#parts);
    const onEnd = (result: TaskResult): void => {
      hooks.onEnd?.(result);
      run.taskEnded(result);
    };
    run.begin(await this.#executor.run({ ...request, plan: run.plan }, { ...hooks, onEnd }));
    this.#run = run;
    return run;
  }

  sweep(...sweep: Parameters<Executor['sweep']>): ReturnType<Executor['sweep']> {
    return this.#executor.sweep(...sweep);
  }

  close(): Promise<void> {
    return this.#executor.close();
  }
}

/** Of a task that cannot be read: its place, as its result has it. */
function indexAt(plan: Plan, place: number): number {
  try {
    return plan.at(place).index;
  } catch {
    return place;
  }
}

function* indicesOf(plan: Plan, first: number, end: number): Generator<number> {
  for (let place = first; place < end; place++) yield indexAt(plan, place);
}

type Step = IteratorResult<readonly TaskResult[], undefined>;

class WavesRun implements ExecutorRun, PlanFeed {
  readonly results: AsyncIterable<readonly TaskResult[]>;
  readonly plan: Plan;
  more: (() => void) | undefined = undefined;
  readonly #request: RunRequest;
  readonly #parts: WavesParts;
  readonly #control: WaveControl;
  readonly #abort = new AbortController();
  /** Waves that are over, each with the number of results that are read before it is told of: never more than wait there. */
  #untold: { readonly wave: WaveEnd; readonly after: number }[] = [];
  #made = 0;
  #read = 0;
  #run: ExecutorRun | undefined;
  #timer: { cancel(): void } | undefined;
  #checking: Promise<void> | undefined;
  #stopped = false;
  /** What the run was last told, so that a result that changes nothing costs nothing. */
  #said = { here: -1, ended: false, cap: Infinity, wakeAt: Infinity };
  #asked = Infinity;

  constructor(request: RunRequest, parts: WavesParts) {
    const { plan } = request;
    this.#request = request;
    this.#parts = parts;
    const { rules, random, clock } = parts;
    this.#control = new WaveControl(rules, plan.count, {
      random,
      now: clock.now(),
      indexAt: (place) => indexAt(plan, place),
    });
    const { count, planned, hosts } = plan;
    this.plan = { count, planned, hosts, at: (index) => plan.at(index), feed: this };
    this.results = { [Symbol.asyncIterator]: () => this.#iterate() };
  }

  get wave(): WaveStatus {
    const { number, sizes, mode } = this.#control;
    return { number, count: sizes.count, mode };
  }

  get here(): number {
    return this.#control.here;
  }

  get ended(): boolean {
    return this.#control.ended;
  }

  begin(run: ExecutorRun): void {
    this.#run = run;
    this.#advance();
  }

  /** The executor's own hook: before it looks for the next task. */
  taskEnded({ index, outcome }: TaskResult): void {
    this.#made += 1;
    this.#control.result(index, outcome, this.#parts.clock.now());
    this.#advance();
  }

  /** Of the plan's feed: by whomever, it starts nothing more. */
  stopped(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#timer?.cancel();
    this.#control.halt();
    this.#abort.abort();
    this.#collect();
  }

  pause(): void {
    this.#control.pause(this.#parts.clock.now());
    this.#run!.pause();
    this.#advance();
  }

  unpause(): void {
    this.#control.unpause(this.#parts.clock.now());
    this.#run!.unpause();
    this.#advance();
  }

  cancel(running: 'terminate' | 'leave'): void {
    this.#run!.cancel(running);
  }

  stop(reason: string): void {
    this.#run!.stop(reason);
  }

  cap(unfinished: number): void {
    this.#asked = unfinished;
    this.#advance();
  }

  resume(index: number): void {
    this.#run!.resume(index);
  }

  status(slowest: number): ExecutorStatus {
    const status = this.#run!.status(slowest);
    const limitedBy = status.limitedBy || this.#waitsFor(status);
    return { ...status, limitedBy, waiting: status.waiting + this.plan.count - this.here };
  }

  /** What of the limits holds the run back now. */
  #waitsFor({ connecting, handshaking, running }: ExecutorStatus): string {
    const { mode, cap } = this.#control;
    return mode === 'running' && connecting + handshaking + running >= cap ? 'what max-fail leaves' : '';
  }

  /** Does what the control says now. */
  #advance(): void {
    const run = this.#run;
    this.#collect();
    if (run === undefined || this.#stopped) return;
    const { stopReason } = this.#control;
    if (stopReason !== undefined) {
      run.stop(stopReason);
      return;
    }
    const due = this.#control.takeDue();
    if (due !== undefined) this.#checking = this.#check(due);
    this.#say(run);
  }

  #say(run: ExecutorRun): void {
    const { here, ended, wakeAt } = this.#control;
    const cap = Math.min(this.#asked, this.#control.cap);
    const before = this.#said;
    this.#said = { here, ended, cap, wakeAt };
    if (wakeAt !== before.wakeAt) this.#arm(wakeAt);
    if (cap !== before.cap) run.cap(cap);
    if (here !== before.here || ended !== before.ended) this.more?.();
  }

  #arm(wakeAt: number): void {
    const { clock } = this.#parts;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (wakeAt === Infinity) return;
    this.#timer = clock.setTimer(Math.max(LEAST_TICK_MS, wakeAt - clock.now()), () => {
      this.#said = { ...this.#said, wakeAt: Infinity };
      this.#control.tick(clock.now());
      this.#advance();
    });
  }

  async #check(wave: Wave): Promise<void> {
    let verdict: Verdict;
    try {
      verdict = await this.#parts.check!(wave, this.#abort.signal);
    } catch (error) {
      verdict = { passed: false, reason: textOf(error), output: '' };
    }
    this.#checking = undefined;
    this.#control.verdict(verdict, this.#parts.clock.now());
    this.#advance();
    this.#tell();
  }

  #collect(): void {
    for (const wave of this.#control.takeOver()) this.#untold.push({ wave, after: this.#made });
  }

  #iterate(): AsyncIterator<readonly TaskResult[], undefined> {
    const source = this.#run!.results[Symbol.asyncIterator]();
    let given = 0;
    return {
      next: async (): Promise<Step> => {
        // Who asks for more has told of all that it was given.
        this.#read += given;
        given = 0;
        this.#tell();
        const step = await source.next();
        if (step.done) {
          await this.#checking;
          this.#read = this.#made;
          this.#tell();
          return { done: true, value: undefined };
        }
        given = step.value.length;
        return step;
      },
      return: async () => {
        await source.return?.();
        return { done: true, value: undefined };
      },
    };
  }

  #tell(): void {
    while (this.#untold.length > 0 && this.#untold[0]!.after <= this.#read) {
      this.#parts.listener(this.#event(this.#untold.shift()!.wave));
    }
  }

  #event(wave: WaveEnd): WaveEndEvent {
    const { run, round } = this.#request;
    const { number, first, end, outcomes, passed, reason, output } = wave;
    const { count: waves } = this.#control.sizes;
    const time = this.#parts.clock.epoch();
    return {
      type: 'wave:end',
      time,
      run,
      round,
      wave: number,
      waves,
      tasks: end - first,
      indices: () => indicesOf(this.#request.plan, first, end),
      outcomes,
      passed,
      reason,
      output,
    };
  }
}
