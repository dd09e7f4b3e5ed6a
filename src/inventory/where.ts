/**
 * Selections by what is known of hosts:
 *
 *   any   = all { "|" all }
 *   all   = one { "&" one }
 *   one   = "!" one | "(" any ")" | "@" group | name [ operator value ]
 *   operator = "=" | "!=" | "<" | "<=" | ">" | ">="
 *
 * A name alone holds where the variable has a value. Values and groups may have the wildcards * and ?; a value in quotes is
 * taken as it stands. Sizes are compared as numbers; with what is no number nothing is smaller or larger.
 */
import { MyriadError } from '../contracts/errors.ts';
import type { Host } from '../contracts/task.ts';
import { fits, isWild } from '../hostset/wildcard.ts';
import type { HostVariables } from './inventory.ts';

/** What is known of a host. */
export interface Facts {
  readonly host: Host;
  readonly variables: HostVariables;
  readonly groups: readonly string[];
}

export interface Where {
  /** Variables that it asks for, beside those that every host has. */
  readonly variables: ReadonlySet<string>;
  readonly groups: ReadonlySet<string>;
  holds(facts: Facts): boolean;
}

type Test = (facts: Facts) => boolean;

/** Names that every host has. */
const OWN: Readonly<Record<string, (host: Host) => string>> = {
  host: (host) => host.label,
  name: (host) => host.name,
  user: (host) => host.user ?? '',
  port: (host) => (host.port === undefined ? '' : String(host.port)),
};

const MOST_DEPTH = 100;

const BLANKS = /\s*/y;
const NAME = /[A-Za-z_][A-Za-z0-9_.-]*/y;
const OPERATOR = /!=|<=|>=|=|<|>/y;
const GROUP = /[^\s&|()!'"]+/y;
const VALUE = /[^\s&|()'"]+/y;
const QUOTED = /'([^']*)'|"([^"]*)"/y;

/** Whether a host is in a group that was named, which may have wildcards. */
export type InGroup = (facts: Facts) => boolean;

/** `groupOf`: what is known of a group. @default the groups that the facts name. Throws `usage` with the position. */
export function parseWhere(text: string, groupOf: (group: string) => InGroup = byFacts): Where {
  return new Parser(text, groupOf).where();
}

function byFacts(group: string): InGroup {
  const matches = matcher(group);
  return ({ groups }) => groups.some(matches);
}

class Parser {
  readonly #text: string;
  readonly #variables = new Set<string>();
  readonly #groups = new Set<string>();
  readonly #groupOf: (group: string) => InGroup;
  #at = 0;
  #depth = 0;

  constructor(text: string, groupOf: (group: string) => InGroup) {
    this.#text = text;
    this.#groupOf = groupOf;
  }

  where(): Where {
    const holds = this.#any();
    if (this.#at < this.#text.length) this.#fail('"&", "|" or the end');
    return { variables: this.#variables, groups: this.#groups, holds };
  }

  #any(): Test {
    const tests = [this.#all()];
    while (this.#takes('|')) tests.push(this.#all());
    return tests.length === 1 ? tests[0]! : (facts) => tests.some((test) => test(facts));
  }

  #all(): Test {
    const tests = [this.#one()];
    while (this.#takes('&')) tests.push(this.#one());
    return tests.length === 1 ? tests[0]! : (facts) => tests.every((test) => test(facts));
  }

  #one(): Test {
    if (++this.#depth > MOST_DEPTH) this.#fail(`at most ${MOST_DEPTH} within each other`);
    const test = this.#test();
    this.#depth--;
    return test;
  }

  #test(): Test {
    if (this.#takes('!')) {
      const test = this.#one();
      return (facts) => !test(facts);
    }
    if (this.#takes('(')) {
      const test = this.#any();
      if (!this.#takes(')')) this.#fail('")"');
      return test;
    }
    if (this.#takes('@')) {
      const group = this.#take(GROUP) ?? this.#fail('the name of a group');
      this.#groups.add(group);
      return this.#groupOf(group);
    }
    const name = this.#take(NAME) ?? this.#fail('a variable, "@group", "!" or "("');
    const value = this.#valueOf(name);
    this.#take(BLANKS);
    const operator = this.#take(OPERATOR);
    if (operator === undefined) return (facts) => (value(facts) ?? '') !== '';
    this.#take(BLANKS);
    return compare(operator, value, ...this.#wanted());
  }

  #valueOf(name: string): (facts: Facts) => string | undefined {
    const own = Object.hasOwn(OWN, name) ? OWN[name] : undefined;
    if (own) return ({ host }) => own(host);
    this.#variables.add(name);
    return ({ variables }) => variables[name];
  }

  /** The value, and what tells whether another is it. */
  #wanted(): [string, (value: string) => boolean] {
    QUOTED.lastIndex = this.#at;
    const quoted = QUOTED.exec(this.#text);
    if (quoted) {
      this.#at = QUOTED.lastIndex;
      const exactly = quoted[1] ?? quoted[2]!;
      this.#take(BLANKS);
      return [exactly, (value) => value === exactly];
    }
    const wanted = this.#take(VALUE) ?? this.#fail('a value');
    return [wanted, matcher(wanted)];
  }

  #takes(character: string): boolean {
    this.#take(BLANKS);
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    this.#take(BLANKS);
    return true;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (!found) return undefined;
    this.#at = pattern.lastIndex;
    return found[0];
  }

  #fail(expected: string): never {
    throw new MyriadError('usage', `where "${this.#text}": at position ${this.#at + 1}: expected ${expected}`);
  }
}

function matcher(wanted: string): (value: string) => boolean {
  return isWild(wanted) ? (value) => fits(value, wanted) : (value) => value === wanted;
}

/** A host without the variable has not its value: only `!=` holds for it. */
function compare(
  operator: string,
  value: (facts: Facts) => string | undefined,
  wanted: string,
  matches: (value: string) => boolean,
): Test {
  const equal: Test = (facts) => {
    const found = value(facts);
    return found !== undefined && matches(found);
  };
  if (operator === '=') return equal;
  if (operator === '!=') return (facts) => !equal(facts);
  const limit = numberOf(wanted);
  return (facts) => {
    const size = numberOf(value(facts));
    if (operator === '<') return size < limit;
    if (operator === '<=') return size <= limit;
    return operator === '>' ? size > limit : size >= limit;
  };
}

function numberOf(text: string | undefined): number {
  return text === undefined || text.trim() === '' ? Number.NaN : Number(text);
}
