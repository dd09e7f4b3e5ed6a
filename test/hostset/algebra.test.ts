/** `,` `!` `&` `^` from left to right, against a list of every host. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { filter, intersection, parseHostSet, setOfLabels } from '../../src/hostset/hostset.ts';
import { closeItems, excludes, hostsOf, type Item, items, type NaiveHost, textOf } from './generate.ts';

type Operator = ',' | '!' | '&' | '^';

function labels(set: Iterable<{ readonly label: string }>): string[] {
  return Array.from(set, (host) => host.label);
}

function meets(hosts: readonly NaiveHost[], host: NaiveHost): boolean {
  return hosts.some((one) => excludes(one, host));
}

function apply(before: readonly NaiveHost[], operator: Operator, hosts: readonly NaiveHost[]): NaiveHost[] {
  if (operator === ',') return [...before, ...hosts];
  if (operator === '&') return before.filter((host) => meets(hosts, host));
  const left = before.filter((host) => !meets(hosts, host));
  if (operator === '!') return left;
  return [...left, ...hosts.filter((host) => !before.some((one) => excludes(host, one)))];
}

const sets = fc.oneof(items, closeItems);
const operator = fc.constantFrom<Operator>(',', '!', '&', '^', '^');
const steps = fc.array(fc.record({ operator, list: sets }), { minLength: 1, maxLength: 5 });

test('every operator, item by item', () => {
  fc.assert(
    fc.property(sets, steps, (first, rest) => {
      let expected: NaiveHost[] = first.flatMap(hostsOf);
      let text = first.map(textOf).join(',');
      for (const step of rest) {
        for (const item of step.list) {
          expected = apply(expected, step.operator, hostsOf(item));
          text += ` ${step.operator} ${textOf(item)}`.replace(' , ', ',');
        }
      }
      const set = parseHostSet(text, { unmatched: 'allow' });
      expect(labels(set), text).toEqual([...new Set(expected.map((host) => host.label))]);
      expect(set.count).toBe(new Set(expected.map((host) => host.label)).size);
    }),
    { numRuns: 300 },
  );
});

test('intersection of sets', () => {
  fc.assert(
    fc.property(sets, sets, (list, others) => {
      const both = apply(list.flatMap(hostsOf), '&', others.flatMap(hostsOf));
      const text = (all: readonly Item[]): string => all.map(textOf).join(',');
      const found = intersection(parseHostSet(text(list)), parseHostSet(text(others)));
      expect(labels(found)).toEqual([...new Set(both.map((host) => host.label))]);
    }),
    { numRuns: 500 },
  );
});

test('ranges with steps, listed and as trees', () => {
  const run = fc.record({
    lo: fc.nat(60),
    length: fc.integer({ min: 17, max: 90 }),
    step: fc.constantFrom(1, 2, 3, 5, 7),
  });
  const large = fc.array(run, { minLength: 1, maxLength: 4 });
  const textsOf = (list: { lo: number; length: number; step: number }[]): string => {
    return list.map(({ lo, length, step }) => `r[1-2]n[${lo}-${lo + length * step}/${step}]`).join(',');
  };
  fc.assert(
    fc.property(large, large, (list, others) => {
      const [set, other] = [parseHostSet(textsOf(list)), parseHostSet(textsOf(others))];
      const both = labels(set).filter((label) => other.has(label));
      expect(labels(intersection(set, other))).toEqual(both);
      const listed = setOfLabels(labels(other));
      expect(labels(intersection(set, listed))).toEqual(both);
      expect(labels(intersection(listed, set))).toEqual(labels(other).filter((label) => set.has(label)));
    }),
    { numRuns: 300 },
  );
});

describe('size costs nothing', () => {
  test('blocks and ranges of any size', () => {
    expect(parseHostSet('0.0.0.0/0&10.0.0.0/8').count).toBe(2 ** 24);
    expect(parseHostSet('10.0.0.0/8^10.128.0.0/9,11.0.0.0/8').count).toBe(2 ** 23 + 2 ** 24);
    const thirds = parseHostSet('w[1-999999999]&w[3-999999999/3]');
    expect(thirds.count).toBe(333_333_333);
    expect(thirds.at(333_333_332).label).toBe('w999999999');
    expect(parseHostSet('r[0-999]n[0-999999]&r[5-6]n[0-9],x').count).toBe(21);
  });

  test('10,000 operators', () => {
    const names = Array.from({ length: 10_000 }, (_, index) => `web${index}`);
    expect(parseHostSet(`web[0-19999]&web[0-9999]!${names.slice(1).join('!')}`).count).toBe(1);
    expect(labels(parseHostSet(`x&${Array.from({ length: 10_000 }, () => 'x').join('&')}`))).toEqual(['x']);
  });
});

test('user and port of the right side count only where they are written', () => {
  expect(labels(parseHostSet('root@web[1-3]:22&web2'))).toEqual(['root@web2:22']);
  expect(labels(parseHostSet('web[1-3]&root@web2'))).toEqual([]);
  expect(labels(parseHostSet('root@web1,web2^web1'))).toEqual(['web2']);
  expect(labels(parseHostSet('web1^root@web1'))).toEqual(['web1', 'root@web1']);
});

test('an exclusion after an operator still has to match', () => {
  expect(() => parseHostSet('web[1-9]&web[1-3]!web5')).toThrow('at position 19: expected an exclusion that matches');
});

test('filter keeps order, users and ports', () => {
  const set = parseHostSet('root@web[1-20],db1:2222');
  expect(labels(filter(set, (host) => host.name === 'web3' || host.port === 2222))).toEqual(['root@web3', 'db1:2222']);
  expect(filter(set, () => false).count).toBe(0);
});
