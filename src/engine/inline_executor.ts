/** The executor on this thread: every kind of job, no serialisation. */
import { MyriadError } from '../contracts/errors.ts';
import type { Clock, Limits, Random } from '../contracts/limits.ts';
import type { JobKind, JobKinds, JobSpec } from '../jobs/job.ts';
import type { Transport, TransportName } from '../transport/transport.ts';
import { TimerWheel } from '../util/timer_wheel.ts';
import type { Executor, ExecutorHooks, ExecutorRun, Probe, RunRequest, SweepChunk } from './executor.ts';
import { InlineRun } from './inline_run.ts';
import { type LagMeter, LagWatch } from './lag.ts';
import type { Plan } from './plan.ts';
import { sweepPlan } from './sweep.ts';

export interface InlineExecutorOptions {
  readonly kinds: JobKinds;
  /** By name, or made on first use. They stay their owner's to close. */
  readonly transports: ReadonlyMap<TransportName, Transport> | ((name: TransportName) => Transport);
  readonly clock: Clock;
  readonly random: Random;
  /** Named in every result. @default 'main' */
  readonly name?: string;
  /** How long the loop of this thread has been computing so far, in milliseconds. @default what Node says */
  readonly busyMs?: () => number;
  /** Told of what keeps this thread for itself. @default nobody looks */
  readonly lag?: LagMeter | undefined;
}

export class InlineExecutor implements Executor {
  readonly name: string;
  readonly #kinds: JobKinds;
  readonly #transports: InlineExecutorOptions['transports'];
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #wheel: TimerWheel;
  readonly #busyMs: () => number;
  readonly #lag: LagMeter | undefined;
  readonly #runs = new Set<InlineRun>();
  #closed: Promise<void> | undefined = undefined;
  #whenIdle: (() => void) | undefined = undefined;

  constructor(options: InlineExecutorOptions) {
    this.name = options.name ?? 'main';
    this.#kinds = options.kinds;
    this.#transports = options.transports;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#wheel = new TimerWheel(options.clock);
    this.#lag = options.lag;
    this.#busyMs = options.busyMs ?? (() => performance.eventLoopUtilization().active);
  }

  async run(request: RunRequest, hooks: ExecutorHooks): Promise<ExecutorRun> {
    this.#checkOpen();
    checkRequest(request);
    const kind = this.#kind(request.job);
    const transport = this.#transport(kind);
    const options = kind.validate(request.job.options);
    const prepared = await kind.prepare(options);
    this.#checkOpen();
    const watch = this.#watch(kind.called?.(options));
    const run = new InlineRun({
      request,
      hooks,
      kind,
      prepared,
      transport,
      clock: this.#clock,
      random: this.#random,
      wheel: this.#wheel,
      executor: this.name,
      busyMs: this.#busyMs,
      lag: this.#lag,
      called: kind.called?.(options),
      onFinished: (finished) => {
        watch?.stop();
        this.#finished(finished);
      },
    });
    this.#runs.add(run);
    return run;
  }

  sweep(plan: Plan, probe: Probe, signal: AbortSignal): AsyncIterable<SweepChunk> {
    this.#checkOpen();
    return sweepPlan(plan, probe, signal);
  }

  /** Cancels what runs, and resolves when its last task has ended. The transports stay open. */
  close(): Promise<void> {
    if (this.#closed !== undefined) return this.#closed;
    this.#closed = new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
    for (const run of this.#runs) run.cancel('terminate');
    if (this.#runs.size === 0) this.#whenIdle?.();
    return this.#closed;
  }

  /** Of jobs that are not ours, and so have a name. */
  #watch(called: string | undefined): LagWatch | undefined {
    if (this.#lag === undefined || called === undefined) return undefined;
    const watch = new LagWatch((ms) => this.#lag?.stoodStill(ms, called));
    watch.start();
    return watch;
  }

  #finished(run: InlineRun): void {
    this.#runs.delete(run);
    if (this.#runs.size === 0) this.#whenIdle?.();
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new MyriadError('closed', `the executor "${this.name}" is closed`);
  }

  #kind(job: JobSpec): JobKind {
    const kind = this.#kinds.get(job.kind);
    if (kind === undefined) {
      const known = [...this.#kinds.keys()].join(', ');
      throw new MyriadError('usage', `no job of kind "${job.kind}" is known here; there are: ${known || 'none'}`);
    }
    if (kind.version !== job.version) {
      throw new MyriadError(
        'usage',
        `job "${job.kind}" has version ${job.version}, but this Myriad takes version ${kind.version}: use the same release everywhere`,
      );
    }
    return kind;
  }

  #transport(kind: JobKind): Transport {
    const transports = this.#transports;
    const transport = typeof transports === 'function' ? transports(kind.transport) : transports.get(kind.transport);
    if (transport === undefined) {
      throw new MyriadError('usage', `job "${kind.kind}" needs the transport "${kind.transport}", which is not here`);
    }
    return transport;
  }
}

/** Refuses what no run can be made of. */
export function checkRequest(request: RunRequest): void {
  const { limits } = request;
  for (const name of ['fanout', 'handshakes', 'perAddress', 'connections'] as const) checkNumber(limits, name, 1);
  checkNumber(limits, 'retries', 0);
  if (request.gather === 'file') {
    throw new MyriadError(
      'usage',
      'gather "file" is made by the caller from gather "stream": the executor writes no files',
    );
  }
}

function checkNumber(
  limits: Limits,
  name: 'fanout' | 'handshakes' | 'perAddress' | 'connections' | 'retries',
  min: number,
): void {
  const value = limits[name];
  // Infinity is a limit too: none.
  if (value >= min && (Number.isInteger(value) || value === Number.POSITIVE_INFINITY)) return;
  throw new MyriadError('usage', `limits.${name} must be a whole number from ${min} on, not ${value}`);
}
