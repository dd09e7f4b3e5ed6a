import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IndexSet } from '../../src/util/index_set.ts';

/** Close together, around page and word edges, and far beyond 32 bits. */
const index = fc.oneof(
  fc.nat(100),
  fc.nat(5000),
  fc.constantFrom(31, 32, 63, 1023, 1024, 2047, 2048, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER),
);

describe('IndexSet', () => {
  it('equals a Set, walked ascending', () => {
    fc.assert(
      fc.property(fc.array(index, { maxLength: 200 }), fc.array(index), (added, asked) => {
        const set = new IndexSet();
        const model = new Set<number>();
        for (const number of added) {
          expect(set.add(number)).toBe(!model.has(number));
          model.add(number);
        }
        const sorted = [...model].sort((a, b) => a - b);
        expect([...set]).toEqual(sorted);
        expect(set.size).toBe(model.size);
        expect(set.first).toBe(sorted[0]);
        for (const number of [...added, ...asked]) expect(set.has(number)).toBe(model.has(number));
      }),
    );
  });

  it('takes a dense million', () => {
    const set = new IndexSet();
    for (let number = 999_999; number >= 0; number--) set.add(number);
    expect(set.size).toBe(1_000_000);
    let expected = 0;
    for (const number of set) if (number !== expected++) throw new Error(`${number} instead of ${expected - 1}`);
    expect(expected).toBe(1_000_000);
  });

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('refuses %s', (number) => {
    expect(() => new IndexSet().add(number)).toThrow(RangeError);
  });
});
