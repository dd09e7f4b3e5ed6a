import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  concatenate,
  digits,
  naturalSegments,
  overlap,
  type Segment,
  segment,
  sizeOf,
  slice,
} from '../../src/hostset/segment.ts';

function valuesOf(run: Segment): number[] {
  const values: number[] = [];
  for (let value = run.lo; value <= run.hi; value += run.step) values.push(value);
  return values;
}

const run = fc
  .record({ lo: fc.nat(300), length: fc.nat(300), step: fc.integer({ min: 1, max: 40 }) })
  .map(({ lo, length, step }) => segment(3, lo, lo + length, step));

test('overlap names the shared values', () => {
  fc.assert(
    fc.property(run, run, (a, b) => {
      const shared = valuesOf(a).filter((value) => valuesOf(b).includes(value));
      const found = overlap(a, b);
      const places = Array.from({ length: found?.count ?? 0 }, (_, index) => found!.first + index * found!.stride);
      expect(places.map((place) => valuesOf(a)[place])).toEqual(shared);
    }),
    { numRuns: 1_000 },
  );
});

test('overlap stays exact where products pass 2^53', () => {
  const [common, stepA, stepB] = [123_456_789_012_345, 99_999_989, 99_999_971];
  const a = segment(15, common % stepA, 999_999_999_999_999, stepA);
  const b = segment(15, common % stepB, 999_999_999_999_999, stepB);
  // The steps are coprime and their product is above 10^15, so this is the only value that they share.
  expect(overlap(a, b)).toEqual({ first: (common - a.lo) / stepA, stride: 1, count: 1 });
});

test('segments of different widths never meet', () => {
  expect(overlap(segment(1, 1, 9), segment(2, 1, 9))).toBeUndefined();
});

test('slice takes values by place', () => {
  fc.assert(
    fc.property(run, fc.nat(20), fc.nat(20), (a, first, count) => {
      const most = Math.min(count, sizeOf(a) - first);
      const part = slice(a, first, most);
      expect(part ? valuesOf(part) : []).toEqual(valuesOf(a).slice(first, first + Math.max(most, 0)));
    }),
  );
});

test('numbers without padding change width at powers of ten', () => {
  expect(naturalSegments(8, 101, 1)).toEqual([segment(1, 8, 9), segment(2, 10, 99), segment(3, 100, 101)]);
  expect(naturalSegments(7, 30, 7)).toEqual([segment(1, 7, 7), segment(2, 14, 28, 7)]);
});

test('concatenation writes the suffix after the prefix, the suffix fastest', () => {
  const texts = (runs: readonly Segment[]): string[] =>
    runs.flatMap((one) => valuesOf(one).map((value) => digits(one.width, value)));
  fc.assert(
    fc.property(
      fc.array(run, { minLength: 1, maxLength: 2 }),
      fc.array(run, { minLength: 1, maxLength: 2 }),
      (a, b) => {
        const expected = texts(a).flatMap((prefix) => texts(b).map((suffix) => prefix + suffix));
        expect(texts(concatenate(a, b, 10_000)!)).toEqual(expected);
      },
    ),
    { numRuns: 30 },
  );
  expect(concatenate([segment(7, 0, 9_999_999)], [segment(2, 0, 99)], 10)).toEqual([segment(9, 0, 999_999_999)]);
  expect(concatenate([segment(2, 0, 99)], [segment(2, 0, 98)], 99)).toBeUndefined();
});
