import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { foldHosts } from '../../src/hostset/fold.ts';
import { parseHostSet } from '../../src/hostset/hostset.ts';
import { closeItems, items, labelsOf } from './generate.ts';

describe('fold', () => {
  test.each<[string, string]>([
    ['', ''],
    ['db', 'db'],
    ['web1', 'web1'],
    ['web1 web2 web3 web7 db1', 'web[1-3,7],db1'],
    ['web7 db1 web3 web1 web2', 'web[1-3,7],db1'],
    ['web1 web1', 'web1'],
    ['web9 web10 web11', 'web[9-11]'],
    ['web09 web10 web11', 'web[09-11]'],
    ['web098 web099 web100', 'web[098-100]'],
    ['web98 web99 web100', 'web[98-100]'],
    ['web08 web99 web100', 'web[08,99-100]'],
    ['web01 web02 web1 web2', 'web[1-2,01-02]'],
    ['web99 web100 web098 web099', 'web[99,098-100]'],
    ['r1n1 r1n2 r1n3 r2n1 r2n2 r2n3', 'r[1-2]n[1-3]'],
    ['r1n1 r1n2 r2n1 r3n1 r3n2', 'r[1,3]n[1-2],r2n1'],
    ['127.1.0.1 127.1.0.2 127.1.0.3', '127.1.0.[1-3]'],
    ['10.0.0.254 10.0.0.255 10.0.1.0', '10.0.0.[254-255],10.0.1.0'],
    ['root@web1:22 root@web2:22 root@web3:23 web4', 'root@web[1-2]:22,root@web3:23,web4'],
    ['1:22 2:22', '[1-2]:22'],
    ['::1 ::2 [::3]:22 web1', '::1,::2,[::3]:22,web1'],
    ['odd;name web1 é web2', 'odd;name,web[1-2],é'],
    ['a1234567890123456789 a1234567890123456790', 'a1234567890123456789,a1234567890123456790'],
    ['1.2-3 1.2-4', '1.2-3,1.2-4'],
  ])('%s', (labels, expected) => {
    expect(foldHosts(labels === '' ? [] : labels.split(' '))).toBe(expected);
  });

  test('what is folded parses to the same hosts', () => {
    fc.assert(
      fc.property(fc.oneof(items, closeItems), fc.integer({ min: 1, max: 7 }), (list, keep) => {
        const labels = labelsOf(list).filter((_, index) => index % keep === 0 || index % 3 === 0);
        const parsed = parseHostSet(foldHosts(labels));
        expect(Array.from(parsed, (host) => host.label).sort()).toEqual(labels.sort());
      }),
      { numRuns: 500 },
    );
  });

  test('random addresses fold to the same addresses', () => {
    const address = fc.tuple(fc.nat(2), fc.nat(3), fc.nat(255)).map(([b, c, d]) => `10.${b}.${c}.${d}`);
    fc.assert(
      fc.property(fc.uniqueArray(address, { minLength: 1, maxLength: 200 }), (labels) => {
        const parsed = parseHostSet(foldHosts(labels));
        expect(Array.from(parsed, (host) => host.label).sort()).toEqual(labels.sort());
      }),
    );
  });

  test('it never throws', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (labels) => {
        expect(foldHosts(labels).length).toBeGreaterThanOrEqual(labels.length > 0 ? labels[0]!.length : 0);
      }),
    );
  });

  test('100,000 labels', () => {
    const names = Array.from({ length: 100_000 }, (_, index) => `web${((index * 77_773) % 100_000) + 1}`);
    expect(foldHosts(names)).toBe('web[1-100000]');
  });
});
