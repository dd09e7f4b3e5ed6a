/**
 * A run that goes on where it was left: its plan, job and options from the journal, less what has its result.
 *
 *   opened ──go──▶ going      the run's lock is taken before its state is read: nobody else goes on with it
 *
 * What was claimed and has no result may have run: it becomes `lost(crash)`, or is done over where the caller allows it.
 */
import { MyriadError } from '../contracts/errors.ts';
import type { Host, Target, TaskResult } from '../contracts/task.ts';
import type { Before } from '../engine/engine.ts';
import type { Plan } from '../engine/plan.ts';
import { untouchedResult } from '../engine/task_outcome.ts';
import type { HostSet } from '../hostset/hostset.ts';
import type { JobSpec } from '../jobs/job.ts';
import type { Variables } from '../jobs/template.ts';
import { type Journal, type JournalReader, LOST_IN_CRASH, type ResumeState } from '../journal/journal.ts';
import { whoRuns } from '../journal/who.ts';
import { IndexSet } from '../util/index_set.ts';
import { factsOf, Known } from './inventories.ts';
import { openRecords, type Recorded } from './journaling.ts';
import type { FleetOptions, RunOptions } from './options.ts';
import { SELECTION_OPTIONS } from './selection_options.ts';
import { checkGiven, restoreJob, type StoredJob, storedJob } from './stored_job.ts';

export class Resumption {
  readonly id: string;
  readonly hosts: HostSet;
  /** Some may have keys of their own. */
  readonly hasKeys: boolean;
  /** What an inventory knows of them, where one was given again. */
  readonly known: Known | undefined;
  /** Of that inventory, and the caller's. */
  readonly variables: Variables | undefined;
  /** The options of the fleet: as given, else as they were. */
  readonly fleet: FleetOptions;
  readonly #journal: Journal;
  /** Open while the plan is read from it: the file stays in two pieces until it is closed. */
  #reader: JournalReader | undefined;
  readonly #stored: StoredJob;
  #plan: RemainingPlan | undefined;

