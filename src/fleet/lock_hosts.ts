/**
 * Hosts of a run in a lock file: their names, a line each, and sets of ranges as sets, a line for each product, after `=`. Read again
 * line by line, so that neither side ever lists what arithmetic can tell.
 */
import { readSync, writeSync } from 'node:fs';
import type { Block, TreeBlock } from '../hostset/blocks.ts';
import { blocksOf, type HostSet, intersection, parseHostSet, setOfBlocks, union } from '../hostset/hostset.ts';
import { isBare, splitLabel } from '../hostset/label.ts';
import { digits, type Segment } from '../hostset/segment.ts';
import { type Edge, LEAF, type Tree } from '../hostset/tree.ts';

/** Bytes written and read at once. */
const PIECE = 64 * 1024;
/** Sets that are compared together: few, unless someone locked a very ragged one. */
const SETS = 1024;

/** The hosts without user and port: who logs in there does not matter, and each is there once. */
export function namesOnly(hosts: HostSet): HostSet {
  const blocks = blocksOf(hosts);
  return blocks.every(isNameOnly) ? hosts : setOfBlocks(blocks.map(nameOnly));
}

function isNameOnly(block: Block): boolean {
  if (block.kind === 'tree') return block.user === undefined && block.port === undefined;
  return block.labels.every((label) => isBare(label) || nameOf(label) === label);
}

function nameOnly(block: Block): Block {
  if (block.kind === 'tree') return { ...block, user: undefined, port: undefined };
  return { kind: 'list', labels: block.labels.map(nameOf) };
}

function nameOf(label: string): string {
  return splitLabel(label)?.name ?? label;
}

/** Writes hosts of `namesOnly` to an open file. */
export function writeHosts(file: number, hosts: HostSet): void {
  let text = '';
  const flush = () => {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    text = '';
  };
  for (const block of blocksOf(hosts)) {
    for (const line of block.kind === 'list' ? block.labels : setsOf(block)) {
      text += `${line}\n`;
      if (text.length >= PIECE) flush();
    }
  }
  flush();
}

/** The block as sets that are products: `=r[1-2]n[01-40]`. */
function* setsOf({ pattern, tree }: TreeBlock): Generator<string> {
  const parts = pattern.split('%');
  for (const text of productsOf(tree, parts, 0)) yield `=${parts[0]}${text}`;
}

/** What follows the `level`-th literal, for all paths: segments that share what is below them stand in one bracket. */
function* productsOf(tree: Tree, parts: readonly string[], level: number): Generator<string> {
  const after = parts[level + 1] ?? '';
  for (const [child, edges] of Map.groupBy(tree.edges, (edge: Edge) => edge.child)) {
    const bracket = `[${edges.map(({ segment }) => rangeOf(segment)).join(',')}]${after}`;
    if (child === LEAF) yield bracket;
    else for (const text of productsOf(child, parts, level + 1)) yield bracket + text;
  }
}

function rangeOf({ width, lo, hi, step }: Segment): string {
  const range = lo === hi ? digits(width, lo) : `${digits(width, lo)}-${digits(width, hi)}`;
  return step === 1 ? range : `${range}/${step}`;
}

/** How many of the hosts in an open file, from byte `at` on, are among `names`. */
export function overlapIn(file: number, at: number, names: HostSet): number {
  let overlap = 0;
  let sets: HostSet[] = [];
  const compare = () => {
    overlap += intersection(union(sets), names).count;
    sets = [];
  };
  for (const line of linesOf(file, at)) {
    if (!line.startsWith('=')) overlap += names.has(line) ? 1 : 0;
    else if (sets.push(parseHostSet(line.slice(1))) === SETS) compare();
  }
  compare();
  return overlap;
}

/** Lines of an open file, from a byte on. */
export function* linesOf(file: number, from = 0): Generator<string> {
  const buffer = Buffer.alloc(PIECE);
  let at = from;
  let rest = '';
  for (;;) {
    const got = readSync(file, buffer, 0, PIECE, at);
    if (got === 0) break;
    at += got;
    // As bytes until the line is whole: a character may be cut here.
    const lines = (rest + buffer.toString('latin1', 0, got)).split('\n');
    rest = lines.pop()!;
    for (const line of lines) yield Buffer.from(line, 'latin1').toString('utf8');
  }
  if (rest !== '') yield Buffer.from(rest, 'latin1').toString('utf8');
}
