/** Option values: durations, sizes, counts. Each parser throws one sentence that names the option and quotes the value. */
import { MyriadError } from '../index.ts';

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  kib: 1024,
  m: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gib: 1024 ** 3,
  kb: 1000,
  mb: 1000 ** 2,
  gb: 1000 ** 3,
};

/** What a parser gives where there is no limit: null among the flags (see `parseWords`), since commander takes no null from it. */
export const NO_LIMIT = Number.POSITIVE_INFINITY;

function refuse(option: string, value: string, expected: string): never {
  throw new MyriadError('usage', `${option}: expected ${expected}, got "${value}"`);
}

/** `500ms`, `10s`, `5m`, `1h`, above 0; a bare number is seconds, as in pdsh and clush. */
export function duration(option: string): (value: string) => number {
  return (value) => {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(value);
    const milliseconds = Number(match?.[1]) * DURATION_UNITS[match?.[2] ?? 's']!;
    return milliseconds > 0 ? milliseconds : refuse(option, value, 'a duration above 0 such as 500ms, 10s, 5m or 1h');
  };
}

/** As `duration`; `none` and 0 are no limit. */
export function durationOrNone(option: string): (value: string) => number {
  return (value) => (value === 'none' || /^0+(ms|s|m|h|d)?$/.test(value) ? NO_LIMIT : duration(option)(value));
}

/** `65536`, `64KiB`, `1MiB`. */
export function size(option: string): (value: string) => number {
  return (value) => {
    const match = /^(\d+(?:\.\d+)?)([a-z]*)$/i.exec(value);
    const unit = SIZE_UNITS[match?.[2]?.toLowerCase() ?? '?'];
    if (!match || unit === undefined) refuse(option, value, 'a size such as 65536, 64KiB or 1MiB');
    return Math.floor(Number(match[1]) * unit);
  };
}

/** A whole number from `least` to `most`. */
export function count(option: string, least: number, most = Number.MAX_SAFE_INTEGER): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (/^-?\d+$/.test(value) && number >= least && number <= most) return number;
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    return refuse(option, value, `a whole number ${range}`);
  };
}

/** `auto` or a whole number of at least 1. */
export function countOrAuto(option: string): (value: string) => number | 'auto' {
  return (value) => (value === 'auto' ? 'auto' : count(option, 1)(value));
}

/** `50/s`, `50`, `0.5/s`, or `max`. */
export function rate(option: string): (value: string) => number | 'max' {
  return (value) => {
    if (value === 'max') return 'max';
    const number = Number(/^(\d+(?:\.\d+)?)(?:\/s)?$/.exec(value)?.[1]);
    return number > 0 ? number : refuse(option, value, 'logins per second such as 50/s, or max');
  };
}

/** One of a few words. */
export function word<const T extends string>(option: string, words: readonly T[]): (value: string) => T {
  return (value) => {
    const known = words.find((candidate) => candidate === value);
    return known ?? refuse(option, value, `one of ${words.join(', ')}`);
  };
}

/** `0,1,none`; RFC 4254 §6.10 has 32 bits for one, which Windows uses. */
export function statuses(option: string): (value: string) => (number | 'none')[] {
  return (value) =>
    value.split(',').map((part) => {
      if (part === 'none') return 'none';
      if (/^\d+$/.test(part) && Number(part) <= 0xffffffff) return Number(part);
      return refuse(option, value, 'statuses from 0 to 4294967295 or none, such as 0,1');
    });
}

/** A login name: anything but nothing. */
export function name(option: string): (value: string) => string {
  return (value) => (value.trim() === '' ? refuse(option, value, 'a name') : value);
}

/** For options that may stand several times. */
export function append(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

/** How many hosts `--expect` allows. */
export interface Expected {
  readonly text: string;
  readonly least: number;
  readonly most: number;
}

/** `100`, `100+-5%`, `90..110`. */
export function expected(option: string): (value: string) => Expected {
  return (text) => {
    const range = /^(\d+)\.\.(\d+)$/.exec(text);
    if (range && Number(range[1]) <= Number(range[2])) {
      return { text, least: Number(range[1]), most: Number(range[2]) };
    }
    const near = /^(\d+)(?:\+-(\d+(?:\.\d+)?)%)?$/.exec(text);
    if (!near) return refuse(option, text, 'a count such as 100, 100+-5% or 90..110');
    const middle = Number(near[1]);
    const slack = (middle * Number(near[2] ?? 0)) / 100;
    return { text, least: Math.ceil(middle - slack), most: Math.floor(middle + slack) };
  };
}
