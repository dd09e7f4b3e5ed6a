/**
 * Two runs of the same hosts, compared: who ended differently, who answered differently, who is in one of them only. Identical
 * differences are one group with its hosts folded.
 *
 *   before(results of A) ──▶ after(results of B) ──▶ examples(results of A once more) ──▶ text(), data()
 */

import { outcomeLabel } from '../contracts/outcome.ts';
import type { TaskResult } from '../contracts/task.ts';
import type { JournaledOutput } from '../journal/journal.ts';
import { escapeText } from './escape.ts';
import { formatCount, formatNumberOf } from './format.ts';
import { type Fold, foldBounded, type HostsLimits } from './hosts.ts';
import { diffLines } from './line_diff.ts';

/** How a group of hosts differs. `answer`: the outcome is the same. */
interface Group {
  readonly kind: 'outcome' | 'answer';
  readonly before: string;
  readonly after: string;
  readonly labels: string[];
  count: number;
  /** Of the host whose answers stand for all. */
  readonly example: string;
  readonly lines: { before: string[] | undefined; readonly after: string[] };
}

interface Seen {
  readonly outcome: string;
  readonly digest: string;
}

const HOSTS: HostsLimits = { labels: 10_000, characters: 400 };
/** Differing answers that are shown; the rarest beyond are counted. */
const MAX_GROUPS = 100;
/** Groups that are kept apart at all: what differs on every host is no group. */
const MAX_KEPT = 10_000;
/** Of one answer. */
const MAX_BYTES = 64 * 1024;
const MAX_LINES = 400;
const SHOWN_LINES = 40;

/** As `myriad diff --output json` gives it. */
export interface DiffView {
  readonly equal: number;
  readonly changes: readonly {
    readonly kind: 'outcome' | 'answer';
    readonly before: string;
    readonly after: string;
    readonly count: number;
    /** Folded; as many as fit. */
    readonly hosts: string;
    readonly lines: readonly string[];
  }[];
  readonly onlyBefore: { readonly count: number; readonly hosts: string };
  readonly onlyAfter: { readonly count: number; readonly hosts: string };
  /** Answers were not kept in one of them: outcomes alone were compared. */
  readonly withoutAnswers: boolean;
}

export class RunDiff {
  readonly #fold: Fold;
  readonly #seen = new Map<string, Seen>();
  readonly #groups = new Map<string, Group>();
  readonly #examples = new Map<string, Group[]>();
  readonly #new: string[] = [];
  #newCount = 0;
  #equal = 0;
  #ungrouped = 0;
  #withoutAnswers = false;

  constructor(fold: Fold) {
    this.#fold = fold;
  }

  before(result: TaskResult): void {
    this.#seen.set(nameOf(result), { outcome: outcomeLabel(result.outcome), digest: this.#digest(result) });
  }

