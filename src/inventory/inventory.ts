/**
 * Inventories: where hosts, their groups and their variables come from. The contract; each format is a file of its own that reads
 * once and gives one of these.
 */
import type { Host } from '../contracts/task.ts';
import type { HostSet } from '../hostset/hostset.ts';
import type { Groups } from '../hostset/named_hosts.ts';

/** How a host is reached that an inventory knows; what it leaves out is for others to say. */
export interface Connection {
  /** Name or address to connect to, instead of the host's name. */
  readonly address?: string | undefined;
  readonly user?: string | undefined;
  readonly port?: number | undefined;
  /** A private key file. */
  readonly identity?: string | undefined;
}

export type HostVariables = Readonly<Record<string, string>>;

/** A host as an inventory has it. */
export interface InventoryHost {
  readonly host: Host;
  readonly connection: Connection;
  readonly variables: HostVariables;
  /** The groups it is in, directly or by way of others. */
  readonly groups: readonly string[];
}

export interface Inventory {
  /** What it is and where, for messages: `ansible inventory "hosts.ini"`. */
  readonly title: string;
  /** Sources, groups and all hosts, as host sets see them. */
  readonly groups: Groups;
  /** Some hosts may have a private key of their own; false: nobody has to look at all of them for it. */
  readonly hasKeys: boolean;
  /** All hosts in their order. */
  readonly all: HostSet;
  /** What is said of each host of `all`; made as it is asked for. */
  hosts(): Iterable<InventoryHost>;
  /** What is said of a host, found by its label or else its name; undefined: nothing. */
  find(host: Host): InventoryHost | undefined;
  /** What was passed over, one sentence each. */
  readonly warnings: readonly string[];
}

/** What every format is given. */
export interface Reading {
  /** For messages. */
  readonly title: string;
  /** Says what is passed over. */
  readonly warn: (text: string) => void;
}
