/** A part of the selected hosts: the first ones, or some at random. */
import { randomBytes } from 'node:crypto';
import { MyriadError } from '../contracts/errors.ts';
import type { HostSet } from '../hostset/hostset.ts';
import { Places } from './inventories.ts';
import type { SelectionOptions } from './selection_options.ts';

/** Most hosts that may be picked at random: their places are a list. */
const MOST_PICKED = 10_000_000;

/** First `pick`, then `limit`. Throws `usage`. */
export function sample(set: HostSet, options: SelectionOptions): HostSet {
  const { pick, limit, seed } = options;
  if (seed !== undefined && pick === undefined)
    throw new MyriadError('usage', 'seed: it says which hosts "pick" takes; give that, too');
  const picked = pick === undefined ? set : pickFrom(set, countOf('pick', pick, set.count), seed);
  const count = limit === undefined ? picked.count : countOf('limit', limit, picked.count);
  return count >= picked.count ? picked : new Places(picked, count);
}

/** `10` or `5%`, of which a part of a host is one. */
function countOf(name: string, text: string | number, of: number): number {
  const found = /^(\d{1,15}(?:\.\d+)?)(%?)$/.exec(String(text));
  const value = Number(found?.[1]);
  const wanted = found?.[2] === '%' ? Math.ceil((of * value) / 100) : value;
  if (found && value > 0 && Number.isInteger(wanted) && (found[2] === '' || value <= 100)) return Math.min(wanted, of);
  throw new MyriadError('usage', `${name}: expected a number of hosts or N%, above 0, got "${text}"`);
}

/** So many places, each set of them as likely as any other (Floyd's way); in the order of the set. */
function pickFrom(set: HostSet, count: number, seed: string | undefined): HostSet {
  if (count === set.count) return set;
  if (count > MOST_PICKED) throw new MyriadError('usage', `pick: at most ${MOST_PICKED} hosts, not ${count}`);
  const random = randomOf(seed ?? randomBytes(16).toString('hex'));
  const places = new Set<number>();
  for (let last = set.count - count; last < set.count; last++) {
    const place = Math.floor(random() * (last + 1));
    places.add(places.has(place) ? last : place);
  }
  return new Places(set, Float64Array.from(places).sort());
}

/** Numbers from 0 up to 1, the same for the same seed: sfc32 with 53 bits of two draws. */
function randomOf(seed: string): () => number {
  let [a, b, c, counter] = [0x9e3779b9, 0x243f6a88, 0xb7e15162, 1];
  const draw = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let at = 0; at < seed.length; at++) {
    a ^= seed.charCodeAt(at);
    draw();
  }
  for (let round = 0; round < 16; round++) draw();
  return () => ((draw() >>> 5) * 2 ** 26 + (draw() >>> 6)) / 2 ** 53;
}
