/** ClusterShell's nodeset as an oracle for what a bracket means; it is not among the programs that CI installs. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseHostSet } from '../../src/hostset/hostset.ts';
import type { Item, Range } from './generate.ts';
import { textOf } from './generate.ts';

const NODESET = '/usr/bin/nodeset';
const missing = !existsSync(NODESET);
if (missing) console.warn(`skipped: ${NODESET} (Debian package clustershell) is not installed`);

/** A tag of letters for each expression, so that one call can expand them all and the names still tell which is which. */
function tagOf(index: number): string {
  const letters = 'abcdefghijklmnop';
  return [12, 8, 4, 0].map((shift) => letters[(index >> shift) & 15]).join('');
}

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

test.skipIf(missing)('300 expressions expand as nodeset expands them', () => {
  const texts = fc
    .sample(expression, { numRuns: 300, seed: 20_240_229 })
    .map((item, index) => `${tagOf(index)}-q${textOf(item)}`);
  const output = execFileSync(NODESET, ['-e', '-S', '\\n', ...texts], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const expanded = Map.groupBy(output.trim().split('\n'), (name) => name.slice(0, 4));
  expect(expanded.size).toBe(texts.length);
  for (const text of texts) {
    const ours = Array.from(parseHostSet(text), (host) => host.label);
    expect(ours.sort(), text).toEqual(expanded.get(text.slice(0, 4))!.sort());
  }
});
