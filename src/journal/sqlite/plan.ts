/** A plan out of a run's file: by arithmetic from its text, or block by block from its rows. */
import type { Host, Target } from '../../contracts/task.ts';
import { parseHostSet } from '../../hostset/hostset.ts';
import { BLOCK_HOSTS, unpackHost } from '../codec.ts';
import type { JournaledPlan } from '../journal.ts';
import { damaged, Unpacker } from '../packing.ts';
import { Recent } from '../recent.ts';
import type { ReaderStatements, RunRow } from './statements.ts';

/** Blocks in memory, 50 KB each: a run asks for hosts nearly in their order. */
const CACHED_BLOCKS = 32;

interface Hosts {
  at(i: number): Host;
}

export class StoredPlan implements JournaledPlan {
  readonly kind: 'set' | 'rows';
  readonly count: number;
  readonly hosts: number;
  readonly #list: Hosts;

  constructor(statements: ReaderStatements, run: RunRow, lastBlock: number | undefined) {
    this.kind = run.plan_kind === 'set' ? 'set' : 'rows';
    this.hosts = run.hosts;
    this.count = run.hosts * run.repeat;
    this.#list = run.plan_kind === 'set' ? setOf(run) : listOf(run, new BlockList(statements), lastBlock);
  }

  at(index: number): Target {
    if (!(index >= 0 && index < this.count)) throw new RangeError(`no task ${index} in a plan of ${this.count}`);
    const repetition = Math.floor(index / this.hosts);
    const { label, name, user, port, identity } = this.#list.at(index - repetition * this.hosts);
    return { label, name, user, port, identity, index, iteration: repetition + 1 };
  }
}

/** A text that means other hosts than it did must never be run on. */
function setOf(run: RunRow): Hosts {
  const set = parseHostSet(run.plan_text);
  if (set.count !== run.hosts) throw damaged();
  return set;
}

/** A list that lost its end must not pass for a shorter one; one that is not whole yet is of no use to anybody. */
function listOf(run: RunRow, list: BlockList, lastBlock: number | undefined): Hosts {
  const stored = lastBlock === undefined ? 0 : lastBlock + list.sizeOf(lastBlock);
  if (run.phase !== 'open' && stored !== run.hosts) throw damaged();
  return list;
}

class BlockList implements Hosts {
  readonly #statements: ReaderStatements;
  readonly #blocks = new Recent<number, readonly Host[]>(CACHED_BLOCKS);

  constructor(statements: ReaderStatements) {
    this.#statements = statements;
  }

  at(i: number): Host {
    const first = i - (i % BLOCK_HOSTS);
    const host = (this.#blocks.get(first) ?? this.#load(first))[i - first];
    if (host === undefined) throw damaged();
    return host;
  }

  sizeOf(first: number): number {
    return this.#load(first).length;
  }

  #load(first: number): readonly Host[] {
    const packed = this.#statements.selectPlanBlock(first);
    if (packed === undefined) throw damaged();
    const from = Unpacker.sealed(packed);
    const hosts: Host[] = [];
    while (!from.done) hosts.push(unpackHost(from));
    this.#blocks.set(first, hosts);
    return hosts;
  }
}
