/**
 * How folded outputs are shown: under headers (`-b`), each line behind its hosts (`-L`), line by line (`-b -L`), or as what tells them
 * from the most frequent one (`--diff`).
 */
import type { Host } from '../contracts/task.ts';
import type { IndexSet } from '../util/index_set.ts';
import { escapeControls, escapeText } from './escape.ts';
import { formatCount } from './format.ts';
import type { Fold, Label } from './hosts.ts';
import { diffLines, hunks } from './line_diff.ts';
import { linesOf, prefixLines } from './lines.ts';
import { type NormalKind, normalized } from './normalize.ts';
import type { Sink } from './writer.ts';

/**
 * `blocks`: under a header of three lines · `lines`: each line behind its hosts, in the order of the hosts · `each-line`: the first
 * lines of all, those that are equal once, then the second ones · `diff`: the most frequent one against each other one.
 */
export type FoldForm = 'blocks' | 'lines' | 'each-line' | 'diff';

/** All tasks of one output. */
export interface FoldGroup {
  /** As the first of them gave it; read from the file where there was no memory for it. */
  readonly output: Buffer;
  readonly truncated: boolean;
  readonly indices: IndexSet;
  /** The one whose output it is. */
  readonly host: Host;
  /** Not all of them gave the same bytes: they are equal but for what is normalised. */
  readonly varied: boolean;
}

export interface FoldPrinterOptions {
  readonly form: FoldForm;
  /** Says whose answers they are; a diff always does. */
  readonly prefix: boolean;
  readonly normalize: readonly NormalKind[];
  readonly raw: boolean;
  readonly color: boolean;
}

const DASHES = '-'.repeat(15);
const NO_PREFIX = Buffer.alloc(0);
/** Host sets of one run's lines that are kept as text: most lines are of the same few sets. */
const MOST_TEXTS = 1000;
/** Lines around a difference, as diff -u has them. */
const CONTEXT = 3;

export class FoldPrinter {
  readonly #stdout: Sink;
  readonly #stderr: Sink;
  readonly #label: Label;
  readonly #fold: Fold;
  readonly #options: FoldPrinterOptions;

  constructor(
    sinks: { readonly stdout: Sink; readonly stderr: Sink },
    names: { readonly label: Label; readonly fold: Fold },
    options: FoldPrinterOptions,
  ) {
    this.#stdout = sinks.stdout;
    this.#stderr = sinks.stderr;
    this.#label = names.label;
    this.#fold = names.fold;
    this.#options = options;
  }

  /** All groups, the largest first. `large`: some of them are in a file, so that not all may be in memory at once. */
  async print(groups: readonly FoldGroup[], large: boolean): Promise<void> {
    const { form } = this.#options;
    if (form === 'diff') return this.#printDiffs(groups);
    if (form === 'each-line' && !large) return this.#printEachLine(groups);
    if (form === 'each-line') this.#stderr.write('too much for line by line: whole outputs are folded\n');
    for (const group of form === 'blocks' ? groups : byFirst(groups)) {
      this.printOne(group);
      await this.#room();
    }
  }

  /** One group, by itself. */
  printOne(group: FoldGroup): void {
    const { form } = this.#options;
    if (form === 'lines' || form === 'each-line') {
      const hosts = escapeText(this.#hosts(group));
      const cut = group.truncated ? [Buffer.from('[truncated]')] : [];
      for (const line of [...linesOf(group.output), ...cut]) this.#printLine(hosts, line);
      return;
    }
    const { prefix } = this.#options;
    if (prefix) this.#stdout.write(`${DASHES}\n${this.#head(group)}\n${DASHES}\n`);
    this.#stdout.write(this.#shown(prefixLines(group.output, NO_PREFIX)));
    if (!prefix && group.truncated) this.#stdout.write('[truncated]\n');
  }

  /** `web[1-3] (3), truncated` */
  #head(group: FoldGroup): string {
    const { size } = group.indices;
    const count = size > 1 ? ` (${formatCount(size)})` : '';
    const but = group.varied ? `, alike but for ${this.#options.normalize.join(', ')}` : '';
    return `${escapeText(this.#hosts(group))}${count}${group.truncated ? ', truncated' : ''}${but}`;
  }

