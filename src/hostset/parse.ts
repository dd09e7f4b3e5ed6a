/**
 * The grammar of host sets:
 *
 *   set    = term { separator term }        separator: "," or blanks, any number of them
 *   term   = item | "!" item                "!" takes away from everything before it; it separates, too
 *   item   = [ user "@" ] host [ ":" port ]
 *   host   = name | address "/" bits | address "-" address | "[" ipv6 "]" | ipv6 (without port)
 *   name   = { text | "[" range { "," range } "]" }
 *   range  = number [ "-" number [ "/" step ] ]
 *
 * A bracket with a colon inside, at the start of a host, is an IPv6 address. Digits next to a bracket belong to its number.
 */
import { HostSetError } from '../contracts/errors.ts';
import type { Block } from './blocks.ts';
import { IPV4_PATTERN, ipv4Block, ipv4Range, parseIPv4 } from './ipv4.ts';
import { isAddress6, looksLikeIPv4Range, MAX_NAME, parsePort } from './label.ts';
import { compareSegments, concatenate, MAX_DIGITS, naturalSegments, type Segment, segment, sizeOf } from './segment.ts';
import { productOf, type Tree, TreeIndex } from './tree.ts';

/** Most segments that brackets side by side may make. */
const MAX_SEGMENTS = 100_000;

// Sticky patterns: lastIndex is set before each use, nothing is carried from one to the next.
const SEPARATORS = /[ \t\r\n,]*/y;
const BLANKS = /[ \t\r\n]*/y;
const PLAIN = /[A-Za-z0-9_][A-Za-z0-9._-]*(?=[ \t\r\n,!]|$)/y;
const USER = /[^\s,!@[\]:/]*(?=@)/y;
const USER_TEXT = /[A-Za-z0-9._+-]*/y;
const ADDRESS6 = /[0-9A-Za-z.%:_-]*/y;
const BLOCK4 = /([0-9]+\.[0-9.]*)\/([0-9]*)/y;
const RANGE4 = /([0-9]+\.[0-9.]*)-([0-9][0-9.]*)(?=[\s,!:]|$)/y;
const TEXT = /[A-Za-z0-9._-]+/y;
const NUMBER = /[0-9]+/y;
const END = /(?=[ \t\r\n,!]|$)/y;

/** What stands where a host name should, and why it is not taken. */
const RESERVED: Readonly<Record<string, string>> = {
  '@': 'a host name; groups (@name) are not supported yet',
  '^': 'a host name; host files (^file) are not supported inside a host set',
  '*': 'a host name; wildcards (*) are not supported yet',
  '&': 'a host name; intersections (&) are not supported yet',
  '-': 'a host name, which cannot begin with "-"',
  '.': 'a host name, which cannot begin with "."',
};

/** One item of a host set; `exclude`: it is taken away from all before it. `position`: where the item begins. */
export interface Term {
  readonly exclude: boolean;
  readonly position: number;
  readonly block: Block;
}

/** The terms of a host set, at least one. Throws HostSetError. */
export function parseTerms(text: string): Term[] {
  return new Parser(text).terms();
}

