import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchHostList, matchPattern, matchPatternList } from '../../../src/ssh/config/pattern.ts';
import { PatternIndex } from '../../../src/ssh/config/pattern_index.ts';

describe('patterns', () => {
  test.each<[string, string, boolean]>([
    ['web1', 'web1', true],
    ['web1', 'WEB1', false],
    ['web1', 'web?', true],
    ['web', 'web?', false],
    ['web12', 'web*', true],
    ['web', 'web*', true],
    ['a.example.com', '*.example.com', true],
    ['example.com', '*.example.com', false],
    ['', '*', true],
    ['', '', true],
    ['aXbXc', 'a*X*c', true],
    ['aab', '*ab', true],
    ['a[b', 'a[b', true],
  ])('%j against %j: %j', (text, pattern, expected) => {
    expect(matchPattern(text, pattern)).toBe(expected);
  });

  test.each<[string, string, boolean]>([
    ['a', 'b,a', true],
    ['a', '!a,*', false],
    ['a', '*,!a', false],
    ['b', '*,!a', true],
    ['a', '!b', false],
    ['a', ` a`, false],
    ['a', `${'x'.repeat(1024)},a`, false],
  ])('%j against the list %j: %j', (text, list, expected) => {
    expect(matchPatternList(text, list)).toBe(expected);
  });

  test('a list of hosts does not look at case', () => {
    expect(matchHostList('Web1', 'wEB*')).toBe(true);
    expect(matchPatternList('Web1', 'wEB*')).toBe(false);
  });
});

test('the index finds exactly the blocks whose patterns match', () => {
  const part = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '.'), minLength: 1, maxLength: 6 });
  const name = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 6 });
  const blocks = fc.array(fc.array(part, { maxLength: 3 }), { maxLength: 12 });
  fc.assert(
    fc.property(blocks, name, (patterns, text) => {
      const index = new PatternIndex();
      for (const [block, list] of patterns.entries()) for (const pattern of list) index.add(pattern, block);
      const expected = patterns.flatMap((list, block) => (list.some((p) => matchPattern(text, p)) ? [block] : []));
      expect(index.match(text)).toEqual(expected);
    }),
    { numRuns: 2000 },
  );
});

test('a pattern is tried in bounded time', () => {
  const text = 'a'.repeat(2000);
  expect(matchPattern(text, `${'*a'.repeat(500)}b`)).toBe(false);
  expect(matchPattern(text, `${'*a'.repeat(500)}*`)).toBe(true);
});