  /** Throws MyriadError `journal` for a run that is not there or is damaged, `usage` for options that do not go with it. */
  constructor(options: FleetOptions) {
    const { resume = '', journal } = options;
    for (const name of ['hosts', 'hostFiles', 'exclude', 'from', ...SELECTION_OPTIONS] as const) {
      // It says what is known of hosts, not which ones.
      if (options[name] !== undefined && name !== 'inventory')
        throw new MyriadError('usage', `${name}: a run is resumed on its own hosts`);
    }
    const { inventory = [], variables } = options;
    const known = new Known(typeof inventory === 'string' ? [inventory] : inventory);
    this.known = known.named ? known : undefined;
    this.variables = known.named ? (host) => factsOf(host, known, variables).variables : variables;
    if (journal === false) throw new MyriadError('usage', 'journal: a run is resumed in the journal that it is in');
    this.#journal = openRecords(journal, () => {});
    const reader = this.#journal.read(resume);
    this.#reader = reader;
    try {
      const { info, record, plan } = reader;
      this.id = info.id;
      this.#stored = storedJob(info.id, record.job);
      this.fleet = { ...this.#stored.fleet, ...set(options), ...(this.variables && { variables: this.variables }) };
      this.hosts = new PlannedHosts(plan);
      this.hasKeys = plan.kind === 'rows';
      if (plan.kind === 'set') this.close();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The options of the run: as given, else as they were. Throws `usage` for what must be given again. */
  options(given: RunOptions): RunOptions {
    checkGiven(this.id, this.#stored, this.fleet, given);
    return { ...this.#stored.run, ...set(given) };
  }

  job(given: RunOptions): JobSpec {
    return restoreJob(this.#stored, given);
  }

  /** What is left of `whole`; all of it until the run goes on. */
  planOf(whole: Plan): Plan {
    this.#plan = new RemainingPlan(whole);
    return this.#plan;
  }

  /** Takes the run's lock and goes on. Rejects with MyriadError `journal` where somebody else has it. */
  async go({ journalOutput, idempotent = false }: RunOptions): Promise<Recorded> {
    const plan = this.#plan!;
    const journal = await this.#journal.resume(this.id, whoRuns(), { outputs: journalOutput });
    let reader: JournalReader | undefined;
    try {
      reader = this.#journal.read(this.id);
      const state = reader.resumeState();
      const again = idempotent ? await lostBefore(reader, state) : new IndexSet();
      const lost = idempotent ? new IndexSet() : state.lost;
      plan.leave((index) => (!state.done.has(index) || again.has(index)) && !lost.has(index));
      return { journal, round: state.round, before: beforeOf(reader, plan, state, lost) };
    } catch (error) {
      reader?.close();
      await journal.close().catch(() => {});
      throw error;
    }
  }

  close(): void {
    this.#reader?.close();
    this.#reader = undefined;
  }
}

/** What is undefined says nothing. */
function set<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

/** Tasks that an earlier resumption gave up as lost. */
async function lostBefore(reader: JournalReader, { round }: ResumeState): Promise<IndexSet> {
  const found = new IndexSet();
  if ((reader.info.outcomes.lost ?? 0) === 0) return found;
  let count = 0;
  for (const { index, outcome } of reader.results(round)) {
    if (outcome.kind === 'lost' && outcome.cause === 'crash') found.add(index);
    if (++count % 1024 === 0) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return found;
}

/** Closes the reader once the results that stand have been walked. */
function beforeOf(reader: JournalReader, plan: RemainingPlan, { round, done }: ResumeState, lost: IndexSet): Before {
  const run = reader.info.id;
  return {
    results: (function* standing(): Generator<TaskResult> {
      try {
        for (const result of reader.results(round)) {
          if (done.has(result.index) && !plan.has(result.index)) yield result;
        }
      } finally {
        reader.close();
      }
    })(),
    decided: (function* losses(): Generator<TaskResult> {
      const time = Date.now();
      for (const index of lost) {
        const target = plan.whole.at(index);
        yield untouchedResult({ run, round, index }, target, target.iteration, LOST_IN_CRASH, time, 'journal');
      }
    })(),
  };
}

/** Places between two that are remembered. */
const STRIDE = 256;

/** The tasks of a plan that are left, in its order; each keeps its index. */
class RemainingPlan implements Plan {
  readonly whole: Plan;
  readonly planned: number;
  readonly hosts: number;
  count: number;
  #isLeft: (index: number) => boolean = () => true;
  /** The index at every so many places. */
  #marks: number[] = [];
  /** The place asked for last, and its index: tasks are mostly asked for in their order. */
  #last = { place: 0, index: 0 };

  constructor(whole: Plan) {
    this.whole = whole;
    this.planned = whole.count;
    this.hosts = whole.hosts;
    this.count = whole.count;
  }

  /** From here on only these. */
  leave(isLeft: (index: number) => boolean): void {
    this.#isLeft = isLeft;
    let count = 0;
    for (let index = 0; index < this.planned; index++) {
      if (!isLeft(index)) continue;
      if (count % STRIDE === 0) this.#marks.push(index);
      count += 1;
    }
    this.count = count;
  }

  has(index: number): boolean {
    return this.#isLeft(index);
  }

  at(place: number): Target {
    if (this.#marks.length === 0) return this.whole.at(place);
    if (!(place >= 0 && place < this.count)) throw new RangeError(`no task ${place} in a plan of ${this.count}`);
    const mark = place - (place % STRIDE);
    const near = this.#last.place <= place && this.#last.place > mark;
    let { place: at, index } = near ? this.#last : { place: mark, index: this.#marks[mark / STRIDE]! };
    while (at < place) {
      index += 1;
      if (this.#isLeft(index)) at += 1;
    }
    this.#last = { place, index };
    return this.whole.at(index);
  }
}

/** The hosts of a recorded plan, read as they are asked for. */
class PlannedHosts implements HostSet {
  readonly count: number;
  readonly #plan: { readonly hosts: number; at(index: number): Target };

  constructor(plan: { readonly hosts: number; at(index: number): Target }) {
    this.count = plan.hosts;
    this.#plan = plan;
  }

  at(index: number): Host {
    const { label, name, user, port, identity } = this.#plan.at(index);
    return { label, name, user, port, identity };
  }

  has(nameOrLabel: string): boolean {
    for (const { label, name } of this) if (label === nameOrLabel || name === nameOrLabel) return true;
    return false;
  }

  *[Symbol.iterator](): Generator<Host> {
    for (let index = 0; index < this.count; index++) yield this.at(index);
  }
}
