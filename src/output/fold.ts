/**
 * Equal outputs shown once, under the hosts that gave them (`-b`, `-B`), as clush and dshbak do; but folded while the
 * results come, so that a million equal outputs cost one copy and a bit each.
 */
import { hash } from 'node:crypto';
import type { TaskResult } from '../contracts/task.ts';
import { IndexSet } from '../util/index_set.ts';
import { escapeControls, escapeText } from './escape.ts';
import { formatBytes, formatCount } from './format.ts';
import type { Fold, Label } from './hosts.ts';
import { prefixLines } from './lines.ts';
import type { Sink } from './writer.ts';

export interface FoldOptions {
  /** What must be equal, and is shown: stdout alone (`-b`), or stdout and after it stderr (`-B`). @default 'stdout' */
  readonly streams?: 'stdout' | 'both';
  /** Bytes of different outputs kept at most, 512 more for each. @default 64 MiB */
  readonly maxBytes?: number;
  /** Control sequences reach a terminal as they are. @default false */
  readonly raw?: boolean;
}

/** All tasks of one output. */
export interface FoldGroup {
  readonly output: Buffer;
  readonly truncated: boolean;
  readonly indices: IndexSet;
}

const DASHES = '-'.repeat(15);
/** What a group costs besides its output: key, map entry, set. */
const GROUP_COST = 512;
const NO_PREFIX = Buffer.alloc(0);

/**
 * Takes the results of one round and prints the groups at its end. A task is in a group where it gave output, however it
 * ended. One without output is not shown: if it is not ok, its line on stderr and the summary tell; if it is, there is
 * nothing to tell, unless no task gave any: then the ok ones are shown under one header.
 *
 * Beyond `maxBytes` an output that is new is printed at once, under its own header, and kept no more; outputs that are
 * known go on folding. Said once on stderr; nothing is lost.
 */
export class Folder {
  readonly #sinks: { readonly stdout: Sink; readonly stderr: Sink };
  readonly #label: Label;
  readonly #fold: Fold;
  readonly #both: boolean;
  readonly #maxBytes: number;
  readonly #raw: boolean;
  readonly #groups = new Map<string, FoldGroup>();
  #silent = new IndexSet();
  #bytes = 0;
  #overflowed = false;

  constructor(
    sinks: { readonly stdout: Sink; readonly stderr: Sink },
    names: { readonly label: Label; readonly fold: Fold },
    options: FoldOptions = {},
  ) {
    this.#sinks = sinks;
    this.#label = names.label;
    this.#fold = names.fold;
    this.#both = options.streams === 'both';
    this.#maxBytes = options.maxBytes ?? 64 * 1024 * 1024;
    this.#raw = options.raw ?? false;
  }

  /** Bytes kept, the cost of groups included. */
  get held(): number {
    return this.#bytes;
  }

  /** Takes one result; copies its output where it is the first of its kind. */
  add(result: TaskResult): void {
    const { stdout, stderr } = result;
    const truncated = stdout.truncated || (this.#both && stderr.truncated);
    if (stdout.bytes.length === 0 && !(this.#both && stderr.bytes.length > 0)) {
      if (result.outcome.kind === 'ok') this.#silent.add(result.index);
      return;
    }
    const key = this.#key(result, truncated);
    const known = this.#groups.get(key);
    if (known !== undefined) {
      known.indices.add(result.index);
      return;
    }
    const output = this.#both
      ? Buffer.concat([prefixLines(stdout.bytes, NO_PREFIX), stderr.bytes])
      : Buffer.from(stdout.bytes);
    const group: FoldGroup = { output, truncated, indices: new IndexSet() };
    group.indices.add(result.index);
    if (this.#bytes + output.length + GROUP_COST > this.#maxBytes) {
      this.#overflow(group);
      return;
    }
    this.#bytes += output.length + GROUP_COST;
    this.#groups.set(key, group);
  }

  /** Largest first, then by the first index. */
  groups(): FoldGroup[] {
    return [...this.#groups.values()].sort(
      (a, b) => b.indices.size - a.indices.size || a.indices.first! - b.indices.first!,
    );
  }

  /** Prints what has been taken and forgets it: the end of a round. */
  print(): void {
    if (this.#groups.size === 0 && !this.#overflowed && this.#silent.size > 0) {
      this.#printGroup({ output: NO_PREFIX, truncated: false, indices: this.#silent });
    }
    for (const group of this.groups()) this.#printGroup(group);
    this.#groups.clear();
    this.#silent = new IndexSet();
    this.#bytes = 0;
    this.#overflowed = false;
  }

  /** The hash stands for the bytes; with both streams what went where counts. */
  #key(result: TaskResult, truncated: boolean): string {
    const key = `${truncated ? 'T' : 'F'}${hash('sha256', result.stdout.bytes, 'base64')}`;
    return this.#both ? key + hash('sha256', result.stderr.bytes, 'base64') : key;
  }

  #overflow(group: FoldGroup): void {
    if (!this.#overflowed) {
      const bound = formatBytes(this.#maxBytes);
      this.#sinks.stderr.write(
        `more than ${bound} of different outputs: new ones are shown as they come, not folded\n`,
      );
    }
    this.#overflowed = true;
    this.#printGroup(group);
  }

  #printGroup(group: FoldGroup): void {
    const sink = this.#sinks.stdout;
    const hosts = escapeText(this.#fold(this.#labels(group.indices)));
    const count = group.indices.size > 1 ? ` (${formatCount(group.indices.size)})` : '';
    sink.write(`${DASHES}\n${hosts}${count}${group.truncated ? ', truncated' : ''}\n${DASHES}\n`);
    const shown = sink.terminal && !this.#raw ? escapeControls(group.output) : group.output;
    sink.write(prefixLines(shown, NO_PREFIX));
  }

  *#labels(indices: IndexSet): Generator<string, void, undefined> {
    for (const index of indices) yield this.#label(index);
  }
}
