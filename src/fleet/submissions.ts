/**
 * Single tasks that are handed in one by one: they are fed into one run, so that they share its lanes and limits.
 *
 *   idle ──submit──▶ running ──no task is left──▶ idle      the next one begins a run of its own
 *   any ──close──▶ closed
 *
 * Nothing of it is recorded, no event tells of it: the result goes to who handed the task in.
 */
import { MyriadError } from '../contracts/errors.ts';
import type { Limits } from '../contracts/limits.ts';
import type { Outcome } from '../contracts/outcome.ts';
import type { Host, Target, TaskResult } from '../contracts/task.ts';
import type { Executor, ExecutorRun, RunRequest } from '../engine/executor.ts';
import type { Plan, PlanFeed } from '../engine/plan.ts';
import { Redactor } from '../engine/redact.ts';
import type { Secrets } from '../engine/secrets.ts';
import { untouchedResult } from '../engine/task_outcome.ts';
import { type HostSet, parseHostSet } from '../hostset/hostset.ts';
import type { JobKind, JobKinds, JobSpec, Submitted } from '../jobs/job.ts';
import type { HostValues } from '../jobs/template.ts';
import { readMachine, withinMachine } from './machine.ts';
import { type ResolvedFleet, resolveRun } from './options.ts';
import { newRunId } from './run_id.ts';

/** A job for one task: `{ kind: 'command', options: { command: 'date' } }`. */
export interface SubmitSpec extends Omit<JobSpec, 'version'> {
  /** @default 1 */
  readonly version?: number;
}

export interface SubmitOptions {
  /** Takes the task back: it ends as `cancelled`, what runs of it is ended. */
  readonly signal?: AbortSignal;
}

/** Handed in and not ended. */
const MOST = 65_536;
/** What is lent, and no spec can hold. */
const SELF: ReadonlySet<string> = new Set(['inline', 'submitted']);

/** What a fleet lends to them. */
interface SubmissionsHome extends Pick<SubmissionsParts, 'executor' | 'kinds' | 'values'> {
  /** What no output may show. */
  readonly secrets: Secrets;
}

export function openSubmissions(fleet: ResolvedFleet, { secrets, ...home }: SubmissionsHome): Submissions {
  const { limits, repeat: _, ...request } = resolveRun(fleet, {});
  return new Submissions({
    ...home,
    id: newRunId(),
    limits: withinMachine(limits, readMachine(), limits.fanout),
    request,
    redactor: new Redactor([], secrets),
  });
}

/** The host that is meant. Throws MyriadError `host-set` for what is none, `unmatched` for one that is not in the set. */
export function oneOf(text: string, hosts: HostSet): Host {
  const set = parseHostSet(text);
  if (set.count !== 1) throw new MyriadError('usage', `submit: expected one host, got ${set.count} in "${text}"`);
  const host = set.at(0);
  if (hosts.has(host.name)) return host;
  throw new MyriadError('unmatched', `submit: host "${text}" is none of this fleet's`);
}

/** What a task that was handed in is, and who waits for it. */
interface Entry extends Submitted {
  readonly target: Target;
  readonly resolve: (result: TaskResult) => void;
}

export interface SubmissionsParts {
  /** In place of a run's id. */
  readonly id: string;
  readonly executor: Executor;
  readonly kinds: JobKinds;
  readonly limits: Limits;
  readonly request: Omit<RunRequest, 'run' | 'round' | 'plan' | 'job' | 'limits'>;
  readonly redactor: Redactor;
  readonly values: HostValues;
}

export class Submissions {
  readonly #parts: SubmissionsParts;
  #batch: Batch | undefined;
  #refused: string | undefined;

  constructor(parts: SubmissionsParts) {
    this.#parts = parts;
  }

