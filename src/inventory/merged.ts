/** Several inventories as one: hosts of all, each once; groups of one name are one group; what a later one says wins. */
import type { Host } from '../contracts/task.ts';
import { type HostSet, setOfBlocks, union } from '../hostset/hostset.ts';
import { type Groups, type Members, NamedHosts } from '../hostset/named_hosts.ts';
import type { Connection, Inventory, InventoryHost } from './inventory.ts';
import { problem } from './problem.ts';

/** The one that is given, or all together. */
export function merge(inventories: readonly Inventory[]): Inventory {
  const [only, second] = inventories;
  return only && !second ? only : new MergedInventory(inventories);
}

class MergedInventory implements Inventory {
  readonly title: string;
  readonly groups: Groups;
  readonly hasKeys: boolean;
  readonly warnings: readonly string[];
  readonly #inventories: readonly Inventory[];
  /** Made once for each: they keep what they have parsed. */
  readonly #names: readonly NamedHosts[];
  #all: HostSet | undefined;

  constructor(inventories: readonly Inventory[]) {
    this.title = inventories.map(({ title }) => title).join(', ');
    this.hasKeys = inventories.some(({ hasKeys }) => hasKeys);
    this.warnings = inventories.flatMap(({ warnings }) => warnings);
    this.#inventories = inventories;
    this.#names = inventories.map(({ groups }) => new NamedHosts(groups));
    this.groups = {
      sources: [...new Set(inventories.flatMap(({ groups }) => groups.sources))],
      members: (source, group) => this.#members(source, group),
      names: (source) => this.#groupNames(source),
      all: (source) => (source === undefined ? this.all : this.#allOf(source)),
    };
  }

  get all(): HostSet {
    this.#all ??= union(this.#inventories.map(({ all }) => all));
    return this.#all;
  }

  *hosts(): Generator<InventoryHost> {
    for (const host of this.all) yield this.find(host) ?? { host, connection: {}, variables: {}, groups: [] };
  }

  find(host: Host): InventoryHost | undefined {
    const found = this.#inventories.flatMap((inventory) => inventory.find(host) ?? []);
    const [first, second] = found;
    if (!first || !second) return first;
    const connection: Record<string, unknown> = {};
    for (const one of found) {
      for (const [name, value] of Object.entries(one.connection)) if (value !== undefined) connection[name] = value;
    }
    return {
      host: first.host,
      connection: connection as Connection,
      variables: Object.assign(Object.create(null), ...found.map(({ variables }) => variables)),
      groups: [...new Set(found.flatMap(({ groups }) => groups))],
    };
  }

  /** Those of a source; without one, of every inventory. */
  #of(source: string | undefined): readonly number[] {
    return this.#inventories.flatMap(({ groups }, place) => {
      return source === undefined || groups.sources.includes(source) ? [place] : [];
    });
  }

  /** The members of the group wherever it is; each inventory's own groups within groups. */
  #members(source: string | undefined, group: string): Members | undefined {
    const places = this.#of(source).filter(
      (place) => this.#inventories[place]!.groups.members(source, group) !== undefined,
    );
    if (places.length === 0) return undefined;
    return setOfBlocks(places.flatMap((place) => this.#names[place]!.group(source, group, this.#refuse(place))));
  }

  #groupNames(source: string | undefined): Iterable<string> {
    return new Set(this.#of(source).flatMap((place) => [...(this.#inventories[place]!.groups.names(source) ?? [])]));
  }

  #allOf(source: string): HostSet {
    const blocks = this.#of(source).flatMap((place) => this.#names[place]!.hosts(source, this.#refuse(place)));
    return setOfBlocks(blocks);
  }

  #refuse(place: number): (expected: string) => never {
    return (expected) => {
      throw problem(this.#inventories[place]!.title, `expected ${expected}`);
    };
  }
}
