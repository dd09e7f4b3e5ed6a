/**
 * Which settings count, and the words they come to. Precedence: command line, profile, project, user, default; within a file a
 * verb's own section before the top.
 */
import { dirname, resolve, sep } from 'node:path';
import type { Command, Option } from 'commander';
import { MyriadError } from '../../index.ts';
import { nearest } from '../../util/nearest.ts';
import { type Definitions, settingName } from '../definitions.ts';
import { type Document, readDocument, TRUSTED } from './document.ts';
import { findFiles, type Layer, readSettings, type SettingsFile, type Surroundings, userFile } from './files.ts';
import { ADDS_UP, displacedBy, holdsPath, OF_PROJECTS, WAITS_FOR } from './options.ts';
import { type Scanned, scan } from './scan.ts';
import { type Entry, type Node, Source } from './yaml.ts';

/** One option as a file sets it. */
export interface Setting {
  readonly name: string;
  /** As they would be typed. */
  readonly words: readonly string[];
  /** The values alone; none for an option that takes none. */
  readonly values: readonly string[];
  /** `FILE:LINE:COLUMN`. */
  readonly place: string;
  readonly layer: Layer;
  readonly profile: string | undefined;
}

export interface Effective {
  readonly scanned: Scanned;
  readonly files: readonly SettingsFile[];
  readonly profile: string | undefined;
  /** All that there are. */
  readonly profiles: readonly string[];
  /** Those that count for the line, in the order of their strength. */
  readonly settings: readonly Setting[];
}

/** Words that stand where a path could. */
const NOT_PATHS: Readonly<Record<string, string>> = { config: 'none', audit: 'syslog' };

/** What counts for a line of `verb`. Throws `usage`, one sentence with the place of what is wrong. */
export async function effective(
  definitions: Definitions,
  verb: string,
  words: readonly string[],
  around: Surroundings,
): Promise<Effective> {
  const command = await definitions.of(verb);
  const scanned = scan(command, words);
  if (scanned.helped) return { scanned, files: [], profile: undefined, profiles: [], settings: [] };
  const files = findFiles(around, scanned.settings ?? nonEmpty(around.env.MYRIAD_SETTINGS));
  const documents: { readonly layer: Layer; readonly file: string; readonly document: Document }[] = [];
  for (const { layer, file } of files) {
    const read = readSettings(file, around.uid);
    if ('problem' in read) {
      throw new MyriadError('usage', `settings "${file}": ${read.problem}, or leave it out with --settings none`);
    }
    documents.push({ layer, file, document: await readDocument(new Source(file, read.text), verb, definitions) });
  }
  const profile = scanned.profile ?? nonEmpty(around.env.MYRIAD_PROFILE);
  const profiles = [...new Set(documents.flatMap(({ document }) => [...document.profiles.keys()]))];
  if (profile !== undefined) checkProfile(profile, profiles);
  const trusted = trustedFolders(documents.find(({ layer }) => layer === 'user')?.document, around.home);
  const layers: Setting[][] = [];
  for (const part of [undefined, ...(profile === undefined ? [] : [profile])]) {
    for (const { layer, file, document } of documents) {
      const context = { command, layer, profile: part, file, source: document.source, around };
      const reader = new Reader({ ...context, trusted: isTrusted(layer, file, trusted) });
      const entries = part === undefined ? document.general : (document.profiles.get(part) ?? []);
      for (const list of entries) layers.push(list.flatMap((entry) => reader.setting(entry)));
    }
  }
  return { scanned, files, profile, profiles, settings: strongest(layers, scanned) };
}

