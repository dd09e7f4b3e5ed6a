/** Hosts as data: JSON with hosts or groups, one JSON value a line, or a host set a line. What programs and files may hold. */

import { MyriadError } from '../contracts/errors.ts';
import { parseHostFile } from '../hostset/hostset.ts';
import { looksLikeGroups, readTree } from './ansible/tree.ts';
import type { Inventory, Reading } from './inventory.ts';
import { problem, shown } from './problem.ts';
import { SetInventory } from './set_inventory.ts';
import { Table } from './table.ts';
import { entriesOf } from './values.ts';

/** Members of a host's object that are not variables. */
const NAMES = ['host', 'name', 'hostname', 'inventory_hostname'];
const MEANINGS: Readonly<Record<string, string>> = {
  address: 'ansible_host',
  user: 'ansible_user',
  port: 'ansible_port',
  identity: 'ansible_ssh_private_key_file',
};

/** Whether a text is JSON, by how it begins. */
export function looksLikeJson(text: string): boolean {
  return /^\s*(?:\{|\[\s*(?:["{[\]]|$))/.test(text);
}

/** A host set a line, as `--hostfile` takes it. */
export function readHosts(text: string, { title }: Reading): Inventory {
  try {
    const all = parseHostFile(text, title);
    const groups = { sources: ['hosts'], members: () => undefined, names: () => [], all: () => all };
    return new SetInventory(title, groups, [], all);
  } catch (error) {
    if (error instanceof MyriadError) throw new MyriadError('inventory', error.message, { cause: error });
    throw error;
  }
}

/**
 * Hosts out of JSON: groups as Ansible's programs print them, a list of hosts, or a host a line. A host is its name, or an object
 * with `host` (or `name`), `groups`, `address`, `user`, `port`, `identity` and `variables`; what else it has are variables, too.
 */
export function readJson(
  text: string,
  { title, warn }: Reading,
  warnings: readonly string[],
  source = 'json',
): Inventory {
  const table = new Table(title, warn);
  const whole = parsed(text);
  if (whole !== undefined && !Array.isArray(whole) && looksLikeGroups(whole)) {
    readTree(whole, table);
    return table.seal(source, warnings);
  }
  if (Array.isArray(whole)) for (const [index, host] of whole.entries()) addHost(host, table, `host ${index + 1}`);
  else {
    let number = 0;
    for (const line of text.split('\n')) {
      number++;
      if (line.trim() === '') continue;
      const value = parsed(line);
      if (value === undefined) throw problem(title, `line ${number}: expected JSON, got ${shown(line)}`);
      addHost(value, table, `line ${number}`);
    }
  }
  return table.seal(source, warnings);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function addHost(value: unknown, table: Table, place: string): void {
  if (typeof value === 'string') {
    table.addHost(value);
    return;
  }
  const members = new Map(entriesOf(value) ?? []);
  const named = NAMES.find((name) => typeof members.get(name) === 'string');
  if (named === undefined) throw problem(table.title, `${place}: expected a host's name, or an object with "host"`);
  const host = members.get(named) as string;
  members.delete(named);
  table.addHost(host);
  const { groups = [], variables } = Object.fromEntries(members);
  if (!Array.isArray(groups)) throw problem(table.title, `${place}: "groups" is no list`);
  for (const group of groups) table.addHost(host, String(group));
  members.delete('groups');
  members.delete('variables');
  for (const [name, one] of [...members, ...(entriesOf(variables) ?? [])]) {
    table.setHost(host, name, one);
    const meaning = MEANINGS[name];
    if (meaning !== undefined) table.setHost(host, meaning, one);
  }
}
