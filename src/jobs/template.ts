/**
 * Text with places in it, filled per task: `{host}` the host as it was written, `{name}` its name or address alone, `{user}` and
 * `{port}` as it is reached, `{rank}` the task's place in the plan from 0, `{count}` the tasks of the plan, `{i}` the iteration of
 * `--repeat` from 1; any other name is a variable. `{host:raw}` is not quoted. `{{` and `}}` are braces.
 */
import { MyriadError } from '../contracts/errors.ts';
import type { Host, Target } from '../contracts/task.ts';

/** How a value is put into the text: as one word of a POSIX shell, as it is, or as a function writes it. */
export type Quoting = 'shell' | 'none' | ((value: string) => string);

/** A host's variables, whatever they come from; undefined: it has none. */
export type Variables = (host: Host) => Readonly<Record<string, string>> | undefined;

/** What the caller knows of hosts beyond their labels. */
export interface HostValues {
  /** As whom and where a host is reached. @default as its label says, else empty */
  destination?(host: Host): { readonly user: string; readonly port: number };
  variables?(host: Host): Readonly<Record<string, string>> | undefined;
}

/** Names that a text may use beyond those of every task. */
export interface Names {
  /** The same for all hosts; they win over those of a host. @default none */
  readonly variables?: Readonly<Record<string, string>> | undefined;
  /** True: a name that is not known may be a variable of hosts; see `check`. @default false: it is refused at once */
  readonly perHost?: boolean | undefined;
}

/** A place that a host's value cannot go to. */
export interface Refused {
  readonly name: string;
  /** Does not tell the value. */
  readonly why: string;
}

type Value = (target: Target, count: number, values: HostValues) => string;

const NO_VALUES: HostValues = {};

const VALUES: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['host', (target) => target.label],
  ['name', (target) => target.name],
  ['user', (target, _count, values) => target.user ?? values.destination?.(target).user ?? ''],
  ['port', (target, _count, values) => String(target.port ?? values.destination?.(target).port ?? '')],
  ['rank', (target) => String(target.index)],
  ['count', (_target, count) => String(count)],
  ['i', (target) => String(target.iteration)],
]);

/** What a variable may be called. */
const NAME = /^[A-Za-z_][A-Za-z0-9_.-]*$/;

interface Place {
  readonly name: string;
  readonly value: Value;
  readonly quoted: boolean;
  /** The text that follows it. */
  readonly after: string;
}

/** Characters that mean nothing to a shell anywhere in a word. */
const PLAIN = /^[A-Za-z0-9_@%+:,./-]+$/;

/** `value` as one word of a POSIX shell. Throws MyriadError `usage` for a NUL, which no command line can carry. */
export function shellQuote(value: string): string {
  if (value.includes('\0')) {
    throw new MyriadError('usage', `${JSON.stringify(value)} contains a NUL, which no command line can carry`);
  }
  return PLAIN.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

/** Throws `usage` for names that no place can have, or that every task has already, and for values with a NUL. */
export function checkVariables(
  variables: Readonly<Record<string, unknown>>,
  whose = '',
): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(variables)) {
    const of = `variable ${JSON.stringify(name)}${whose && ` ${whose}`}`;
    if (!NAME.test(name)) {
      throw new MyriadError(
        'usage',
        `${of}: a name is letters, digits, "_", "." and "-", and begins with a letter or "_"`,
      );
    }
    if (VALUES.has(name)) throw new MyriadError('usage', `${of}: {${name}} is the host's own; choose another name`);
    if (typeof value !== 'string') throw new MyriadError('usage', `${of}: the value must be a string`);
    if (value.includes('\0'))
      throw new MyriadError('usage', `${of}: the value contains a NUL, which no command line can carry`);
  }
  return variables as Readonly<Record<string, string>>;
}

/** Names of places that every task has. */
const TASK_NAMES: readonly string[] = [...VALUES.keys()];

/** A text that was compiled once and is filled once per task. */
export class Template {
  /** Variables that only hosts can have. */
  readonly hostNames: ReadonlySet<string>;
  readonly #before: string;
  readonly #places: readonly Place[];
  readonly #quote: (value: string) => string;

  private constructor(before: string, places: readonly Place[], quoting: Quoting, hostNames: ReadonlySet<string>) {
    this.#before = before;
    this.#places = places;
    this.hostNames = hostNames;
    this.#quote = quoteBy(quoting);
  }

  /** Throws MyriadError `usage` for an unknown name or an unpaired brace; `what` names the text in the message. */
  static compile(text: string, quoting: Quoting, what: string, names: Names = {}): Template {
    let before = '';
    let literal = '';
    const hostNames = new Set<string>();
    const places: { name: string; value: Value; quoted: boolean; after: string }[] = [];
    const flush = (): void => {
      const last = places.at(-1);
      if (last === undefined) before = literal;
      else last.after = literal;
      literal = '';
    };
    for (let at = 0; at < text.length; ) {
      const char = text[at]!;
      if (char !== '{' && char !== '}') {
        const brace = nextBrace(text, at);
        literal += text.slice(at, brace);
        at = brace;
      } else if (text[at + 1] === char) {
        literal += char;
        at += 2;
      } else {
        const { name, raw, end } = readPlace(text, at, what);
        flush();
        places.push({
          name,
          value: placeValue(name, what, names, hostNames, raw ? undefined : quoteBy(quoting)),
          quoted: !raw,
          after: '',
        });
        at = end;
      }
    }
    flush();
    return new Template(before, places, quoting, hostNames);
  }

