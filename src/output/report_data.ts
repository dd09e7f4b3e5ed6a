/** What a report shows of a run, gathered in one walk over its results; bounded, however many hosts there are. */
import { createHash } from 'node:crypto';
import { StringDecoder } from 'node:string_decoder';
import { OUTCOME_KINDS, type OutcomeKind, outcomeLabel, outcomeMessage } from '../contracts/outcome.ts';
import type { PhaseTimes, TaskResult } from '../contracts/task.ts';
import type { JournaledOutput } from '../journal/journal.ts';
import { outcomeAdvice } from './advice.ts';

/** Phases in their order, and the whole task. */
export const PHASES = ['dns', 'connect', 'handshake', 'auth', 'open', 'command', 'task'] as const;
export type PhaseName = (typeof PHASES)[number];

/** Columns of a histogram: from 1 ms on, four for each doubling, up to an hour and more. */
const PER_DOUBLING = 4;
const COLUMNS = 22 * PER_DOUBLING;
/** Columns of the timeline; where time goes on, two become one. */
const SLOTS = 240;
const FIRST_SLOT_MS = 10;
/** Answers that are told apart, and how much is kept of each. */
const MAX_ANSWERS = 2000;
const ANSWER_BYTES = 4096;
/** Labels of one answer or cause. */
const MAX_LABELS = 10_000;
const MAX_CAUSES = 200;
const MAX_SLOWEST = 20;

/** Milliseconds at which a column begins. */
export function columnStart(column: number): number {
  return column === 0 ? 0 : 2 ** ((column - 1) / PER_DOUBLING);
}

export class Histogram {
  readonly columns = new Float64Array(COLUMNS);
  count = 0;
  max = 0;

  add(milliseconds: number): void {
    const column = milliseconds < 1 ? 0 : Math.floor(Math.log2(milliseconds) * PER_DOUBLING) + 1;
    this.columns[Math.min(COLUMNS - 1, column)]! += 1;
    this.count += 1;
    this.max = Math.max(this.max, milliseconds);
  }

  /** Where this share of all is below: the end of its column, at most a fifth too long. */
  quantile(share: number): number {
    let left = this.count * share;
    for (const [column, count] of this.columns.entries()) {
      left -= count;
      if (left <= 0 && count > 0) return Math.min(this.max, columnStart(column + 1));
    }
    return this.max;
  }
}

/** Tasks over time: how many ended in each slot, by whether they were ok, and how many were in progress. */
export class Timeline {
  slotMs = FIRST_SLOT_MS;
  readonly ok = new Float64Array(SLOTS);
  readonly bad = new Float64Array(SLOTS);
  /** Starts less ends. */
  readonly #flow = new Float64Array(SLOTS);
  #last = 0;

  add(start: number, end: number, isOk: boolean): void {
    while (end / this.slotMs >= SLOTS) this.#halve();
    const [first, last] = [start, end].map((at) => Math.max(0, Math.floor(at / this.slotMs))) as [number, number];
    const ended = isOk ? this.ok : this.bad;
    ended[last]! += 1;
    this.#flow[first]! += 1;
    if (last + 1 < SLOTS) this.#flow[last + 1]! -= 1;
    this.#last = Math.max(this.#last, last);
  }

  get slots(): number {
    return this.#last + 1;
  }

  /** The most that were in progress at some time of each slot. */
  get inProgress(): number[] {
    let sum = 0;
    return Array.from(this.#flow.subarray(0, this.slots), (flow) => {
      sum += flow;
      return sum;
    });
  }

  /** Twice the time for a slot. */
  #halve(): void {
    this.slotMs *= 2;
    for (const list of [this.ok, this.bad, this.#flow]) {
      for (let at = 0; at < SLOTS; at++) list[at] = at < SLOTS / 2 ? list[2 * at]! + list[2 * at + 1]! : 0;
    }
    this.#last = Math.floor(this.#last / 2);
  }
}

/** Tasks that are alike. */
export interface Alike {
  readonly text: string;
  /** More bytes than are kept. */
  readonly cut: boolean;
  readonly labels: string[];
  count: number;
}

export interface Cause extends Alike {
  readonly kind: OutcomeKind;
  readonly message: string;
  readonly advice: string;
}

