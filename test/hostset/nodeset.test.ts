/** ClusterShell as an oracle for what a host set means, and for how short it can be said. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { foldHosts } from '../../src/hostset/fold.ts';
import { parseHostSet } from '../../src/hostset/hostset.ts';
import type { Item, Range } from './generate.ts';
import { textOf } from './generate.ts';
import { type Answer, ask, missing } from './oracle.ts';

const range: fc.Arbitrary<Range> = fc
  .record({
    lo: fc.oneof(fc.nat(12), fc.integer({ min: 90, max: 101 })),
    length: fc.nat(12),
    step: fc.constantFrom(1, 1, 2, 5),
    pad: fc.constantFrom(0, 0, 3, 4),
  })
  .map(({ lo, length, step, pad }) => ({ lo, hi: lo + length, step, pad }));
const bracket = fc.array(range, { minLength: 1, maxLength: 3 });
const between = fc.constantFrom('n', '-x', 'y7z', '.d');
const after = fc.constantFrom('', 's', '.lan');
// nodeset puts the digits before a bracket in front of both ends, so that `w1[99-101]` is w199 to w1101 there; for us it is
// w199, w1100, w1101, as a bracket means everywhere else. Only ranges of one width follow digits here.
const oneWidth = bracket.filter((ranges) =>
  ranges.every(({ lo, hi, pad }) => pad > 0 || `${lo}`.length === `${hi}`.length),
);
const oneLevel = fc.oneof(
  fc.tuple(fc.constantFrom('', 'w'), bracket, after).map(([first, a, last]) => [first, a, last]),
  fc.tuple(oneWidth, after).map(([a, last]) => ['w1', a, last]),
);
const twoLevels = fc
  .tuple(fc.constantFrom('', 'r'), bracket, between, bracket, after)
  .map(([first, a, middle, b, last]) => [first, a, middle, b, last]);
const expression = fc
  .oneof(oneLevel, twoLevels)
  .map((pieces): Item => ({ user: undefined, pieces: pieces.filter((piece) => piece !== ''), port: undefined }));

/** Few names, so that operators have something to do; most tables of three racks with three nodes. */
const small: fc.Arbitrary<Range> = fc
  .record({ lo: fc.nat(4), length: fc.nat(4), step: fc.constantFrom(1, 1, 1, 2), pad: fc.constantFrom(0, 0, 0, 2) })
  .map(({ lo, length, step, pad }) => ({ lo, hi: lo + length, step, pad }));
const smallBracket = fc.array(small, { minLength: 1, maxLength: 2 });
const close = fc
  .oneof(
    fc.tuple(fc.constant('n'), smallBracket),
    fc.tuple(fc.constant('r'), smallBracket, fc.constant('n'), smallBracket),
    fc.tuple(fc.constantFrom('n1', 'r1n1', 'db')),
  )
  .map((pieces) => textOf({ user: undefined, pieces, port: undefined }));
const algebra = fc
  .tuple(
    close,
    fc.array(fc.tuple(fc.constantFrom(',', '!', '&', '^', ' ^ ', ' & '), close), { minLength: 1, maxLength: 6 }),
  )
  .map(([first, rest]) => first + rest.map(([operator, text]) => operator + text).join(''));

function sample(texts: fc.Arbitrary<string>, numRuns: number): string[] {
  return fc.sample(texts, { numRuns, seed: 20_240_229 });
}

function labelsOf(text: string): string[] {
  return Array.from(parseHostSet(text, { unmatched: 'allow' }), (host) => host.label);
}

function answered(answers: readonly (Answer | string)[]): readonly Answer[] {
  return answers.map((answer) => {
    if (typeof answer === 'string') throw new Error(answer);
    return answer;
  });
}

test.skipIf(missing)('1,000 expressions: expand and count', () => {
  const texts = sample(expression.map(textOf), 1000);
  for (const [index, { hosts, count }] of answered(ask(texts)).entries()) {
    const text = texts[index]!;
    expect(labelsOf(text).sort(), text).toEqual([...hosts].sort());
    expect(parseHostSet(text).count, text).toBe(count);
  }
});

test.skipIf(missing)('1,500 chains of operators', () => {
  const texts = sample(algebra, 1500);
  const answers = answered(ask(texts));
  expect(answers.filter(({ count }) => count > 0).length).toBeGreaterThan(1000);
  for (const [index, { hosts }] of answers.entries()) {
    expect(labelsOf(texts[index]!).sort(), texts[index]).toEqual([...hosts].sort());
  }
});

test.skipIf(missing)('1,000 folds: the same hosts, and as short', () => {
  const texts = [...sample(expression.map(textOf), 500), ...sample(algebra, 800)];
  const filled = texts.filter((text) => labelsOf(text).length > 0);
  expect(filled.length).toBeGreaterThan(1000);
  const folds = filled.map((text) => foldHosts(labelsOf(text)));
  const theirs = answered(ask(filled));
  const back = answered(ask(folds));
  // Both are heuristics where names have several numbers: ours wins about as often as theirs.
  let longer = 0;
  for (const [index, { hosts, folded }] of theirs.entries()) {
    expect(back[index]!.hosts, filled[index]).toEqual(hosts);
    if (folds[index]!.length > folded.length) longer++;
  }
  expect(longer).toBeLessThan(filled.length / 100);
  const characters = (list: readonly string[]): number => list.join('').length;
  expect(characters(folds)).toBeLessThan(1.002 * characters(theirs.map(({ folded }) => folded)));
});
