/**
 * What a host set is made of: blocks in order. A tree block is counted and indexed by arithmetic; a list block holds labels in
 * memory (about 60 bytes each, as much again in a hash once membership or a union is asked for).
 */
import { MyriadError } from '../contracts/errors.ts';
import type { Host } from '../contracts/task.ts';
import { comparedName, type HostParts, hostOf, isBare, labelOf, splitLabel, takeNumbers } from './label.ts';
import { LabelTable } from './label_table.ts';
import { namesOf, type Tree, TreeIndex, treeOfPaths } from './tree.ts';

/** Trees of at most this many hosts are kept as labels: a hash is cheaper than a tree there. */
const SMALL = 16;

/** All names of one pattern with the same user and port. Every tree has at least one name. */
export interface TreeBlock {
  readonly kind: 'tree';
  readonly user: string | undefined;
  /** Literal text with `%` for each number. */
  readonly pattern: string;
  readonly port: number | undefined;
  readonly tree: Tree;
}

export interface ListBlock {
  readonly kind: 'list';
  readonly labels: readonly string[];
}

export type Block = TreeBlock | ListBlock;

export function blockCount(block: Block): number {
  return block.kind === 'list' ? block.labels.length : block.tree.count;
}

export function blockAt(block: Block, index: number): Host {
  if (block.kind === 'list') return hostOf(block.labels[index]!);
  return treeHost(block, block.tree.nameAt(index, block.pattern.split('%')));
}

export function* hostsOf(block: Block): Generator<Host> {
  if (block.kind === 'list') {
    for (const label of block.labels) yield hostOf(label);
  } else {
    for (const name of namesOf(block.tree, block.pattern.split('%'))) yield treeHost(block, name);
  }
}

/** The hosts for which `wanted` holds, in order; all are looked at. */
export function hostsThat(blocks: readonly Block[], wanted: (host: Host) => boolean): Host[] {
  const found: Host[] = [];
  for (const block of blocks) {
    for (const host of hostsOf(block)) {
      if (wanted(host)) found.push(host);
    }
  }
  return found;
}

function treeHost({ user, port }: TreeBlock, name: string): Host {
  return { label: labelOf(user, name, port), name, user, port };
}

/** The users and ports under which a host with this user and port is filed or looked for. */
export type Filing = (user: string | undefined, port: number | undefined) => readonly Login[];

type Login = readonly [user: string | undefined, port: number | undefined];

const ANYWHERE: readonly Login[] = [[undefined, undefined]];

/** As written. */
export const exact: Filing = (user, port) => [[user, port]];

/** As written, and without both. */
export const named: Filing = (user, port) => {
  return user === undefined && port === undefined ? ANYWHERE : [[user, port], ANYWHERE[0]!];
};

/** As written, without the user, without the port, and without both. */
export const loose: Filing = (user, port) => {
  if (user === undefined && port === undefined) return ANYWHERE;
  if (user === undefined || port === undefined) return [[user, port], ANYWHERE[0]!];
  return [[user, port], [user, undefined], [undefined, port], ANYWHERE[0]!];
};

/** Hosts by identity, each filed under the logins that `filing` gives. */
export class HostIndex {
  readonly #filing: Filing;
  readonly #labels = new LabelTable();
  readonly #trees = new Map<string, TreeIndex>();
  /** Labels that are in no tree yet: they go there when the first tree is compared with them. */
  #pending: string[] = [];

  constructor(filing: Filing) {
    this.#filing = filing;
  }

  /** Adds a block; returns itself. */
  add(block: Block): this {
    if (block.kind === 'list') {
      for (const label of block.labels) this.addLabel(label);
    } else {
      for (const [user, port] of this.#filing(block.user, block.port)) {
        this.#treesOf(labelOf(user, block.pattern, port)).add(block.tree);
      }
    }
    return this;
  }

