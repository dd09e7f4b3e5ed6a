/** The options that verbs have, asked of the verbs themselves. */
import type { Command, Option } from 'commander';
import { MyriadError } from '../index.ts';
import { DESCRIBE, Described } from './words.ts';

/** As the table of verbs has them. It is handed in: verbs that ask for definitions stand in it themselves. */
export interface NamedVerb {
  readonly name: string;
  readonly what: string;
  load(): Promise<(argv: readonly string[]) => Promise<number>>;
}

/** Verbs within verbs: their first word. */
const SUBVERBS: Readonly<Record<string, readonly string[]>> = { runs: ['prune'] };

export class Definitions {
  readonly #verbs: readonly NamedVerb[];
  readonly #known = new Map<string, Command>();

  constructor(verbs: readonly NamedVerb[]) {
    this.#verbs = verbs;
  }

  /** Every verb, and verbs within verbs behind theirs. */
  get verbs(): string[] {
    return this.#verbs.flatMap(({ name }) => [name, ...(SUBVERBS[name] ?? []).map((sub) => `${name} ${sub}`)]);
  }

  what(verb: string): string {
    return this.#verbs.find(({ name }) => name === verb)?.what ?? '';
  }

  /** The words that begin with a verb, as the verb in full and the rest. */
  verbOf(
    name: string,
    words: readonly string[],
  ): { readonly verb: string; readonly head: string[]; readonly rest: readonly string[] } {
    const [first = '', ...rest] = words;
    if (SUBVERBS[name]?.includes(first)) return { verb: `${name} ${first}`, head: [first], rest };
    return { verb: name, head: [], rest: words };
  }

  /** How a verb, as `run` or `runs prune`, takes its words. */
  async of(verb: string): Promise<Command> {
    const known = this.#known.get(verb) ?? (await this.#ask(verb));
    this.#known.set(verb, known);
    return known;
  }

  async #ask(verb: string): Promise<Command> {
    const [name, ...sub] = verb.split(' ');
    const found = this.#verbs.find((candidate) => candidate.name === name);
    if (found === undefined) throw new MyriadError('internal', `there is no verb ${verb}`);
    try {
      await (await found.load())([...sub, DESCRIBE]);
    } catch (error) {
      if (error instanceof Described) return error.command;
      throw error;
    }
    throw new MyriadError('internal', `${verb} does not begin by parsing its words`);
  }
}

/** The name of an option as settings have it: long, without dashes and without `no-`. */
export function settingName(option: Option): string {
  const long = (option.long ?? '').slice(2);
  return option.negate ? long.slice(3) : long;
}

/** Whether the words after the first that is no option belong to a command or script. */
export function passesThrough(command: Command): boolean {
  return command.registeredArguments.some(({ variadic }) => variadic);
}
