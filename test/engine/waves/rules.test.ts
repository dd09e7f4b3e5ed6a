/** What waves and limits come to for a plan: by arithmetic, and against a model that starts whatever it may. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Limit, outlineOf, WaveSizes } from '../../../src/engine/waves/rules.ts';
import { parseShare, type Share, shareOf, shareText } from '../../../src/util/share.ts';

const shares = (text: string): Share[] => text.split(',').map((part) => parseShare(part)!);

describe('shares', () => {
  test.each([
    ['0', { count: 0 }],
    ['10', { count: 10 }],
    ['0.5%', { percent: 0.5 }],
    ['100%', { percent: 100 }],
    ['0%', undefined],
    ['101%', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    ['5 %', undefined],
    ['%', undefined],
    ['', undefined],
    ['1e3', undefined],
    ['99999999999999999999', undefined],
  ])('%j', (text, share) => {
    expect(parseShare(text)).toEqual(share);
    if (share) expect(shareText(share)).toBe(text);
  });

  test('are rounded down', () => {
    expect(shareOf({ percent: 5 }, 39)).toBe(1);
    expect(shareOf({ percent: 100 }, 39)).toBe(39);
  });
});

describe('sizes of waves', () => {
  test.each<[string, string, number, number[]]>([
    ['the usual', '1,5%,100%', 100, [1, 5, 94]],
    ['the last repeats', '1,10', 35, [1, 10, 10, 10, 4]],
    ['a percentage that repeats', '25%', 10, [2, 2, 2, 2, 2]],
    ['at least one', '1%', 5, [1, 1, 1, 1, 1]],
    ['larger than the fleet', '10', 3, [3]],
    ['more sizes than tasks', '1,2,5,10', 3, [1, 2]],
    ['one', '100%', 7, [7]],
  ])('%s: %s of %i', (_, serial, planned, expected) => {
    const sizes = new WaveSizes(shares(serial), planned);
    expect(Array.from({ length: sizes.count }, (_, i) => sizes.size(i + 1))).toEqual(expected);
    expect(sizes.largest).toBe(Math.max(...expected));
  });

  test('come to the plan, whatever they are, each at least one', () => {
    const share = fc.oneof(
      fc.integer({ min: 1, max: 50 }).map((count) => ({ count })),
      fc.integer({ min: 1, max: 1000 }).map((tenths) => ({ percent: tenths / 10 })),
    );
    fc.assert(
      fc.property(
        fc.array(share, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 500 }),
        (serial, planned) => {
          const sizes = new WaveSizes(serial, planned);
          const all = Array.from({ length: sizes.count }, (_, i) => sizes.size(i + 1));
          expect(all.reduce((sum, size) => sum + size, 0)).toBe(planned);
          expect(Math.min(...all)).toBeGreaterThan(0);
          expect(sizes.largest).toBe(Math.max(...all));
          expect(sizes.end(sizes.count)).toBe(planned);
        },
      ),
    );
  });

  test('a million waves cost nothing', () => {
    const sizes = new WaveSizes([{ count: 1 }], 1e9);
    expect([sizes.count, sizes.end(5e8), sizes.largest]).toEqual([1e9, 5e8, 1]);
  });
});

/** The most that were failed or unfinished in a run that starts only what it may. */
function highest(walk: Iterable<string>, limit: Limit, atOnce: number): number {
  let [failed, unfinished, most] = [0, 0, 0];
  for (const step of walk) {
    if (failed > limit.most) break;
    if (step === 'start') unfinished += unfinished < Math.min(atOnce, limit.unfinished(failed)) ? 1 : 0;
    else if (unfinished > 0) {
      unfinished -= 1;
      failed += step === 'fail' ? 1 : 0;
    }
    most = Math.max(most, failed + unfinished);
  }
  return most;
}

describe('what can be at risk', () => {
  const atRisk = (maxFail: Share, planned: number, atOnce: number): number =>
    outlineOf({ maxFail }, planned, atOnce).atRisk!;

  test.each([
    ['fail-fast: ten', { count: 0 }, 1000, 512, 10],
    ['a small fanout bounds it', { count: 0 }, 1000, 4, 4],
    ['a small plan bounds it', { count: 5 }, 7, 512, 7],
    ['ten times the budget', { count: 5 }, 1000, 512, 60],
    ['a percentage', { percent: 1 }, 10_000, Infinity, 1010],
    ['the fanout, and those that failed before the budget became smaller', { count: 100 }, 10_000, 512, 561],
  ])('%s', (_, maxFail, planned, atOnce, expected) => {
    expect(atRisk(maxFail, planned, atOnce)).toBe(expected);
  });

  test('no run that keeps to the cap comes above it, and one that does its worst comes up to it', () => {
    const steps = fc.array(fc.constantFrom('start', 'ok', 'fail'), { maxLength: 400 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 1, max: 60 }), steps, (most, atOnce, random) => {
        const limit = new Limit({ count: most }, 10_000);
        const bound = atRisk({ count: most }, 10_000, atOnce);
        const worst = (walk: Iterable<string>): number => highest(walk, limit, atOnce);
        expect(worst(random)).toBeLessThanOrEqual(bound);
        const greedy = Array.from({ length: most + 1 }, () => [...Array<string>(100).fill('start'), 'fail']).flat();
        expect(worst(greedy)).toBe(bound);
      }),
    );
  });
});
