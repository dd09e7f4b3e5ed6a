/**
 * Which of many Host blocks have a pattern that matches a name. Names without wildcards are found by hash; patterns are found by
 * their longer literal end (`web*` by its start, `*.example.com` by its end), so that a name is tried only against patterns that
 * share it.
 */
import { hasWildcard, matchPattern } from './pattern.ts';

interface Entry {
  /** undefined: the literal that found the entry is all there is to compare, as in `web*`. */
  readonly pattern: string | undefined;
  readonly block: number;
}

/** Entries by a literal, by the literal's length: a name is cut once per length that occurs. */
type ByLength = Map<number, Map<string, Entry[]>>;

const NONE: readonly number[] = [];

export class PatternIndex {
  readonly #exact = new Map<string, number[]>();
  readonly #starts: ByLength = new Map();
  readonly #ends: ByLength = new Map();
  readonly #others: Entry[] = [];
  readonly #all: number[] = [];
  /** Used again by every call, so that asking makes no garbage. */
  readonly #found: number[] = [];

  add(pattern: string, block: number): void {
    if (!hasWildcard(pattern)) push(this.#exact, pattern, block);
    else if (/^\*+$/.test(pattern)) this.#all.push(block);
    else this.#addPattern(pattern, block);
  }

  #addPattern(pattern: string, block: number): void {
    const start = /^[^*?]*/.exec(pattern)![0];
    const end = /[^*?]*$/.exec(pattern)![0];
    const literal = start.length >= end.length ? start : end;
    const entry = { pattern: pattern === `${start}*` || pattern === `*${end}` ? undefined : pattern, block };
    if (literal === '') this.#others.push(entry);
    else push(lengthMap(literal === start ? this.#starts : this.#ends, literal.length), literal, entry);
  }

  /** The blocks with a matching pattern, in ascending order, each once. The array is good until the next call. */
  match(name: string): readonly number[] {
    const found = this.#found;
    found.length = 0;
    for (const block of this.#all) found.push(block);
    for (const block of this.#exact.get(name) ?? NONE) found.push(block);
    for (const [length, entries] of this.#starts) {
      if (length <= name.length) collect(entries.get(name.slice(0, length)), name, found);
    }
    for (const [length, entries] of this.#ends) {
      if (length <= name.length) collect(entries.get(name.slice(name.length - length)), name, found);
    }
    collect(this.#others, name, found);
    return found.length < 2 ? found : sortOnce(found);
  }
}

/** Sorts in place and takes out what comes twice. */
function sortOnce(blocks: number[]): number[] {
  blocks.sort((a, b) => a - b);
  let kept = 1;
  for (let at = 1; at < blocks.length; at++) if (blocks[at] !== blocks[at - 1]) blocks[kept++] = blocks[at]!;
  blocks.length = kept;
  return blocks;
}

function collect(entries: readonly Entry[] | undefined, name: string, into: number[]): void {
  if (entries === undefined) return;
  for (const { pattern, block } of entries) {
    if (pattern === undefined || matchPattern(name, pattern)) into.push(block);
  }
}

function lengthMap(map: ByLength, length: number): Map<string, Entry[]> {
  let inner = map.get(length);
  if (inner === undefined) {
    inner = new Map();
    map.set(length, inner);
  }
  return inner;
}

function push<V>(map: Map<string, V[]>, key: string, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
