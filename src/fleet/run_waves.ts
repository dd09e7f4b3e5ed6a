/** The waves of one run: what they come to, where the run is among them, and the commands that check them. */
import type { RunListener } from '../contracts/events.ts';
import type { Clock, Limits } from '../contracts/limits.ts';
import type { Summary } from '../contracts/summary.ts';
import { startRun } from '../engine/engine.ts';
import type { Executor, RunRequest } from '../engine/executor.ts';
import { type HostList, HostPlan } from '../engine/host_plan.ts';
import type { Plan } from '../engine/plan.ts';
import type { Redactor } from '../engine/redact.ts';
import { outlineOf, type WaveOutline } from '../engine/waves/rules.ts';
import { type WaveStatus, WavesExecutor } from '../engine/waves/waves_executor.ts';
import type { JobSpec } from '../jobs/job.ts';
import { WaveChecks } from './wave_checks.ts';
import type { ResolvedWaves } from './waves.ts';

export interface RunWavesParts {
  readonly waves: ResolvedWaves;
  /** The run's own: its checks on hosts go by the same limits. */
  readonly request: Omit<RunRequest, 'limits' | 'plan' | 'job' | 'round'>;
  readonly plan: Plan;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly redactor: Redactor;
  /** A command line for hosts, as a job. */
  readonly command: (line: string) => JobSpec;
  /** Where a check on so many hosts executes. */
  readonly executor: (hosts: number) => Promise<Executor>;
  /** More than one thread may be at work: they know of a failure a moment before it counts here. */
  readonly threads: boolean;
}

export class RunWaves {
  readonly #parts: RunWavesParts;
  readonly #checks: WaveChecks;
  #executor: WavesExecutor | undefined;

  constructor(parts: RunWavesParts) {
    const { waves, plan, clock, redactor, request } = parts;
    this.#parts = parts;
    this.#checks = new WaveChecks({
      waves,
      run: request.run,
      plan,
      clock,
      runOn: (hosts, command, signal) => this.#runOn(hosts, command, signal),
      redact: (text) => redactor.text(text),
    });
  }

  /** What they come to for the plan as it is now: it may become what is left of one. */
  get outline(): WaveOutline {
    const { waves, plan, limits, threads } = this.#parts;
    const atOnce = threads ? Infinity : Math.max(limits.fanout, limits.adapt?.fanoutMost ?? 0);
    return outlineOf(waves.rules, plan.count, atOnce);
  }

  /** Where the run is; undefined: it has not begun, or goes in no waves. */
  get status(): WaveStatus | undefined {
    return this.#executor?.status;
  }

  /** The executor that the run gets, on top of its own. */
  over(executor: Executor, listener: RunListener): Executor {
    const { waves, clock } = this.#parts;
    this.#executor = new WavesExecutor(executor, {
      rules: waves.rules,
      clock,
      random: Math.random,
      check: (wave, signal) => this.#checks.check(wave, signal),
      listener,
    });
    return this.#executor;
  }

  /** Resolves when no check is under way. */
  close(): Promise<void> {
    return this.#checks.idle();
  }

  async #runOn(hosts: HostList, command: string, signal: AbortSignal): Promise<Summary> {
    const { request, limits, clock, redactor, waves } = this.#parts;
    const plan = new HostPlan(hosts);
    const deadlines = { ...limits.deadlines, commandMs: waves.checkMs, idleMs: null, runMs: null };
    const run = await startRun(
      await this.#parts.executor(plan.count),
      {
        ...request,
        round: 0,
        plan,
        job: this.#parts.command(command),
        limits: { ...limits, deadlines },
        gather: 'discard',
      },
      () => {},
      { title: 'check', clock, redactor },
    );
    const stop = (): void => run.cancel('terminate');
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    try {
      return await run.summary;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }
}
