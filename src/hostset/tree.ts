/**
 * Ordered sets of digit paths. All names of one pattern (`r%n%`) differ in their numbers only; a tree holds one level per
 * number. Edges stand in the order in which the set was written, and their segments are disjoint; children may be shared, so
 * `127.0.0.0/8` is four nodes. Trees are immutable. A path is flat: width, value, width, value …
 */
import { MyriadError } from '../contracts/errors.ts';
import { compareSegments, digits, type Overlap, overlap, type Segment, segment, sizeOf, slice } from './segment.ts';

/** Most pieces into which one stepped range may break: about 100 MB. */
const MAX_PIECES = 1_000_000;

export interface Edge {
  readonly segment: Segment;
  readonly child: Tree;
}

/** Edges by width and first value; `apart`: no two spans overlap, so that a binary search finds every match. */
interface Sorted {
  readonly edges: readonly Edge[];
  readonly apart: boolean;
}

export class Tree {
  readonly edges: readonly Edge[];
  /** Paths. */
  readonly count: number;
  /** Whether a segment anywhere has a step other than 1. */
  readonly stepped: boolean;
  /** Paths before each edge. */
  readonly #starts: readonly number[];
  #sorted: Sorted | undefined;

  constructor(edges: readonly Edge[], leaf = false) {
    const starts: number[] = [];
    let count = leaf ? 1 : 0;
    let stepped = false;
    for (const { segment: run, child } of edges) {
      starts.push(count);
      count += sizeOf(run) * child.count;
      stepped ||= run.step !== 1 || child.stepped;
    }
    this.edges = edges;
    this.count = count;
    this.stepped = stepped;
    this.#starts = starts;
  }

  /** The name at `index`, with `parts` (the pattern's literal text) around the numbers. */
  nameAt(index: number, parts: readonly string[]): string {
    let tree: Tree = this;
    let rest = index;
    let name = parts[0]!;
    for (let level = 1; tree !== LEAF; level++) {
      const place = lastAtMost(tree.#starts, rest);
      const { segment: run, child } = tree.edges[place]!;
      const offset = rest - tree.#starts[place]!;
      const step = Math.floor(offset / child.count);
      name += digits(run.width, run.lo + step * run.step) + parts[level]!;
      rest = offset - step * child.count;
      tree = child;
    }
    return name;
  }

  has(path: readonly number[]): boolean {
    let tree: Tree | undefined = this;
    for (let at = 0; at < path.length && tree; at += 2) {
      const value = segment(path[at]!, path[at + 1]!, path[at + 1]!);
      tree = tree.overlapping(value).find((edge) => overlap(edge.segment, value) !== undefined)?.child;
    }
    return tree !== undefined;
  }

  /** The edges by width and first value. */
  get ascending(): readonly Edge[] {
    return this.#order().edges;
  }

  /** The edges whose span meets that of `run`, ascending. */
  overlapping(run: Segment): readonly Edge[] {
    const { edges, apart } = this.#order();
    if (!apart) return edges.filter((edge) => spansMeet(edge.segment, run));
    let low = 0;
    let high = edges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { width, hi } = edges[middle]!.segment;
      if (width < run.width || (width === run.width && hi < run.lo)) low = middle + 1;
      else high = middle;
    }
    let end = low;
    while (end < edges.length && spansMeet(edges[end]!.segment, run)) end++;
    return edges.slice(low, end);
  }

  #order(): Sorted {
    if (this.#sorted) return this.#sorted;
    let edges = this.edges;
    if (!isApart(edges)) edges = edges.toSorted((a, b) => compareSegments(a.segment, b.segment));
    this.#sorted = { edges, apart: isApart(edges) };
    return this.#sorted;
  }
}

/** The end of every path. */
export const LEAF = new Tree([], true);

/** A tree of these edges, neighbours joined where they continue each other; undefined where there are none. */
export function treeOf(edges: readonly Edge[]): Tree | undefined {
  const joined: Edge[] = [];
  for (const edge of edges) {
    const last = joined.at(-1);
    const run = edge.segment;
    if (last && last.child === edge.child && continues(last.segment, run)) {
      joined[joined.length - 1] = { segment: segment(run.width, last.segment.lo, run.hi), child: edge.child };
    } else {
      joined.push(edge);
    }
  }
  return joined.length === 0 ? undefined : new Tree(joined);
}

/** The tree of every combination, the last level fastest. The segments of a level must be disjoint. */
export function productOf(levels: readonly (readonly Segment[])[]): Tree {
  return levels.reduceRight<Tree>(
    (child, segments) => treeOf(segments.map((run) => ({ segment: run, child }))) ?? LEAF,
    LEAF,
  );
}

/** The tree of these paths, ascending; they may repeat. At least one path; sorts the list that is given. */
export function treeOfPaths(paths: number[][]): Tree {
  return levelOf(paths.sort(comparePaths), 0, paths.length, 0);
}

/** Lexicographic order by width and value of each level. */
export function comparePaths(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < a.length; at++) {
    if (a[at] !== b[at]) return a[at]! - b[at]!;
  }
  return 0;
}

