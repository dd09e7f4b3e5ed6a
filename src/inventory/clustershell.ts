/**
 * ClusterShell's groups: a groups.conf with its folders, a YAML file of groups.d, or a flat file of `group: hosts`. Sources with
 * commands are asked when a group of theirs is: map, all, list, run by /bin/sh as they are written for it.
 */
import { readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import type { Groups } from '../hostset/named_hosts.ts';
import { wordsOf } from './ansible/ini.ts';
import { readSections, type Sections } from './conf.ts';
import type { Inventory, Reading } from './inventory.ts';
import { problem, shown } from './problem.ts';
import { SetInventory } from './set_inventory.ts';
import { outputOf, readText } from './source.ts';
import { entriesOf } from './values.ts';
import { parseYaml } from './yaml.ts';

/** What a group may be called that becomes part of a shell's command line. */
const SAFE = /^[A-Za-z0-9_.+=%:,][A-Za-z0-9_.+=%:,-]*$/;
/** What a folder may be called that does. */
const SAFE_PATH = /^[A-Za-z0-9_./+=@%:,-]+$/;

/** One source of groups. */
interface Source {
  members(group: string): string | undefined;
  names(): Iterable<string> | undefined;
  all(): string | undefined;
}

/** A groups.conf. Throws `inventory`. */
export function readGroupsConf(path: string, { title }: Reading): Inventory {
  const folder = dirname(path);
  const sections = readSections(readText(path, title), title);
  const main = sections.get('Main') ?? new Map<string, string>();
  const sources = new Map<string, Source>();
  const add = (name: string, source: Source): void => {
    if (sources.has(name)) throw problem(title, `source ${shown(name)} is defined twice`);
    sources.set(name, source);
  };
  for (const confdir of foldersOf(main.get('groupsdir') ?? main.get('confdir'), folder, title)) {
    for (const file of filesIn(confdir, '.conf'))
      addUpcalls(readSections(readText(file, title), file), confdir, file, add);
  }
  for (const autodir of foldersOf(main.get('autodir'), folder, title)) {
    for (const file of filesIn(autodir, '.yaml')) {
      for (const [name, source] of yamlSources(parseYaml(readText(file, title), file), file)) add(name, source);
    }
  }
  addUpcalls(sections, folder, title, add);
  const first = main.get('default') || sources.keys().next().value;
  if (first !== undefined && !sources.has(first)) throw problem(title, `default source ${shown(first)} is not defined`);
  return new SetInventory(title, groupsOf(sources, first));
}

/** One YAML file of sources. Throws `inventory`. */
export function readGroupsYaml(value: unknown, { title }: Reading): Inventory {
  const sources = new Map(yamlSources(value, title));
  return new SetInventory(title, groupsOf(sources, sources.keys().next().value));
}

/** A flat file: `group: hosts` a line, as groups.d/local.cfg; a group that comes again goes on. */
export function readGroupsFlat(text: string, { title }: Reading): Inventory {
  const groups = new Map<string, string>();
  let number = 0;
  for (const full of text.split('\n')) {
    number++;
    const line = full.replace(/(?:^|\s)#.*$/, '').trim();
    if (line === '') continue;
    const found = /^([^\s:]+)\s*:\s*(.*)$/.exec(line);
    if (!found) throw problem(title, `line ${number}: expected group: hosts, got ${shown(line)}`);
    const [, name = '', hosts = ''] = found;
    groups.set(name, [groups.get(name) ?? '', hosts].filter((part) => part !== '').join(','));
  }
  return new SetInventory(title, groupsOf(new Map([['local', tableSource(groups)]]), 'local'));
}

/** Whether data looks like a file of groups.d: maps of hosts as text or lists. */
export function looksLikeSources(value: unknown): boolean {
  const sources = [...(entriesOf(value) ?? [])];
  return (
    sources.length > 0 &&
    sources.every(([, groups]) => {
      const members = entriesOf(groups);
      return (
        members !== undefined && [...members].every(([, hosts]) => typeof hosts === 'string' || Array.isArray(hosts))
      );
    })
  );
}

function groupsOf(sources: ReadonlyMap<string, Source>, first: string | undefined): Groups {
  const of = (name: string | undefined): Source | undefined => sources.get(name ?? first ?? '');
  // The source that is meant where none is named comes first.
  const names = [...sources.keys()].sort((a, b) => Number(b === first) - Number(a === first));
  return {
    sources: names,
    members: (source, group) => of(source)?.members(group),
    names: (source) => of(source)?.names(),
    all: (source) => of(source)?.all(),
  };
}

function* yamlSources(value: unknown, title: string): Generator<[string, Source]> {
  if (!looksLikeSources(value))
    throw problem(title, 'expected sources with groups: a host set, or a list of them, each');
  for (const [name, groups] of entriesOf(value)!) {
    const table = new Map<string, string>();
    for (const [group, hosts] of entriesOf(groups)!)
      table.set(group, Array.isArray(hosts) ? hosts.join(',') : String(hosts));
    yield [name, tableSource(table)];
  }
}

function tableSource(groups: ReadonlyMap<string, string>): Source {
  return { members: (group) => groups.get(group), names: () => groups.keys(), all: () => groups.get('all') };
}

function addUpcalls(
  sections: Sections,
  folder: string,
  title: string,
  add: (name: string, source: Source) => void,
): void {
  for (const [names, section] of sections) {
    if (names === 'Main') continue;
    if (!section.has('map')) throw problem(title, `source ${shown(names)} has no "map"`);
    for (const name of names.split(',')) add(name.trim(), upcallSource(name.trim(), section, folder));
  }
}

function upcallSource(name: string, section: ReadonlyMap<string, string>, folder: string): Source {
  const run = (upcall: string, group: string): string | undefined => {
    const template = section.get(upcall);
    if (template === undefined) return undefined;
    const title = `source of groups ${shown(name)}: ${upcall}`;
    if (template.includes('CFGDIR') && !SAFE_PATH.test(folder)) {
      throw problem(title, `folder ${shown(folder)} cannot go into a command line`);
    }
    const values: Readonly<Record<string, string>> = { GROUP: group, SOURCE: name, CFGDIR: folder };
    const command = template.replace(/\$(?:\$|\{?(GROUP|SOURCE|CFGDIR)\}?)/g, (_all, word?: string) =>
      word ? values[word]! : '$',
    );
    return outputOf('/bin/sh', ['-c', command], title, { cwd: folder }).trim();
  };
  return {
    members(group) {
      if (!SAFE.test(group))
        throw problem(`source of groups ${shown(name)}`, `${shown(group)} cannot go into a command line`);
      // An upcall that finds nothing says so in its own way: some fail, some are silent.
      return run('map', group) || undefined;
    },
    names: () => run('list', '')?.split(/\s+/),
    all: () => run('all', ''),
  };
}

/** Folders of a list with `$CFGDIR`, each once. */
function foldersOf(text: string | undefined, folder: string, title: string): string[] {
  if (text === undefined) return [];
  const words = wordsOf(text.replaceAll('\n', ' ')) ?? [];
  if (words.length === 0 && text.trim() !== '') throw problem(title, `${shown(text)}: a quote is not closed`);
  return [...new Set(words.map((word) => normalize(word.replace(/\$\{?CFGDIR\}?/g, () => folder))))];
}

function filesIn(folder: string, ending: string): string[] {
  try {
    return readdirSync(folder)
      .filter((entry) => entry.endsWith(ending))
      .sort()
      .map((entry) => join(folder, entry));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw problem(`folder ${shown(folder)}`, `it cannot be read: ${(cause as Error).message}`, cause);
  }
}
