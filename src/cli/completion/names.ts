/**
 * Names that exist: hosts, groups, runs. Hosts and runs are read without the library, which would take longer than a person waits
 * for a key; groups and inventories need it. No program is run for them.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export type Found = { readonly word: string; readonly what?: string }[];

/** Of each file, so much is looked at. */
const MAX_BYTES = 4 << 20;
const MOST = 20_000;

/** Hosts of known_hosts that are not hashed, and aliases of ssh_config. */
export function knownNames(): Found {
  const home = homedir();
  const names = new Set<string>();
  for (const file of [join(home, '.ssh/config'), '/etc/ssh/ssh_config']) {
    for (const [, words] of linesOf(file).matchAll(/^[ \t]*Host[ \t]+(.*)$/gim)) {
      for (const word of words!.split(/\s+/)) if (!/[*?!"]/.test(word)) names.add(word);
    }
  }
  for (const file of [join(home, '.ssh/known_hosts'), '/etc/ssh/ssh_known_hosts']) {
    for (const [, hosts] of linesOf(file).matchAll(/^([^\s#@|][^\s|]*)\s/gm)) {
      for (const host of hosts!.split(',')) names.add(host.replace(/^\[([^\]:]+)\]:(\d+)$/, '$1:$2'));
      if (names.size > MOST) break;
    }
  }
  return [...names].filter((name) => !/[*?!]/.test(name)).map((word) => ({ word }));
}

function linesOf(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > MAX_BYTES) return '';
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Recorded runs, the last one first, by the names of their files. */
export function runs(folder: string | undefined): Found {
  const state = process.env.XDG_STATE_HOME?.startsWith('/')
    ? process.env.XDG_STATE_HOME
    : join(homedir(), '.local/state');
  const folders =
    folder === undefined ? [join(state, 'myriad/runs'), `/var/tmp/myriad-${process.getuid?.() ?? 0}`] : [folder];
  const found: Found = [];
  for (const name of folders.flatMap(namesIn).sort().reverse().slice(0, 100)) {
    const [, day, hour, minute, id] = /^\d{4}(\d{4})T(\d\d)(\d\d)\d{5}-([0-9A-Za-z-]+)\.db$/.exec(name) ?? [];
    if (id !== undefined) found.push({ word: id, what: `${day!.slice(0, 2)}-${day!.slice(2)} ${hour}:${minute} UTC` });
  }
  return found.length === 0 ? [] : [{ word: 'last', what: 'the last run' }, ...found];
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Groups with the number of their hosts: of these inventories, or of the usual places. */
export async function groups(inventories: readonly string[]): Promise<Found> {
  return library(inventories, (selected) =>
    [...selected.groups()].map(([word, { count }]) => ({ word, what: `${count} hosts` })),
  );
}

export async function inventoryHosts(inventories: readonly string[]): Promise<Found> {
  return library(inventories, (selected) => {
    const found: Found = [];
    for (const { label } of selected.hosts()) if (found.push({ word: label }) === MOST) break;
    return found;
  });
}

type Selected = ReturnType<typeof import('../../index.ts').fleet>;

async function library(inventories: readonly string[], look: (selected: Selected) => Found): Promise<Found> {
  if (inventories.some(mayRun)) return [];
  try {
    const { fleet } = await import('../../index.ts');
    await using selected = fleet({ inventory: [...inventories], allHosts: true });
    return look(selected);
  } catch {
    // What is wrong with it is said when it is used.
    return [];
  }
}

/** A key that is pressed to complete a word must not start anything. */
function mayRun(inventory: string): boolean {
  if (/^command:/.test(inventory)) return true;
  try {
    const stat = statSync(inventory.replace(/^[a-z-]+:(?=.)/, ''));
    return !stat.isDirectory() && (stat.mode & 0o111) !== 0;
  } catch {
    return false;
  }
}
