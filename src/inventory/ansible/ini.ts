/** Ansible's INI inventories: hosts with variables, `[group]`, `[group:children]`, `[group:vars]`. */
import { problem, shown } from '../problem.ts';
import { ALL, type Table } from '../table.ts';
import { expand } from './pattern.ts';

type Kind = 'hosts' | 'children' | 'vars';

/** Puts the hosts of a text into the table. Throws `inventory` with the line. */
export function readIni(text: string, table: Table): void {
  let group: string | undefined;
  let kind: Kind = 'hosts';
  /** Groups that a section assumes, with its line: another section must make them. */
  const assumed = new Map<string, number>();
  const made = new Set([ALL, 'ungrouped']);
  let number = 0;
  for (const full of text.split('\n')) {
    number++;
    const line = full.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    const title = `${table.title}, line ${number}`;
    const section = sectionOf(line);
    if (section) {
      group = section.group;
      kind = kindOf(section.kind, title);
      if (kind === 'vars' && !table.hasGroup(group)) assumed.set(group, number);
      else if (kind !== 'vars') {
        table.addGroup(group);
        made.add(group);
      }
    } else if (kind === 'hosts') addHosts(line, group, table, title);
    else if (kind === 'children') made.add(addChild(line, group!, table, title));
    else addVariable(line, group!, table, title);
  }
  for (const [name, line] of assumed) {
    if (made.has(name)) continue;
    throw problem(`${table.title}, line ${line}`, `[${name}:vars] is for a group that no section makes`);
  }
}

/** `[name]` or `[name:kind]` and nothing but a comment behind; not a host such as `[fe80::1]`. */
export function sectionOf(line: string): { readonly group: string; readonly kind: string } | undefined {
  const found = /^\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?$/.exec(line);
  return found ? { group: found[1]!, kind: found[2] ?? 'hosts' } : undefined;
}

function kindOf(text: string, title: string): Kind {
  if (text === 'hosts' || text === 'children' || text === 'vars') return text;
  throw problem(title, `sections are [group], [group:children] and [group:vars], not ":${text}"`);
}

function addHosts(line: string, group: string | undefined, table: Table, title: string): void {
  const [pattern, ...words] = wordsOf(line) ?? fail(title, line);
  if (pattern === undefined) return;
  const { names, port } = expand(pattern, title);
  const variables = words.map((word) => {
    const at = word.indexOf('=');
    if (at <= 0) throw problem(title, `expected name=value, got ${shown(word)}`);
    return [word.slice(0, at), unquoted(word.slice(at + 1))] as const;
  });
  for (const name of names) {
    table.addHost(name, group ?? 'ungrouped', title);
    if (port !== undefined) table.setHost(name, 'ansible_port', port);
    for (const [variable, value] of variables) table.setHost(name, variable, value);
  }
}

function fail(title: string, line: string): never {
  throw problem(title, `a quote is not closed in ${shown(line)}`);
}

function addChild(line: string, group: string, table: Table, title: string): string {
  const [child, more] = line
    .replace(/\s#.*$/, '')
    .trim()
    .split(/\s+/);
  if (child === undefined || more !== undefined)
    throw problem(title, `expected the name of a group, got ${shown(line)}`);
  table.addGroup(child, group);
  return child;
}

function addVariable(line: string, group: string, table: Table, title: string): void {
  const at = line.indexOf('=');
  if (at <= 0) throw problem(title, `expected name=value, got ${shown(line)}`);
  table.setGroup(group, line.slice(0, at).trim(), unquoted(line.slice(at + 1).trim()));
}

/** Words of a line as a POSIX shell splits them, up to a comment; undefined: a quote is not closed. */
export function wordsOf(line: string): string[] | undefined {
  const words: string[] = [];
  const piece = /\s+|#.*$|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)/y;
  let word: string | undefined;
  let at = 0;
  while (at < line.length) {
    piece.lastIndex = at;
    const found = piece.exec(line);
    if (!found) return undefined;
    at = piece.lastIndex;
    const [whole, single, double, escaped, plain] = found;
    if (/^\s/.test(whole)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (whole.startsWith('#') && word === undefined) break;
    else word = (word ?? '') + (single ?? double?.replace(/\\(["\\])/g, '$1') ?? escaped ?? plain ?? whole);
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** A value that is a quoted text stands for that text. */
function unquoted(value: string): string {
  const found = /^(?:'([^'\\]*)'|"([^"\\]*)")$/.exec(value);
  return found ? (found[1] ?? found[2])! : value;
}
