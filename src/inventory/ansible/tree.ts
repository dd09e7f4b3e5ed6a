/**
 * Ansible's groups as a tree of data: YAML inventories, where `hosts` and `children` are maps, and what programs print for
 * `--list`, where they are lists and `_meta` has the variables of hosts.
 */
import { problem, shown } from '../problem.ts';
import type { Table } from '../table.ts';
import { entriesOf } from '../values.ts';
import { expand } from './pattern.ts';

/** Groups of groups of …: deeper is a mistake. */
const MOST_DEPTH = 100;

/** Puts groups into the table. Throws `inventory`. */
export function readTree(value: unknown, table: Table): void {
  const groups = entriesOf(value);
  if (!groups) throw problem(table.title, 'expected groups with their hosts at the top');
  let meta: unknown;
  for (const [name, group] of groups) {
    if (name === '_meta') meta = group;
    else readGroup(name, group, undefined, table, 0);
  }
  if (meta !== undefined) readMeta(meta, table);
}

/** Whether data looks like groups: every member is empty, a list of hosts, or has hosts, children or vars. */
export function looksLikeGroups(value: unknown): boolean {
  const groups = entriesOf(value);
  if (!groups) return false;
  let known = 0;
  for (const [name, group] of groups) {
    if (name === '_meta') known++;
    else if (group === null || Array.isArray(group)) continue;
    else {
      const members = entriesOf(group);
      if (!members) return false;
      const keys = Array.from(members, ([key]) => key);
      if (keys.some((key) => key !== 'hosts' && key !== 'children' && key !== 'vars')) return false;
      if (keys.length > 0) known++;
    }
  }
  return known > 0;
}

function readGroup(name: string, group: unknown, parent: string | undefined, table: Table, depth: number): void {
  if (depth > MOST_DEPTH) throw problem(table.title, `groups within groups, more than ${MOST_DEPTH} deep`);
  table.addGroup(name, parent);
  if (group === null || group === undefined || group === '') return;
  if (Array.isArray(group)) {
    addHosts(name, group, table);
    return;
  }
  const members = entriesOf(group);
  if (!members) throw problem(table.title, `group ${shown(name)}: expected hosts, children or vars`);
  for (const [key, value] of members) {
    if (value === null) continue;
    if (key === 'hosts') addHosts(name, value, table);
    else if (key === 'vars') addVariables(name, value, table);
    else if (key === 'children') addChildren(name, value, table, depth);
    else table.warn(`group ${shown(name)}: ${shown(key)} is none of hosts, children and vars`);
  }
}

function addChildren(name: string, children: unknown, table: Table, depth: number): void {
  if (Array.isArray(children)) {
    for (const child of children) table.addGroup(textIn(child, name, table), name);
    return;
  }
  for (const [child, below] of entriesOf(children) ?? refuse(table, name, 'children')) {
    readGroup(child, below, name, table, depth + 1);
  }
}

function addHosts(group: string, hosts: unknown, table: Table): void {
  if (typeof hosts === 'string') addOne(hosts, null, group, table);
  else if (Array.isArray(hosts)) for (const host of hosts) addOne(textIn(host, group, table), null, group, table);
  else {
    for (const [host, variables] of entriesOf(hosts) ?? refuse(table, group, 'hosts')) {
      addOne(host, variables, group, table);
    }
  }
}

function addOne(pattern: string, variables: unknown, group: string, table: Table): void {
  const { names, port } = expand(pattern, table.title);
  for (const name of names) {
    table.addHost(name, group);
    if (port !== undefined) table.setHost(name, 'ansible_port', port);
    addHostVariables(name, variables, table);
  }
}

function addHostVariables(host: string, variables: unknown, table: Table): void {
  if (variables === null || variables === undefined || variables === '') return;
  const members = entriesOf(variables) ?? refuse(table, host, 'variables');
  for (const [name, value] of members) table.setHost(host, name, value);
}

function addVariables(group: string, variables: unknown, table: Table): void {
  for (const [name, value] of entriesOf(variables) ?? refuse(table, group, 'vars')) table.setGroup(group, name, value);
}

/** Variables of hosts by name; as for Ansible, what no group has is no host. */
function readMeta(meta: unknown, table: Table): void {
  for (const [key, value] of entriesOf(meta) ?? refuse(table, '_meta', 'hostvars')) {
    if (key !== 'hostvars') continue;
    for (const [host, variables] of entriesOf(value) ?? refuse(table, '_meta', 'hostvars')) {
      if (table.has(host)) addHostVariables(host, variables, table);
    }
  }
}

function textIn(value: unknown, group: string, table: Table): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  throw problem(table.title, `group ${shown(group)}: expected names, got ${shown(JSON.stringify(value) ?? '')}`);
}

function refuse(table: Table, of: string, what: string): never {
  throw problem(table.title, `${shown(of)}: ${shown(what)} is neither a map nor a list`);
}
