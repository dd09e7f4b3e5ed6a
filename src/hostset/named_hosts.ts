/** Groups and known hosts for the parser: what a source says of them is parsed once and kept. */
import { MyriadError } from '../contracts/errors.ts';
import { nearestText } from '../util/nearest.ts';
import type { Block } from './blocks.ts';
import { blocksOf, type HostSet, parseHostSet, setOfBlocks } from './hostset.ts';
import { splitLabel } from './label.ts';
import type { Names, Refuse, Unmatched } from './names.ts';
import { fits, isWild } from './wildcard.ts';

/** Hosts of a group as its source has them: a host set as text, in which `@name` is a group of the same source. */
export type Members = string | HostSet;

/** Where groups come from. `source` undefined: whatever is meant where no source is named. */
export interface Groups {
  /** The names of all sources. */
  readonly sources: readonly string[];
  /** The hosts of a group; undefined: there is none of that name. */
  members(source: string | undefined, group: string): Members | undefined;
  /** The names of all groups; undefined: the source cannot tell. */
  names(source: string | undefined): Iterable<string> | undefined;
  /** All hosts; undefined: the source says nothing of its own, then they are those of all groups. */
  all(source: string | undefined): Members | undefined;
}

/** Groups of groups of …: deeper is a mistake. */
const MOST_DEPTH = 100;

export class NamedHosts implements Names {
  readonly #groups: Groups;
  /** By `source:group`; the group `*` is all hosts. */
  readonly #known = new Map<string, readonly Block[]>();
  /** What is being looked up, outermost first: a name that comes twice never ends. */
  readonly #open: string[] = [];

  constructor(groups: Groups) {
    this.#groups = groups;
  }

  group(source: string | undefined, name: string, refuse: Refuse, unmatched: Unmatched = refuse): readonly Block[] {
    const strange = this.#strangeSource(source);
    if (strange !== undefined) return unmatched(strange);
    if (!isWild(name)) return this.#once(source, name, refuse, unmatched);
    const names = [...(this.#groups.names(source) ?? [])].filter((known) => fits(known, name));
    if (names.length === 0) return unmatched(`a wildcard that fits a group; "@${qualified(source, name)}" fits none`);
    return names.flatMap((one) => this.#once(source, one, refuse));
  }

  groupNames(source: string | undefined, refuse: Refuse): readonly Block[] {
    this.#checkSource(source, refuse);
    const names = this.#groups.names(source) ?? refuse('a source that can tell the names of its groups');
    const labels = [...names];
    const odd = labels.find((name) => splitLabel(name) === undefined);
    if (odd !== undefined) refuse(`groups whose names could be hosts; "${odd}" could not`);
    return labels.length === 0 ? [] : [{ kind: 'list', labels }];
  }

  hosts(source: string | undefined, refuse: Refuse): readonly Block[] {
    this.#checkSource(source, refuse);
    return this.#once(source, '*', refuse);
  }

  /** All hosts that are known. Throws `host-set` for groups that cannot be parsed. */
  all(): HostSet {
    return setOfBlocks(this.hosts(undefined, refuseAs('the known hosts')));
  }

  /** The hosts of a group. Throws `host-set`. */
  set(name: string): HostSet {
    return setOfBlocks(this.#once(undefined, name, refuseAs(`group "@${name}"`)));
  }

  #checkSource(source: string | undefined, refuse: Refuse): void {
    const strange = this.#strangeSource(source);
    if (strange !== undefined) refuse(strange);
  }

  /** What is expected instead of a source that is none. */
  #strangeSource(source: string | undefined): string | undefined {
    const { sources } = this.#groups;
    if (source === undefined || sources.includes(source)) return undefined;
    const known = sources.length === 0 ? 'none is known' : `known are ${sources.join(', ')}`;
    return `a source of groups: "${source}" is none; ${known}`;
  }

  #once(source: string | undefined, name: string, refuse: Refuse, unmatched: Unmatched = refuse): readonly Block[] {
    const key = qualified(source, name);
    const known = this.#known.get(key);
    if (known) return known;
    if (this.#open.includes(key)) {
      const way = [...this.#open.slice(this.#open.indexOf(key)), key].map((one) => `@${one}`).join(' > ');
      refuse(`groups that do not go round in a circle: ${way}`);
    }
    if (this.#open.length >= MOST_DEPTH) refuse(`groups within groups, at most ${MOST_DEPTH} deep`);
    this.#open.push(key);
    try {
      const blocks = name === '*' ? this.#all(source, refuse) : this.#members(source, name, refuse);
      if (blocks === undefined) return unmatched(this.#strangeGroup(source, name));
      this.#known.set(key, blocks);
      return blocks;
    } finally {
      this.#open.pop();
    }
  }

  /** Undefined: there is no such group. */
  #members(source: string | undefined, name: string, refuse: Refuse): readonly Block[] | undefined {
    const members = this.#groups.members(source, name);
    return members === undefined ? undefined : this.#parse(members, source, name, refuse);
  }

  /** What is expected instead of a group that is not known. */
  #strangeGroup(source: string | undefined, name: string): string {
    const near = nearestText(name, this.#groups.names(source) ?? []);
    return `a group that is known; "@${qualified(source, name)}" is not${near}`;
  }

  #all(source: string | undefined, refuse: Refuse): readonly Block[] {
    const members = this.#groups.all(source);
    if (members !== undefined) return this.#parse(members, source, '*', refuse);
    const names =
      this.#groups.names(source) ?? refuse('a source that can tell all its hosts, or the names of its groups');
    return [...names].flatMap((name) => this.#once(source, name, refuse));
  }

  /** A group may be empty, and may leave out what is not in it. */
  #parse(members: Members, source: string | undefined, name: string, refuse: Refuse): readonly Block[] {
    if (typeof members !== 'string') return blocksOf(members);
    if (!/[^\s,]/.test(members)) return [];
    try {
      return blocksOf(parseHostSet(members, { unmatched: 'allow', names: this.#within(source) }));
    } catch (error) {
      // The innermost text and the outermost group say it all.
      if (error instanceof MyriadError && this.#open.length === 1)
        return refuse(`a group of hosts: "@${qualified(source, name)}": ${error.message}`);
      throw error;
    }
  }

  /** The same names, with `source` where a text names none. */
  #within(source: string | undefined): Names {
    if (source === undefined) return this;
    return {
      group: (own, name, refuse) => this.group(own ?? source, name, refuse),
      groupNames: (own, refuse) => this.groupNames(own ?? source, refuse),
      hosts: (own, refuse) => this.hosts(own ?? source, refuse),
    };
  }
}

function refuseAs(what: string): Refuse {
  return (expected) => {
    throw new MyriadError('host-set', `${what}: expected ${expected}`);
  };
}

function qualified(source: string | undefined, name: string): string {
  return source === undefined ? name : `${source}:${name}`;
}
