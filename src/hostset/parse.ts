/**
 * The grammar of host sets:
 *
 *   set      = item { operator item }
 *   operator = "," or blanks: and · "!" without · "&" only those also in · "^" in one of both; from left to right, all alike
 *   item     = [ user "@" ] host [ ":" port ] | "@" [ source ":" ] group | "@" [ source ":" ] "*" | "@@" [ source ]
 *   host     = name | address "/" bits | address "-" address | "[" ipv6 "]" | ipv6 (without port)
 *   name     = { text | "*" | "?" | "[" range { "," range } "]" }
 *   group    = { text | "*" | "?" | "[" range { "," range } "]" }
 *   range    = number [ "-" number [ "/" step ] ]
 *
 * A bracket with a colon inside, at the start of a host, is an IPv6 address. Digits next to a bracket belong to its number.
 * Wildcards are for hosts and groups that are known: they, and groups, need names. `@@source` is the names of all groups of a
 * source, as if they were hosts.
 */
import { HostSetError } from '../contracts/errors.ts';
import { type Block, hostsThat } from './blocks.ts';
import { IPV4_PATTERN, ipv4Block, ipv4Range, parseIPv4 } from './ipv4.ts';
import { isAddress6, labelOf, looksLikeIPv4Range, MAX_NAME, parsePort } from './label.ts';
import type { Names } from './names.ts';
import { levelsOf, type NamePart, textParts } from './numbers.ts';
import { MAX_DIGITS, naturalSegments, type Segment, segment, sizeOf, valuesOf } from './segment.ts';
import { productOf, type Tree } from './tree.ts';
import { fits } from './wildcard.ts';

/** Most masks or groups that the brackets of one item may spell. */
const MOST_SPELT = 1000;

// Sticky patterns: lastIndex is set before each use, nothing is carried from one to the next.
const SEPARATORS = /[ \t\r\n,]*/y;
const BLANKS = /[ \t\r\n]*/y;
const PLAIN = /[A-Za-z0-9_][A-Za-z0-9._-]*(?=[ \t\r\n,!&^]|$)/y;
const USER = /[^\s,!&^@[\]:/]*(?=@)/y;
const USER_TEXT = /[A-Za-z0-9._+-]*/y;
const ADDRESS6 = /[0-9A-Za-z.%:_-]*/y;
const BLOCK4 = /([0-9]+\.[0-9.]*)\/([0-9]*)/y;
const RANGE4 = /([0-9]+\.[0-9.]*)-([0-9][0-9.]*)(?=[\s,!&^:]|$)/y;
const TEXT = /[A-Za-z0-9._-]+/y;
const NUMBER = /[0-9]+/y;
const SOURCE = /[A-Za-z0-9_.+-]+(?=:)/y;
const SOURCE_NAME = /[A-Za-z0-9_.+-]+/y;
const GROUP_TEXT = /[A-Za-z0-9._+~=%*?-]+/y;
const WILD = /(?:[A-Za-z0-9._-]|\[[0-9,/-]*\])*[*?]/y;
const WILD_TEXT = /[A-Za-z0-9._*?-]+/y;
const END = /(?=[ \t\r\n,!&^]|$)/y;

/** What stands where a host name should, and why it is not taken. */
const RESERVED: Readonly<Record<string, string>> = {
  '^': 'a host name; host files (^file) are not supported inside a host set',
  '&': 'a host name, with "&" between two of them',
  '-': 'a host name, which cannot begin with "-"',
  '.': 'a host name, which cannot begin with "."',
};

/** What becomes of the hosts before an item: `,` its hosts join them · `!` leave · `&` stay · `^` leave, and those missing join. */
export type Operator = ',' | '!' | '&' | '^';

/** One item of a host set, or several plain hosts in a row. `position`: where it begins. */
export interface Term {
  readonly operator: Operator;
  readonly position: number;
  readonly blocks: readonly Block[];
}

/** Hears of what matches nothing, instead of its being refused. */
export type HearUnmatched = (error: HostSetError) => void;

/** The terms of a host set, at least one. Throws HostSetError. */
export function parseTerms(text: string, names?: Names, unmatched?: HearUnmatched): Term[] {
  return new Parser(text, names, unmatched).terms();
}

class Parser {
  readonly #text: string;
  readonly #names: Names | undefined;
  readonly #unmatched: HearUnmatched | undefined;
  #at = 0;

