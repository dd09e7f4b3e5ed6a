/**
 * Host sets: the contract, and what is done with whole sets. A set is ordered (as written, each host at its first place) and
 * immutable. Ranges and blocks of any size cost nothing to parse, count, index or ask; plain names are held in memory.
 */
import { HostSetError, MyriadError } from '../contracts/errors.ts';
import type { Host } from '../contracts/task.ts';
import {
  type Block,
  blockAt,
  blockCount,
  Collector,
  exact,
  HostIndex,
  hostsOf,
  hostsThat,
  loose,
  named,
} from './blocks.ts';
import { evaluate, type HearRepeated, type OnUnmatched } from './evaluate.ts';
import { splitLabel } from './label.ts';
import type { Names } from './names.ts';
import { parseTerms } from './parse.ts';
import { lastAtMost } from './tree.ts';

/** An ordered set of hosts. Two hosts are the same where user, port and name are. */
export interface HostSet extends Iterable<Host> {
  readonly count: number;
  /** The host at `index`, 0 ≤ index < count. Throws `internal` outside of that. */
  at(index: number): Host;
  /** Whether a host is in the set: by label, or by bare name whatever user and port. False for what is no host at all. */
  has(nameOrLabel: string): boolean;
}

export interface ParseOptions {
  /**
   * What an exclusion (`!item`) that matches no host before it does: it is refused, or passed over. A function hears of it, and of
   * groups and wildcards that are not known, and all of these are passed over. @default 'refuse'
   */
  readonly unmatched?: OnUnmatched | undefined;
  /** Hears of hosts that come more than once, of which each is taken once. @default nobody */
  readonly repeated?: HearRepeated | undefined;
  /** Where groups and wildcards find their hosts. @default nowhere: they are refused */
  readonly names?: Names | undefined;
}

export interface Difference {
  /** What is left, in the order of the set. */
  readonly set: HostSet;
  /** How many of the excluded hosts matched at least one host of the set. */
  readonly matched: number;
  /** The excluded hosts that matched none. */
  readonly unmatched: HostSet;
}

class BlockSet implements HostSet {
  readonly blocks: readonly Block[];
  readonly count: number;
  /** Hosts before each block. */
  readonly #starts: readonly number[];
  #index: HostIndex | undefined;

  constructor(blocks: readonly Block[]) {
    const starts: number[] = [];
    let count = 0;
    for (const block of blocks) {
      starts.push(count);
      count += blockCount(block);
    }
    this.blocks = blocks;
    this.count = count;
    this.#starts = starts;
  }

  at(index: number): Host {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.count) {
      throw new MyriadError('internal', `host index ${index} is outside of a host set of ${this.count}`);
    }
    const place = lastAtMost(this.#starts, index);
    return blockAt(this.blocks[place]!, index - this.#starts[place]!);
  }

  has(nameOrLabel: string): boolean {
    const parts = splitLabel(nameOrLabel);
    return parts !== undefined && this.#filed().has(parts);
  }

  *[Symbol.iterator](): Generator<Host> {
    for (const block of this.blocks) yield* hostsOf(block);
  }

  /** Built when membership is first asked for. */
  #filed(): HostIndex {
    this.#index ??= indexOf(this.blocks, named);
    return this.#index;
  }
}

/** The set without hosts. */
export const EMPTY: HostSet = new BlockSet([]);

/**
 * Parses a host set: `web[1-100],db[01-10/3]:2222 root@10.0.0.0/24!10.0.0.7`. Items are separated by commas or blanks; `!`
 * takes away from everything before it, `&` keeps of it what is in the item, too, and `^` what is in one of both. Throws
 * HostSetError with the position: for what is no host set, for a text without hosts, and for an exclusion that matches nothing.
 */
export function parseHostSet(text: string, options: ParseOptions = {}): HostSet {
  return new BlockSet(blocksIn(text, options));
}

function blocksIn(text: string, { names, unmatched, repeated }: ParseOptions): readonly Block[] {
  const hear = typeof unmatched === 'function' ? unmatched : undefined;
  return evaluate(parseTerms(text, names, hear), text, unmatched, repeated);
}

/**
 * Parses a host file: one host set a line, blank lines and `#` comments. `file` is for messages only. Throws a MyriadError
 * `host-set` that names file, line and position. Plain names are held in memory: about 150 bytes a host while parsing.
 */
