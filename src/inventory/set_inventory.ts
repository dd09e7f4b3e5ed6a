/** An inventory that knows hosts and groups as host sets, and nothing more of them: hosts files and ClusterShell's groups. */
import type { Host } from '../contracts/task.ts';
import { hostsOf } from '../hostset/blocks.ts';
import { blocksOf, type HostSet } from '../hostset/hostset.ts';
import { type Groups, NamedHosts } from '../hostset/named_hosts.ts';
import type { Inventory, InventoryHost } from './inventory.ts';

const NOTHING = { variables: {}, groups: [] };

export class SetInventory implements Inventory {
  readonly title: string;
  readonly groups: Groups;
  readonly hasKeys = false;
  readonly warnings: readonly string[];
  #all: HostSet | undefined;
  #logins: Map<string, Host> | undefined;

  /** `all`: all hosts, where they are known already. @default what the groups say */
  constructor(title: string, groups: Groups, warnings: readonly string[] = [], all?: HostSet) {
    this.title = title;
    this.groups = groups;
    this.warnings = warnings;
    this.#all = all;
  }

  get all(): HostSet {
    this.#all ??= new NamedHosts(this.groups).all();
    return this.#all;
  }

  *hosts(): Generator<InventoryHost> {
    for (const host of this.all) yield { host, connection: {}, ...NOTHING };
  }

  /** User and port of a host that is asked for by its name. */
  find(host: Host): InventoryHost | undefined {
    if (host.user !== undefined || host.port !== undefined) return undefined;
    this.#logins ??= loginsOf(this.all);
    const known = this.#logins.get(host.name);
    return known && { host: known, connection: { user: known.user, port: known.port }, ...NOTHING };
  }
}

/** By name: those hosts that have a user or port. */
function loginsOf(set: HostSet): Map<string, Host> {
  const logins = new Map<string, Host>();
  for (const block of blocksOf(set)) {
    if (block.kind === 'tree' && block.user === undefined && block.port === undefined) continue;
    for (const host of hostsOf(block)) {
      if ((host.user !== undefined || host.port !== undefined) && !logins.has(host.name)) logins.set(host.name, host);
    }
  }
  return logins;
}
