/**
 * Equal outputs gathered while the results come, to be shown once, under the hosts that gave them (`-b`, `-B`, `-L`, `--diff`): a
 * million equal outputs cost one copy and a bit each.
 */
import { hash } from 'node:crypto';
import type { Host, TaskResult } from '../contracts/task.ts';
import { IndexSet } from '../util/index_set.ts';
import { escapeText } from './escape.ts';
import { type FoldForm, type FoldGroup, FoldPrinter } from './fold_printer.ts';
import { formatBytes, formatCount, formatNumberOf } from './format.ts';
import type { Fold, Label } from './hosts.ts';
import { prefixLines } from './lines.ts';
import { NormalHashes, type NormalKind } from './normalize.ts';
import { Spill } from './spill.ts';
import type { Sink } from './writer.ts';

export interface FoldOptions {
  /** What must be equal, and is shown: stdout alone (`-b`), or stdout and after it stderr (`-B`). @default 'stdout' */
  readonly streams?: 'stdout' | 'both' | undefined;
  /** How it is shown. @default 'blocks' */
  readonly form?: FoldForm | undefined;
  /** Says whose answers they are. @default true */
  readonly prefix?: boolean | undefined;
  /** Answers that differ in nothing else are equal. @default all counts */
  readonly normalize?: readonly NormalKind[] | undefined;
  /** Bytes in memory at most: half of it different outputs, and 1 KiB for each of those. @default 128 MiB */
  readonly maxBytes?: number | undefined;
  /** Bytes in a file at most, of different outputs for which there is no memory. @default 4 GiB */
  readonly maxSpill?: number | undefined;
  /** Where that file is made. @default the folder for temporary files */
  readonly folder?: string | undefined;
  /** Control sequences reach a terminal as they are. @default false */
  readonly raw?: boolean | undefined;
  /** What a diff takes away and adds has a colour. @default false */
  readonly color?: boolean | undefined;
}

/** What a group costs besides its output: two keys, map entry, set. */
const GROUP_COST = 1024;
const NO_PREFIX = Buffer.alloc(0);
/** Answers that are named where somebody asks. */
const MOST_DESCRIBED = 5;
const MIB = 1024 * 1024;

class Group implements FoldGroup {
  readonly indices = new IndexSet();
  readonly truncated: boolean;
  readonly host: Host;
  /** Hash of the first output. */
  readonly exact: string;
  varied = false;
  readonly #read: () => Buffer;

  constructor(first: { truncated: boolean; host: Host; exact: string }, read: () => Buffer) {
    this.truncated = first.truncated;
    this.host = first.host;
    this.exact = first.exact;
    this.#read = read;
  }

  get output(): Buffer {
    return this.#read();
  }
}

/**
 * Takes the results of one round and prints the groups at its end. A task is in a group where it gave output, however it
 * ended. One without output is not shown: if it is not ok the summary tells; if it is, there is nothing to tell, unless no task
 * gave any, or a diff is asked for: then the ok ones are a group, too.
 *
 * Different outputs beyond the memory they may take go to a file. Where that is full as well, or there are more groups than memory
 * for them, an output that is new is printed at once, under its own header, and kept no more; outputs that are known go on folding.
 * Said once on stderr; nothing is lost.
 */
export class Folder {
  readonly #stderr: Sink;
  readonly #printer: FoldPrinter;
  readonly #both: boolean;
  readonly #normal: NormalHashes | undefined;
  readonly #maxBytes: number;
  readonly #showsSilent: boolean;
  readonly #spill: Spill;
  readonly #groups = new Map<string, Group>();
  #silent: Group | undefined;
  #outputs = 0;
  #overflowed = false;

  constructor(
    sinks: { readonly stdout: Sink; readonly stderr: Sink },
    names: { readonly label: Label; readonly fold: Fold },
    options: FoldOptions = {},
  ) {
    const { form = 'blocks', prefix = true, normalize = [], raw = false, color = false } = options;
    this.#stderr = sinks.stderr;
    this.#printer = new FoldPrinter(sinks, names, { form, prefix, normalize, raw, color });
    this.#both = options.streams === 'both';
    this.#normal = normalize.length > 0 ? new NormalHashes(normalize) : undefined;
    this.#maxBytes = options.maxBytes ?? 128 * MIB;
    this.#showsSilent = form === 'diff';
    this.#spill = new Spill({ maxBytes: options.maxSpill ?? 4096 * MIB, folder: options.folder });
  }

  /** Bytes in memory, the cost of groups included. */
  get held(): number {
    return this.#outputs + this.#groups.size * GROUP_COST;
  }