/** What one stream brought, folded. */
export class Answers {
  readonly alike = new Map<string, Alike>();
  /** Tasks with answers beyond those that are told apart. */
  others = 0;

  add(output: TaskResult['stdout'], label: string): void {
    if (output.total === 0) return;
    const { sha256 = '' } = output as Partial<JournaledOutput>;
    let bytes: Buffer | undefined;
    let key = sha256;
    if (key === '') {
      bytes = output.bytes;
      if (bytes.length === 0) return;
      key = createHash('sha256').update(bytes).digest('hex');
    }
    let answer = this.alike.get(key);
    if (answer === undefined) {
      if (this.alike.size === MAX_ANSWERS) {
        this.others += 1;
        return;
      }
      const kept = (bytes ?? output.bytes).subarray(0, ANSWER_BYTES);
      // A character that is cut in two is left out, not shown as another.
      answer = { text: new StringDecoder('utf8').write(kept), cut: output.total > kept.length, labels: [], count: 0 };
      this.alike.set(key, answer);
    }
    count(answer, label);
  }
}

export class ReportData {
  readonly startedAt: number;
  readonly outcomes: Record<OutcomeKind, number>;
  readonly phases = new Map<PhaseName, Histogram>();
  readonly timeline = new Timeline();
  readonly causes = new Map<string, Cause>();
  readonly stdout = new Answers();
  readonly stderr = new Answers();
  /** The slowest first. */
  readonly slowest: { readonly label: string; readonly durationMs: number; readonly outcome: string }[] = [];
  tasks = 0;

  constructor(startedAt: number) {
    this.startedAt = startedAt;
    this.outcomes = Object.fromEntries(OUTCOME_KINDS.map((kind) => [kind, 0])) as Record<OutcomeKind, number>;
  }

  add(result: TaskResult): void {
    const { outcome, host, durationMs } = result;
    this.tasks += 1;
    this.outcomes[outcome.kind] += 1;
    if (outcome.kind === 'skipped') return;
    if (outcome.kind !== 'ok') this.#cause(result);
    if (outcome.kind === 'not-run') return;
    const start = Math.max(0, result.startedAt - this.startedAt);
    this.timeline.add(start, start + durationMs, outcome.kind === 'ok');
    this.#phases(result.phases, durationMs);
    this.stdout.add(result.stdout, host.label);
    this.stderr.add(result.stderr, host.label);
    this.#slow({ label: host.label, durationMs, outcome: outcomeLabel(outcome) });
  }

  #phases(phases: PhaseTimes, durationMs: number): void {
    for (const name of PHASES) {
      const span = name === 'task' ? { start: 0, end: durationMs } : phases[name];
      if (span === undefined || !(span.end >= span.start)) continue;
      let histogram = this.phases.get(name);
      if (histogram === undefined) {
        histogram = new Histogram();
        this.phases.set(name, histogram);
      }
      histogram.add(span.end - span.start);
    }
  }

  #cause({ outcome, host }: TaskResult): void {
    const text = outcomeLabel(outcome);
    let cause = this.causes.get(text);
    if (cause === undefined) {
      if (this.causes.size === MAX_CAUSES) return;
      const message = outcomeMessage(outcome).slice(0, 500);
      const advice = outcomeAdvice(outcome);
      cause = { kind: outcome.kind, text, message, advice, cut: false, labels: [], count: 0 };
      this.causes.set(text, cause);
    }
    count(cause, host.label);
  }

  #slow(task: { readonly label: string; readonly durationMs: number; readonly outcome: string }): void {
    const last = this.slowest.at(-1);
    if (this.slowest.length === MAX_SLOWEST && last !== undefined && task.durationMs <= last.durationMs) return;
    const at = this.slowest.findIndex(({ durationMs }) => durationMs < task.durationMs);
    this.slowest.splice(at < 0 ? this.slowest.length : at, 0, task);
    this.slowest.length = Math.min(this.slowest.length, MAX_SLOWEST);
  }
}

function count(alike: Alike, label: string): void {
  alike.count += 1;
  if (alike.labels.length < MAX_LABELS) alike.labels.push(label);
}
