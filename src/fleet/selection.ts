/** Which hosts: host sets and host files, less what is excluded. An empty or mistyped selection is an error. */
import { readFileSync } from 'node:fs';
import { MyriadError } from '../contracts/errors.ts';
import type { Host } from '../contracts/task.ts';
import { foldHosts } from '../hostset/fold.ts';
import { difference, filter, type HostSet, parseHostFile, parseHostSet, union } from '../hostset/hostset.ts';
import { type HostParts, splitLabel } from '../hostset/label.ts';
import { parseWhere } from '../inventory/where.ts';
import type { Variables } from '../jobs/template.ts';
import { nearestText } from '../util/nearest.ts';
import { factsOf, Known, ReachedHosts, within } from './inventories.ts';
import { asRecorded, recordedHosts } from './journaling.ts';
import type { FleetOptions } from './options.ts';
import { sample } from './sampling.ts';

/** Unknown hosts that a message names, and variables it compares with. */
const MOST_NAMED = 100;
/** Known hosts that a misspelt one is compared with. */
const MOST_COMPARED = 100_000;

/** The hosts of a fleet, and what is known of them. */
export interface Selection {
  readonly hosts: HostSet;
  readonly known: Known;
  /** Those of the caller and of inventories; undefined: there are none. */
  readonly variables: Variables | undefined;
}

/** Throws `host-set`, `file`, `inventory`, `empty-selection`, `unmatched` or `usage`, naming the part at fault. */
export function selectHosts(options: FleetOptions): Selection {
  const known = new Known(list(options.inventory));
  const recorded = new Map<string, Host>();
  let selected = gather(options, known, recorded);
  for (const { text, set } of exclusions(options, known, selected)) {
    const { set: rest, matched } = difference(selected, set);
    if (matched === 0) throw new MyriadError('unmatched', `exclusion "${text}" matches none of the selected hosts`);
    selected = rest;
  }
  if (selected.count === 0) throw new MyriadError('empty-selection', 'the exclusions leave no host');
  if (options.where !== undefined) selected = choose(selected, options.where, known, options.variables);
  const sampled = sample(selected, options);
  const own = options.variables;
  const variables: Variables = (host) => factsOf(host, known, own).variables;
  return {
    hosts: asRecorded(known.named ? new ReachedHosts(sampled, known) : sampled, recorded),
    known,
    variables: known.named ? variables : own,
  };
}

/** All hosts that are named in any way. */
function gather(options: FleetOptions, known: Known, recorded: Map<string, Host>): HostSet {
  const parts: HostSet[] = list(options.hosts).map((text) => namedHosts(text, known));
  for (const file of list(options.hostFiles)) {
    const set = parseHostFile(readText(file), file, { names: known.names });
    if (set.count === 0) throw new MyriadError('empty-selection', `hosts file "${file}" names no host`);
    parts.push(set);
  }
  for (const group of list(options.groups)) parts.push(parseHostSet(groupSet(group), { names: known.names }));
  if (options.allHosts) parts.push(known.all);
  for (const run of list(options.from)) parts.push(recordedHosts(run, options.journal, recorded));
  if (parts.length === 0) {
    const how = known.named ? '-w, -g, or -a for all of the inventory' : '-w or --hostfile';
    throw new MyriadError('empty-selection', `no hosts were given; name them with ${how}`);
  }
  const selected = parts.length === 1 ? parts[0]! : union(parts);
  if (selected.count > 0) return selected;
  throw new MyriadError('empty-selection', 'what was named comes to no host');
}

/** With an inventory a host that it does not know is most likely misspelt: `+web9` is meant. */
function namedHosts(text: string, known: Known): HostSet {
  if (!known.named) return parseHostSet(text, { names: known.names });
  if (text.startsWith('+')) return parseHostSet(text.slice(1), { names: known.names });
  const set = parseHostSet(text, { names: known.names });
  const { all } = known;
  const strange: string[] = [];
  let more = false;
  for (const { label, name } of difference(set, all).set) {
    if (all.has(name)) continue;
    if (strange.length === MOST_NAMED) more = true;
    else strange.push(label);
    if (more) break;
  }
  if (strange.length === 0) return set;
  const near = strange.length === 1 ? nearestText(strange[0]!, someNames(all)) : '';
  const them = `${foldHosts(strange)}${more ? ' and more' : ''}`;
  throw new MyriadError('unmatched', `"${text}": the inventory does not know ${them}${near}; +NAME is taken anyway`);
}

/** Names to compare with, of a set of any size. */
function* someNames(set: HostSet): Generator<string> {
  let count = 0;
  for (const { name } of set) {
    if (count++ >= MOST_COMPARED) return;
    yield name;
  }
}

/** Wildcards in what is left out mean the hosts that are selected. */
function* exclusions(
  options: FleetOptions,
  known: Known,
  selected: HostSet,
): Generator<{ readonly text: string; readonly set: HostSet }> {
  const names = within(known.names, selected);
  for (const text of list(options.exclude)) yield { text, set: parseHostSet(text, { names }) };
  for (const group of list(options.excludeGroups))
    yield { text: `@${group}`, set: parseHostSet(groupSet(group), { names }) };
}

/** `web,db` as groups: `@web,@db`. */
function groupSet(text: string): string {
  return `@${text.replace(/,(?![^[\]]*\])/g, ',@')}`;
}

/** The hosts for which an expression holds. A variable that no host has is most likely misspelt. */
function choose(set: HostSet, text: string, known: Known, variables: Variables | undefined): HostSet {
  const where = parseWhere(text);
  const missing = new Set([...where.variables].map((name) => name));
  const seen = new Set<string>();
  const chosen = filter(set, (host) => {
    const facts = factsOf(host, known, variables);
    for (const name of missing) if (Object.hasOwn(facts.variables, name)) missing.delete(name);
    if (missing.size > 0 && seen.size < MOST_NAMED) for (const name of Object.keys(facts.variables)) seen.add(name);
    return where.holds(facts);
  });
  for (const name of missing) {
    throw new MyriadError('unmatched', `where "${text}": no host has a variable "${name}"${nearestText(name, seen)}`);
  }
  if (chosen.count === 0) throw new MyriadError('empty-selection', `where "${text}": it holds for no host`);
  return chosen;
}

/** The hops of `user@host:port,host2`, none for `none`; undefined where nothing was said. Throws `usage`. */
export function parseJump(text: string | undefined): readonly HostParts[] | undefined {
  if (text === undefined) return undefined;
  if (text === 'none') return [];
  return text.split(',').map((label) => {
    const parts = splitLabel(label.trim());
    if (parts) return parts;
    throw new MyriadError('usage', `jump "${text}": expected [user@]host[:port] with commas, got "${label}"`);
  });
}

function list(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

function readText(file: string): string {
  try {
    // Not by its name: a socket, which is what a parent process may have given us, cannot be opened again.
    return readFileSync(file === '/dev/stdin' ? 0 : file, 'utf8');
  } catch (cause) {
    throw new MyriadError('file', `hosts file "${file}" cannot be read: ${(cause as Error).message}`, { cause });
  }
}
