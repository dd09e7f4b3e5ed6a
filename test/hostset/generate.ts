/** Random host sets as small trees, their text, and what they mean, spelt out without any of the code under test. */
import fc from 'fast-check';

export interface Range {
  readonly lo: number;
  readonly hi: number;
  readonly step: number;
  /** Digits to pad to; 0: none. */
  readonly pad: number;
}

/** Literal text, or the ranges of a bracket. */
export type Piece = string | readonly Range[];

export interface Item {
  readonly user: string | undefined;
  readonly pieces: readonly Piece[];
  readonly port: number | undefined;
}

export interface NaiveHost {
  readonly label: string;
  readonly name: string;
  readonly user: string | undefined;
  readonly port: number | undefined;
}

const range: fc.Arbitrary<Range> = fc
  .record({
    lo: fc.nat(25),
    length: fc.nat(9),
    step: fc.constantFrom(1, 1, 1, 2, 3),
    pad: fc.constantFrom(0, 0, 2, 3),
  })
  .map(({ lo, length, step, pad }) => ({ lo, hi: lo + length, step, pad }));

const bracket = fc.array(range, { minLength: 1, maxLength: 3 });

const piece: fc.Arbitrary<Piece> = fc.oneof(fc.constantFrom('a', 'b', '1', '0', '-r', 'x1y', '.c'), bracket);

/** At most two brackets, so that a set stays small enough for the naive model. */
const item: fc.Arbitrary<Item> = fc
  .record({
    user: fc.constantFrom(undefined, undefined, undefined, 'root', 'me'),
    first: fc.oneof(fc.constantFrom<Piece>('a', 'b', 'a1', '2'), bracket),
    rest: fc.array(piece, { maxLength: 3 }),
    port: fc.constantFrom(undefined, undefined, undefined, 22, 2222),
  })
  .map(({ user, first, rest, port }) => ({ user, pieces: [first, ...rest], port }))
  .filter(({ pieces }) => pieces.filter((one) => typeof one !== 'string').length <= 2);

export const items = fc.array(item, { minLength: 1, maxLength: 5 });

/** Items that often overlap: one pattern, few numbers. */
export const closeItems = fc.array(
  fc
    .record({ user: fc.constantFrom(undefined, undefined, 'root'), racks: bracket, nodes: bracket, wide: fc.boolean() })
    .map(({ user, racks, nodes, wide }): Item => {
      return { user, pieces: wide ? ['r', racks, 'n', nodes] : ['r', racks.slice(0, 1), 'n1'], port: undefined };
    }),
  { minLength: 1, maxLength: 5 },
);

export function textOf({ user, pieces, port }: Item): string {
  const name = pieces.map((one) => (typeof one === 'string' ? one : `[${one.map(rangeText).join(',')}]`)).join('');
  return `${user ? `${user}@` : ''}${name}${port ? `:${port}` : ''}`;
}

function rangeText({ lo, hi, step, pad }: Range): string {
  const [first, last] = [String(lo).padStart(pad, '0'), String(hi).padStart(pad, '0')];
  if (lo === hi && step === 1) return first;
  return `${first}-${last}${step === 1 ? '' : `/${step}`}`;
}

/** Every host in the order in which the text names it, repetitions included. */
export function hostsOf({ user, pieces, port }: Item): NaiveHost[] {
  let names = [''];
  for (const one of pieces) {
    const values = typeof one === 'string' ? [one] : one.flatMap(valuesOf);
    names = names.flatMap((name) => values.map((value) => name + value));
  }
  return names.map((name) => {
    return { label: `${user ? `${user}@` : ''}${name}${port ? `:${port}` : ''}`, name, user, port };
  });
}

function valuesOf({ lo, hi, step, pad }: Range): string[] {
  const values: string[] = [];
  for (let value = lo; value <= hi; value += step) values.push(String(value).padStart(pad, '0'));
  return values;
}

/** The labels of all items, each at its first place. */
export function labelsOf(list: readonly Item[]): string[] {
  return [...new Set(list.flatMap(hostsOf).map((host) => host.label))];
}

/** Whether the excluded host takes the host away. */
export function excludes(excluded: NaiveHost, host: NaiveHost): boolean {
  return (
    excluded.name === host.name &&
    (excluded.user === undefined || excluded.user === host.user) &&
    (excluded.port === undefined || excluded.port === host.port)
  );
}