function levelOf(paths: readonly (readonly number[])[], from: number, to: number, at: number): Tree {
  if (at === paths[from]!.length) return LEAF;
  const edges: Edge[] = [];
  for (let start = from; start < to; ) {
    const width = paths[start]![at]!;
    const value = paths[start]![at + 1]!;
    let end = start + 1;
    while (end < to && paths[end]![at] === width && paths[end]![at + 1] === value) end++;
    edges.push({ segment: segment(width, value, value), child: levelOf(paths, start, end, at + 2) });
    start = end;
  }
  return treeOf(edges)!;
}

/** Every name of the tree in order, with `parts` around the numbers; memory: the depth. */
export function* namesOf(tree: Tree, parts: readonly string[], level = 0, prefix = parts[0]!): Generator<string> {
  const after = parts[level + 1];
  if (after === undefined) yield prefix;
  else {
    for (const { segment: run, child } of tree.edges) {
      for (let value = run.lo; value <= run.hi; value += run.step) {
        const name = prefix + digits(run.width, value) + after;
        if (child === LEAF) yield name;
        else yield* namesOf(child, parts, level + 1, name);
      }
    }
  }
}

/**
 * The paths of `a` that are not in `b`, in the order of `a`; `a` itself where they share none, undefined where none is left.
 * Costs the edges of `a` and those of `b` that they meet, never the paths.
 */
function subtract(a: Tree, b: Tree): Tree | undefined {
  if (a === b) return undefined;
  const kept: Edge[] = [];
  const minus = rememberLast(subtract);
  let changed = false;
  for (const edge of a.edges) {
    const others = b.overlapping(edge.segment);
    if (others.length === 0) kept.push(edge);
    else changed = cut(edge, others, 0, minus, kept) || changed;
  }
  return changed ? treeOf(kept) : a;
}

type Operation = typeof subtract;

/** Children are shared by many edges in a row; remembering the last pair keeps both the work and the result shared. */
function rememberLast(operation: Operation): Operation {
  let a: Tree | undefined;
  let b: Tree | undefined;
  let result: Tree | undefined;
  return (x, y) => {
    if (x !== a || y !== b) [a, b, result] = [x, y, operation(x, y)];
    return result;
  };
}

/** Appends to `kept` what the edges `others` (ascending, from `start`) leave of `edge`; tells whether they took anything. */
function cut(edge: Edge, others: readonly Edge[], start: number, minus: Operation, kept: Edge[]): boolean {
  let rest: Segment | undefined = edge.segment;
  let changed = false;
  for (let at = start; at < others.length && rest; at++) {
    const other = others[at]!;
    if (other.segment.lo > rest.hi) break;
    const common = overlap(rest, other.segment);
    if (!common) continue;
    const child = minus(edge.child, other.child);
    if (child === edge.child) continue;
    changed = true;
    // What lies before and between the shared values is left to the remaining edges, which may take from it too.
    const leave = (run: Segment | undefined): void => {
      if (run) cut({ segment: run, child: edge.child }, others, at + 1, minus, kept);
    };
    share(rest, common, child, leave, kept);
    const end: number = common.first + (common.count - 1) * common.stride + 1;
    rest = slice(rest, end, sizeOf(rest) - end);
  }
  if (rest) kept.push({ segment: rest, child: edge.child });
  return changed;
}

/** In order: what of `run` lies before the shared values and between them goes to `leave`, the shared values keep `child`. */
function share(
  run: Segment,
  { first, stride, count }: Overlap,
  child: Tree | undefined,
  leave: (run: Segment | undefined) => void,
  kept: Edge[],
): void {
  leave(slice(run, 0, first));
  if (stride === 1) {
    if (child) kept.push({ segment: slice(run, first, count)!, child });
    return;
  }
  if (stride === 2 && !child) {
    // Every second value goes: the others are one segment of twice the step, however many they are.
    const lo = run.lo + (first + 1) * run.step;
    leave(segment(run.width, lo, lo + (count - 2) * 2 * run.step, 2 * run.step));
    return;
  }
  if (count > MAX_PIECES) {
    const text = `taking apart the range ${run.lo}-${run.hi}/${run.step} needs ${count} pieces`;
    throw new MyriadError('host-set', `${text}; at most ${MAX_PIECES} can be kept, use ranges without a step`);
  }
  for (let index = 0; index < count; index++) {
    const place = first + index * stride;
    if (child) kept.push({ segment: slice(run, place, 1)!, child });
    if (index < count - 1) leave(slice(run, place + 1, stride - 1));
  }
}

/**
 * The paths of `a` that are in `b`, too, in the order of `a`; undefined where there are none. Costs the edges that meet; only
 * where ranges with steps lie within each other in `b` the two are taken apart.
 */