/** A stretch of a name: digits as they stand, or a bracket. Neighbours make one number. */
interface NumberPart {
  readonly position: number;
  readonly bracket: boolean;
  readonly segments: readonly Segment[];
  readonly width: number;
  readonly text: string;
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  terms(): Term[] {
    const terms: Term[] = [];
    this.#take(SEPARATORS);
    while (this.#at < this.#text.length) {
      const exclude = terms.length > 0 && this.#peek() === '!';
      if (exclude) {
        this.#at++;
        this.#take(BLANKS);
      }
      const position = this.#at;
      terms.push({ exclude, position, block: this.#item() });
      this.#take(SEPARATORS);
    }
    if (terms.length === 0) this.#fail(this.#at, 'a host name');
    return terms;
  }

  #item(): Block {
    const start = this.#at;
    const plain = this.#take(PLAIN);
    if (plain !== undefined && plain.length <= MAX_NAME && !looksLikeIPv4Range(plain)) {
      return { kind: 'list', labels: [plain] };
    }
    this.#at = start;
    const user = this.#user();
    return this.#address6(start) ?? this.#numbers4(user) ?? this.#name(start, user);
  }

  #user(): string | undefined {
    const start = this.#at;
    const user = this.#take(USER);
    if (user === undefined) return undefined;
    if (user === '') this.#fail(start, RESERVED['@']!);
    if (user.startsWith('-')) this.#fail(start, 'a user name, which cannot begin with "-"');
    this.#at = start;
    this.#take(USER_TEXT);
    if (this.#peek() !== '@') this.#fail(this.#at, 'a letter, a digit, ".", "_", "-" or "+" in the user name, or "@"');
    this.#at++;
    return user;
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
    const { pattern, levels } = this.#levels(parts);
    const count = levels.reduce((product, level) => product * level.reduce((sum, run) => sum + sizeOf(run), 0), 1);
    if (count > Number.MAX_SAFE_INTEGER) {
      this.#fail(start, `at most ${Number.MAX_SAFE_INTEGER.toLocaleString('en')} hosts`);
    }
    return { kind: 'tree', user, pattern, port, tree: productOf(levels) };
  }

  /** Text, digits and brackets up to the port or the end of the item. */
  #nameParts(): NumberPart[] {
    const parts: NumberPart[] = [];
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
      let at = position;
      for (const piece of text.match(/[0-9]+|[^0-9]+/g) ?? []) {
        const value = Number(piece);
        const number = /^[0-9]/.test(piece) && piece.length <= MAX_DIGITS;
        const segments = number ? [segment(piece.length, value, value)] : [];
        parts.push({ position: at, bracket: false, segments, width: piece.length, text: piece });
        at += piece.length;
      }
    }
  }

  /** Numbers side by side become one level each; digits that are too long for a number are text, away from brackets. */
  #levels(parts: readonly NumberPart[]): { pattern: string; levels: Segment[][] } {
    let pattern = '';
    const levels: Segment[][] = [];
    for (let at = 0; at < parts.length; ) {
      const group: NumberPart[] = [];
      while (at < parts.length && isNumeric(parts[at]!)) group.push(parts[at++]!);
      if (group.length === 0) pattern += parts[at++]!.text;
      else if (group.length === 1 && group[0]!.segments.length === 0) pattern += group[0]!.text;
      else {
        pattern += '%';
        levels.push(this.#number(group));
      }
    }
    return { pattern, levels };
  }

  /** The values of digits and brackets side by side, each once, in the order in which they are written. */
  #number(group: readonly NumberPart[]): Segment[] {
    const { position } = group.find((part) => part.bracket) ?? group[0]!;
    if (group.reduce((sum, part) => sum + part.width, 0) > MAX_DIGITS) {
      this.#fail(position, `a number of at most ${MAX_DIGITS} digits, those next to the bracket included`);
    }
    let segments = group[0]!.segments;
    for (const part of group.slice(1)) {
      segments =
        concatenate(segments, part.segments, MAX_SEGMENTS) ??
        this.#fail(part.position, `text between two brackets, which together make more than ${MAX_SEGMENTS} ranges`);
    }
    return distinct(segments);
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
    if (!this.#atEnd()) this.#failInName();
    return port;
  }

  #failInName(): never {
    const next = this.#peek();
    const reserved = next === '*' || next === '&' ? RESERVED[next]!.replace('a host name', '') : '';
    const expected = 'a letter, a digit, ".", "_", "-", ":" or "[", or "," before the next host';
    return this.#fail(this.#at, expected + reserved);
  }

  #peek(): string {
    return this.#text[this.#at] ?? '';
  }

  #atEnd(): boolean {
    return this.#match(END) !== undefined;
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

function isNumeric(part: NumberPart): boolean {
  return part.bracket || /^[0-9]/.test(part.text);
}

function isPadded(number: string): boolean {
  return number.length > 1 && number.startsWith('0');
}

function digitCount(count: number): string {
  return count === 1 ? '1 digit' : `${count} digits`;
}

/** The segments with every value at its first place only. */
function distinct(segments: readonly Segment[]): Segment[] {
  const sorted = segments.toSorted(compareSegments);
  const apart = sorted.every((run, at) => {
    const before = sorted[at - 1];
    return !before || before.width < run.width || before.hi < run.lo;
  });
  if (apart) return [...segments];
  const seen = new TreeIndex();
  const kept: Segment[] = [];
  for (const run of segments) {
    const rest = seen.subtractFrom(productOf([[run]]));
    if (!rest) continue;
    seen.add(rest);
    for (const edge of rest.edges) kept.push(edge.segment);
  }
  return kept;
}