  #hosts(...groups: readonly FoldGroup[]): string {
    return this.#fold(labels(groups, this.#label));
  }

  #printLine(hosts: string, line: Buffer): void {
    const prefix = this.#options.prefix ? Buffer.from(`${hosts}: `) : NO_PREFIX;
    this.#stdout.write(prefixLines(this.#shown(Buffer.concat([line, Buffer.from('\n')])), prefix));
  }

  #shown(bytes: Buffer): Buffer {
    return this.#stdout.terminal && !this.#options.raw ? escapeControls(bytes) : bytes;
  }

  /** Gives others a turn, and a slow reader time. */
  async #room(): Promise<void> {
    if (this.#stdout.full) await this.#stdout.drained();
  }

  async #printEachLine(groups: readonly FoldGroup[]): Promise<void> {
    const texts = new Map<string, string>();
    let open = byFirst(groups).map((group, id) => ({ id, group, lines: linesOf(group.output) }));
    const end = Buffer.from('[truncated]');
    for (const { group, lines } of open) if (group.truncated) lines.push(end);
    for (let at = 0; open.length > 0; at++) {
      open = open.filter(({ lines }) => at < lines.length);
      const same = new Map<string, typeof open>();
      for (const one of open) {
        const key = this.#lineKey(one.lines[at]!, one.group);
        const known = same.get(key);
        if (known) known.push(one);
        else same.set(key, [one]);
      }
      for (const members of same.values()) {
        const key = members.map(({ id }) => id).join();
        let hosts = texts.get(key);
        if (hosts === undefined) {
          hosts = escapeText(this.#hosts(...members.map(({ group }) => group)));
          if (texts.size < MOST_TEXTS) texts.set(key, hosts);
        }
        this.#printLine(hosts, members[0]!.lines[at]!);
      }
      await this.#room();
    }
  }

  /** What must be equal of a line. */
  #lineKey(line: Buffer, { host }: FoldGroup): string {
    const { normalize } = this.#options;
    return normalize.length > 0 ? normalized(line, { host }, normalize) : line.toString('latin1');
  }

  async #printDiffs([most, ...others]: readonly FoldGroup[]): Promise<void> {
    if (most === undefined) return;
    if (others.length === 0) {
      this.#stderr.write(`all answers are the same: ${this.#head(most)}\n`);
      return;
    }
    const before = linesOf(most.output);
    const keys = before.map((line) => this.#lineKey(line, most));
    for (const group of others) {
      const after = linesOf(group.output);
      const edits = diffLines(
        keys,
        after.map((line) => this.#lineKey(line, group)),
      );
      this.#write(`--- ${this.#head(most)}`, 1);
      this.#write(`+++ ${this.#head(group)}`, 1);
      if (before.length === 0 && after.length === 0) continue;
      for (const hunk of hunks(edits, CONTEXT)) {
        this.#write(`@@ -${hunk.before} +${hunk.after} @@`, 36);
        for (const { kind, before: from, after: to } of hunk.edits) {
          const line = this.#shown(kind === '+' ? after[to]! : before[from]!);
          this.#write(Buffer.concat([Buffer.from(kind), line]), kind === '-' ? 31 : kind === '+' ? 32 : 0);
        }
      }
      await this.#room();
    }
  }

  /** One line, in a colour of SGR where there are colours. */
  #write(line: string | Buffer, colour: number): void {
    if (!this.#options.color || colour === 0) this.#stdout.write(Buffer.concat([Buffer.from(line), Buffer.from('\n')]));
    else
      this.#stdout.write(Buffer.concat([Buffer.from(`\x1b[${colour}m`), Buffer.from(line), Buffer.from('\x1b[0m\n')]));
  }
}

/** In the order of the hosts. */
function byFirst(groups: readonly FoldGroup[]): FoldGroup[] {
  return groups
    .map((group) => ({ group, first: group.indices.first ?? 0 }))
    .sort((a, b) => a.first - b.first)
    .map(({ group }) => group);
}

function* labels(groups: readonly FoldGroup[], label: Label): Generator<string, void, undefined> {
  for (const { indices } of groups) for (const index of indices) yield label(index);
}