  /** The first place that a value of `host` cannot be quoted for, and why; undefined where there is none. */
  refusal(host: Host, values: HostValues = NO_VALUES): Refused | undefined {
    const target = { ...host, index: 0, iteration: 1 };
    for (const { name, value, quoted } of this.#places) {
      if (!quoted) continue;
      const filled = value(target, 1, values);
      try {
        this.#quote(filled);
      } catch (error) {
        if (error instanceof MyriadError) return { name, why: error.message };
        throw error;
      }
    }
    return undefined;
  }

  /** The text for one task. Throws MyriadError `usage` for a variable that its host does not have. */
  render(target: Target, count: number, values: HostValues = NO_VALUES): string {
    let text = this.#before;
    for (const { value, quoted, after } of this.#places) {
      const filled = value(target, count, values);
      text += (quoted ? this.#quote(filled) : filled) + after;
    }
    return text;
  }
}

function quoteBy(quoting: Quoting): (value: string) => string {
  if (quoting === 'shell') return shellQuote;
  return quoting === 'none' ? (value) => value : quoting;
}

function nextBrace(text: string, from: number): number {
  for (let at = from; at < text.length; at++) if (text[at] === '{' || text[at] === '}') return at;
  return text.length;
}

/** The place whose brace opens at `at`. */
function readPlace(text: string, at: number, what: string): { name: string; raw: boolean; end: number } {
  const close = text[at] === '{' ? text.indexOf('}', at) : -1;
  if (close === -1) {
    throw new MyriadError(
      'usage',
      `${what}: the brace at position ${at + 1} of ${JSON.stringify(text)} has no partner: write "${text[at]}${text[at]}" for a brace`,
    );
  }
  const inside = text.slice(at + 1, close);
  const raw = inside.endsWith(':raw');
  return { name: raw ? inside.slice(0, -4) : inside, raw, end: close + 1 };
}

function placeValue(
  name: string,
  what: string,
  names: Names,
  hostNames: Set<string>,
  quote: ((value: string) => string) | undefined,
): Value {
  const own = VALUES.get(name);
  if (own !== undefined) return own;
  const { variables = {}, perHost = false } = names;
  const fixed = Object.hasOwn(variables, name) ? variables[name] : undefined;
  if (fixed !== undefined) {
    checkFixed(fixed, `${what}: "{${name}}"`, quote);
    return () => fixed;
  }
  if (!perHost || !NAME.test(name)) {
    throw new MyriadError('usage', unknownName(name, what, Object.keys(variables)));
  }
  hostNames.add(name);
  return (target, _count, values) => {
    const found = ownVariable(values.variables?.(target), name);
    if (found === undefined) throw new MyriadError('usage', `${what}: ${target.label} has no variable "{${name}}"`);
    return found;
  };
}

/** The same for all hosts: what cannot be quoted is known at once. */
function checkFixed(value: string, of: string, quote: ((value: string) => string) | undefined): void {
  try {
    quote?.(value);
  } catch (error) {
    if (error instanceof MyriadError) throw new MyriadError('usage', `${of}: ${error.message}`);
    throw error;
  }
}

/** Inventories are read from files: what stands on a prototype is no variable. */
export function ownVariable(variables: Readonly<Record<string, string>> | undefined, name: string): string | undefined {
  return variables !== undefined && Object.hasOwn(variables, name) ? variables[name] : undefined;
}

/** A sentence about a name that nobody knows. `more`: what there is beyond the names that every task has. */
export function unknownName(name: string, what: string, more: readonly string[]): string {
  const known = [...TASK_NAMES, ...more];
  const near = nearest(name, known);
  const meant = near === undefined ? '' : `, did you mean "{${near}}"`;
  const shown = known.slice(0, 20).map((each) => `{${each}}`);
  const rest = known.length > shown.length ? ` and ${known.length - shown.length} more` : '';
  return `${what}: nothing is known as "{${name}}"${meant}; there are ${shown.join(' ')}${rest}, and {host:raw} for the value without quotes; write "{{" for a brace`;
}

/** The known name with the fewest letters to change, where those are few. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.min(3, Math.floor(name.length / 2) + 1);
  for (const candidate of known) {
    const changes = distance(name, candidate, least);
    if (changes >= least) continue;
    least = changes;
    best = candidate;
  }
  return best;
}

/** Letters to add, drop, replace or swap with their neighbour; `most` or more where there are many. */
function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) >= most) return most;
  let older: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, older[j - 2]! + 1);
      next.push(least);
    }
    older = row;
    row = next;
  }
  return row[b.length]!;
}
