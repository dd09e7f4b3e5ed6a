/**
 * Verbs and options as completion needs them. To ask the verbs for them means to load the library, 200 ms; so the build asks
 * once and writes them down beside this file.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { Option } from 'commander';
import type { NamedVerb } from '../definitions.ts';

export interface OptionRow {
  readonly long: string;
  readonly short?: string | undefined;
  /** The placeholder of its value, as `set` or `file`; absent where it takes none. */
  readonly value?: string | undefined;
  /** The words it takes, where they are few. */
  readonly words?: readonly string[] | undefined;
  readonly what: string;
}

export interface VerbRow {
  readonly what: string;
  readonly options: readonly OptionRow[];
  /** What follows the options belongs to a command. */
  readonly passesThrough: boolean;
  /** Something may stand there that is no option. */
  readonly takesWords: boolean;
}

export type Table = Readonly<Record<string, VerbRow>>;

const FILE = new URL('./table.json', import.meta.url);

export async function readTable(verbs: readonly NamedVerb[]): Promise<Table> {
  if (existsSync(FILE)) return JSON.parse(readFileSync(FILE, 'utf8')) as Table;
  return makeTable(verbs);
}

export async function makeTable(verbs: readonly NamedVerb[]): Promise<Table> {
  const { Definitions, passesThrough } = await import('../definitions.ts');
  const definitions = new Definitions(verbs);
  const table: Record<string, VerbRow> = {};
  for (const verb of definitions.verbs) {
    const command = await definitions.of(verb);
    const options = command.options.filter(({ hidden }) => !hidden).map(rowOf);
    options.push({ long: '--help', short: '-h', what: 'this help' });
    table[verb] = {
      what: definitions.what(verb),
      options,
      passesThrough: passesThrough(command),
      takesWords: command.registeredArguments.length > 0,
    };
  }
  return table;
}

function rowOf(option: Option): OptionRow {
  const { long, short, flags, description, required } = option;
  const value = required ? (/<([^>]*)>/.exec(flags)?.[1] ?? 'value') : undefined;
  return { long: long ?? short ?? '', short, value, words: required ? wordsOf(option) : undefined, what: description };
}

/** What no option takes is answered with the words that it does take. */
function wordsOf({ parseArg }: Option): string[] | undefined {
  try {
    parseArg?.('\u0001', undefined);
  } catch (error) {
    return /expected one of (.*), got "/.exec((error as Error).message)?.[1]?.split(', ');
  }
  return undefined;
}
