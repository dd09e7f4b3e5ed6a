/**
 * Hosts in groups within groups with variables, as most formats have them. Filled once, then asked: what a host inherits is put
 * together when it is asked for, so that memory holds what the source says and nothing else.
 */
import type { Host } from '../contracts/task.ts';
import { type HostSet, setOfLabels } from '../hostset/hostset.ts';
import { hostOf, splitLabel } from '../hostset/label.ts';
import type { Groups } from '../hostset/named_hosts.ts';
import type { HostVariables, Inventory, InventoryHost } from './inventory.ts';
import { problem, shown } from './problem.ts';
import { connectionOf, IDENTITY, textOf } from './values.ts';
import { SECRET } from './yaml.ts';

/** The group that every host is in, and that inherits to all. */
export const ALL = 'all';
/** The group of those that are in no other. */
const UNGROUPED = 'ungrouped';

interface Group {
  readonly name: string;
  readonly hosts: Set<string>;
  readonly children: Set<string>;
  readonly parents: Set<string>;
  readonly variables: Map<string, string>;
  /** Of files beside the source: they win over those of every group in it. */
  readonly filed: Map<string, string>;
  priority: number;
  /** Longest way from `all`; settled when the table is sealed. */
  depth: number;
}

interface Row {
  readonly groups: Set<string>;
  variables: Map<string, string> | undefined;
}

export class Table {
  readonly #title: string;
  readonly #warn: (text: string) => void;
  readonly #groups = new Map<string, Group>();
  readonly #hosts = new Map<string, Row>();
  #hasKeys = false;

  constructor(title: string, warn: (text: string) => void) {
    this.#title = title;
    this.#warn = warn;
  }

  get title(): string {
    return this.#title;
  }

  has(host: string): boolean {
    return this.#hosts.has(host);
  }

  /** Whether a host has a variable of its own. */
  hasVariable(host: string, name: string): boolean {
    return this.#hosts.get(host)?.variables?.has(name) ?? false;
  }

  /** Says what is passed over. */
  warn(text: string): void {
    this.#warn(`${this.#title}: ${text}`);
  }

  /** Adds a host to a group, if one is named. Throws `inventory` for what is no host. */
  addHost(name: string, group?: string, place = this.#title): void {
    let row = this.#hosts.get(name);
    if (!row) {
      if (!splitLabel(name)) throw problem(place, `${shown(name)} is no host: expected [user@]name[:port]`);
      row = { groups: new Set(), variables: undefined };
      this.#hosts.set(name, row);
    }
    if (group === undefined) return;
    this.#group(group).hosts.add(name);
    row.groups.add(group);
  }

  addGroup(name: string, parent?: string): void {
    this.#group(name);
    if (parent === undefined) return;
    this.#group(parent).children.add(name);
    this.#group(name).parents.add(parent);
  }

  hasGroup(name: string): boolean {
    return this.#groups.has(name);
  }

  /** Later values win over earlier ones. */
  setHost(host: string, name: string, value: unknown): void {
    const row = this.#hosts.get(host)!;
    const text = this.#valueOf(name, value, `host ${shown(host)}`);
    if (text === undefined) return;
    row.variables ??= new Map();
    row.variables.set(name, text);
  }

  /** `filed`: the variable comes from a file beside the source. */
  setGroup(group: string, name: string, value: unknown, filed = false): void {
    const text = this.#valueOf(name, value, `group ${shown(group)}`);
    if (text === undefined) return;
    if (name === 'ansible_group_priority') {
      if (/^[0-9]{1,6}$/.test(text)) this.#group(group).priority = Number(text);
      return;
    }
    const { variables, filed: others } = this.#group(group);
    (filed ? others : variables).set(name, text);
  }

  hostNames(): Iterable<string> {
    return this.#hosts.keys();
  }

  groupNames(): Iterable<string> {
    return this.#groups.keys();
  }

  /** Puts hosts that no group has but `all` into `ungrouped`, as Ansible does. */
  groupRest(): void {
    this.#group(UNGROUPED);
    for (const [name, { groups }] of this.#hosts) {
      const grouped = [...groups].some((group) => group !== ALL && group !== UNGROUPED);
      if (!grouped) this.addHost(name, UNGROUPED);
      else if (groups.delete(UNGROUPED)) this.#group(UNGROUPED).hosts.delete(name);
    }
  }

