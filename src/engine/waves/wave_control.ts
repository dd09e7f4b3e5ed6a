/**
 * Waves and limits of a run, without a clock and without a run: what comes in are results, verdicts and the time; what comes out
 * is how far into the plan the run may go, how many tasks may be unfinished, and whether it stops.
 *
 *   running ──every task of the wave has ended──▶ due ──asked (not while paused)──▶ checking
 *   due, checking ──passed, and there is another wave──▶ between ──time is over (stands still while paused)──▶ running
 *   due, checking ──passed, the last wave──▶ over
 *   due, checking ──did not pass──▶ stopped          after the last wave only where a check says so: else nothing is left to stop
 *   running ──a limit is exceeded──▶ stopped          what has begun goes on; the wave ends with the last of its tasks
 *   any but over ──the run was stopped──▶ stopped
 *
 * Within a wave tasks are let in one by one where their starts are spread, else all at once. A wave in which no task ended ok has
 * proven nothing and does not pass, unless limits were given for what happened to its tasks: then those decide.
 */
import { OUTCOME_KINDS, type Outcome, type OutcomeKind } from '../../contracts/outcome.ts';
import { IndexSet } from '../../util/index_set.ts';
import { Limit, type WaveRules, WaveSizes } from './rules.ts';

export type WaveMode = 'running' | 'due' | 'checking' | 'between' | 'stopped' | 'over';

/** Whether a wave has passed. */
export interface Verdict {
  readonly passed: boolean;
  /** Why it has not, in one sentence without its full stop; empty where it has. */
  readonly reason: string;
  /** What a check here has written, the last of it. */
  readonly output: string;
}

/** A wave that is over, or that is about to be checked. */
export interface Wave {
  /** From 1. */
  readonly number: number;
  /** Its first task's place in the plan, and the place behind its last. */
  readonly first: number;
  readonly end: number;
  readonly outcomes: Readonly<Record<OutcomeKind, number>>;
  /** Indices of its tasks that did not end ok. */
  readonly bad: IndexSet;
}

export interface WaveEnd extends Wave, Verdict {}

const PASSED: Verdict = { passed: true, reason: '', output: '' };

/** What counts for the limits; `none`: nothing happened there, or the user ended it. */
function sideOf(outcome: Outcome): 'ok' | 'failed' | 'unreached' | 'none' {
  if (outcome.kind === 'ok' || outcome.kind === 'skipped') return 'ok';
  if (outcome.kind === 'not-run' || outcome.kind === 'cancelled') return 'none';
  // Refused by sudo: reached, and no better than a command that failed.
  return outcome.began !== 'no' || outcome.kind === 'failed' ? 'failed' : 'unreached';
}

export class WaveControl {
  readonly sizes: WaveSizes;
  readonly #rules: WaveRules;
  readonly #planned: number;
  readonly #random: () => number;
  readonly #indexAt: (place: number) => number;
  readonly #maxFail: Limit;
  readonly #maxUnreached: Limit;
  readonly #over: WaveEnd[] = [];
  #mode: WaveMode = 'running';
  #number = 1;
  #first = 0;
  #end: number;
  #here = 0;
  /** When the wave, or the time between two, began; moved on by what a pause took. */
  #since: number;
  #pausedAt: number | undefined;
  /** Where in its share of the splay the next task starts, 0 to 1. */
  #jitter: number;
  #failed = 0;
  #unreached = 0;
  /** Of the wave: tasks that have ended, and of these those whose host was not reached, and those that began in vain. */
  #ended = 0;
  #unreachedHere = 0;
  #failedHere = 0;
  #outcomes = noOutcomes();
  #bad = new IndexSet();
  #told = false;
  #stopReason: string | undefined;

