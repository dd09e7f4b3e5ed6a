/** The words of a command line as they were typed: kept for the record without secrets, or changed a little to be typed again. */
import type { Command, Option } from 'commander';
import { MyriadError } from '../index.ts';
import { quote } from '../output/obstacles.ts';
import type { Completed } from './settings/apply.ts';

/** A verb's words, taken apart as its parser does it. */
interface Taken {
  readonly options: readonly Given[];
  /** What follows the options: the command, or program and arguments. */
  readonly words: readonly string[];
}

/** An option as it was given; the value of one that takes none is undefined. */
interface Given {
  readonly option: Option;
  readonly value: string | undefined;
}

const WITHOUT = '[redacted]';

/** Takes words apart that `command` has parsed already: options up to the first word that is none. */
function takeApart(command: Command, argv: readonly string[]): Taken {
  const options: Given[] = [];
  const left = [...argv];
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    if (word === '--') return { options, words: left };
    if (!/^-./.test(word)) return { options, words: [word, ...left] };
    const { name, value, more } = parted(command, word);
    const option = command.options.find(({ short, long }) => short === name || long === name);
    if (option === undefined) throw new MyriadError('internal', `the words ${word} were taken, and now are not`);
    if (!option.required) {
      options.push({ option, value: undefined });
      if (more !== '') left.unshift(`-${more}`);
    } else if (value !== undefined || more !== '') options.push({ option, value: value ?? more });
    else options.push({ option, value: left.shift() ?? '' });
  }
  return { options, words: [] };
}

/** `--name=value`, `--name`, or `-n` with what stands behind it: its value, or further letters. */
function parted(command: Command, word: string): { name: string; value: string | undefined; more: string } {
  if (!word.startsWith('--')) {
    const whole = command.options.some(({ short }) => short === word);
    return { name: whole ? word : word.slice(0, 2), value: undefined, more: whole ? '' : word.slice(2) };
  }
  const equals = word.indexOf('=');
  if (equals < 0) return { name: word, value: undefined, more: '' };
  return { name: word.slice(0, equals), value: word.slice(equals + 1), more: '' };
}

/** For the record: every word, but for the values of variables and what may print a password. */
function recordedWords(command: Command, verb: string, argv: readonly string[]): string[] {
  const { options, words } = takeApart(command, argv);
  const given = options.flatMap((each) => wordsOf(each, withoutSecret(each)));
  return ['myriad', verb, ...given, ...(words.length > 0 ? ['--', ...words] : [])];
}

function wordsOf({ option }: Given, value: string | undefined): string[] {
  const name = option.long ?? option.short!;
  if (value === undefined) return [name];
  // A value that looks like an option must not become one.
  return value.startsWith('-') && name.startsWith('--') ? [`${name}=${value}`] : [name, value];
}

function withoutSecret({ option, value }: Given): string | undefined {
  if (value === undefined) return undefined;
  if (option.long === '--password-command' || option.long === '--redact') return WITHOUT;
  const equals = option.long === '--env' ? value.indexOf('=') : -1;
  return equals < 0 ? value : `${value.slice(0, equals)}=${WITHOUT}`;
}

/** What was typed: for the record, and to be typed again. */
export interface Typed {
  readonly recorded: readonly string[];
  /** The line that does the same on the hosts of `from`, a recorded run. */
  again(from: string): string;
  /** The line that does the same on these hosts. */
  againOn(hosts: string): string;
}

/** `line`: what of it was typed, where settings have added to it. What they add is recorded; typed again it would be there by itself. */
export function typed(command: Command, verb: string, argv: readonly string[], line?: Completed): Typed {
  const own = line?.own ?? argv;
  const asked = (line?.asked ?? []).map((word) => ` ${quote(word)}`).join('');
  return {
    recorded: recordedWords(command, verb, argv),
    again: (from) => againLine(command, verb, own, `--from ${from}${asked}`),
    againOn: (hosts) => againLine(command, verb, own, `-w ${quote(hosts)}${asked}`),
  };
}

/** Which hosts: all of that is another selection the next time. How they are reached is for the inventory to say again. */
const TARGETS = new Set([
  ...['--hosts', '--pssh', '--exclude', '--hostfile', '--from', '--expect', '--group', '--exclude-group'],
  ...['--all-hosts', '--where', '--pick', '--seed', '--limit', '--guard'],
]);
/** Of a line that is printed: beyond, it is not typed again. */
const MOST = 600;

/** A whole command line that does the same on other hosts; with dots where a secret was, or may be, or it would be very long. */
function againLine(command: Command, verb: string, argv: readonly string[], targets: string): string {
  const { options, words } = takeApart(command, argv);
  const start = `myriad ${verb} ${targets}`;
  const kept = options.filter(({ option }) => !TARGETS.has(option.long ?? ''));
  const given = kept.flatMap((each) => wordsOf(each, withoutSecret(each)?.replace(WITHOUT, '…')).map(quote));
  const line = [start, ...given, ...(words.length > 0 ? ['--', ...words.map(quote)] : [])].join(' ');
  // What is to be redacted may stand in any word of it.
  const hides = options.some(({ option }) => option.long === '--redact');
  return line.length <= MOST && !hides ? line : `${start} … (the rest as before)`;
}