/** The words with what settings add to them. */
export function completed({ scanned, settings }: Effective): string[] {
  return [...scanned.head, ...settings.flatMap(({ words }) => words), ...scanned.rest];
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function checkProfile(name: string, names: readonly string[]): void {
  if (names.includes(name)) return;
  const [near] = nearest(name, names, 1);
  const meant =
    near !== undefined ? `; did you mean ${near}?` : names.length > 0 ? `; there are ${names.join(', ')}` : '';
  throw new MyriadError('usage', `--profile: no settings have a profile "${name}"${meant}`);
}

function trustedFolders(user: Document | undefined, home: string): string[] {
  const entry = user?.trusted;
  if (user === undefined || entry === undefined) return [];
  const items = entry.value.kind === 'list' ? entry.value.items : [entry.value];
  return items.map((item) => {
    if (item.kind !== 'scalar') return user.source.refuse(item.at, `${TRUSTED}: expected folders`);
    const folder = expanded(item.text, '/', home);
    if (!item.text.startsWith('/') && !item.text.startsWith('~/')) {
      user.source.refuse(item.at, `${TRUSTED}: expected a whole path, got "${item.text}"`);
    }
    return folder;
  });
}

/** A file of one's own, or one in a folder, or below it, that one's own file trusts. */
function isTrusted(layer: Layer, file: string, folders: readonly string[]): boolean {
  if (layer !== 'project') return true;
  const folder = dirname(file);
  return folders.some(
    (trusted) => folder === trusted || folder.startsWith(trusted.endsWith(sep) ? trusted : trusted + sep),
  );
}

/** Each option once, by the strongest layer that sets it; what the line gives itself goes by the line. */
function strongest(layers: readonly (readonly Setting[])[], { given, off }: Scanned): Setting[] {
  const gone = new Set([...given, ...off]);
  for (const name of given) for (const other of displacedBy(name)) gone.add(other);
  const kept: Setting[] = [];
  for (const layer of layers.toReversed()) {
    const now = layer.filter(({ name }) => (ADDS_UP.has(name) ? !off.has(name) : !gone.has(name)));
    kept.push(...now);
    for (const { name } of now) for (const other of [name, ...displacedBy(name)]) gone.add(other);
  }
  const whole = new Set([...given, ...kept.map(({ name }) => name)]);
  const waits = (name: string) => WAITS_FOR.has(name) && !whole.has(WAITS_FOR.get(name)!);
  return kept.filter(({ name, words }) => words.length > 0 && !waits(name));
}

interface ReaderContext {
  readonly command: Command;
  readonly layer: Layer;
  readonly profile: string | undefined;
  readonly file: string;
  readonly source: Source;
  readonly trusted: boolean;
  readonly around: Surroundings;
}

/** Turns entries of one file into words, judged by the options' own definitions. */
class Reader {
  readonly #context: ReaderContext;

  constructor(context: ReaderContext) {
    this.#context = context;
  }

  setting(entry: Entry): Setting[] {
    const { command, source, layer, profile } = this.#context;
    const options = command.options.filter((option) => settingName(option) === entry.key);
    if (options.length === 0) return [];
    this.#checkTrust(entry);
    const { words, values } = this.#words(entry, options);
    return [{ name: entry.key, words, values, place: source.place(entry.at), layer, profile }];
  }

  #checkTrust({ key, at }: Entry): void {
    const { trusted, file, source, around } = this.#context;
    if (trusted || OF_PROJECTS.has(key)) return;
    const line = `${TRUSTED}: [${dirname(file)}]`;
    source.refuse(at, `${key}: a project's file sets this only where "${line}" stands in ${userFile(around)}`);
  }

  #words(
    entry: Entry,
    options: readonly Option[],
  ): { readonly words: readonly string[]; readonly values: readonly string[] } {
    const taking = options.find(({ required }) => required);
    const { key, value } = entry;
    const scalar = value.kind === 'scalar' ? value.text : undefined;
    // `--journal DIR` and `--no-journal` are one setting.
    if (taking === undefined || (scalar === 'false' && options.some(({ negate }) => negate))) {
      return { words: this.#switch(entry, options), values: [] };
    }
    const values = this.#valuesOf(value, key).map((text) => this.#path(taking, text));
    const joined = this.#judged(entry, taking, values);
    return { words: joined.map((text) => `${taking.long}=${text}`), values: joined };
  }

  #switch({ key, value }: Entry, options: readonly Option[]): string[] {
    const { source } = this.#context;
    const text = value.kind === 'scalar' ? value.text : '';
    if (text !== 'true' && text !== 'false') source.refuse(value.at, `${key}: expected true or false`);
    const option = options.find(({ negate }) => negate === (text === 'false'));
    return option === undefined ? [] : [option.long!];
  }

  /** A mapping is for options that take NAME=VALUE. */
  #valuesOf(value: Node, key: string): string[] {
    const { source } = this.#context;
    const textOf = (node: Node): string => {
      if (node.kind === 'scalar' && !node.empty) return node.text;
      return source.refuse(node.at, `${key}: expected a value`);
    };
    if (value.kind === 'list') return value.items.map(textOf);
    if (value.kind === 'scalar') return [textOf(value)];
    if (!['env', 'var', 'option'].includes(key)) source.refuse(value.at, `${key}: expected a value or a list`);
    return value.entries.map((entry) => `${entry.key}=${textOf(entry.value)}`);
  }

  #path(option: Option, text: string): string {
    const key = settingName(option);
    const { file, around } = this.#context;
    const whole = (path: string) => expanded(path, dirname(file), around.home);
    if (key === 'hosts') return text.startsWith('^') ? `^${whole(text.slice(1))}` : text;
    if (!holdsPath(option) || text === '-' || text === NOT_PATHS[key]) return text;
    const kind = key === 'inventory' ? (/^[a-z-]+:/.exec(text)?.[0] ?? '') : '';
    if (kind === 'command:') return text;
    return kind + whole(text.slice(kind.length));
  }

  /** A list for an option that may stand once is one value with commas. */
  #judged({ key, value }: Entry, option: Option, values: readonly string[]): readonly string[] {
    const { source } = this.#context;
    const parse = (text: string, before: unknown) => {
      try {
        return option.parseArg === undefined ? text : option.parseArg(text, before);
      } catch (cause) {
        if (!(cause instanceof MyriadError)) throw cause;
        // The option as it is typed stands in front of the sentence: here it is the setting's name.
        const what = cause.message.replace(/^--[a-z-]+(?: \(-\w\))?:? /, '');
        return source.refuse(value.at, `${key}: ${what}`, cause);
      }
    };
    if (values.length <= 1) {
      for (const text of values) parse(text, undefined);
      return values;
    }
    let all: unknown;
    for (const text of values) all = parse(text, all);
    if (sizeOf(all) > sizeOf(parse(values.at(-1)!, undefined))) return values;
    const joined = values.join(',');
    parse(joined, undefined);
    return [joined];
  }
}

function sizeOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Array.isArray(value) ? value.length : Object.keys(value).length;
}

function expanded(path: string, folder: string, home: string): string {
  return path.startsWith('~/') || path === '~' ? resolve(home, path.slice(2)) : resolve(folder, path);
}