  after(result: TaskResult): void {
    const name = nameOf(result);
    const seen = this.#seen.get(name);
    if (seen === undefined) {
      this.#newCount += 1;
      if (this.#new.length < HOSTS.labels) this.#new.push(name);
      return;
    }
    this.#seen.delete(name);
    const [outcome, digest] = [outcomeLabel(result.outcome), this.#digest(result)];
    if (outcome !== seen.outcome) this.#add(['outcome', seen.outcome, outcome], name, result);
    else if (digest !== seen.digest && digest !== '' && seen.digest !== '') {
      this.#add(['answer', seen.digest, digest], name, result);
    } else this.#equal += 1;
  }

  /** Of the first run once more: the answers that groups began with. */
  examples(result: TaskResult): void {
    for (const group of this.#examples.get(nameOf(result)) ?? []) group.lines.before = linesOf(result);
  }

  get isEqual(): boolean {
    return this.#groups.size === 0 && this.#ungrouped === 0 && this.#newCount === 0 && this.#seen.size === 0;
  }

  data(): DiffView {
    const groups = this.#sorted();
    const gone = [...this.#first(this.#seen.keys())];
    return {
      equal: this.#equal,
      changes: groups.slice(0, MAX_GROUPS).map((group) => ({
        kind: group.kind,
        before: group.kind === 'outcome' ? group.before : '',
        after: group.kind === 'outcome' ? group.after : '',
        count: group.count,
        hosts: this.#hosts(group.labels, group.count).text,
        lines: changedOf(group),
      })),
      onlyBefore: { count: this.#seen.size, hosts: this.#hosts(gone, this.#seen.size).text },
      onlyAfter: { count: this.#newCount, hosts: this.#hosts(this.#new, this.#newCount).text },
      withoutAnswers: this.#withoutAnswers,
    };
  }

  /** With its last newline. Hosts' own words are escaped. */
  text(): string {
    const lines: string[] = [];
    const groups = this.#sorted();
    for (const group of groups.slice(0, MAX_GROUPS)) {
      const head = group.kind === 'outcome' ? `${group.before} -> ${group.after}: ` : '';
      lines.push(`${escapeText(head)}${this.#hostsText(group.labels, group.count)}`);
      const changed = changedOf(group);
      for (const line of changed.slice(0, SHOWN_LINES)) lines.push(`  ${escapeText(line)}`);
      if (changed.length > SHOWN_LINES) lines.push(`  … and ${formatCount(changed.length - SHOWN_LINES)} more lines`);
    }
    if (groups.length > MAX_GROUPS) {
      lines.push(`… and ${formatNumberOf(groups.length - MAX_GROUPS, 'rarer difference')}`);
    }
    const gone = this.#seen.size;
    if (gone > 0) lines.push(`only in the first: ${this.#hostsText([...this.#first(this.#seen.keys())], gone)}`);
    if (this.#newCount > 0) lines.push(`only in the second: ${this.#hostsText(this.#new, this.#newCount)}`);
    lines.push(this.#total());
    if (this.#withoutAnswers)
      lines.push('answers were not kept of all of them (--journal-output): outcomes count there');
    return lines.map((line) => `${line}\n`).join('');
  }

  #total(): string {
    const sum = { outcome: 0, answer: this.#ungrouped };
    for (const { kind, count } of this.#groups.values()) sum[kind] += count;
    const both = this.#equal + sum.outcome + sum.answer;
    const parts = [`${formatCount(this.#equal)} alike`];
    if (sum.outcome > 0) parts.push(`${formatCount(sum.outcome)} ended differently`);
    if (sum.answer > 0) parts.push(`${formatCount(sum.answer)} answered differently`);
    return `${formatNumberOf(both, 'task')} in both: ${parts.join(', ')}`;
  }

  #digest({ stdout }: TaskResult): string {
    if (stdout.total === 0) return 'nothing';
    const { sha256 = '' } = stdout as Partial<JournaledOutput>;
    if (sha256 === '') this.#withoutAnswers = true;
    return sha256;
  }

  #add([kind, before, after]: readonly ['outcome' | 'answer', string, string], name: string, result: TaskResult): void {
    const key = `${kind}\n${before}\n${after}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      if (this.#groups.size === MAX_KEPT) {
        this.#ungrouped += 1;
        return;
      }
      const lines = { before: undefined, after: this.#groups.size < MAX_GROUPS ? linesOf(result) : [] };
      group = { kind, before, after, labels: [], count: 0, example: name, lines };
      this.#groups.set(key, group);
      if (this.#groups.size <= MAX_GROUPS) this.#examples.set(name, [group]);
    }
    group.count += 1;
    if (group.labels.length < HOSTS.labels) group.labels.push(name);
  }

  /** Outcomes before answers, the most frequent first. */
  #sorted(): Group[] {
    const rank = ({ kind }: Group) => (kind === 'outcome' ? 0 : 1);
    return [...this.#groups.values()].sort((a, b) => rank(a) - rank(b) || b.count - a.count);
  }

  *#first(names: Iterable<string>): Generator<string> {
    let left = HOSTS.labels;
    for (const name of names) {
      if (left-- === 0) return;
      yield name;
    }
  }

  #hosts(labels: readonly string[], count: number) {
    return foldBounded(labels.keys(), count, (at) => labels[at]!, this.#fold, HOSTS);
  }

  #hostsText(labels: readonly string[], count: number): string {
    const { text, more } = this.#hosts(labels, count);
    return `${escapeText(text)}${more > 0 ? ` … and ${formatCount(more)} more` : ''} (${formatCount(count)})`;
  }
}

/** Of tasks that ended differently answers say little, and may be another's on each host. */
function changedOf({ kind, lines }: Group): string[] {
  return kind === 'outcome' ? [] : changedLines(lines.before ?? [], lines.after);
}

/** Tasks of one host are told apart by their count. */
function nameOf({ host, iteration }: TaskResult): string {
  return iteration > 1 ? `${host.label}#${iteration}` : host.label;
}

function linesOf({ stdout }: TaskResult): string[] {
  if (stdout.total === 0) return [];
  return stdout.bytes.subarray(0, MAX_BYTES).toString('utf8').replace(/\n$/, '').split('\n').slice(0, MAX_LINES);
}

/** `-` lines that went, `+` lines that came, in the order of both. */
export function changedLines(before: readonly string[], after: readonly string[]): string[] {
  return diffLines(before, after)
    .filter(({ kind }) => kind !== ' ')
    .map((edit) => (edit.kind === '-' ? `-${before[edit.before]}` : `+${after[edit.after]}`));
}
