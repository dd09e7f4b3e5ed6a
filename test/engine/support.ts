/** What tests of executors and runs share: requests, plans of named hosts, reading of results. */

import { DEFAULT_DEADLINES, type Deadlines, type Limits } from '../../src/contracts/limits.ts';
import type { TaskResult } from '../../src/contracts/task.ts';
import type { ExecutorHooks, ExecutorRun, RunRequest } from '../../src/engine/executor.ts';
import { HostPlan } from '../../src/engine/host_plan.ts';
import type { Plan } from '../../src/engine/plan.ts';
import { commandKind } from '../../src/jobs/command.ts';
import { customKind } from '../../src/jobs/custom.ts';
import type { JobKind, JobKinds, JobSpec } from '../../src/jobs/job.ts';

export const KINDS: JobKinds = new Map<string, JobKind>([
  ['command', commandKind as JobKind],
  ['custom', customKind as JobKind],
]);

export const LIMITS: Limits = {
  fanout: 100,
  handshakes: 64,
  perAddress: 8,
  connections: 1000,
  patienceMs: 250,
  deadlines: DEFAULT_DEADLINES,
  retries: 3,
};

/** A plan of hosts by name; `shared/NAME` is reached at the one address that all of these share. */
export function planOf(names: readonly string[], repeat = 1): Plan {
  const at = (i: number) => {
    const [first = '', second] = names[i]!.split('/');
    return second === undefined ? { label: first, name: first } : { label: second, name: second, port: 22 };
  };
  return new HostPlan({ count: names.length, at }, repeat);
}

export interface Overrides extends Partial<Omit<RunRequest, 'limits' | 'plan'>> {
  readonly limits?: Partial<Omit<Limits, 'deadlines'>> & { readonly deadlines?: Partial<Deadlines> };
}

/** A specification as it crosses a thread. */
export function spec(kind: string, options: object): JobSpec {
  return structuredClone(JSON.parse(JSON.stringify({ kind, version: 1, options }))) as JobSpec;
}

export function requestOf(plan: Plan, overrides: Overrides = {}): RunRequest {
  const { limits, ...rest } = overrides;
  return {
    run: 'r1',
    round: 0,
    plan,
    job: spec('command', { command: 'true' }),
    gather: 'collect',
    maxOutput: 1 << 20,
    lingerMs: 2000,
    graceMs: 3000,
    ...rest,
    limits: { ...LIMITS, ...limits, deadlines: { ...DEFAULT_DEADLINES, ...limits?.deadlines } },
  };
}

export const NO_HOOKS: ExecutorHooks = { onStart: () => {}, onOutput: () => true };

/** Reads a run in the background. */
export class Reader {
  readonly results: TaskResult[] = [];
  readonly done: Promise<TaskResult[]>;
  finished = false;

  constructor(run: ExecutorRun) {
    this.done = this.#read(run);
  }

  /** The outcome of each task, by index. */
  get outcomes(): Map<number, TaskResult['outcome']> {
    return new Map(this.results.map((result) => [result.index, result.outcome]));
  }

  async #read(run: ExecutorRun): Promise<TaskResult[]> {
    for await (const batch of run.results) this.results.push(...batch);
    this.finished = true;
    return this.results;
  }
}
