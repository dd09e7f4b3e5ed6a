/** A host set as addresses: what is written as blocks and ranges of IPv4 addresses comes as ranges, and is never listed. */
import type { Host } from '../contracts/task.ts';
import { type Block, hostsOf } from './blocks.ts';
import { type HostSet, ownBlocks } from './hostset.ts';
import { IPV4_PATTERN } from './ipv4.ts';
import type { Segment } from './segment.ts';
import { LEAF, type Tree } from './tree.ts';

/** Consecutive IPv4 addresses, ascending. */
export interface Ipv4Run {
  readonly low: number;
  readonly count: number;
  readonly port: number | undefined;
}

/** What a set holds, in order: runs of addresses where it has any by rule, and single hosts. */
export function* runsOf(set: HostSet): Generator<Ipv4Run | Host> {
  const blocks = ownBlocks(set);
  if (blocks === undefined) {
    yield* set;
    return;
  }
  for (const block of blocks) yield* runsOfBlock(block);
}

export function isRun(part: Ipv4Run | Host): part is Ipv4Run {
  return 'low' in part;
}

function* runsOfBlock(block: Block): Generator<Ipv4Run | Host> {
  // With a user a host is called otherwise than its address.
  if (block.kind === 'list' || block.user !== undefined || block.pattern !== IPV4_PATTERN || !areOctets(block.tree)) {
    yield* hostsOf(block);
    return;
  }
  const { port } = block;
  let low = 0;
  let count = 0;
  for (const [from, size] of spansOf(block.tree, 0, 0)) {
    if (count > 0 && from === low + count) {
      count += size;
      continue;
    }
    if (count > 0) yield { low, count, port };
    low = from;
    count = size;
  }
  if (count > 0) yield { low, count, port };
}

/** Whether every number is an octet as an address has it: at most 255, without padding. */
function areOctets(tree: Tree, seen = new Set<Tree>()): boolean {
  if (tree === LEAF || seen.has(tree)) return true;
  seen.add(tree);
  return tree.edges.every(({ segment: run, child }) => isOctet(run) && areOctets(child, seen));
}

function isOctet({ width, lo, hi }: Segment): boolean {
  return hi <= 255 && String(lo).length === width;
}

/** First address and size, in the order of the tree; whole blocks at once. */
function* spansOf(tree: Tree, level: number, base: number): Generator<readonly [number, number]> {
  const size = 2 ** (24 - 8 * level);
  for (const { segment: run, child } of tree.edges) {
    if (run.step === 1 && child.count === size) {
      yield [base + run.lo * size, (run.hi - run.lo + 1) * size];
      continue;
    }
    for (let value = run.lo; value <= run.hi; value += run.step) {
      if (child.count === size) yield [base + value * size, size];
      else yield* spansOf(child, level + 1, base + value * size);
    }
  }
}
