/** Ansible's way to write many hosts as one: `web[01:50]`, `db-[a:f]`, `node[0:100:10]`, with a port behind. */
import { problem, shown } from '../problem.ts';

/** Most hosts of one pattern. */
const MOST_HOSTS = 1_000_000;

export interface Written {
  readonly names: readonly string[];
  readonly port: string | undefined;
}

/** Every host of a pattern. Throws `inventory`. */
export function expand(pattern: string, title: string): Written {
  // A port stands behind the only colon that is in no bracket.
  const close = pattern.lastIndexOf(']');
  const colon = pattern.indexOf(':', close + 1);
  const behind = colon < 0 ? '' : pattern.slice(colon + 1);
  const port = /^[0-9]+$/.test(behind) ? behind : undefined;
  const bare = port === undefined || pattern.lastIndexOf('[') > close ? pattern : pattern.slice(0, colon);
  // An IPv6 address in brackets, and one without.
  if (/^\[[0-9A-Fa-f:.%]*:[0-9A-Fa-f:.%]*:[0-9A-Fa-f:.%]*\]$/.test(bare)) return { names: [bare.slice(1, -1)], port };
  if (!bare.includes('[')) return { names: [bare], port };
  if (bare.split('[').length !== bare.split(']').length || pattern.lastIndexOf('[') > close) {
    throw problem(title, `${shown(pattern)}: a bracket is not closed`);
  }
  let names = [''];
  let from = 0;
  for (const range of bare.matchAll(/\[([^[\]]*)\]/g)) {
    const before = bare.slice(from, range.index);
    const values = valuesOf(range[1]!) ?? fail(title, pattern, range[0]);
    if (names.length * values.length > MOST_HOSTS)
      throw problem(title, `${shown(pattern)} has more than ${MOST_HOSTS} hosts`);
    names = names.flatMap((name) => values.map((value) => name + before + value));
    from = range.index + range[0].length;
  }
  return { names: names.map((name) => name + bare.slice(from)), port };
}

function fail(title: string, pattern: string, range: string): never {
  throw problem(title, `${shown(pattern)}: ${shown(range)} is no range; expected numbers or letters as in [01:50]`);
}

function valuesOf(range: string): string[] | undefined {
  const [first = '', last, step = '1', more] = range.split(':');
  if (last === undefined || more !== undefined || !/^[1-9][0-9]{0,8}$/.test(step)) return undefined;
  const values: string[] = [];
  if (/^[0-9]{0,15}$/.test(first) && /^[0-9]{1,15}$/.test(last)) {
    const width = first.length > 1 && first.startsWith('0') ? first.length : 0;
    if (width > 0 && width !== last.length) return undefined;
    if (Number(last) < Number(first) || (Number(last) - Number(first)) / Number(step) > MOST_HOSTS) return undefined;
    for (let value = Number(first); value <= Number(last); value += Number(step))
      values.push(String(value).padStart(width, '0'));
    return values;
  }
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
  const [from, to] = [letters.indexOf(first), letters.indexOf(last)];
  if (first.length !== 1 || last.length !== 1 || from < 0 || to < from) return undefined;
  for (let place = from; place <= to; place += Number(step)) values.push(letters[place]!);
  return values;
}
