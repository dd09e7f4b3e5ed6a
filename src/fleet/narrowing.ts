/** Taking hosts away from a selection: exclusions, and expressions about what is known of hosts. What matches nothing is told. */
import { HostSetError, MyriadError } from '../contracts/errors.ts';
import {
  difference,
  filter,
  type HostSet,
  type ParseOptions,
  parseHostFile,
  parseHostSet,
} from '../hostset/hostset.ts';
import type { Names } from '../hostset/names.ts';
import { parseWhere } from '../inventory/where.ts';
import type { Variables } from '../jobs/template.ts';
import { nearestText } from '../util/nearest.ts';
import { readHostFile } from './host_file.ts';
import { factsOf, type Known } from './inventories.ts';

/** Names that a misspelt one is compared with. */
const MOST_NAMED = 100;
const MOST_COMPARED = 100_000;
/** Items of one exclusion that are looked at one by one, where they are no plain names. */
const MOST_ITEMS = 100;

/** Throws, or says it and lets it pass. */
export type Unmatched = (error: MyriadError) => void;

/** Less the hosts of `text`, a host set or `^FILE`. `unmatched` hears of an item that takes nothing away: it is most likely misspelt. */
export function without(set: HostSet, text: string, options: ParseOptions, unmatched: Unmatched): HostSet {
  const file = text.startsWith('^') ? text.slice(1) : undefined;
  const out = file === undefined ? parseHostSet(text, options) : parseHostFile(readHostFile(file), file, options);
  const { set: rest, matched } = difference(set, out);
  // A file of what is always left out goes with many selections, and seldom with all of any.
  for (const item of matched === 0 ? [text] : file === undefined ? idleItems(set, text, options) : []) {
    const near = /^[\w.-]+$/.test(item) ? nearestText(item, someNames(set)) : '';
    unmatched(new MyriadError('unmatched', `exclusion "${item}" matches none of the selected hosts${near}`));
  }
  if (rest.count > 0) return rest;
  throw new MyriadError('empty-selection', `exclusion "${text}" leaves no host`);
}

/** Items of a plain list of them that match no host. */
function* idleItems(set: HostSet, text: string, { names }: ParseOptions): Generator<string> {
  if (/[!&^]/.test(text)) return;
  // What is not known was heard of when the whole was read.
  const options: ParseOptions = { names, unmatched: () => {} };
  let count = 0;
  for (const item of text.split(/[\s,]+(?![^[]*\])/)) {
    if (item === '') continue;
    if (/^[\w.-]+$/.test(item) && !/^[\d.]+-/.test(item)) {
      if (!set.has(item)) yield item;
    } else if (count++ < MOST_ITEMS && difference(set, parseHostSet(item, options)).matched === 0) yield item;
  }
}

/** Names to compare with, of a set of any size. */
export function* someNames(set: HostSet): Generator<string> {
  let count = 0;
  for (const { name } of set) {
    if (count++ >= MOST_COMPARED) return;
    yield name;
  }
}

/** The hosts of a group that an expression names. Throws `usage` for what is no name of a group. */
function groupIn(group: string, names: Names, refuse: (sentence: string) => void, text: string): HostSet {
  try {
    return parseHostSet(`@${group}`, { names, unmatched: ({ expected }) => refuse(`expected ${expected}`) });
  } catch (error) {
    if (!(error instanceof HostSetError)) throw error;
    throw new MyriadError('usage', `where "${text}": "@${group}": expected ${error.expected}`, { cause: error });
  }
}

export interface Choosing {
  readonly known: Known;
  /** Those of the caller. */
  readonly variables: Variables | undefined;
  readonly unmatched: Unmatched;
}

/** The hosts for which an expression holds. A variable that no host has, and a group that is not known, are most likely misspelt. */
export function choose(set: HostSet, text: string, { known, variables, unmatched }: Choosing): HostSet {
  const refuse = (sentence: string) => unmatched(new MyriadError('unmatched', `where "${text}": ${sentence}`));
  const where = parseWhere(text, (group) => {
    const members = groupIn(group, known.names, refuse, text);
    return ({ host }) => members.has(host.label) || members.has(host.name);
  });
  const missing = new Set(where.variables);
  const seen = new Set<string>();
  const chosen = filter(set, (host) => {
    const facts = factsOf(host, known, variables);
    for (const name of missing) if (Object.hasOwn(facts.variables, name)) missing.delete(name);
    if (missing.size > 0 && seen.size < MOST_NAMED) for (const name of Object.keys(facts.variables)) seen.add(name);
    return where.holds(facts);
  });
  for (const name of missing) refuse(`no host has a variable "${name}"${nearestText(name, seen)}`);
  if (chosen.count === 0) throw new MyriadError('empty-selection', `where "${text}": it holds for no host`);
  return chosen;
}