export function parseHostFile(text: string, file: string, options: ParseOptions = {}): HostSet {
  const collector = new Collector();
  let number = 0;
  for (const line of linesOf(text)) {
    number++;
    const comment = line.indexOf('#');
    const content = (comment < 0 ? line : line.slice(0, comment)).trimEnd();
    // Most lines are one plain host: those need no parser.
    if (splitLabel(content)) {
      collector.addLabel(content);
      continue;
    }
    if (!/[^ \t,]/.test(content)) continue;
    try {
      for (const block of blocksIn(content, options)) collector.add(block);
    } catch (error) {
      if (!(error instanceof HostSetError)) throw error;
      const place = `${file}, line ${number}, position ${error.position + 1}`;
      const message = `${place}: expected ${error.expected} in ${quote(content, error.position)}`;
      throw new MyriadError('host-set', message, { cause: error });
    }
  }
  if (options.repeated && collector.repeated.count > 0) options.repeated(collector.repeated);
  return new BlockSet(collector.finish());
}

/** Every host of every set, each at its first place. */
export function union(sets: readonly HostSet[]): HostSet {
  const filled = sets.filter((set) => set.count > 0);
  if (filled.length <= 1) return filled[0] ?? EMPTY;
  const collector = new Collector();
  for (const set of filled) {
    for (const block of blocksOf(set)) collector.add(block);
  }
  return new BlockSet(collector.finish());
}

/** The hosts of `set` that are not excluded. An excluded host without user or port matches whatever user and port. */
export function difference(set: HostSet, excluded: HostSet): Difference {
  const left = without(blocksOf(set), indexOf(blocksOf(excluded), exact));
  const hosts = indexOf(blocksOf(set), loose);
  const missed = blocksOf(excluded).flatMap((block) => hosts.subtractFrom(block) ?? []);
  const unmatched = new BlockSet(missed);
  return { set: new BlockSet(left), matched: excluded.count - unmatched.count, unmatched };
}

/** The hosts of `set` that are in `other`, too. A host of `other` without user or port matches whatever user and port. */
export function intersection(set: HostSet, other: HostSet): HostSet {
  const index = indexOf(blocksOf(other), exact);
  return new BlockSet(blocksOf(set).flatMap((block) => index.intersectWith(block, loose) ?? []));
}

function without(blocks: readonly Block[], excluded: HostIndex): Block[] {
  return blocks.flatMap((block) => excluded.subtractFrom(block, loose) ?? []);
}

function indexOf(blocks: readonly Block[], filing: typeof exact): HostIndex {
  const index = new HostIndex(filing);
  for (const block of blocks) index.add(block);
  return index;
}

/** Those hosts of a set for which `wanted` holds, in order. Looks at all of them and keeps their labels. */
export function filter(set: HostSet, wanted: (host: Host) => boolean): HostSet {
  const labels = hostsThat(blocksOf(set), wanted).map((host) => host.label);
  return labels.length === 0 ? EMPTY : new BlockSet([{ kind: 'list', labels }]);
}

/** The hosts of all blocks, each at its first place. */
export function setOfBlocks(blocks: Iterable<Block>): HostSet {
  const collector = new Collector();
  for (const block of blocks) collector.add(block);
  return new BlockSet(collector.finish());
}

/** The hosts of these labels, each at its first place. */
export function setOfLabels(labels: readonly string[]): HostSet {
  return setOfBlocks([{ kind: 'list', labels }]);
}

/** The blocks of a set; one that is not ours is listed. */
export function blocksOf(set: HostSet): readonly Block[] {
  if (set instanceof BlockSet) return set.blocks;
  return set.count === 0 ? [] : [{ kind: 'list', labels: Array.from(set, (host) => host.label) }];
}

/** The blocks of a set, where it has any that need not be listed. */
export function ownBlocks(set: HostSet): readonly Block[] | undefined {
  return set instanceof BlockSet ? set.blocks : undefined;
}

/** The lines without their ends, and without the mark some editors put before a file. */
function* linesOf(text: string): Generator<string> {
  let start = text.startsWith('\uFEFF') ? 1 : 0;
  while (start < text.length) {
    const end = text.indexOf('\n', start);
    yield text.slice(start, end < 0 ? text.length : end);
    start = end < 0 ? text.length : end + 1;
  }
}

/** The line as a JSON string, at most 80 characters around the position. */
function quote(line: string, position: number): string {
  if (line.length <= 80) return JSON.stringify(line);
  const from = Math.max(0, Math.min(position - 40, line.length - 80));
  return JSON.stringify(`${from > 0 ? '…' : ''}${line.slice(from, from + 80)}${from + 80 < line.length ? '…' : ''}`);
}
