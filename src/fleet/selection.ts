/** Which hosts: host sets and host files, less what is excluded. An empty or mistyped selection is an error. */
import { MyriadError } from '../contracts/errors.ts';
import type { Host } from '../contracts/task.ts';
import { foldHosts } from '../hostset/fold.ts';
import {
  difference,
  filter,
  type HostSet,
  type ParseOptions,
  parseHostFile,
  parseHostSet,
  union,
} from '../hostset/hostset.ts';
import { type HostParts, splitLabel } from '../hostset/label.ts';
import type { Names } from '../hostset/names.ts';
import { repeatedText } from '../inventory/lines.ts';
import type { Variables } from '../jobs/template.ts';
import { nearestText } from '../util/nearest.ts';
import { readHostFile } from './host_file.ts';
import { factsOf, Known, ReachedHosts, within } from './inventories.ts';
import { asRecorded, recordedHosts } from './journaling.ts';
import { choose, someNames, type Unmatched, without } from './narrowing.ts';
import type { FleetOptions } from './options.ts';
import { sample } from './sampling.ts';

/** Unknown hosts that a message names. */
const MOST_NAMED = 100;

/** The hosts of a fleet, and what is known of them. */
export interface Selection {
  readonly hosts: HostSet;
  readonly known: Known;
  /** Those of the caller and of inventories; undefined: there are none. */
  readonly variables: Variables | undefined;
  /** Some may have keys of their own. */
  readonly hasKeys: boolean;
  /** What was passed over, one sentence each. */
  readonly warnings: readonly string[];
}

/** What all parts of a selection are read with. */
interface Reading {
  readonly options: FleetOptions;
  readonly known: Known;
  readonly recorded: Map<string, Host>;
  readonly unmatched: Unmatched;
  warn(text: string): void;
}

/** Throws `host-set`, `file`, `inventory`, `empty-selection`, `unmatched` or `usage`, naming the part at fault. */
export function selectHosts(options: FleetOptions): Selection {
  const known = new Known(list(options.inventory));
  const recorded = new Map<string, Host>();
  const warnings: string[] = [];
  const warn = (text: string): void => void warnings.push(text);
  const reading = { options, known, recorded, warn, unmatched: options.allowUnmatched ? told(warn) : refused };
  const gathered = gather(reading);
  let selected = gathered;
  for (const text of [...list(options.exclude), ...list(options.excludeGroups).map(groupSet)]) {
    // Wildcards in what is left out mean the hosts that are selected.
    selected = without(selected, text, parsing(reading, within(known.names, gathered)), reading.unmatched);
  }
  const own = options.variables;
  if (options.where !== undefined) selected = choose(selected, options.where, { ...reading, variables: own });
  const sampled = sample(selected, options);
  const variables: Variables = (host) => factsOf(host, known, own).variables;
  return {
    hosts: asRecorded(known.named ? new ReachedHosts(sampled, known) : sampled, recorded),
    known,
    variables: known.named ? variables : own,
    hasKeys: (known.named && known.hasKeys) || [...recorded.values()].some(({ identity }) => identity !== undefined),
    warnings,
  };
}

function refused(error: MyriadError): never {
  throw error;
}

function told(warn: (text: string) => void): Unmatched {
  return ({ message }) => warn(message);
}

function parsing({ options, unmatched }: Reading, names: Names): ParseOptions {
  return { names, unmatched: options.allowUnmatched ? unmatched : 'refuse' };
}

/** A part of a selection, by what it is called in messages. */
type Part = readonly [title: string, set: HostSet];

/** All hosts that are named in any way. A part without hosts is most likely misspelt. */
function gather(reading: Reading): HostSet {
  const { known, unmatched } = reading;
  const parts = [...partsOf(reading)];
  if (parts.length === 0) {
    const how = known.named ? '-w, -g, or -a for all of the inventory' : '-w or --hostfile';
    throw new MyriadError('empty-selection', `no hosts were given; name them with ${how}`);
  }
  const selected = union(parts.map(([, set]) => set));
  const empty = parts.filter(([, set]) => set.count === 0).map(([title]) => title);
  if (selected.count === 0) throw new MyriadError('empty-selection', `${empty.join(', ')}: there is no host in it`);
  for (const title of empty) unmatched(new MyriadError('unmatched', `${title}: there is no host in it`));
  return selected;
}

function* partsOf(reading: Reading): Generator<Part> {
  const { options, known, recorded } = reading;
  const parse = parsing(reading, known.names);
  for (const text of list(options.hosts)) yield [`hosts "${text}"`, namedHosts(text, reading)];
  for (const file of list(options.hostFiles)) {
    const title = `hosts file "${file}"`;
    const set = parseHostFile(readHostFile(file), file, { ...parse, repeated: sayRepeated(title, reading) });
    if (set.count === 0) throw new MyriadError('empty-selection', `${title} names no host`);
    yield [title, set];
  }
  for (const group of list(options.groups)) yield [`group "${group}"`, parseHostSet(groupSet(group), parse)];
  if (options.allHosts) yield ['all hosts', known.all];
  for (const run of list(options.from)) yield [`from "${run}"`, recordedHosts(run, options.journal, recorded)];
}

/** Each host is taken once; who wrote it twice may have meant another. */
function sayRepeated(title: string, { warn }: Reading): ParseOptions['repeated'] {
  return (repeated) => warn(repeatedText(title, repeated));
}

/** With an inventory a host that it does not know is most likely misspelt: `+web9` is meant. */
function namedHosts(text: string, reading: Reading): HostSet {
  const { known, unmatched } = reading;
  const bare = known.named && text.startsWith('+') ? text.slice(1) : text;
  // Hosts may well be in several groups.
  const spelt = !/@[^,\s]*(?:[,\s]|$)|[*?]/.test(bare.replace(/\b[\w.+-]+@/g, ''));
  const repeated = spelt ? sayRepeated(`hosts "${text}"`, reading) : undefined;
  const set = parseHostSet(bare, { ...parsing(reading, known.names), repeated });
  if (!known.named || bare !== text) return set;
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
  unmatched(
    new MyriadError('unmatched', `"${text}": the inventory does not know ${them}${near}; +NAME is taken anyway`),
  );
  return filter(set, ({ label, name }) => all.has(label) || all.has(name));
}

/** `web,db` as groups: `@web,@db`. */
function groupSet(text: string): string {
  return `@${text.replace(/,(?![^[\]]*\])/g, ',@')}`;
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