  /** Nothing is added after it. Throws `inventory` for groups that go round in a circle. */
  seal(source: string, warnings: readonly string[]): Inventory {
    for (const group of this.#groups.values()) this.#settle(group, []);
    const parts = { title: this.#title, source, warnings, groups: this.#groups, hosts: this.#hosts };
    return new TableInventory({ ...parts, hasKeys: this.#hasKeys });
  }

  #settle(group: Group, way: readonly string[]): number {
    if (way.includes(group.name)) {
      const round = [...way.slice(way.indexOf(group.name)), group.name].join(' > ');
      throw problem(this.#title, `groups go round in a circle: ${round}`);
    }
    if (group.depth >= 0) return group.depth;
    const above = [...group.parents].map((name) => this.#settle(this.#group(name), [...way, group.name]));
    group.depth = group.name === ALL ? 0 : Math.max(0, ...above) + 1;
    return group.depth;
  }

  #group(name: string): Group {
    let group = this.#groups.get(name);
    if (!group) {
      if (name === '' || /[\p{Cc}]/u.test(name)) throw problem(this.#title, `${shown(name)} is no group name`);
      const [hosts, children, parents] = [new Set<string>(), new Set<string>(), new Set<string>()];
      group = { name, hosts, children, parents, variables: new Map(), filed: new Map(), priority: 1, depth: -1 };
      this.#groups.set(name, group);
    }
    return group;
  }

  #valueOf(name: string, value: unknown, whose: string): string | undefined {
    if (IDENTITY.includes(name)) this.#hasKeys = true;
    const text = value === SECRET ? undefined : textOf(value);
    if (text === undefined) {
      const why = value === SECRET ? 'is encrypted' : 'is too large';
      this.warn(`variable ${shown(name)} of ${whose} ${why} and left out`);
    }
    return text;
  }
}

interface Parts {
  readonly title: string;
  /** What host sets call it: `@ansible:web`. */
  readonly source: string;
  readonly warnings: readonly string[];
  readonly hasKeys: boolean;
  readonly groups: ReadonlyMap<string, Group>;
  readonly hosts: ReadonlyMap<string, Row>;
}

class TableInventory implements Inventory {
  readonly title: string;
  readonly hasKeys: boolean;
  readonly warnings: readonly string[];
  readonly groups: Groups;
  readonly #parts: Parts;
  /** Groups of a set of direct groups, parents first: hosts share few of them. */
  readonly #above = new Map<string, readonly Group[]>();
  #all: HostSet | undefined;
  /** Labels by name, of hosts with user or port. */
  #labels: Map<string, string> | undefined;

  constructor(parts: Parts) {
    this.title = parts.title;
    this.hasKeys = parts.hasKeys;
    this.warnings = parts.warnings;
    this.#parts = parts;
    const { source, groups } = parts;
    this.groups = {
      sources: [source],
      // Ansible's "all" is there whether a file names it or not.
      members: (_source, group) =>
        groups.has(group) || (group === ALL && source === 'ansible') ? this.#members(group) : undefined,
      names: () => groups.keys(),
      all: () => this.all,
    };
  }

  get all(): HostSet {
    this.#all ??= setOfLabels([...this.#parts.hosts.keys()]);
    return this.#all;
  }

  *hosts(): Generator<InventoryHost> {
    for (const [label, row] of this.#parts.hosts) yield this.#hostOf(label, row);
  }

  find(host: Host): InventoryHost | undefined {
    const { hosts } = this.#parts;
    // Where an address has taken the place of the name, the label still has it.
    const name = hosts.has(host.label) ? host.label : (splitLabel(host.label)?.name ?? host.name);
    const label = hosts.has(name) ? name : this.#labelOf(name);
    return label === undefined ? undefined : this.#hostOf(label, hosts.get(label)!);
  }

  #labelOf(name: string): string | undefined {
    if (!this.#labels) {
      this.#labels = new Map();
      for (const label of this.#parts.hosts.keys()) {
        const parts = label.includes('@') || label.includes(':') ? splitLabel(label) : undefined;
        if (parts && !this.#labels.has(parts.name)) this.#labels.set(parts.name, label);
      }
    }
    return this.#labels.get(name);
  }

  #hostOf(label: string, row: Row): InventoryHost {
    const host = hostOf(label);
    const above = this.#inherited(row.groups);
    const variables: Record<string, string> = Object.create(null);
    for (const group of above) for (const [name, value] of group.variables) variables[name] = value;
    for (const group of above) for (const [name, value] of group.filed) variables[name] = value;
    for (const [name, value] of row.variables ?? []) variables[name] = value;
    const said = connectionOf(variables, label, this.title);
    const connection = { ...said, user: host.user ?? said.user, port: host.port ?? said.port };
    return { host, connection, variables: variables as HostVariables, groups: above.map(({ name }) => name) };
  }

  /** All groups of a host, those first whose variables the others win over: `all`, then by depth, priority and name. */
  #inherited(direct: ReadonlySet<string>): readonly Group[] {
    const key = [...direct].join('\n');
    const known = this.#above.get(key);
    if (known) return known;
    const { groups } = this.#parts;
    const found = new Set<Group>();
    const walk = (name: string): void => {
      const group = groups.get(name)!;
      if (found.has(group)) return;
      found.add(group);
      for (const parent of group.parents) walk(parent);
    };
    for (const name of direct) walk(name);
    const all = groups.get(ALL);
    if (all) found.add(all);
    const order = [...found].sort((a, b) => a.depth - b.depth || a.priority - b.priority || (a.name < b.name ? -1 : 1));
    this.#above.set(key, order);
    return order;
  }

  #members(name: string): HostSet {
    if (name === ALL) return this.all;
    const labels = new Set<string>();
    const seen = new Set<string>();
    const walk = (group: string): void => {
      if (seen.has(group)) return;
      seen.add(group);
      const { hosts, children } = this.#parts.groups.get(group)!;
      for (const host of hosts) labels.add(host);
      for (const child of children) walk(child);
    };
    walk(name);
    return setOfLabels([...labels]);
  }
}
