/**
 * Accounting: folds results into a summary, and proves that every planned task ended exactly once per round.
 *
 * Costs a few bits per task: one set of indices per open round, and one per label. Labels come from hosts (statuses,
 * signal names), so their number is bounded.
 */
import { MyriadError } from '../contracts/errors.ts';
import { OUTCOME_KINDS, type Outcome, type OutcomeKind, outcomeLabel } from '../contracts/outcome.ts';
import type { CauseCount, Summary } from '../contracts/summary.ts';
import type { TaskResult } from '../contracts/task.ts';
import { IndexSet } from '../util/index_set.ts';

/** Labels that are kept apart; what comes after them is counted as `KIND(…)`. */
const MAX_LABELS = 512;

/** What the accounting cannot know by itself. */
export interface RunFacts {
  readonly durationMs: number;
  readonly stopped: Summary['stopped'];
  readonly stopReason: string;
  readonly limitedBy: string;
}

class Cause implements CauseCount {
  readonly kind: OutcomeKind;
  readonly label: string;
  readonly example: Outcome;
  count = 0;
  readonly #indices = new IndexSet();

  constructor(label: string, example: Outcome) {
    this.kind = example.kind;
    this.label = label;
    this.example = example;
  }

  add(index: number): void {
    this.count += 1;
    this.#indices.add(index);
  }

  get places(): number {
    return this.#indices.size;
  }

  indices(): Iterable<number> {
    return this.#indices;
  }
}

interface Round {
  readonly planned: number;
  readonly ended: IndexSet;
}

export class Accounting {
  readonly #run: string;
  readonly #open = new Map<number, Round>();
  readonly #causes = new Map<string, Cause>();
  readonly #outcomes: Record<OutcomeKind, number>;
  #lastRound = -1;
  #planned = 0;
  #unreached = 0;
  #uncertain = 0;
  #cutOff = 0;
  #truncated = 0;
  #leftOpen = 0;
  #outputCut = 0;
  #byOpenssh = 0;
  #retries = 0;
  #resumed = 0;
  #maxStatus: number | null = null;
  #stdoutBytes = 0;
  #stderrBytes = 0;

  constructor(run: string) {
    this.#run = run;
    this.#outcomes = noOutcomes();
  }