  /** `indexAt`: the index of the task at a place of the plan, which may be the rest of a larger one. */
  constructor(
    rules: WaveRules,
    planned: number,
    { random, indexAt, now }: { random: () => number; indexAt: (place: number) => number; now: number },
  ) {
    this.#rules = rules;
    this.#planned = planned;
    this.#random = random;
    this.#indexAt = indexAt;
    this.sizes = new WaveSizes(rules.serial, planned);
    this.#maxFail = new Limit(rules.maxFail, planned);
    this.#maxUnreached = new Limit(rules.maxUnreached, planned);
    this.#end = this.sizes.end(1);
    this.#since = now;
    this.#jitter = random();
    this.#letIn(now);
    // Nothing is left of a plan that goes on.
    if (planned === 0) this.#mode = 'over';
  }

  get mode(): WaveMode {
    return this.#mode;
  }

  /** The wave that is on, or was last. */
  get number(): number {
    return this.#number;
  }

  /** Tasks of the plan that may run. */
  get here(): number {
    return this.#here;
  }

  /** No more will come. */
  get ended(): boolean {
    if (this.#mode === 'stopped' || this.#mode === 'over') return true;
    return !this.#rules.checked && this.#here === this.#planned;
  }

  /** How many tasks may be unfinished. */
  get cap(): number {
    return this.#maxFail.unfinished(this.#failed);
  }

  /** Why the run has to stop; undefined: it has not. */
  get stopReason(): string | undefined {
    return this.#stopReason;
  }

  /** When `tick` has something to do; Infinity: not before something else happens. */
  get wakeAt(): number {
    if (this.#pausedAt !== undefined) return Infinity;
    if (this.#mode === 'between') return this.#since + (this.#rules.betweenMs ?? 0);
    if (this.#mode !== 'running' || this.#here === this.#end) return Infinity;
    return this.#since + this.#startOf(this.#here);
  }

  /** The wave that waits to be checked, once: its verdict is awaited from then on. */
  takeDue(): Wave | undefined {
    if (this.#mode !== 'due' || this.#pausedAt !== undefined) return undefined;
    this.#mode = 'checking';
    return this.#wave();
  }

  /** Waves that are over and that nobody was told of yet. */
  takeOver(): WaveEnd[] {
    return this.#over.splice(0);
  }

  /** A task has its result. */
  result(index: number, outcome: Outcome, now: number): void {
    if (this.#mode === 'stopped') {
      // The rest of the plan comes, too; while a wave is on, there is nothing else.
      if (!this.#told && index <= this.#indexAt(this.#end - 1)) this.#count(index, outcome);
      this.#closeStopped();
      return;
    }
    this.#count(index, outcome);
    const side = sideOf(outcome);
    if (side === 'failed') this.#failed += 1;
    else if (side === 'unreached') this.#unreached += 1;
    this.#checkLimits();
    if (this.#mode === 'running' && this.#ended === this.#end - this.#first) this.#waveOver(now);
  }

  verdict(verdict: Verdict, now: number): void {
    if (this.#mode !== 'due' && this.#mode !== 'checking') return;
    if (!verdict.passed) {
      this.#stop(`wave ${this.#number} of ${this.sizes.count}: ${verdict.reason}`);
      this.#close(verdict);
      return;
    }
    this.#close(verdict);
    if (this.#end === this.#planned) this.#mode = 'over';
    else {
      this.#mode = 'between';
      this.#since = this.#pausedAt ?? now;
      this.tick(now);
    }
  }

  tick(now: number): void {
    if (this.#pausedAt !== undefined) return;
    if (this.#mode === 'between' && now >= this.wakeAt) this.#next(now);
    else if (this.#mode === 'running') this.#letIn(now);
  }

  pause(now: number): void {
    this.#pausedAt ??= now;
  }

  unpause(now: number): void {
    if (this.#pausedAt === undefined) return;
    this.#since += now - this.#pausedAt;
    this.#pausedAt = undefined;
    this.tick(now);
  }

  /** The run was stopped, by us or by others: all of the plan may come, to end as `not-run`. */
  halt(): void {
    if (this.#mode !== 'over') this.#mode = 'stopped';
    this.#here = this.#planned;
    this.#closeStopped();
  }

  #next(now: number): void {
    this.#number += 1;
    this.#first = this.#end;
    this.#end = this.sizes.end(this.#number);
    this.#ended = 0;
    this.#unreachedHere = 0;
    this.#failedHere = 0;
    this.#outcomes = noOutcomes();
    this.#bad = new IndexSet();
    this.#told = false;
    this.#mode = 'running';
    this.#since = now;
    this.#letIn(now);
  }

  /** When the task at `index` starts, after the wave's start: its own share of the splay, and a random place in it. */
  #startOf(index: number): number {
    return ((index - this.#first + this.#jitter) / (this.#end - this.#first)) * (this.#rules.splayMs ?? 0);
  }

  #letIn(now: number): void {
    if ((this.#rules.splayMs ?? 0) === 0) {
      this.#here = this.#end;
      return;
    }
    while (this.#here < this.#end && this.#since + this.#startOf(this.#here) <= now) {
      this.#here += 1;
      this.#jitter = this.#random();
    }
  }

  #count(index: number, outcome: Outcome): void {
    this.#ended += 1;
    this.#outcomes[outcome.kind] += 1;
    const side = sideOf(outcome);
    if (side !== 'ok') this.#bad.add(index);
    if (side === 'unreached') this.#unreachedHere += 1;
    else if (side === 'failed') this.#failedHere += 1;
  }

  #checkLimits(): void {
    const of = `of ${this.#planned} ${this.#planned === 1 ? 'task' : 'tasks'}`;
    if (this.#failed > this.#maxFail.most) {
      this.#stop(`${this.#failed} ${of} began and did not end ok, max-fail is ${this.#maxFail.text}`);
    } else if (this.#unreached > this.#maxUnreached.most) {
      this.#stop(`${this.#unreached} ${of} did not reach their host, max-unreached is ${this.#maxUnreached.text}`);
    }
    this.#closeStopped();
  }

  #waveOver(now: number): void {
    this.#mode = 'due';
    const unproven = this.#unproven();
    if (unproven !== undefined) {
      const verdict = { passed: false, reason: unproven, output: '' };
      if (this.#end < this.#planned) this.verdict(verdict, now);
      else {
        this.#close(verdict);
        this.#mode = 'over';
      }
    } else if (!this.#rules.checked) this.verdict(PASSED, now);
  }

  /** Why a wave has proven nothing. */
  #unproven(): string | undefined {
    if (this.#rules.serial === undefined) return undefined;
    const tasks = this.#end - this.#first;
    const ok = this.#outcomes.ok + this.#outcomes.skipped;
    if (ok > 0) return undefined;
    const [failed, unreached] = [this.#failedHere, this.#unreachedHere];
    const allowed = (unreached === 0 || this.#maxUnreached.given) && (failed === 0 || this.#maxFail.given);
    return allowed ? undefined : `${tasks === 1 ? 'its task did not end' : `none of its ${tasks} tasks ended`} ok`;
  }

  #stop(reason: string): void {
    this.#mode = 'stopped';
    this.#stopReason ??= reason;
  }

  #closeStopped(): void {
    if (this.#mode !== 'stopped' || this.#told || this.#ended < this.#end - this.#first) return;
    this.#close(this.#stopVerdict());
  }

  #stopVerdict(): Verdict {
    return { passed: false, reason: this.#stopReason ?? 'the run was stopped', output: '' };
  }

  #close(verdict: Verdict): void {
    if (this.#told) return;
    this.#told = true;
    if (this.#rules.serial !== undefined) this.#over.push({ ...this.#wave(), ...verdict });
  }

  #wave(): Wave {
    const { number, first, end } = { number: this.#number, first: this.#first, end: this.#end };
    return { number, first, end, outcomes: this.#outcomes, bad: this.#bad };
  }
}

function noOutcomes(): Record<OutcomeKind, number> {
  return Object.fromEntries(OUTCOME_KINDS.map((kind) => [kind, 0])) as Record<OutcomeKind, number>;
}
