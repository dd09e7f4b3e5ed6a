/**
 * What is left of an answer where it does not count what a host is called (`host`), what its numbers are (`numbers`), or when it was
 * (`times`): answers that are equal then are folded together (`--normalize`).
 *
 * Bytes are looked at as Latin-1, so that any come back as they were; what takes their place lies beyond it and cannot come from a
 * host. A host may send anything: every pattern is bounded, or cannot fail after a repetition, so that its time is linear.
 */
import { hash } from 'node:crypto';
import type { Host, Reached } from '../contracts/task.ts';

export type NormalKind = 'host' | 'numbers' | 'times';

export const NORMAL_KINDS: readonly NormalKind[] = ['host', 'numbers', 'times'];

const HOST = '\u2302';
const NUMBER = '\u2116';
const TIME = '\u231a';
/** Hashes that are remembered: 2 MB. */
const MOST_KNOWN = 10_000;

/** Of whom an answer is. */
export interface Answerer {
  readonly host: Host;
  readonly reached?: Reached | undefined;
}

/** What of it counts. Two texts of it are equal where the answers differ in nothing but these kinds. */
export function normalized(bytes: Uint8Array, answerer: Answerer, kinds: readonly NormalKind[]): string {
  return withoutRest(ownText(bytes, answerer, kinds), kinds);
}

/** The first half of it, which depends on the host. */
function ownText(bytes: Uint8Array, { host, reached }: Answerer, kinds: readonly NormalKind[]): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  return kinds.includes('host') ? withoutHost(text, host, reached) : text;
}

/** The other half. */
function withoutRest(own: string, kinds: readonly NormalKind[]): string {
  const text = kinds.includes('times') ? withoutTimes(own) : own;
  return kinds.includes('numbers') ? withoutNumbers(text) : text;
}

/** Hashes of normalised answers. Those seen lately are not normalised again: 40 µs a KiB, where most answers of a fleet are the same. */
export class NormalHashes {
  readonly #kinds: readonly NormalKind[];
  readonly #known = new Map<string, string>();

  constructor(kinds: readonly NormalKind[]) {
    this.#kinds = kinds;
  }

  of(bytes: Uint8Array, answerer: Answerer): string {
    const own = ownText(bytes, answerer, this.#kinds);
    const exact = hash('sha256', own, 'base64');
    const known = this.#known.get(exact);
    if (known !== undefined) return known;
    const found = hash('sha256', withoutRest(own, this.#kinds), 'base64');
    if (this.#known.size >= MOST_KNOWN) this.#known.clear();
    this.#known.set(exact, found);
    return found;
  }
}

/** Its names: as it was written, alone, up to the first dot, and the address that was reached. */
function withoutHost(text: string, { label, name }: Host, reached: Reached | undefined): string {
  const short = /^[0-9.]+$|:/.test(name) ? name : name.split('.', 1)[0]!;
  const lower = text.toLowerCase();
  const names = [label, name, short, reached?.address ?? '']
    .filter((each) => each !== '')
    .sort((a, b) => b.length - a.length)
    .map((each) => Buffer.from(each).toString('latin1'))
    .filter((each) => lower.includes(each.toLowerCase()))
    .map((each) => each.replace(/[^A-Za-z0-9_ ]/g, '\\$&'));
  if (names.length === 0) return text;
  return text.replace(new RegExp(`(?<![\\w.-])(?:${names.join('|')})(?![\\w-])`, 'gi'), HOST);
}

const MONTH = '(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}';
const UNIT = '(?:[mun]?s|secs?|seconds?|min|mins|minutes?|h|hrs?|hours?|d|days?|weeks?|months?|years?)';

/** Larger forms before those that are part of them. */
const TIMES = new RegExp(
  [
    // 2026-11-21T15:02:03.123+01:00, 2026/11/21
    '\\b\\d{4}[-/]\\d{2}[-/]\\d{2}(?:[T ]\\d{2}:\\d{2}(?::\\d{2}(?:[.,]\\d{1,9})?)?)?(?: ?(?:Z\\b|[+-]\\d{2}:?\\d{2}\\b))?',
    // 15:02, 3:02:03.5 pm
    '(?<![\\d:])\\d{1,2}:\\d{2}(?::\\d{2}(?:[.,]\\d{1,9})?)?(?![\\d:])(?: ?[AaPp][Mm]\\b)?',
    `\\b${MONTH} {1,2}\\d{1,2}\\b(?:,? \\d{4}\\b)?`,
    `\\b\\d{1,2}[- ]${MONTH}(?:[- ]\\d{4}\\b)?`,
    '\\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:[a-z]{0,5}day)?\\b,?',
    // 3 days, 12.5ms
    `(?<![\\d.])\\d{1,12}(?:\\.\\d{1,9})? ?${UNIT}\\b`,
    // Seconds since the epoch, 2017 to 2049.
    '(?<![\\d.])(?:1[5-9]|2[0-4])\\d{8}(?:\\.\\d{1,9})?(?![\\d.])',
  ].join('|'),
  'g',
);
/** Parts of one time stand beside each other, and not always all of them: `up 3 days, 4:05` and `up 4:05` are one. */
const SERIES = new RegExp(`${TIME}(?:[ ,]{0,3}${TIME})*(?: (?:UTC|GMT|[A-Z]{2,4}T)\\b)?(?: (?:19|20)\\d{2}\\b)?`, 'g');

function withoutTimes(text: string): string {
  return text.replace(TIMES, TIME).replace(SERIES, TIME);
}

/** With their units of size, and the blanks around them, which columns are filled with. */
function withoutNumbers(text: string): string {
  return text
    .replace(/[ \t]+/g, ' ')
    .replace(/ ?(?:0x[0-9A-Fa-f]+|[0-9]+(?:[.,][0-9]+)*)(?:[kKMGTP]i?[bB]?(?![A-Za-z0-9]))?%? ?/g, NUMBER);
}