  /** Rejects with MyriadError `usage` for a job that cannot be taken, before anything connects. */
  async submit(host: Host, spec: SubmitSpec, { signal }: SubmitOptions): Promise<TaskResult> {
    const kind = this.#kind(spec);
    const prepared = await kind.prepare(kind.validate(spec.options));
    signal?.throwIfAborted();
    if (this.#refused !== undefined) throw new MyriadError('aborted', this.#refused);
    if ((this.#batch?.size ?? 0) >= MOST) {
      throw new MyriadError('usage', `submit: ${MOST} tasks have not ended yet; await some of them first`);
    }
    return new Promise((resolve) => this.#open().add(host, { kind, prepared, signal }, resolve));
  }

  /** Going on would do harm: what has not begun ends as `not-run`, nothing more is taken. */
  stop(reason: string): void {
    this.#refused = reason;
    this.#batch?.run?.stop(reason);
  }

  #kind({ kind: name, version }: SubmitSpec): JobKind {
    const kind = this.#parts.kinds.get(name);
    if (kind === undefined || kind.transport !== 'native' || !kind.session || SELF.has(name)) {
      throw new MyriadError(
        'usage',
        `submit: no job of kind "${name}" can be handed in; take command, script or custom`,
      );
    }
    if (version !== undefined && version !== kind.version) {
      throw new MyriadError('usage', `submit: job "${name}" has version ${kind.version} here, not ${version}`);
    }
    return kind;
  }

  #open(): Batch {
    if (this.#batch === undefined || this.#batch.ended) {
      this.#batch = new Batch();
      void this.#conduct(this.#batch);
    }
    return this.#batch;
  }

  /** From the first task of a run to the one after which none is left. */
  async #conduct(batch: Batch): Promise<void> {
    const { executor, limits, request, redactor, id, values } = this.#parts;
    const submitted = (place: number) => batch.entry(place);
    try {
      const run = await executor.run(
        { ...request, run: id, round: 0, plan: batch, job: { kind: 'submitted', version: 1, options: {} }, limits },
        { redactor, onStart: () => {}, onOutput: () => true, lent: { values, submitted } },
      );
      batch.run = run;
      if (this.#refused !== undefined) run.stop(this.#refused);
      for await (const results of run.results) for (const result of results) this.#give(result, batch);
    } catch {
      // The executor is closed: nothing of what is left has begun.
      for (const place of batch.places()) this.#untouched(place, batch, { kind: 'not-run', began: 'no' });
    }
  }

  #give(result: TaskResult, batch: Batch): void {
    const entry = batch.entry(result.index)!;
    // Taken back before its turn: it could not be read from the plan.
    const unread = result.host.label !== entry.target.label;
    if (unread) this.#untouched(result.index, batch, { kind: 'cancelled', began: 'no', remote: 'none' });
    else batch.take(result.index)?.resolve(result);
  }

  #untouched(place: number, batch: Batch, outcome: Outcome): void {
    const entry = batch.take(place);
    const identity = { run: this.#parts.id, round: 0, index: place };
    entry?.resolve(untouchedResult(identity, entry.target, 1, outcome, Date.now(), 'main'));
  }
}

/** The plan of one run of them: its tasks come while it goes on. */
class Batch implements Plan, PlanFeed {
  readonly count = 1;
  readonly hosts = 1;
  more: (() => void) | undefined = undefined;
  run: ExecutorRun | undefined = undefined;
  ended = false;
  here = 0;
  /** By their place. */
  readonly #entries = new Map<number, Entry>();

  get feed(): PlanFeed {
    return this;
  }

  /** Not ended. */
  get size(): number {
    return this.#entries.size;
  }

  add(host: Host, submitted: Submitted, resolve: Entry['resolve']): void {
    const { label, name, user, port, identity } = host;
    const target = { label, name, user, port, identity, index: this.here, iteration: 1 };
    this.#entries.set(this.here, { ...submitted, target, resolve });
    this.here += 1;
    this.more?.();
  }

  at(place: number): Target {
    const { target, signal } = this.#entries.get(place)!;
    signal?.throwIfAborted();
    return target;
  }

  entry(place: number): Entry | undefined {
    return this.#entries.get(place);
  }

  places(): number[] {
    return [...this.#entries.keys()];
  }

  /** The task has its result; after the last one there are no more. */
  take(place: number): Entry | undefined {
    const entry = this.#entries.get(place);
    this.#entries.delete(place);
    if (this.#entries.size === 0) {
      this.ended = true;
      this.more?.();
    }
    return entry;
  }
}
