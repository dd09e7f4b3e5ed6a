/** Variables in `group_vars/` and `host_vars/` beside an inventory: YAML files, or folders of them, named by group or host. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { problem, shown } from '../problem.ts';
import { readText } from '../source.ts';
import type { Table } from '../table.ts';
import { entriesOf } from '../values.ts';
import { parseYaml } from '../yaml.ts';

/** Reads what is there for groups and hosts of the table. Throws `inventory`. */
export function readVariableFiles(folder: string, table: Table): void {
  for (const [name, file] of filesIn(join(folder, 'group_vars'))) {
    if (table.hasGroup(name) || name === 'all')
      read(file, table, (key, value) => table.setGroup(name, key, value, true));
  }
  for (const [name, file] of filesIn(join(folder, 'host_vars'))) {
    if (table.has(name)) read(file, table, (key, value) => table.setHost(name, key, value));
  }
}

function read(file: string, table: Table, set: (name: string, value: unknown) => void): void {
  const title = `variables file ${JSON.stringify(file)}`;
  const text = readText(file, title);
  if (text.startsWith('$ANSIBLE_VAULT;')) {
    table.warn(`${title} is encrypted and left out`);
    return;
  }
  const value = parseYaml(text, title);
  if (value === undefined || value === null) return;
  const members = entriesOf(value);
  if (!members) throw problem(title, 'expected name: value');
  for (const [key, one] of members) {
    if (key.length > 0) set(key, one);
    else throw problem(title, `${shown(key)} is no name`);
  }
}

/** Name and path of every file, sorted as Ansible reads them: of a folder NAME all that is in it. */
function* filesIn(folder: string): Generator<readonly [string, string]> {
  for (const entry of entries(folder)) {
    const path = join(folder, entry);
    const name = entry.replace(/\.(?:ya?ml|json)$/, '');
    if (isFolder(path)) for (const below of deepEntries(path)) yield [entry, below];
    else yield [name, path];
  }
}

function* deepEntries(folder: string, depth = 0): Generator<string> {
  for (const entry of entries(folder)) {
    const path = join(folder, entry);
    if (!isFolder(path)) yield path;
    else if (depth < 8) yield* deepEntries(path, depth + 1);
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((entry) => !entry.startsWith('.') && !entry.endsWith('~'))
      .sort();
  } catch {
    // There are none.
    return [];
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
