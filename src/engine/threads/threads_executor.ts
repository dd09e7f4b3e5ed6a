/** The executor of worker threads: the plan, events and results stay here, hosts are talked to there. */
import { MyriadError } from '../../contracts/errors.ts';
import type { Clock } from '../../contracts/limits.ts';
import type { Target } from '../../contracts/task.ts';
import type { SecretName } from '../../jobs/job.ts';
import type { Secret } from '../../ssh/client_auth_secret.ts';
import type { Executor, ExecutorHooks, ExecutorRun, Probe, RunRequest, SweepChunk } from '../executor.ts';
import { checkRequest } from '../inline_executor.ts';
import type { Plan } from '../plan.ts';
import { sweepPlan } from '../sweep.ts';
import type { Caller, Services } from './link.ts';
import { SecretDesk } from './remote_secret.ts';
import { threadsFor } from './shares.ts';
import type { Spawn } from './spawn.ts';
import { Restarts, ThreadSlot } from './thread_slot.ts';
import { ThreadsRun } from './threads_run.ts';

export interface ThreadsOptions {
  /** Threads at most; a run with a small fanout takes fewer. They start with the first run that needs them. */
  readonly threads: number;
  readonly spawn: Spawn;
  readonly clock: Clock;
  /** What threads may ask for, by name. @default nothing */
  readonly services?: Services;
  /** Secrets that threads may ask for, by name (`remoteSecret`). @default none */
  readonly secrets?: ReadonlyMap<string, (question: unknown) => Secret | undefined>;
  /** With fewer tasks for each a run takes fewer threads. @default 1 */
  readonly leastTasks?: number;
  /** Hears of what should be known and ends nothing. */
  readonly warn: (text: string) => void;
}

export class ThreadsExecutor implements Executor {
  readonly name = 'threads';
  readonly #options: ThreadsOptions;
  readonly #slots: readonly ThreadSlot[];
  readonly #secrets: SecretDesk;
  readonly #runs = new Map<number, { readonly run: ThreadsRun; readonly hooks: ExecutorHooks }>();
  #lastRun = 0;
  #closed: Promise<void> | undefined = undefined;
  #whenIdle: (() => void) | undefined = undefined;

  constructor(options: ThreadsOptions) {
    this.#options = options;
    this.#secrets = new SecretDesk();
    const { spawn, clock } = options;
    const restarts = new Restarts(clock);
    const services: Services = new Map([...(options.services ?? []), ...this.#ownServices()]);
    this.#slots = Array.from({ length: options.threads }, (_, place) => {
      return new ThreadSlot({ name: `thread-${place + 1}`, spawn, services, clock, restarts });
    });
  }

  async run(request: RunRequest, hooks: ExecutorHooks): Promise<ExecutorRun> {
    this.#checkOpen();
    checkRequest(request);
    refuseLent(hooks);
    const count = threadsFor(this.#slots.length, request.limits, request.plan.count / (this.#options.leastTasks ?? 1));
    this.#lastRun += 1;
    const id = this.#lastRun;
    const run = new ThreadsRun({
      id,
      request,
      hooks,
      slots: this.#slots.slice(0, count),
      clock: this.#options.clock,
      warn: this.#options.warn,
      onFinished: () => this.#finished(id),
    });
    this.#runs.set(id, { run, hooks });
    try {
      await run.open();
      this.#checkOpen();
    } catch (error) {
      this.#finished(id);
      throw error;
    }
    return run;
  }

  sweep(plan: Plan, probe: Probe, signal: AbortSignal): AsyncIterable<SweepChunk> {
    this.#checkOpen();
    return sweepPlan(plan, probe, signal);
  }

  /** Cancels what runs; resolves when its last task has ended and all threads are gone. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const idle = new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
    for (const { run } of this.#runs.values()) run.cancel('terminate');
    if (this.#runs.size > 0) await idle;
    await Promise.all(this.#slots.map((slot) => slot.close()));
  }

  #finished(id: number): void {
    this.#runs.delete(id);
    if (this.#runs.size === 0) this.#whenIdle?.();
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new MyriadError('closed', `the executor "${this.name}" is closed`);
  }

  #ownServices(): Services {
    const secrets = [...(this.#options.secrets ?? [])].map(([name, of]) => {
      return [name, (value: unknown, caller: Caller) => this.#secrets.give(of(value), caller)] as const;
    });
    return new Map<string, (value: unknown, caller: Caller) => unknown>([
      ...secrets,
      ['secret', (value: unknown, caller: Caller) => this.#secret(value, caller)],
      ['verdict', (value: unknown) => this.#secrets.verdict(value)],
    ]);
  }

  #secret(value: unknown, caller: Caller): Promise<unknown> {
    const { run, name, target } = value as { run: number; name: SecretName; target: Target };
    return this.#secrets.give(this.#runs.get(run)?.hooks.secret?.(name, target), caller);
  }
}

/** Throws `usage` for what lives on the main thread only, by its name. */
function refuseLent({ lent }: ExecutorHooks): void {
  const here = { function: lent?.own, stdin: lent?.stdin, tty: lent?.terminal, variables: lent?.values?.variables };
  const live = Object.entries(here).find(([, value]) => value !== undefined);
  if (live) throw new MyriadError('usage', `${live[0]}: it stays on the main thread, and cannot be lent to threads`);
}
