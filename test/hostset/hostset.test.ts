import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Host } from '../../src/contracts/task.ts';
import { difference, EMPTY, type HostSet, parseHostFile, parseHostSet, union } from '../../src/hostset/hostset.ts';
import { closeItems, excludes, hostsOf, type Item, items, labelsOf, textOf } from './generate.ts';

function labels(set: Iterable<Host>): string[] {
  return Array.from(set, (host) => host.label);
}

function parse(list: readonly Item[]): HostSet {
  return parseHostSet(list.map(textOf).join(','));
}

const sets = fc.oneof(items, closeItems);

describe('against a list of every host', () => {
  test('parsing keeps the written order and drops repetitions', () => {
    fc.assert(
      fc.property(sets, (list) => {
        expect(labels(parse(list))).toEqual(labelsOf(list));
      }),
      { numRuns: 500 },
    );
  });

  test('count, iteration and at agree', () => {
    fc.assert(
      fc.property(sets, (list) => {
        const set = parse(list);
        const listed = [...set];
        expect(set.count).toBe(listed.length);
        expect(new Set(labels(listed)).size).toBe(listed.length);
        for (const [index, host] of listed.entries()) expect(set.at(index)).toEqual(host);
      }),
    );
  });

  test('has: by label, by bare name, and nothing else', () => {
    fc.assert(
      fc.property(sets, sets, (list, others) => {
        const set = parse(list);
        const known = new Set(labelsOf(list));
        for (const host of list.flatMap(hostsOf)) known.add(host.name);
        for (const host of [...list, ...others].flatMap(hostsOf)) {
          expect(set.has(host.label)).toBe(known.has(host.label));
          expect(set.has(host.name)).toBe(known.has(host.name));
        }
      }),
    );
  });

  test('union', () => {
    fc.assert(
      fc.property(fc.array(sets, { maxLength: 4 }), (lists) => {
        expect(labels(union(lists.map(parse)))).toEqual(labelsOf(lists.flat()));
      }),
      { numRuns: 300 },
    );
  });

  test('difference', () => {
    fc.assert(
      fc.property(sets, sets, (list, others) => {
        const [hosts, out] = [list.flatMap(hostsOf), others.flatMap(hostsOf)];
        const left = hosts.filter((host) => !out.some((one) => excludes(one, host)));
        const missed = out.filter((one) => !hosts.some((host) => excludes(one, host)));
        const result = difference(parse(list), parse(others));
        const missedLabels = [...new Set(missed.map((one) => one.label))];
        expect(labels(result.set)).toEqual([...new Set(left.map((host) => host.label))]);
        expect(labels(result.unmatched)).toEqual(missedLabels);
        expect(result.matched).toBe(labelsOf(others).length - missedLabels.length);
      }),
      { numRuns: 500 },
    );
  });

  test('exclusions inside a text, left to right', () => {
    const terms = fc.array(fc.record({ exclude: fc.boolean(), list: sets }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(sets, terms, (first, rest) => {
        let expected = first.flatMap(hostsOf);
        let text = first.map(textOf).join(',');
        for (const { exclude, list } of rest) {
          const hosts = list.flatMap(hostsOf);
          if (exclude) expected = expected.filter((host) => !hosts.some((one) => excludes(one, host)));
          else expected.push(...hosts);
          text += list.map((one) => (exclude ? '!' : ',') + textOf(one)).join('');
        }
        const set = parseHostSet(text, { unmatched: 'allow' });
        expect(labels(set)).toEqual([...new Set(expected.map((host) => host.label))]);
      }),
      { numRuns: 300 },
    );
  });

  test('large trees: a listed set and an arithmetic one give the same', () => {
    const large = fc.array(
      fc.record({ lo: fc.nat(400), length: fc.integer({ min: 17, max: 300 }), step: fc.constantFrom(1, 1, 2, 3, 7) }),
      { minLength: 1, maxLength: 5 },
    );
    const textsOf = (list: { lo: number; length: number; step: number }[]): string => {
      return list.map(({ lo, length, step }) => `r[1-2]n[${lo}-${lo + length * step}/${step}]`).join(',');
    };
    fc.assert(
      fc.property(large, large, (list, others) => {
        const [set, out] = [parseHostSet(textsOf(list)), parseHostSet(textsOf(others))];
        const [known, gone] = [new Set(labels(set)), new Set(labels(out))];
        expect(known.size).toBe(set.count);
        expect(labels(union([set, out]))).toEqual([...known.union(gone)]);
        expect(labels(difference(set, out).set)).toEqual([...known.difference(gone)]);
        const listed = parseHostFile([...gone].join('\n'), 'gone');
        expect(labels(union([listed, set]))).toEqual([...gone.union(known)]);
        expect(labels(difference(set, listed).set)).toEqual([...known.difference(gone)]);
      }),
    );
  });
});

describe('size costs nothing', () => {
  test('0.0.0.0/0 and 10^15 names are counted and indexed', () => {
    const all = parseHostSet('0.0.0.0/0');
    expect(all.count).toBe(2 ** 32);
    expect(all.at(0x7f00_0001).name).toBe('127.0.0.1');
    expect(all.has('255.255.255.255')).toBe(true);
    expect(all.has('255.255.255.256')).toBe(false);
    const names = parseHostSet('web[0-999999999999999]');
    expect(names.count).toBe(10 ** 15);
    expect(names.at(10 ** 15 - 1).label).toBe('web999999999999999');
    expect(names.has('web0123')).toBe(false);
  });

  test('10,000 exclusions from 127.0.0.0/8', () => {
    const block = parseHostSet('127.0.0.0/8');
    // Steps of a prime scatter the names over all octets.
    const excluded = Array.from({ length: 10_000 }, (_, index) => block.at((index * 1_000_003) % block.count).label);
    const { set, matched, unmatched } = difference(block, parseHostSet([...excluded, 'db1'].join(' ')));
    expect(set.count).toBe(2 ** 24 - 10_000);
    expect(matched).toBe(10_000);
    expect(labels(unmatched)).toEqual(['db1']);
    for (const label of excluded) expect(set.has(label)).toBe(false);
    expect(set.at(set.count - 1).label).toBe('127.255.255.255');
    expect(parseHostSet(`127.0.0.0/8!${excluded.join('!')}`).count).toBe(set.count);
  });

  test('a file of 200,000 shuffled names keeps its order, in a union too', () => {
    const names = Array.from({ length: 200_000 }, (_, index) => `web${((index * 77_773) % 200_000) + 1}`);
    const file = parseHostFile([...names, ...names].join('\n'), 'hosts');
    expect(file.count).toBe(200_000);
    expect(file.at(123_456).label).toBe(names[123_456]);
    const range = parseHostSet('web[150001-300000]');
    const both = union([file, range]);
    expect(both.count).toBe(300_000);
    expect(both.at(199_999).label).toBe(names[199_999]);
    expect(both.at(200_000).label).toBe('web200001');
    expect(union([range, file]).at(150_000).label).toBe(names.find((name) => !range.has(name)));
    expect(difference(file, range).set.count).toBe(150_000);
    expect(difference(range, file).set.count).toBe(100_000);
  });

  test('10,000 blocks, each twice', () => {
    const blocks = Array.from({ length: 10_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/24`);
    expect(parseHostFile([...blocks, ...blocks].join('\n'), 'blocks').count).toBe(2_560_000);
  });

  test('taking every second number away stays one range; taking every third has a limit', () => {
    const odd = parseHostSet('w[1-999999999]!w[2-999999998/2]');
    expect(odd.count).toBe(500_000_000);
    expect(odd.at(499_999_999).label).toBe('w999999999');
    expect(() => parseHostSet('w[1-999999999]!w[3-999999999/3]')).toThrow('at most 1000000 can be kept');
  });

  test('a union that cannot be counted is refused', () => {
    const sets = Array.from({ length: 10 }, (_, index) => parseHostSet(`${'abcdefghij'[index]}[0-999999999999999]`));
    expect(union(sets.slice(0, 9)).count).toBe(9e15);
    expect(() => union(sets)).toThrow('cannot be counted');
  });
});

describe('edges', () => {
  test.each([-1, 3, 0.5, Number.NaN])('at(%d) of three hosts throws', (index) => {
    expect(() => parseHostSet('web[1-3]').at(index)).toThrow('outside of a host set of 3');
  });

  test('the empty set', () => {
    expect(EMPTY.count).toBe(0);
    expect([...EMPTY]).toEqual([]);
    expect(EMPTY.has('a')).toBe(false);
    expect(() => EMPTY.at(0)).toThrow('outside of a host set of 0');
    expect(union([])).toBe(EMPTY);
    expect(difference(EMPTY, parseHostSet('a')).unmatched.count).toBe(1);
    expect(difference(parseHostSet('a'), EMPTY)).toMatchObject({ matched: 0, set: { count: 1 } });
  });

  test('has compares IPv6 addresses as addresses', () => {
    const set = parseHostSet('[fe80::1]:22,::ffff:10.0.0.1');
    expect(
      ['fe80::1', '[fe80::1]', 'FE80:0:0::1', '[fe80::1]:22', '::ffff:a00:1'].map((name) => set.has(name)),
    ).toEqual([true, true, true, true, true]);
    expect(['[fe80::1]:23', 'fe80::2', 'fe80::1%eth0', '', 'a b'].some((name) => set.has(name))).toBe(false);
  });

  test('a set that is not ours is taken by its labels', () => {
    const hosts: Host[] = ['web2', 'a%', 'odd name'].map((label) => ({ label, name: label }));
    const foreign: HostSet = {
      count: hosts.length,
      at: (index) => hosts[index]!,
      has: (name) => hosts.some((host) => host.name === name),
      [Symbol.iterator]: () => hosts[Symbol.iterator](),
    };
    const set = parseHostSet('web[1-100],a[1-100]');
    expect(union([set, foreign]).count).toBe(202);
    const { set: left, unmatched } = difference(set, foreign);
    expect(left.count).toBe(199);
    expect(labels(unmatched)).toEqual(['a%', 'odd name']);
    expect(labels(difference(foreign, set).set)).toEqual(['a%', 'odd name']);
  });
});
