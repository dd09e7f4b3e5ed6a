/**
 * Sweeps as an executor: each run is one sweep of the same addresses, each of them a task, so that all that is known of runs in
 * rounds is known of polled sweeps, too. A task costs an object here, which a sweep alone does not: `MOST_POLLED` bounds it.
 *
 *   sweeping ──all chunks are read──▶ over
 *   sweeping ──cancel, stop, the run's deadline──▶ stopping ──what was sent has had its time──▶ over     the rest is `not-run`
 */
import type { Outcome } from '../../contracts/outcome.ts';
import { Bytes, type TaskResult } from '../../contracts/task.ts';
import type { Executor, ExecutorHooks, ExecutorRun, ExecutorStatus, RunRequest } from '../../engine/executor.ts';
import { sweepPlan } from '../../engine/sweep.ts';
import type { PingChunk } from '../../ping/chunk.ts';
import { ADDRESS_STATES, type AddressState } from '../../ping/state.ts';
import type { Ping } from '../ping.ts';
import { systemClock } from '../system_clock.ts';

/** Results at once. */
const BATCH = 1024;

export class SweepExecutor implements Executor {
  readonly name = 'main';
  readonly #open: () => Ping;
  readonly #warn: (text: string) => void;

  /** `open`: a sweep that has not begun; `warn`: hears what sweeps say. */
  constructor(open: () => Ping, warn: (text: string) => void) {
    this.#open = open;
    this.#warn = warn;
  }

  async run(request: RunRequest, hooks: ExecutorHooks): Promise<ExecutorRun> {
    return new SweepRun(this.#open(), request, hooks, this.#warn);
  }

  sweep(...[plan, probe, signal]: Parameters<Executor['sweep']>): ReturnType<Executor['sweep']> {
    return sweepPlan(plan, probe, signal);
  }

  async close(): Promise<void> {}
}

class SweepRun implements ExecutorRun {
  readonly results: AsyncIterable<readonly TaskResult[]>;
  readonly #ping: Ping;
  readonly #request: RunRequest;
  readonly #hooks: ExecutorHooks;
  readonly #warn: (text: string) => void;
  readonly #deadline: { cancel(): void } | undefined;
  #stopped: ExecutorStatus['stopped'] = 'no';
  #stopReason: string | undefined;
  #told = 0;

  constructor(ping: Ping, request: RunRequest, hooks: ExecutorHooks, warn: (text: string) => void) {
    this.#ping = ping;
    this.#request = request;
    this.#hooks = hooks;
    this.#warn = warn;
    const { runMs } = request.limits.deadlines;
    if (runMs !== null) this.#deadline = systemClock.setTimer(runMs, () => this.#stop('deadline'));
    this.results = { [Symbol.asyncIterator]: () => this.#results() };
  }

  /** What was sent has its answers: the sweep goes on, and no round begins. */
  pause(): void {}

  unpause(): void {}

  cancel(): void {
    this.#stop('cancelled');
  }

  stop(reason: string): void {
    if (this.#stopped === 'no') this.#stopReason = reason;
    this.#stop('guard');
  }

  /** Its rate is its own. */
  cap(): void {}

  resume(): void {}

  status(): ExecutorStatus {
    const waiting = this.#request.plan.count - this.#told;
    const [stopped, stopReason] = [this.#stopped, this.#stopReason];
    return { connecting: 0, handshaking: 0, running: 0, waiting, limitedBy: '', slowest: [], stopped, stopReason };
  }

  #stop(how: ExecutorStatus['stopped']): void {
    if (this.#stopped === 'no') this.#stopped = how;
    this.#ping.stop();
  }

  async *#results(): AsyncGenerator<readonly TaskResult[], undefined> {
    const ping = this.#ping;
    try {
      for await (const chunk of ping.chunks()) {
        for (const text of ping.warnings.splice(0)) this.#warn(text);
        yield* this.#batches(chunk);
      }
      // A sweep that was stopped has no chunks of what it did not come to.
      const { count } = this.#request.plan;
      while (this.#told < count) yield this.#batch(Math.min(BATCH, count - this.#told), () => [NOT_PROBED, 0, '']);
    } finally {
      this.#deadline?.cancel();
      await ping.close();
    }
    return undefined;
  }

  *#batches(chunk: PingChunk): Generator<readonly TaskResult[]> {
    const { base, state, rtt, software } = chunk;
    const { banners } = this.#ping;
    const of = (index: number) => {
      const [code, micros] = [state[index - base]!, rtt[index - base]!];
      const said = software ? (banners[software[index - base]!] ?? '') : '';
      return [ADDRESS_STATES[code]!, micros / 1000, said] as const;
    };
    for (const end = base + chunk.count; this.#told < end; ) yield this.#batch(Math.min(BATCH, end - this.#told), of);
  }

  /** The next ones, in their order: chunks are ascending. */
  #batch(size: number, of: (index: number) => readonly [AddressState, number, string]): TaskResult[] {
    const now = systemClock.epoch();
    const batch: TaskResult[] = [];
    for (const end = this.#told + size; this.#told < end; this.#told++) {
      const result = this.#result(this.#told, of(this.#told), now);
      batch.push(result);
      this.#hooks.onEnd?.(result);
    }
    return batch;
  }

  /** Its answer is what the server says of itself, or how long it took in milliseconds: what a series draws. */
  #result(index: number, [state, ms, software]: readonly [AddressState, number, string], now: number): TaskResult {
    const { run, round, plan } = this.#request;
    const said = state !== 'up' ? '' : software || String(ms);
    const stdout = said === '' ? Bytes.empty : new Bytes(Buffer.from(said), Buffer.byteLength(said));
    return {
      run,
      round,
      index,
      attempt: 1,
      host: plan.at(index),
      iteration: 1,
      outcome: outcomeOfState(state),
      reached: undefined,
      startedAt: now - ms,
      durationMs: ms,
      phases: {},
      executor: 'main',
      stdout,
      stderr: Bytes.empty,
      notes: [],
    };
  }
}

const NOT_PROBED: AddressState = 'not-probed';

/** How an address ended as an outcome: what kept us from asking it says nothing about it. */
export function outcomeOfState(state: AddressState): Outcome {
  const message = state.replaceAll('-', ' ');
  switch (state) {
    case 'up':
      return { kind: 'ok', began: 'yes', status: null };
    case 'not-probed':
      return { kind: 'not-run', began: 'no' };
    case 'no-answer':
      return { kind: 'timeout', began: 'no', phase: 'connect', remote: 'none' };
    case 'refused':
    case 'reset':
      return { kind: 'unreachable', began: 'no', cause: state, message: `the connection was ${state}` };
    case 'no-banner':
      return { kind: 'protocol', began: 'no', message: 'it accepts connections, and says nothing that SSH says' };
    case 'no-route':
    case 'network-down':
    case 'local-limit':
    case 'name':
      return { kind: 'error', began: 'no', code: state, message: `not asked: ${UNASKED[state]}` };
    default:
      return { kind: 'unreachable', began: 'no', cause: 'no-route', message };
  }
}

const UNASKED = {
  'no-route': 'there is no route to it from here',
  'network-down': 'the network is down here',
  'local-limit': 'this machine refused to send',
  name: 'it has no address',
} as const;