  /** Begins a round of `planned` tasks. Rounds are numbered upwards and begin once. */
  startRound(round: number, planned: number): void {
    if (round <= this.#lastRound) throw broken(`round ${round} began after round ${this.#lastRound}`);
    this.#lastRound = round;
    this.#planned += planned;
    this.#open.set(round, { planned, ended: new IndexSet() });
  }

  /** Takes a result. Throws MyriadError `internal` for one that was not planned or comes again. */
  add(result: TaskResult): void {
    this.#checkOnce(result);
    const { outcome, notes, index } = result;
    this.#outcomes[outcome.kind] += 1;
    this.#cause(outcome).add(index);
    if (isUnreached(outcome)) this.#unreached += 1;
    if (isUncertain(outcome)) this.#uncertain += 1;
    if (outcome.kind === 'timeout' && outcome.began !== 'no') this.#cutOff += 1;
    if (notes.length > 0) this.#addNotes(notes);
    if (result.reached?.transport === 'openssh') this.#byOpenssh += 1;
    this.#retries += Math.max(0, result.attempt - 1);
    this.#addStatus(outcome);
    this.#stdoutBytes += result.stdout.total;
    this.#stderrBytes += result.stderr.total;
  }

  /** Takes a result that stands from before the run went on. */
  addEarlier(result: TaskResult): void {
    this.add(result);
    this.#resumed += 1;
  }

  /** Ends a round. Throws MyriadError `internal` where a planned task has no outcome. */
  endRound(round: number): void {
    const open = this.#open.get(round);
    if (open === undefined) throw broken(`round ${round} ended, but is not open`);
    if (open.ended.size !== open.planned) {
      throw broken(`${open.planned} tasks were planned in round ${round}, ${open.ended.size} have an outcome`);
    }
    this.#open.delete(round);
  }

  /** The summary of all rounds so far. Throws MyriadError `internal` unless planned is the sum of all outcomes. */
  summary(facts: RunFacts): Summary {
    let sum = 0;
    for (const kind of OUTCOME_KINDS) sum += this.#outcomes[kind];
    if (this.#open.size > 0 || sum !== this.#planned) {
      throw broken(`${this.#planned} tasks were planned, ${sum} have an outcome, ${this.#open.size} rounds are open`);
    }
    return { ...this.soFar(facts), planned: this.#planned };
  }

  /** Tasks per outcome so far. */
  get outcomes(): Readonly<Record<OutcomeKind, number>> {
    return { ...this.#outcomes };
  }

  /** The summary of what has ended so far, as if nothing else were planned. */
  soFar(facts: RunFacts): Summary {
    return {
      run: this.#run,
      planned: Object.values(this.#outcomes).reduce((sum, count) => sum + count, 0),
      outcomes: { ...this.#outcomes },
      causes: [...this.#causes.values()].sort((a, b) => b.count - a.count),
      unreached: this.#unreached,
      uncertain: this.#uncertain,
      cutOff: this.#cutOff,
      truncated: this.#truncated,
      leftOpen: this.#leftOpen,
      outputCut: this.#outputCut,
      byOpenssh: this.#byOpenssh,
      retries: this.#retries,
      resumed: this.#resumed,
      maxStatus: this.#maxStatus,
      stdoutBytes: this.#stdoutBytes,
      stderrBytes: this.#stderrBytes,
      ...facts,
    };
  }

  #checkOnce({ run, round, index, outcome }: TaskResult): void {
    const open = this.#open.get(round);
    if (run !== this.#run || open === undefined) {
      throw broken(`a result of run ${run}, round ${round} came, which is not in progress`);
    }
    if (!Number.isInteger(index) || index < 0 || index >= open.planned) {
      throw broken(`a result for task ${index} came, but only ${open.planned} are planned`);
    }
    if (!open.ended.add(index)) throw broken(`task ${index} of round ${round} ended twice, now as ${outcome.kind}`);
  }

  #cause(outcome: Outcome): Cause {
    const label = outcomeLabel(outcome);
    const known = this.#causes.get(label);
    if (known !== undefined) return known;
    const name = this.#causes.size < MAX_LABELS ? label : `${outcome.kind}(…)`;
    const cause = this.#causes.get(name) ?? new Cause(name, outcome);
    this.#causes.set(name, cause);
    return cause;
  }

  #addNotes(notes: TaskResult['notes']): void {
    if (notes.includes('output left open')) this.#leftOpen += 1;
    if (notes.includes('output cut')) this.#outputCut += 1;
    if (notes.includes('stdout truncated') || notes.includes('stderr truncated')) this.#truncated += 1;
  }

  #addStatus(outcome: Outcome): void {
    if (outcome.kind !== 'ok' && outcome.kind !== 'failed') return;
    if (outcome.status !== null) this.#maxStatus = Math.max(this.#maxStatus ?? 0, outcome.status);
  }
}

/** Not ok, and the job did not begin; what was done before (`skipped`), or stopped by sudo (`failed`), was reached. */
function isUnreached(outcome: Outcome): boolean {
  return outcome.began === 'no' && outcome.kind !== 'skipped' && outcome.kind !== 'failed';
}

/** May have run, and nobody knows with what result. A deadline or a user that cut it off is counted as that. */
function isUncertain(outcome: Outcome): boolean {
  if (outcome.kind === 'lost') return true;
  return (outcome.kind === 'error' || outcome.kind === 'protocol') && outcome.began !== 'no';
}

function noOutcomes(): Record<OutcomeKind, number> {
  const none: Partial<Record<OutcomeKind, number>> = {};
  for (const kind of OUTCOME_KINDS) none[kind] = 0;
  return none as Record<OutcomeKind, number>;
}

function broken(what: string): MyriadError {
  return new MyriadError('internal', `the accounting does not come out even: ${what}`);
}
