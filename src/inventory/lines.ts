/** Hosts as data: JSON with hosts or groups, one JSON value a line, or a host set a line. What programs and files may hold. */

import { MyriadError } from '../contracts/errors.ts';
import type { Repeated } from '../hostset/blocks.ts';
import { foldHosts } from '../hostset/fold.ts';
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
export function readHosts(text: string, { title, warn }: Reading, warnings: readonly string[]): Inventory {
  try {
    const all = parseHostFile(text, title, { repeated: (told) => warn(repeatedText(title, told)) });
    const groups = { sources: ['hosts'], members: () => undefined, names: () => [], all: () => all };
    return new SetInventory(title, groups, warnings, all);
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
  const repeated = new RepeatedHosts();
  const whole = parsed(text);
  if (whole !== undefined && !Array.isArray(whole) && looksLikeGroups(whole)) {
    readTree(whole, table);
    return table.seal(source, warnings);
  }
  if (Array.isArray(whole)) {
    for (const [index, host] of whole.entries()) repeated.add(addHost(host, table, `host ${index + 1}`));
  } else {
    let number = 0;
    for (const line of text.split('\n')) {
      number++;
      if (line.trim() === '') continue;
      const value = parsed(line);
      if (value === undefined) throw problem(title, `line ${number}: expected JSON, got ${shown(line)}`);
      repeated.add(addHost(value, table, `line ${number}`));
    }
  }
  if (repeated.told.count > 0) warn(repeatedText(title, repeated.told));
  return table.seal(source, warnings);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Each host is taken once; of data, what it says the second time is added to the first. */
export function repeatedText(title: string, { count, some, more }: Repeated): string {
  const which = some.length === 0 ? '' : ` (${foldHosts(some)}${more ? ' …' : ''})`;
  return `${title}: hosts that stand there more than once are taken once: ${count} left out${which}`;
}

/** Hosts that come again and are kept by name. */
const MOST_REPEATED = 10;

class RepeatedHosts {
  readonly #some = new Set<string>();
  #count = 0;
  #more = false;

  get told(): Repeated {
    return { count: this.#count, some: [...this.#some], more: this.#more };
  }

  /** Undefined: a new one. */
  add(host: string | undefined): void {
    if (host === undefined) return;
    this.#count += 1;
    if (this.#some.size < MOST_REPEATED) this.#some.add(host);
    else this.#more ||= !this.#some.has(host);
  }
}

/** The host's name, where it was there before. */
function addHost(value: unknown, table: Table, place: string): string | undefined {
  if (typeof value === 'string') {
    const known = table.has(value);
    table.addHost(value);
    return known ? value : undefined;
  }
  const members = new Map(entriesOf(value) ?? []);
  const named = NAMES.find((name) => typeof members.get(name) === 'string');
  if (named === undefined) throw problem(table.title, `${place}: expected a host's name, or an object with "host"`);
  const host = members.get(named) as string;
  members.delete(named);
  const known = table.has(host);
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
  return known ? host : undefined;
}
