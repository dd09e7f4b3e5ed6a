/** Genders files: `host[,host…] attribute[=value][,…]`, lines for one host adding up; attributes are groups and variables. */
import { MyriadError } from '../contracts/errors.ts';
import { parseHostSet } from '../hostset/hostset.ts';
import type { Inventory, Reading } from './inventory.ts';
import { problem, shown } from './problem.ts';
import { Table } from './table.ts';

/** An attribute with a value is the group `name=value` and the group `name`, as pdsh's -g takes both. `%n` is the host's name. */
export function readGenders(text: string, { title, warn }: Reading, warnings: readonly string[]): Inventory {
  const table = new Table(title, warn);
  let number = 0;
  for (const full of text.split('\n')) {
    number++;
    const line = full.replace(/#.*$/, '').trim();
    if (line === '') continue;
    const place = `${title}, line ${number}`;
    const found = /^(\S+)(?:\s+(\S+))?$/.exec(line);
    if (!found) throw problem(place, `expected hosts and attributes without blanks in them, got ${shown(line)}`);
    const attributes = (found[2] ?? '').split(',').filter((attribute) => attribute !== '');
    for (const { label, name } of hostsOf(found[1]!, place)) {
      table.addHost(label);
      for (const attribute of attributes) addAttribute(attribute, label, name, table, place);
    }
  }
  return table.seal('genders', warnings);
}

function hostsOf(text: string, place: string): ReturnType<typeof parseHostSet> {
  try {
    return parseHostSet(text);
  } catch (error) {
    if (error instanceof MyriadError) throw problem(place, error.message, error);
    throw error;
  }
}

/** A host has an attribute once: genders itself refuses files where it comes again. */
function addAttribute(attribute: string, label: string, host: string, table: Table, place: string): void {
  const at = attribute.indexOf('=');
  const name = at < 0 ? attribute : attribute.slice(0, at);
  if (table.hasVariable(label, name)) throw problem(place, `${shown(label)} has ${shown(name)} already`);
  table.addHost(label, name);
  if (at < 0) {
    table.setHost(label, name, '');
    return;
  }
  const value = attribute.slice(at + 1).replace(/%[n%]/g, (found) => (found === '%n' ? host : '%'));
  table.addHost(label, `${name}=${value}`);
  table.setHost(label, name, value);
}
