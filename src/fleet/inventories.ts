/** What a fleet knows of hosts beyond their text: inventories, and the groups of this machine where none is named. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { MyriadError } from '../contracts/errors.ts';
import type { Host } from '../contracts/task.ts';
import { blocksOf, type HostSet } from '../hostset/hostset.ts';
import { splitLabel } from '../hostset/label.ts';
import { NamedHosts } from '../hostset/named_hosts.ts';
import type { Names } from '../hostset/names.ts';
import type { Inventory } from '../inventory/inventory.ts';
import { merge } from '../inventory/merged.ts';
import { openInventory } from '../inventory/open.ts';
import type { Facts } from '../inventory/where.ts';
import type { Variables } from '../jobs/template.ts';
import { keyPath } from './reach/own_keys.ts';

/** Read when it is first asked for. */
export class Known {
  /** Whether inventories were named: then hosts that are not in them are most likely misspelt. */
  readonly named: boolean;
  readonly #texts: readonly string[];
  #inventory: Inventory | undefined;
  #names: NamedHosts | undefined;
  #memberships: ReadonlyMap<string, readonly string[]> | undefined;

  constructor(texts: readonly string[]) {
    this.#texts = texts;
    this.named = texts.length > 0;
    if (this.named) this.#open();
  }

  get warnings(): readonly string[] {
    return this.#inventory?.warnings ?? [];
  }

  /** The names of groups and wildcards. */
  get names(): Names {
    return {
      group: (...asked) => this.#open().group(...asked),
      groupNames: (source, refuse) => this.#open().groupNames(source, refuse),
      hosts: (source, refuse) => this.#open().hosts(source, refuse),
    };
  }

  /** Some of its hosts may have private keys of their own. */
  get hasKeys(): boolean {
    return this.#inventory?.hasKeys ?? false;
  }

  /** All hosts. Throws `usage` where there is nothing that knows them. */
  get all(): HostSet {
    this.#open();
    return this.#inventory!.all;
  }

  /** Names of groups, with the hosts of each. */
  *groups(): Generator<readonly [string, HostSet]> {
    const names = this.#open();
    for (const name of this.#inventory!.groups.names(undefined) ?? []) yield [name, names.set(name)];
  }

  find(host: Host): ReturnType<Inventory['find']> {
    return this.#inventory?.find(host);
  }

  /** The groups that a host is in: as its row says, or, where hosts have none, by going once through all groups. */
  groupsOf(host: Host): readonly string[] {
    const { groups = [] } = this.find(host) ?? {};
    if (groups.length > 0 || !this.#inventory) return groups;
    this.#memberships ??= membershipsOf(this.groups());
    return this.#memberships.get(host.label) ?? this.#memberships.get(splitLabel(host.label)?.name ?? '') ?? [];
  }

  #open(): NamedHosts {
    if (!this.#names) {
      const texts = this.named ? this.#texts : defaults();
      if (texts.length === 0) {
        throw new MyriadError('usage', 'groups and wildcards need an inventory: name one with --inventory (-i)');
      }
      this.#inventory = merge(texts.map((text) => openInventory(text)));
      this.#names = new NamedHosts(this.#inventory.groups);
    }
    return this.#names;
  }
}

/** Most memberships that are looked at: hosts of all groups together. */
const MOST_MEMBERSHIPS = 5_000_000;

/** The names of groups by the labels of their hosts. */
function membershipsOf(groups: Iterable<readonly [string, HostSet]>): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  let count = 0;
  for (const [name, members] of groups) {
    count += members.count;
    if (count > MOST_MEMBERSHIPS) break;
    for (const { label } of members) {
      const known = found.get(label);
      if (known) known.push(name);
      else found.set(label, [name]);
    }
  }
  return found;
}

/** Groups where clush looks for them, else where pdsh does. */
function defaults(): readonly string[] {
  const home = homedir();
  const config = process.env.XDG_CONFIG_HOME || join(home, '.config');
  const places = [join(config, 'clustershell'), join(home, '.local/etc/clustershell'), '/etc/clustershell'];
  const conf = places.map((place) => join(place, 'groups.conf')).find((file) => existsSync(file));
  if (conf !== undefined) return [`clustershell:${conf}`];
  return existsSync('/etc/genders') ? ['genders:/etc/genders'] : [];
}

/** The same names, where wildcards mean the hosts of a set. */
export function within(names: Names, set: HostSet): Names {
  return {
    group: (...asked) => names.group(...asked),
    groupNames: (source, refuse) => names.groupNames(source, refuse),
    hosts: (source, refuse) => (source === undefined ? blocksOf(set) : names.hosts(source, refuse)),
  };
}

/** Hosts under the names that they are selected by, with what inventories say of how they are reached. */
export class ReachedHosts implements HostSet {
  readonly count: number;
  readonly #set: HostSet;
  readonly #known: Known;

  constructor(set: HostSet, known: Known) {
    this.#set = set;
    this.#known = known;
    this.count = set.count;
  }

  at(index: number): Host {
    return reached(this.#set.at(index), this.#known);
  }

  has(nameOrLabel: string): boolean {
    return this.#set.has(nameOrLabel);
  }

  *[Symbol.iterator](): Generator<Host> {
    for (const host of this.#set) yield reached(host, this.#known);
  }
}

/** What a label says counts before what an inventory says. */
function reached(host: Host, known: Known): Host {
  const connection = known.find(host)?.connection;
  if (!connection) return host;
  const { address = host.name, user, port, identity } = connection;
  return {
    label: host.label,
    name: address,
    user: host.user ?? user,
    port: host.port ?? port,
    identity: identity === undefined ? undefined : keyPath(identity),
  };
}

/** Everything that is known of a host. `variables`: the caller's, which win. */
export function factsOf(host: Host, known: Known, variables: Variables | undefined): Facts {
  const found = known.find(host);
  const own = variables?.(host);
  return {
    // Selections go by the name, whatever address stands behind it.
    host: found ? { ...reached(host, known), name: host.name } : host,
    variables: own ? { ...found?.variables, ...own } : (found?.variables ?? {}),
    groups: found?.groups ?? [],
  };
}

/** Some hosts of a set by their places, in order. */
export class Places implements HostSet {
  readonly count: number;
  readonly #set: HostSet;
  /** Undefined: the first `count`. */
  readonly #places: Float64Array | undefined;

  constructor(set: HostSet, places: Float64Array | number) {
    this.#set = set;
    this.#places = typeof places === 'number' ? undefined : places;
    this.count = typeof places === 'number' ? places : places.length;
  }

  at(index: number): Host {
    if (!(index >= 0 && index < this.count))
      throw new MyriadError('internal', `there is no host ${index} of ${this.count}`);
    return this.#set.at(this.#places?.[index] ?? index);
  }

  has(nameOrLabel: string): boolean {
    for (const { label, name } of this) if (label === nameOrLabel || name === nameOrLabel) return true;
    return false;
  }

  *[Symbol.iterator](): Generator<Host> {
    for (let index = 0; index < this.count; index++) yield this.at(index);
  }
}
