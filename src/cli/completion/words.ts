/** What a word on the command line may become. The shell sends all words so far, the last of which is to be completed. */
import { type Found, groups, inventoryHosts, knownNames, runs } from './names.ts';
import type { OptionRow, Table, VerbRow } from './table.ts';

/** Instead of candidates: names of files are meant. */
export const FILES = ':files';

export interface Candidate {
  /** The whole word. */
  readonly word: string;
  readonly what?: string;
}

/** Selections of a run that are usual. */
const SELECTIONS = ['bad', 'unreached', 'uncertain', 'ok', 'failed', 'timeout', 'unreachable', 'not-run'];
const SHELLS = ['bash', 'zsh', 'fish'];
/** Verbs whose first word is a run. */
const OF_RUNS = new Set(['show', 'resume', 'diff', 'report']);

/** More than a person looks at. */
const MOST = 2000;

export async function candidates(table: Table, words: readonly string[]): Promise<Candidate[] | typeof FILES> {
  const current = words.at(-1) ?? '';
  const [first = '', second = ''] = words;
  const named = words.length > 1 && table[first] !== undefined;
  if (words.length <= 1 && !current.startsWith('-')) return fitting(verbsOf(table), current);
  if (words.length === 2 && first === 'help') return fitting(verbsOf(table), current);
  const sub = named && words.length > 2 && table[`${first} ${second}`] !== undefined;
  const verb = named ? (sub ? `${first} ${second}` : first) : 'run';
  const found = await new Line(table[verb]!, verb, words.slice(sub ? 2 : named ? 1 : 0)).candidates();
  if (found === FILES) return FILES;
  const subs = named && words.length === 2 ? subverbs(table, first) : [];
  return fitting([...subs, ...found], current);
}

function verbsOf(table: Table): Candidate[] {
  const verbs = Object.entries(table).filter(([verb]) => !verb.includes(' '));
  return [...verbs.map(([word, { what }]) => ({ word, what })), { word: 'help', what: "a verb's options" }];
}

function subverbs(table: Table, verb: string): Candidate[] {
  const names = Object.keys(table).filter((name) => name.startsWith(`${verb} `));
  return names.map((name) => ({ word: name.slice(verb.length + 1) }));
}

/** Those that begin so and that no shell could misread, each once. */
function fitting(found: readonly Candidate[], current: string): Candidate[] {
  const seen = new Set<string>();
  const fit = found.filter(({ word }) => {
    if (!word.startsWith(current) || seen.has(word) || !/^[\w.,:@%+=[\]!&^/-]+$/.test(word)) return false;
    seen.add(word);
    return true;
  });
  return fit.slice(0, MOST);
}

class Line {
  readonly #row: VerbRow;
  readonly #verb: string;
  readonly #current: string;
  /** Options given so far with their values. */
  readonly #given = new Map<string, string[]>();
  /** The option whose value comes next. */
  #open: OptionRow | undefined;
  #positionals = 0;
  /** Options are over. */
  #over = false;

  constructor(row: VerbRow, verb: string, words: readonly string[]) {
    this.#row = row;
    this.#verb = verb;
    this.#current = words.at(-1) ?? '';
    for (const word of words.slice(0, -1)) this.#take(word);
  }

  async candidates(): Promise<Candidate[] | typeof FILES> {
    const current = this.#current;
    if (this.#open !== undefined) return this.#values(this.#open, '', current);
    if (this.#over) return FILES;
    const [, long, value] = /^(--[^=]+)=(.*)$/s.exec(current) ?? [];
    if (long !== undefined) {
      const option = this.#row.options.find((row) => row.long === long);
      return option?.value === undefined ? [] : this.#values(option, `${long}=`, value!);
    }
    if (current.startsWith('-')) return this.#row.options.map(({ long, what }) => ({ word: long, what }));
    return this.#positional();
  }

  #take(word: string): void {
    if (this.#open !== undefined) this.#close(word);
    else if (this.#over) return;
    else if (word === '--') this.#over = true;
    else if (word.startsWith('--')) this.#long(word);
    else if (/^-./.test(word)) this.#short(word);
    else {
      this.#positionals += 1;
      if (this.#row.passesThrough) this.#over = true;
    }
  }

  #long(word: string): void {
    const [, name, value] = /^([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    this.#open = this.#row.options.find(({ long }) => long === name);
    if (this.#open?.value === undefined || value !== undefined) this.#close(value ?? '');
  }

  /** `-bN`, `-wHOST`. */
  #short(word: string): void {
    for (let at = 1; at < word.length; at++) {
      this.#open = this.#row.options.find(({ short }) => short === `-${word[at]}`);
      if (this.#open?.value === undefined) this.#close('');
      else if (at + 1 < word.length) {
        this.#close(word.slice(at + 1));
        return;
      }
    }
  }

  #close(value: string): void {
    const name = this.#open?.long ?? '';
    this.#given.set(name, [...(this.#given.get(name) ?? []), value]);
    this.#open = undefined;
  }

  #positional(): Found | typeof FILES {
    if (OF_RUNS.has(this.#verb)) return this.#runs('', this.#current);
    if (this.#verb === 'completion') return SHELLS.map((word) => ({ word }));
    if (this.#verb === 'doctor') return [{ word: 'run' }, { word: 'script' }, { word: 'check' }];
    return this.#row.takesWords ? FILES : [];
  }

  #values(option: OptionRow, before: string, value: string): Found | Promise<Found> | typeof FILES {
    if (option.words !== undefined) return option.words.map((word) => ({ word: before + word }));
    if (['--group', '--exclude-group'].includes(option.long)) return this.#groups(before, value);
    if (option.value === 'set' || option.long === '--jump') return this.#hosts(before, value);
    if (option.value === 'run') return this.#runs(before, value);
    if (/^(?:file|dir|path)/.test(option.value ?? '')) return before === '' ? FILES : [];
    return [];
  }

  /** The part of a host set behind its last operator. */
  async #hosts(before: string, value: string): Promise<Found> {
    const [, kept = '', last = ''] = /^(.*[,!&^]|)(.*)$/s.exec(value) ?? [];
    if (last.startsWith('@')) return this.#groups(`${before}${kept}@`, last.slice(1));
    const user = /^[^@]*@/.exec(last)?.[0] ?? '';
    const inventories = this.#given.get('--inventory') ?? [];
    const names = inventories.length > 0 ? await inventoryHosts(inventories) : knownNames();
    return names.map(({ word, what }) => ({
      word: `${before}${kept}${user}${word}`,
      ...(what !== undefined && { what }),
    }));
  }

  async #groups(before: string, value: string): Promise<Found> {
    const kept = /^.*,|/s.exec(value)?.[0] ?? '';
    const found = await groups(this.#given.get('--inventory') ?? []);
    return found.map(({ word, what }) => ({ word: `${before}${kept}${word}`, ...(what !== undefined && { what }) }));
  }

  #runs(before: string, value: string): Found {
    const [run] = value.split(':', 1);
    if (value.includes(':')) return SELECTIONS.map((word) => ({ word: `${before}${run}:${word}` }));
    return runs(this.#given.get('--journal')?.at(-1)).map(({ word, what }) => ({
      word: before + word,
      ...(what !== undefined && { what }),
    }));
  }
}