  addLabel(label: string): void {
    this.#pending.push(label);
    if (isBare(label)) {
      this.#labels.add(label);
      return;
    }
    const parts = partsOf(label);
    const name = comparedName(parts.name);
    for (const [user, port] of this.#filing(parts.user, parts.port)) this.#labels.add(labelOf(user, name, port));
  }

  /** Adds a label unless `hasLabel`; tells whether it was added. Most labels are names and looked up once only. */
  addNew(label: string): boolean {
    if (this.#trees.size > 0 || !isBare(label)) {
      if (this.hasLabel(label)) return false;
      this.addLabel(label);
      return true;
    }
    if (!this.#labels.add(label)) return false;
    this.#pending.push(label);
    return true;
  }

  /** Whether the host of a label is here under one of the logins that `filing` gives for it. */
  hasLabel(label: string, filing: Filing = exact): boolean {
    if (isBare(label)) {
      if (this.#labels.has(label)) return true;
      if (this.#trees.size === 0) return false;
    }
    return this.has(partsOf(label), filing);
  }

  /** Whether the host is here under one of the logins that `filing` gives for it. */
  has(parts: HostParts, filing: Filing = exact): boolean {
    const logins = filing(parts.user, parts.port);
    const name = comparedName(parts.name);
    if (logins.some(([user, port]) => this.#labels.has(labelOf(user, name, port)))) return true;
    if (this.#trees.size === 0) return false;
    const { pattern, path } = takeNumbers(name);
    if (path.length === 0) return false;
    return logins.some(([user, port]) => this.#trees.get(labelOf(user, pattern, port))?.has(path));
  }

  /** What of the block is not here under one of the logins that `filing` gives for it; the block itself where all of it. */
  subtractFrom(block: Block, filing: Filing = exact): Block | undefined {
    if (block.kind === 'list') {
      const labels = block.labels.filter((label) => !this.hasLabel(label, filing));
      if (labels.length === block.labels.length) return block;
      return labels.length === 0 ? undefined : { kind: 'list', labels };
    }
    this.#growTrees();
    let tree: Tree | undefined = block.tree;
    for (const [user, port] of filing(block.user, block.port)) {
      const seen = this.#trees.get(labelOf(user, block.pattern, port));
      tree = tree && seen ? seen.subtractFrom(tree) : tree;
    }
    if (tree === block.tree) return block;
    return tree && { ...block, tree };
  }

  /** What of the block is here under one of the logins that `filing` gives for it. */
  intersectWith(block: Block, filing: Filing = exact): Block | undefined {
    if (block.kind === 'list') {
      const labels = block.labels.filter((label) => this.hasLabel(label, filing));
      return labels.length === 0 ? undefined : { kind: 'list', labels };
    }
    this.#growTrees();
    const seen = filing(block.user, block.port).flatMap(([user, port]) => {
      return this.#trees.get(labelOf(user, block.pattern, port)) ?? [];
    });
    const [only, second] = seen;
    if (only && !second) {
      const tree = only.intersectWith(block.tree);
      return tree && { ...block, tree };
    }
    const rest = this.subtractFrom(block, filing);
    return rest ? new HostIndex(exact).add(rest).subtractFrom(block) : block;
  }

  /** Files the pending labels as trees: sorted once per pattern, so that n labels cost n log n. */
  #growTrees(): void {
    const paths = new Map<string, number[][]>();
    for (const label of this.#pending) {
      const { user, name, port } = partsOf(label);
      const numbered = takeNumbers(name);
      if (numbered.path.length === 0) continue;
      for (const login of this.#filing(user, port)) {
        const key = labelOf(login[0], numbered.pattern, login[1]);
        const known = paths.get(key);
        if (known) known.push(numbered.path);
        else paths.set(key, [numbered.path]);
      }
    }
    for (const [key, list] of paths) this.#treesOf(key).add(treeOfPaths(list));
    this.#pending = [];
  }

  #treesOf(key: string): TreeIndex {
    let trees = this.#trees.get(key);
    if (!trees) {
      trees = new TreeIndex();
      this.#trees.set(key, trees);
    }
    return trees;
  }
}

/** Collects blocks in order and keeps each host at its first place only. */
export class Collector {
  readonly #seen = new HostIndex(exact);
  readonly #blocks: Block[] = [];
  readonly #repeated: string[] = [];
  #labels: string[] = [];
  #count = 0;
  #dropped = 0;
  #more = false;

  /** Hosts that came again, and the labels of some of them. */
  get repeated(): Repeated {
    return { count: this.#dropped, some: this.#repeated, more: this.#more };
  }

  add(block: Block): void {
    if (block.kind === 'list') {
      for (const label of block.labels) this.addLabel(label);
    } else if (block.tree.count <= SMALL) {
      for (const { label } of hostsOf(block)) this.addLabel(label);
    } else {
      const rest = this.#seen.subtractFrom(block);
      const dropped = blockCount(block) - (rest ? blockCount(rest) : 0);
      this.#dropped += dropped;
      this.#more ||= dropped > 0;
      if (!rest) return;
      this.#closeList();
      this.#blocks.push(rest);
      this.#seen.add(rest);
      this.#grow(blockCount(rest));
    }
  }

  addLabel(label: string): void {
    if (!this.#seen.addNew(label)) {
      this.#dropped += 1;
      if (this.#repeated.includes(label)) return;
      if (this.#repeated.length < MOST_REPEATED) this.#repeated.push(label);
      else this.#more = true;
      return;
    }
    this.#labels.push(label);
    this.#grow(1);
  }

  finish(): readonly Block[] {
    this.#closeList();
    return this.#blocks;
  }

  #closeList(): void {
    if (this.#labels.length === 0) return;
    this.#blocks.push({ kind: 'list', labels: this.#labels });
    this.#labels = [];
  }

  #grow(count: number): void {
    this.#count += count;
    if (this.#count <= Number.MAX_SAFE_INTEGER) return;
    const most = Number.MAX_SAFE_INTEGER.toLocaleString('en');
    throw new MyriadError('host-set', `the host set has more than ${most} hosts, which cannot be counted; name fewer`);
  }
}

/** What of hosts came more than once. */
export interface Repeated {
  /** How often one came again. */
  readonly count: number;
  /** A few of them, each once. */
  readonly some: readonly string[];
  /** There are others. */
  readonly more: boolean;
}

/** Hosts that came again and are kept by name. */
const MOST_REPEATED = 10;

/** A label from elsewhere that is not in our grammar is its own name. */
function partsOf(label: string): HostParts {
  return splitLabel(label) ?? { user: undefined, name: label, port: undefined };
}
