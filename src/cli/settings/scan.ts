/** A line's own words, looked through before a verb takes them: what it gives, and what is for the settings. */
import type { Command, Option } from 'commander';
import { MyriadError } from '../../index.ts';
import { passesThrough, settingName } from '../definitions.ts';

export interface Scanned {
  /** A run that comes first, as `-2`: it stays there. */
  readonly head: readonly string[];
  /** Without what is for the settings. */
  readonly rest: readonly string[];
  readonly given: ReadonlySet<string>;
  /** Switched off by `--no-NAME`, whatever settings say. */
  readonly off: ReadonlySet<string>;
  readonly settings: string | undefined;
  readonly profile: string | undefined;
  readonly helped: boolean;
  /** What was for the settings, to be typed again. */
  readonly asked: readonly string[];
}

const OURS = ['--settings', '--profile'] as const;

/** Throws `usage` where --settings or --profile have no value; all else that is wrong is for the verb to say. */
export function scan(command: Command, words: readonly string[]): Scanned {
  const left = [...words];
  const head: string[] = [];
  if (/^-\d+\b/.test(left[0] ?? '') && !command.options.some(({ short }) => left[0]!.startsWith(short ?? ' '))) {
    head.push(left.shift()!);
  }
  const rest: string[] = [];
  const given = new Set<string>();
  const off = new Set<string>();
  const ours = new Map<string, string>();
  const asked: string[] = [];
  let helped = false;
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    if (word === '--' || (!/^-./.test(word) && passesThrough(command))) {
      rest.push(word, ...left);
      break;
    }
    if (word === '--help' || word === '-h') helped = true;
    const own = OURS.find((name) => word === name || word!.startsWith(`${name}=`));
    if (own !== undefined) {
      const value = givenValue(own, word, left);
      ours.set(own, value);
      if (value.startsWith('-')) asked.push(`${own}=${value}`);
      else asked.push(own, value);
    } else if (switchedOff(command, word, off)) asked.push(word);
    else {
      rest.push(word);
      for (const option of optionsOf(command, word)) given.add(settingName(option));
      if (takesNext(command, word) && left.length > 0) rest.push(left.shift()!);
    }
  }
  const [settings, profile] = OURS.map((name) => ours.get(name));
  return { head, rest, given, off, settings, profile, helped, asked };
}

function givenValue(name: string, word: string, left: string[]): string {
  const value = word === name ? left.shift() : word.slice(name.length + 1);
  if (value !== undefined && value !== '') return value;
  throw new MyriadError('usage', `${name}: expected ${name === '--profile' ? 'a name' : 'a file or none'}`);
}

/** `--no-gather-same`, where the verb has no option of that name itself. */
function switchedOff(command: Command, word: string, off: Set<string>): boolean {
  if (!word.startsWith('--no-') || command.options.some(({ long }) => long === word)) return false;
  const option = command.options.find(({ long }) => long === `--${word.slice(5)}`);
  if (option !== undefined) off.add(settingName(option));
  return option !== undefined;
}

/** The options that a word gives: of `-bN` two. */
function optionsOf(command: Command, word: string): Option[] {
  if (!word.startsWith('-') || word === '-') return [];
  if (word.startsWith('--')) {
    const name = word.split('=', 1)[0];
    return command.options.filter(({ long }) => long === name);
  }
  const found: Option[] = [];
  for (const letter of word.slice(1)) {
    const option = command.options.find(({ short }) => short === `-${letter}`);
    if (option === undefined) break;
    found.push(option);
    if (option.required) break;
  }
  return found;
}

/** Whether the value of its last option is the next word. */
function takesNext(command: Command, word: string): boolean {
  const options = optionsOf(command, word);
  if (!options.at(-1)?.required) return false;
  return word.startsWith('--') ? !word.includes('=') : options.length === word.length - 1;
}