function intersect(a: Tree, b: Tree): Tree | undefined {
  if (a === b) return a;
  const kept: Edge[] = [];
  const both = rememberLast(intersect);
  for (const edge of a.edges) {
    let last = -1;
    for (const other of b.overlapping(edge.segment)) {
      const common = overlap(edge.segment, other.segment);
      if (!common) continue;
      if (common.first < last) return subtractRest(a, subtract(a, b));
      const child = both(edge.child, other.child);
      if (child) kept.push({ segment: every(edge.segment, common), child });
      last = common.first + (common.count - 1) * common.stride;
    }
  }
  return treeOf(kept);
}

/** What is left of `a` without `rest`, which a subtraction left of it. */
function subtractRest(a: Tree, rest: Tree | undefined): Tree | undefined {
  return rest ? subtract(a, rest) : a;
}

/** The shared values as a segment of their own. */
function every(run: Segment, { first, stride, count }: Overlap): Segment {
  const lo = run.lo + first * run.step;
  const step = stride * run.step;
  return segment(run.width, lo, lo + (count - 1) * step, step);
}

/** The paths of either, ascending. Needs trees without steps; costs their edges. */
function merge(a: Tree, b: Tree): Tree {
  if (a === b) return a;
  const merged: Edge[] = [];
  const left = new Cursor(a.ascending);
  const right = new Cursor(b.ascending);
  while (left.segment && right.segment) {
    const [ahead, behind] = compareSegments(left.segment, right.segment) <= 0 ? [left, right] : [right, left];
    const run = ahead.segment!;
    const other = behind.segment!;
    if (run.width !== other.width || run.hi < other.lo) merged.push(ahead.take(run.hi));
    else if (run.lo < other.lo) merged.push(ahead.take(other.lo - 1));
    else {
      const hi = Math.min(run.hi, other.hi);
      const shared = ahead.take(hi);
      merged.push({ segment: shared.segment, child: merge(shared.child, behind.take(hi).child) });
    }
  }
  for (const cursor of [left, right]) {
    while (cursor.segment) merged.push(cursor.take(cursor.segment.hi));
  }
  return treeOf(merged)!;
}

/** Walks edges, ascending, in pieces. */
class Cursor {
  segment: Segment | undefined;
  readonly #edges: readonly Edge[];
  #at = 0;

  constructor(edges: readonly Edge[]) {
    this.#edges = edges;
    this.segment = edges[0]?.segment;
  }

  /** The piece up to `hi`, which then is behind. */
  take(hi: number): Edge {
    const edge = this.#edges[this.#at]!;
    const { width, lo, hi: last } = this.segment!;
    if (hi < last) this.segment = segment(width, hi + 1, last);
    else this.segment = this.#edges[++this.#at]?.segment;
    return { segment: segment(width, lo, hi), child: edge.child };
  }
}

/** Paths of one pattern that were seen, for adding and taking away many times over. */
export class TreeIndex {
  /** Merged like the digits of a binary counter: n additions cost n log n edges, not n². */
  readonly #merged: { tree: Tree; additions: number }[] = [];
  /** Trees with steps do not merge; they are looked at one by one. */
  readonly #stepped: Tree[] = [];

  add(tree: Tree): void {
    if (tree.stepped) {
      this.#stepped.push(tree);
      return;
    }
    let entry = { tree, additions: 1 };
    for (let last = this.#merged.at(-1); last && last.additions <= entry.additions; last = this.#merged.at(-1)) {
      this.#merged.pop();
      entry = { tree: merge(last.tree, entry.tree), additions: last.additions + entry.additions };
    }
    this.#merged.push(entry);
  }

  has(path: readonly number[]): boolean {
    return this.#merged.some(({ tree }) => tree.has(path)) || this.#stepped.some((tree) => tree.has(path));
  }

  /** What was not seen of `tree`, in its order. */
  subtractFrom(tree: Tree): Tree | undefined {
    let rest: Tree | undefined = tree;
    for (const entry of this.#merged) rest = rest && subtract(rest, entry.tree);
    for (const stepped of this.#stepped) rest = rest && subtract(rest, stepped);
    return rest;
  }

  /** What was seen of `tree`, in its order. */
  intersectWith(tree: Tree): Tree | undefined {
    const [only, second] = [...this.#merged.map((entry) => entry.tree), ...this.#stepped];
    if (only && !second) return intersect(tree, only);
    return subtractRest(tree, this.subtractFrom(tree));
  }
}

function spansMeet(a: Segment, b: Segment): boolean {
  return a.width === b.width && a.lo <= b.hi && b.lo <= a.hi;
}

/** Whether the edges ascend and no two spans meet. */
function isApart(edges: readonly Edge[]): boolean {
  for (let at = 1; at < edges.length; at++) {
    const before = edges[at - 1]!.segment;
    const run = edges[at]!.segment;
    if (run.width < before.width || (run.width === before.width && run.lo <= before.hi)) return false;
  }
  return true;
}

/** Whether `next` goes on where `last` ends, both without steps. */
function continues(last: Segment, next: Segment): boolean {
  return last.width === next.width && last.step === 1 && next.step === 1 && next.lo === last.hi + 1;
}

/** The last place whose value is at most `value`. */
export function lastAtMost(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (ascending[middle]! <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}