  constructor(text: string, names: Names | undefined, unmatched: HearUnmatched | undefined) {
    this.#text = text;
    this.#names = names;
    this.#unmatched = unmatched;
  }

  terms(): Term[] {
    const terms: Term[] = [];
    /** Hosts of the last term, while more may join them. */
    let row: string[] | undefined;
    this.#skip(SEPARATORS);
    while (this.#at < this.#text.length) {
      const operator = terms.length > 0 ? this.#operator() : ',';
      const position = this.#at;
      const plain = this.#plain();
      if (plain !== undefined && operator === ',') {
        if (row === undefined) {
          row = [];
          terms.push({ operator, position, blocks: [{ kind: 'list', labels: row }] });
        }
        row.push(plain);
      } else {
        row = undefined;
        const blocks: readonly Block[] = plain === undefined ? this.#item() : [{ kind: 'list', labels: [plain] }];
        terms.push({ operator, position, blocks });
      }
      this.#skip(SEPARATORS);
    }
    if (terms.length === 0) this.#fail(this.#at, 'a host name');
    return terms;
  }

  /** The operator before an item that is not the first; separators are behind. */
  #operator(): Operator {
    const next = this.#peek();
    if (next !== '!' && next !== '&' && next !== '^') return ',';
    // After a comma it is most likely meant as the first character of an item: `a,^file`.
    if (next !== '!' && this.#text.slice(0, this.#at).trimEnd().endsWith(',')) this.#fail(this.#at, RESERVED[next]!);
    this.#at++;
    this.#skip(BLANKS);
    return next;
  }

  /** A host without anything but its name: most are, and need no more. */
  #plain(): string | undefined {
    const start = this.#at;
    if (!this.#skip(PLAIN)) return undefined;
    const plain = this.#text.slice(start, this.#at);
    if (plain.length <= MAX_NAME && !looksLikeIPv4Range(plain)) return plain;
    this.#at = start;
    return undefined;
  }

