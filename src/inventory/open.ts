/** Opens an inventory: finds out what it is, reads it once. */
import { closeSync, openSync, readdirSync, readSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { readIni, wordsOf } from './ansible/ini.ts';
import { readTree } from './ansible/tree.ts';
import { readVariableFiles } from './ansible/vars_files.ts';
import { readCdist } from './cdist.ts';
import { looksLikeSources, readGroupsConf, readGroupsFlat, readGroupsYaml } from './clustershell.ts';
import { readGenders } from './genders.ts';
import type { Inventory, Reading } from './inventory.ts';
import { isProgram, type Kind, kindOfFile, kindOfFolder, splitKind } from './kinds.ts';
import { looksLikeJson, readHosts, readJson } from './lines.ts';
import { problem } from './problem.ts';
import { outputOf, PROGRAM_MS, readText } from './source.ts';
import { readSshConfig } from './ssh_aliases.ts';
import { Table } from './table.ts';
import { parseYaml } from './yaml.ts';

/** Most hosts that a program without `_meta` is asked about one by one. */
const MOST_ASKED = 1000;

export interface OpenOptions {
  /** For all that one program is asked. @default 30,000 */
  readonly programMs?: number | undefined;
}

interface Source extends Reading {
  readonly path: string;
  readonly programMs: number | undefined;
  readonly warnings: string[];
  /** A file's text as YAML. */
  readonly yaml: (path: string, text: string) => unknown;
}

/**
 * `PATH`, or `TYPE:PATH` where its type is not to be guessed: hosts, ssh-config, clustershell, genders, ansible, json, command,
 * cdist. Programs are run, once. Throws `inventory`.
 */
export function openInventory(text: string, options: OpenOptions = {}): Inventory {
  const { kind, path } = splitKind(text);
  const warnings: string[] = [];
  const warn = (sentence: string): void => void warnings.push(sentence);
  const title = `${kind === undefined ? '' : `${kind} `}inventory ${JSON.stringify(path)}`;
  if (path === '') throw problem(title, 'expected a path');
  const { programMs } = options;
  const source = { path, title, warn, warnings, programMs, yaml: yamlReader(title) };
  if (kind === 'command') return readCommand(source);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw problem(title, 'there is no such file or folder');
  if (stat.isDirectory()) return readFolder(kind ?? kindOfFolder(path, title), source);
  if ((kind === undefined || kind === 'ansible') && isProgram(stat, startOf(path, stat))) return readProgram(source);
  const content = readText(path, title);
  if (content.startsWith('-----BEGIN')) throw problem(title, 'it is a key; private keys are named with --identity');
  return readFile(kind ?? kindOfFile(path, content, title, () => source.yaml(path, content)), content, source);
}

function readFile(kind: Kind, text: string, source: Source): Inventory {
  const { path, title, warnings } = source;
  switch (kind) {
    case 'hosts':
      return readHosts(text, source, warnings);
    case 'ssh-config':
      return readSshConfig(path, source, warnings);
    case 'genders':
      return readGenders(text, source, warnings);
    case 'json':
      return readJson(text, source, warnings);
    case 'ansible':
      return readAnsible([path], dirname(path), source);
    case 'clustershell': {
      if (basename(path) === 'groups.conf' || /^\[/m.test(text)) return readGroupsConf(resolve(path), source);
      const value = /\.ya?ml$/.test(path) ? source.yaml(path, text) : undefined;
      return looksLikeSources(value) ? readGroupsYaml(value, source) : readGroupsFlat(text, source);
    }
    default:
      throw problem(title, `it is a file; ${kind} inventories are ${kind === 'cdist' ? 'folders' : 'command lines'}`);
  }
}

function readFolder(kind: Kind, source: Source): Inventory {
  const { path, title, warnings } = source;
  switch (kind) {
    case 'cdist':
      return readCdist(path, source, warnings);
    case 'clustershell':
      return readGroupsConf(join(resolve(path), 'groups.conf'), source);
    case 'ansible': {
      // As Ansible passes over what lies beside inventories.
      const names = readdirSync(path).filter(
        (name) => !/^(?:\.|group_vars$|host_vars$)|~$|\.(?:cfg|md|orig|bak|retry|pyc|rst|swp)$/.test(name),
      );
      return readAnsible(
        names.sort().map((name) => join(path, name)),
        path,
        source,
      );
    }
    default:
      throw problem(title, `it is a folder; ${kind} inventories are files`);
  }
}

/** Parses the last file once only: what a file is, and what it holds, are two questions. */
function yamlReader(title: string): Source['yaml'] {
  let last: { readonly path: string; readonly value: unknown } | undefined;
  return (path, text) => {
    if (last?.path !== path) last = { path, value: parseYaml(text, title) };
    return last.value;
  };
}

/** Files in Ansible's formats, and the variables beside them. */
function readAnsible(
  files: readonly string[],
  folder: string,
  { title, warn, warnings, yaml, programMs }: Source,
): Inventory {
  const table = new Table(title, warn);
  for (const file of files) {
    const stat = statSync(file, { throwIfNoEntry: false });
    if (!stat?.isFile()) continue;
    if (isProgram(stat, startOf(file, stat))) {
      fillFromProgram(file, table, programMs);
      continue;
    }
    const text = readText(file, title);
    if (/\.(?:ya?ml|json)$/.test(file) || /^---\s*$/m.test(text) || looksLikeJson(text)) {
      const value = yaml(file, text);
      if (value !== undefined) readTree(value, table);
    } else readIni(text, table);
  }
  table.groupRest();
  readVariableFiles(folder, table);
  return table.seal('ansible', warnings);
}

/** A program of Ansible's kind: groups by `--list`, variables with them or by `--host NAME`. */
function readProgram({ path, title, warn, warnings, programMs }: Source): Inventory {
  const end = endOf(programMs);
  const text = outputOf(resolve(path), ['--list'], title, left(end));
  if (!looksLikeJson(text)) return readHosts(text, { title, warn }, warnings);
  const table = new Table(title, warn);
  if (!fill(text, path, table, end)) return readJson(text, { title, warn }, warnings);
  table.groupRest();
  readVariableFiles(dirname(path), table);
  return table.seal('ansible', warnings);
}

function fillFromProgram(path: string, table: Table, programMs: number | undefined): void {
  const end = endOf(programMs);
  const text = outputOf(resolve(path), ['--list'], table.title, left(end));
  if (!fill(text, path, table, end)) throw problem(table.title, `${JSON.stringify(path)} printed no groups`);
}

/** False: the text is no map of groups. */
function fill(text: string, path: string, table: Table, end: number): boolean {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return false;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  readTree(value, table);
  if (!('_meta' in value)) askEach(path, table, end);
  return true;
}

/** Without `_meta` each host has to be asked for by name, all within the time of one program. */
function askEach(path: string, table: Table, end: number): void {
  const hosts = [...table.hostNames()];
  if (hosts.length > MOST_ASKED) {
    table.warn(
      `it prints no "_meta", and ${hosts.length} hosts are too many to ask for one by one; they have no variables`,
    );
    return;
  }
  for (const host of hosts) {
    const title = `${table.title}: --host ${host}`;
    const text = outputOf(resolve(path), ['--host', host], title, left(end));
    readTree({ _meta: { hostvars: { [host]: text.trim() === '' ? {} : parseYaml(text, title) } } }, table);
  }
}

/** When a program must have said all. */
function endOf(programMs = PROGRAM_MS): number {
  return performance.now() + programMs;
}

function left(end: number): { readonly timeoutMs: number } {
  return { timeoutMs: end - performance.now() };
}

/** A command line, split into words as a shell does, run without one. */
function readCommand({ path, title, warn, warnings, programMs }: Source): Inventory {
  const [program, ...args] = wordsOf(path) ?? [];
  if (program === undefined) throw problem(title, 'expected a program and its arguments, quotes closed');
  const text = outputOf(program, args, title, left(endOf(programMs)));
  return looksLikeJson(text) ? readJson(text, { title, warn }, warnings) : readHosts(text, { title, warn }, warnings);
}

/** The first bytes of a regular file. */
function startOf(path: string, stat: Stats): Buffer {
  const bytes = Buffer.alloc(4);
  if (!stat.isFile()) return bytes;
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    // It may be executed without being read, or is said to be missing when it is.
    return bytes;
  }
  try {
    readSync(file, bytes);
    return bytes;
  } finally {
    closeSync(file);
  }
}