  /** Bytes in the file. */
  get spilled(): number {
    return this.#spill.length;
  }

  /** Takes one result; copies its output where it is the first of its kind. */
  add(result: TaskResult): void {
    const { stdout, stderr, host } = result;
    const truncated = stdout.truncated || (this.#both && stderr.truncated);
    if (stdout.bytes.length === 0 && !(this.#both && stderr.bytes.length > 0)) {
      if (result.outcome.kind === 'ok') this.#addSilent(result);
      return;
    }
    const exact = this.#key(result, exactHash);
    const normal = this.#normal;
    const key = `${truncated ? 'T' : 'F'}${normal ? this.#key(result, (bytes) => normal.of(bytes, result)) : exact}`;
    const known = this.#groups.get(key);
    if (known !== undefined) {
      known.indices.add(result.index);
      if (known.exact !== exact) known.varied = true;
      return;
    }
    const output = this.#both ? Buffer.concat([prefixLines(stdout.bytes, NO_PREFIX), stderr.bytes]) : stdout.bytes;
    const kept = this.#keep(output);
    const group = new Group({ truncated, host, exact }, kept ?? (() => output));
    group.indices.add(result.index);
    if (kept === undefined) this.#overflow(group);
    else this.#groups.set(key, group);
  }

  /** Largest first, then by the first index. */
  groups(): FoldGroup[] {
    return ranked(this.#groups.values());
  }

  /** What there is so far, for somebody who asks: how many gave the most frequent answers, and how those begin. */
  describe(columns: number): string {
    if (this.#groups.size === 0) return '';
    const shown = this.groups().slice(0, MOST_DESCRIBED);
    const head = `${formatNumberOf(this.#groups.size, 'different answer')} so far\n`;
    const lines = shown.map(({ indices, output }) => {
      const newline = output.indexOf(0x0a);
      const first = output.toString('utf8', 0, Math.min(newline < 0 ? output.length : newline, 4 * columns));
      const line = `  ${formatCount(indices.size)}: ${escapeText(first)}`;
      return `${line.length < columns ? line : `${line.slice(0, columns - 2)}…`}\n`;
    });
    return [head, ...lines].join('');
  }

  /** Prints what has been taken and forgets it: the end of a round. Resolves when all of it is with the sink. */
  async print(): Promise<void> {
    const groups: Group[] = [...this.#groups.values()];
    const nothingElse = groups.length === 0 && !this.#overflowed;
    if (this.#silent !== undefined && (this.#showsSilent || nothingElse)) groups.push(this.#silent);
    try {
      await this.#printer.print(ranked(groups), this.#spill.length > 0);
    } finally {
      this.#groups.clear();
      this.#silent = undefined;
      this.#outputs = 0;
      this.#overflowed = false;
      this.#spill.close();
    }
  }

  #addSilent({ host, index }: TaskResult): void {
    this.#silent ??= new Group({ truncated: false, host, exact: '' }, () => NO_PREFIX);
    this.#silent.indices.add(index);
  }

  /** The hash stands for the bytes; with both streams what went where counts. */
  #key(result: TaskResult, of: (bytes: Buffer) => string): string {
    const key = of(result.stdout.bytes);
    return this.#both ? key + of(result.stderr.bytes) : key;
  }

  /** Gives what reads it again; undefined where there is room for it neither in memory nor in the file. */
  #keep(output: Buffer): (() => Buffer) | undefined {
    if (this.held + GROUP_COST > this.#maxBytes) return undefined;
    if (
      this.#outputs + output.length <= this.#maxBytes / 2 &&
      this.held + GROUP_COST + output.length <= this.#maxBytes
    ) {
      this.#outputs += output.length;
      const copy = Buffer.from(output);
      return () => copy;
    }
    const at = this.#spill.add(output);
    const { length } = output;
    return at === undefined ? undefined : () => this.#spill.read(at, length);
  }

  #overflow(group: Group): void {
    if (!this.#overflowed) {
      const bound = formatBytes(this.#maxBytes);
      this.#stderr.write(
        `more different outputs than ${bound} and a file take: new ones are shown as they come, not folded\n`,
      );
    }
    this.#overflowed = true;
    this.#printer.printOne(group);
  }
}

function exactHash(bytes: Buffer): string {
  return hash('sha256', bytes, 'base64');
}

function ranked<T extends FoldGroup>(groups: Iterable<T>): T[] {
  const first = new Map([...groups].map((group) => [group, group.indices.first ?? 0] as const));
  return [...first.keys()].sort((a, b) => b.indices.size - a.indices.size || first.get(a)! - first.get(b)!);
}