  #item(): readonly Block[] {
    const start = this.#at;
    if (this.#peek() === '@') return this.#group();
    const user = this.#user();
    const block = this.#address6(start) ?? this.#numbers4(user);
    return block ? [block] : (this.#wildcard(user) ?? [this.#name(start, user)]);
  }

  #user(): string | undefined {
    const start = this.#at;
    const user = this.#take(USER);
    if (user === undefined) return undefined;
    if (user.startsWith('-')) this.#fail(start, 'a user name, which cannot begin with "-"');
    this.#at = start;
    this.#skip(USER_TEXT);
    if (this.#peek() !== '@') this.#fail(this.#at, 'a letter, a digit, ".", "_", "-" or "+" in the user name, or "@"');
    this.#at++;
    return user;
  }

  /** `@group`, `@source:group`, `@*`: every hosts that the names give for it; `@@`, `@@source`: names of groups. */
  #group(): readonly Block[] {
    const start = this.#at++;
    if (this.#peek() === '@') return this.#groupNames(start);
    const source = this.#take(SOURCE);
    if (source !== undefined) this.#at++;
    const from = this.#at;
    const groups = this.#spelt(GROUP_TEXT);
    if (groups.length === 0) this.#fail(from, 'the name of a group');
    if (!this.#atEnd()) this.#fail(this.#at, 'a letter, a digit, ".", "_", "-" or "[" in the name of a group, or ","');
    const names = this.#names ?? this.#fail(start, 'a host name; groups (@name) need an inventory');
    const refuse = (expected: string): never => this.#fail(start, expected);
    const unmatched = (expected: string): readonly Block[] => this.#matchesNothing(start, expected);
    return groups.flatMap((group) =>
      group === '*' ? names.hosts(source, refuse) : names.group(source, group, refuse, unmatched),
    );
  }

  #groupNames(start: number): readonly Block[] {
    this.#at++;
    const source = this.#take(SOURCE_NAME);
    if (!this.#atEnd()) this.#fail(this.#at, 'the name of a source of groups, or ","');
    const names = this.#names ?? this.#fail(start, 'a host name; names of groups (@@source) need an inventory');
    return names.groupNames(source, (expected) => this.#fail(start, expected));
  }

  #matchesNothing(position: number, expected: string): readonly Block[] {
    const error = new HostSetError(this.#text, position, expected);
    if (!this.#unmatched) throw error;
    this.#unmatched(error);
    return [];
  }

  /** A name with wildcards: those known hosts whose names fit, with this user and port where they are written. */
  #wildcard(user: string | undefined): readonly Block[] | undefined {
    const start = this.#at;
    if (!this.#skip(WILD)) return undefined;
    this.#at = start;
    const masks = this.#spelt(WILD_TEXT);
    const mask = this.#text.slice(start, this.#at);
    const port = this.#port();
    const names =
      this.#names ?? this.#fail(start, 'a host name; wildcards (* and ?) need hosts that are known: an inventory');
    const known = names.hosts(undefined, (expected) => this.#fail(start, expected));
    const found = hostsThat(known, (host) => masks.some((one) => fits(host.name, one)));
    if (found.length === 0) {
      return this.#matchesNothing(start, `a wildcard that fits a known host; "${mask}" fits none`);
    }
    if (user === undefined && port === undefined) return [{ kind: 'list', labels: found.map((host) => host.label) }];
    return [{ kind: 'list', labels: found.map((host) => labelOf(user ?? host.user, host.name, port ?? host.port)) }];
  }

  /** Every text that text and brackets spell: `r[1-2]x` is `r1x` and `r2x`. */
  #spelt(pattern: RegExp): string[] {
    const start = this.#at;
    let texts: string[] | undefined;
    for (;;) {
      let pieces: string[];
      if (this.#peek() === '[') {
        const segments = this.#bracket();
        const count = segments.reduce((sum, run) => sum + sizeOf(run), 0) * (texts?.length ?? 1);
        if (count > MOST_SPELT) this.#fail(start, `brackets that spell at most ${MOST_SPELT} names`);
        pieces = segments.flatMap(valuesOf);
      } else {
        const text = this.#take(pattern);
        if (text === undefined) return texts ?? [];
        pieces = [text];
      }
      texts = texts === undefined ? pieces : texts.flatMap((text) => pieces.map((piece) => text + piece));
    }
  }

  /** An IPv6 address in brackets, or bare: two colons or more and nothing else. */
  #address6(start: number): Block | undefined {
    const before = this.#at;
    const bracket = this.#peek() === '[';
    if (bracket) this.#at++;
    const from = this.#at;
    const address = this.#take(ADDRESS6)!;
    const colons = address.split(':').length - 1;
    if (colons < (bracket ? 1 : 2) || !(bracket || this.#atEnd())) {
      this.#at = before;
      return undefined;
    }
    if (bracket && this.#peek() !== ']') this.#fail(this.#at, '"]" after the IPv6 address');
    if (!isAddress6(address)) {
      this.#fail(from, bracket ? 'an IPv6 address' : 'an IPv6 address, or a host name with one ":" before its port');
    }
    if (bracket) {
      this.#at++;
      this.#port();
    }
    return { kind: 'list', labels: [this.#text.slice(start, this.#at)] };
  }

  /** A block or a range of IPv4 addresses. */
  #numbers4(user: string | undefined): Block | undefined {
    const start = this.#at;
    const tree = this.#block4() ?? this.#range4();
    if (!tree) {
      this.#at = start;
      return undefined;
    }
    return { kind: 'tree', user, pattern: IPV4_PATTERN, port: this.#port(), tree };
  }

  #block4(): Tree | undefined {
    const start = this.#at;
    const found = this.#match(BLOCK4);
    if (!found) return undefined;
    const [, address = '', bits = ''] = found;
    const low = this.#ipv4(address, start);
    if (!/^(0|[1-9][0-9]?)$/.test(bits) || Number(bits) > 32) {
      this.#fail(start + address.length + 1, 'a prefix length from 0 to 32');
    }
    return ipv4Block(low, Number(bits));
  }

  #range4(): Tree | undefined {
    const start = this.#at;
    const found = this.#match(RANGE4);
    if (!found) return undefined;
    const [, first = '', last = ''] = found;
    const end = start + first.length + 1;
    const low = this.#ipv4(first, start);
    const high = this.#ipv4(last, end);
    if (high < low) this.#fail(end, `an address that is not below ${first}`);
    return ipv4Range(low, high);
  }

  #ipv4(address: string, position: number): number {
    return parseIPv4(address) ?? this.#fail(position, 'an IPv4 address');
  }

  /** A name with or without brackets, and its port. */
  #name(start: number, user: string | undefined): Block {
    const from = this.#at;
    const first = this.#peek();
    const reserved = RESERVED[first];
    if (reserved) this.#fail(from, reserved);
    const parts = this.#nameParts();
    if (parts.length === 0) this.#fail(from, 'a host name');
    const port = this.#port();
    if (parts.reduce((sum, part) => sum + part.width, 0) > MAX_NAME) {
      this.#fail(from, `a host name of at most ${MAX_NAME} characters`);
    }
    if (!parts.some((part) => part.bracket)) return { kind: 'list', labels: [this.#text.slice(start, this.#at)] };
    const { pattern, levels } = levelsOf(parts, (position, expected) => this.#fail(position, expected));
    const count = levels.reduce((product, level) => product * level.reduce((sum, run) => sum + sizeOf(run), 0), 1);
    if (count > Number.MAX_SAFE_INTEGER) {
      this.#fail(start, `at most ${Number.MAX_SAFE_INTEGER.toLocaleString('en')} hosts`);
    }
    return { kind: 'tree', user, pattern, port, tree: productOf(levels) };
  }

  /** Text, digits and brackets up to the port or the end of the item. */
  #nameParts(): NamePart[] {
    const parts: NamePart[] = [];
    for (;;) {
      const position = this.#at;
      if (this.#peek() === '[') {
        const segments = this.#bracket();
        const width = segments.reduce((most, run) => Math.max(most, run.width), 0);
        parts.push({ position, bracket: true, segments, width, text: '' });
        continue;
      }
      const text = this.#take(TEXT);
      if (text === undefined) return parts;
      parts.push(...textParts(text, position));
    }
  }

  #bracket(): Segment[] {
    const segments: Segment[] = [];
    do {
      this.#at++;
      for (const run of this.#range()) segments.push(run);
    } while (this.#peek() === ',');
    if (this.#peek() !== ']') this.#fail(this.#at, '"," or "]"');
    this.#at++;
    return segments;
  }

  #range(): Segment[] {
    const first = this.#number15('a number');
    const low = Number(first);
    if (this.#peek() !== '-') return [segment(first.length, low, low)];
    this.#at++;
    const end = this.#at;
    const last = this.#number15('a number');
    const high = Number(last);
    const padded = isPadded(first) || isPadded(last);
    if (padded && first.length !== last.length) {
      this.#fail(end, `a number of ${digitCount(first.length)}, as wide as "${first}"`);
    }
    if (high < low) this.#fail(end, `a number that is not below ${first}`);
    const step = this.#step();
    return padded ? [segment(first.length, low, high, step)] : naturalSegments(low, high, step);
  }

  #step(): number {
    if (this.#peek() !== '/') return 1;
    this.#at++;
    const start = this.#at;
    const step = Number(this.#number15('a step'));
    return step > 0 ? step : this.#fail(start, 'a step of at least 1');
  }

  #number15(what: string): string {
    const start = this.#at;
    const text = this.#take(NUMBER) ?? this.#fail(start, what);
    if (text.length > MAX_DIGITS) this.#fail(start, `${what} of at most ${MAX_DIGITS} digits`);
    return text;
  }

  /** The port, if there is one, and the end of the item. */
  #port(): number | undefined {
    let port: number | undefined;
    if (this.#peek() === ':') {
      this.#at++;
      const start = this.#at;
      port = parsePort(this.#take(NUMBER) ?? '') ?? this.#fail(start, 'a port from 1 to 65535');
      if (!this.#atEnd()) this.#fail(this.#at, '"," or a blank after the port');
    }
    if (!this.#atEnd()) {
      this.#fail(this.#at, 'a letter, a digit, ".", "_", "-", ":" or "[", or "," before the next host');
    }
    return port;
  }

  #peek(): string {
    return this.#text[this.#at] ?? '';
  }

  #atEnd(): boolean {
    return this.#skip(END);
  }

  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return false;
    this.#at = pattern.lastIndex;
    return true;
  }

  #take(pattern: RegExp): string | undefined {
    return this.#match(pattern)?.[0];
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (!found) return undefined;
    this.#at += found[0].length;
    return found;
  }

  #fail(position: number, expected: string): never {
    throw new HostSetError(this.#text, position, expected);
  }
}

function isPadded(number: string): boolean {
  return number.length > 1 && number.startsWith('0');
}

function digitCount(count: number): string {
  return count === 1 ? '1 digit' : `${count} digits`;
}
