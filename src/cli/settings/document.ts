/**
 * What a settings file says, as layers of one verb:
 *
 *   OPTION: VALUE            for every verb that has the option
 *   VERB: {OPTION: VALUE}    for one verb
 *   profiles: {NAME: {…}}    the same once more, for --profile NAME
 */
import type { Command } from 'commander';
import { nearest } from '../../util/nearest.ts';
import { type Definitions, settingName } from '../definitions.ts';
import { type Entry, type Mapping, parseSettings, type Source } from './yaml.ts';

const PROFILES = 'profiles';
export const TRUSTED = 'trusted-projects';

/** Verbs whose options mean something else than those of the same name elsewhere: of the top they take these only. */
const APART = new Set(['resume', 'runs', 'runs prune', 'show', 'simulate', 'diff', 'report']);
const SHARED_BY_ALL = new Set(['journal', 'color', 'progress']);
/** Not from the top, where they are meant for runs: `yes` would add keys that nobody has looked at, a rate of logins is none of probes. */
const NEVER_FROM_TOP: Readonly<Record<string, readonly string[]>> = {
  trust: ['yes'],
  ping: ['rate', 'fanout', 'order', 'port', 'retries', 'jitter'],
};

/** The settings of a file, names checked, values not yet. */
export interface Document {
  readonly source: Source;
  /** Weakest first: of the top, of the verb's own section. */
  readonly general: readonly (readonly Entry[])[];
  /** As `general`, by the profile's name. */
  readonly profiles: ReadonlyMap<string, readonly (readonly Entry[])[]>;
  /** Folders whose project file may say anything; with their places. */
  readonly trusted: Entry | undefined;
}

/** Throws `usage` for a name that no verb knows, with the nearest one. */
export async function readDocument(source: Source, verb: string, definitions: Definitions): Promise<Document> {
  const root = parseSettings(source);
  const { verbs } = definitions;
  const { sections, rest } = parted(root, source, verbs);
  const known = new Names(definitions, verb, namesOf(await definitions.of(verb)));
  const profiles = new Map<string, readonly (readonly Entry[])[]>();
  for (const profile of mappingOf(sections.get(PROFILES), source)?.entries ?? []) {
    const own = parted(mappingOf(profile, source), source, verbs);
    if (own.sections.has(PROFILES)) source.refuse(profile.at, 'a profile has no profiles');
    if (own.sections.has(TRUSTED)) source.refuse(profile.at, `a profile has no ${TRUSTED}`);
    profiles.set(profile.key, await layers(own, source, known));
  }
  const trusted = sections.get(TRUSTED);
  return { source, general: await layers({ sections, rest }, source, known), profiles, trusted };
}

interface Parted {
  readonly sections: ReadonlyMap<string, Entry>;
  readonly rest: readonly Entry[];
}

/** A mapping under a verb's name is that verb's; anything else under it is the option of that name. */
function parted(mapping: Mapping | undefined, source: Source, verbs: readonly string[]): Parted {
  const sections = new Map<string, Entry>();
  const rest: Entry[] = [];
  for (const entry of mapping?.entries ?? []) {
    const isSection = entry.value.kind === 'mapping' && verbs.includes(entry.key);
    if (isSection || entry.key === PROFILES || entry.key === TRUSTED) sections.set(entry.key, entry);
    else rest.push(entry);
    if (entry.value.kind === 'scalar' && entry.value.empty) {
      source.refuse(entry.at, `${entry.key}: there is no value`);
    }
  }
  return { sections, rest };
}

function mappingOf(entry: Entry | undefined, source: Source): Mapping | undefined {
  if (entry === undefined || entry.value.kind === 'mapping') return entry?.value as Mapping | undefined;
  return source.refuse(entry.value.at, `${entry.key}: expected "option: value" lines below it`);
}

async function layers({ sections, rest }: Parted, source: Source, known: Names): Promise<(readonly Entry[])[]> {
  for (const entry of rest) await known.check(entry, source, undefined);
  for (const [verb, section] of sections) {
    if (verb === PROFILES || verb === TRUSTED) continue;
    for (const entry of (section.value as Mapping).entries) await known.check(entry, source, verb);
  }
  const own = sections.get(known.verb)?.value as Mapping | undefined;
  const reaches = (key: string) =>
    NEVER_FROM_TOP[known.verb]?.includes(key) !== true && (!APART.has(known.verb) || SHARED_BY_ALL.has(key));
  const top = rest.filter(({ key }) => known.has(key) && reaches(key));
  return [top, own?.entries ?? []];
}

/** Which names there are. Those of other verbs are asked for only when this verb does not know one: that loads them all. */
class Names {
  readonly verb: string;
  readonly #definitions: Definitions;
  readonly #own: ReadonlySet<string>;
  #others: ReadonlyMap<string, ReadonlySet<string>> | undefined;

  constructor(definitions: Definitions, verb: string, own: ReadonlySet<string>) {
    this.#definitions = definitions;
    this.verb = verb;
    this.#own = own;
  }

  has(name: string): boolean {
    return this.#own.has(name);
  }

  /** `verb`: the one whose section it stands in. */
  async check({ key, at }: Entry, source: Source, verb: string | undefined): Promise<void> {
    if (this.#own.has(key) && (verb === undefined || verb === this.verb)) return;
    const others = await this.#all();
    const sets = verb === undefined ? [...others.values()] : [others.get(verb)!];
    if (sets.some((names) => names.has(key))) return;
    const words = [...new Set(sets.flatMap((names) => [...names]))];
    if (verb === undefined) words.push(PROFILES, TRUSTED, ...others.keys());
    const [near] = nearest(key, words, 1);
    const meant = near === undefined ? '' : `; did you mean ${near}?`;
    source.refuse(
      at,
      `${verb === undefined ? 'no verb' : verb} has ${verb === undefined ? 'an' : 'no'} option "${key}"${meant}`,
    );
  }

  async #all(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    if (this.#others !== undefined) return this.#others;
    const all = new Map<string, ReadonlySet<string>>();
    for (const verb of this.#definitions.verbs) all.set(verb, namesOf(await this.#definitions.of(verb)));
    this.#others = all;
    return all;
  }
}

function namesOf(command: Command): Set<string> {
  const names = new Set(command.options.map(settingName));
  names.delete('help');
  return names;
}
