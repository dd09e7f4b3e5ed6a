import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffLines, hunks } from '../../src/output/line_diff.ts';

/** Both lists as the edits tell them. */
function told(edits: ReturnType<typeof diffLines>, before: readonly string[], after: readonly string[]) {
  return {
    before: edits.filter(({ kind }) => kind !== '+').map((edit) => before[edit.before]),
    after: edits.filter(({ kind }) => kind !== '-').map((edit) => after[edit.after]),
  };
}

/** The length of the longest common subsequence, by the table that everybody knows. */
function common(a: readonly string[], b: readonly string[]): number {
  let row = new Array<number>(b.length + 1).fill(0);
  for (const line of a) {
    const next = [0];
    for (const [at, other] of b.entries()) {
      next.push(line === other ? row[at]! + 1 : Math.max(row[at + 1]!, next[at]!));
    }
    row = next;
  }
  return row[b.length]!;
}

const list = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 24 });

describe('diffLines', () => {
  it('leads from one list to the other, keeps what is common, and is the shortest way', () => {
    fc.assert(
      fc.property(list, list, (before, after) => {
        const edits = diffLines(before, after);
        expect(told(edits, before, after)).toEqual({ before, after });
        const kept = edits.filter(({ kind }) => kind === ' ');
        for (const edit of kept) expect(before[edit.before]).toBe(after[edit.after]);
        expect(kept).toHaveLength(common(before, after));
      }),
    );
  });

  it('beyond its bound still leads from one to the other', () => {
    const before = Array.from({ length: 3000 }, (_, at) => `a${at}`);
    const after = Array.from({ length: 3000 }, (_, at) => (at % 2 === 0 ? `a${at}` : `b${at}`));
    expect(told(diffLines(before, after), before, after)).toEqual({ before, after });
  });
});

describe('hunks', () => {
  const numbers = Array.from({ length: 30 }, (_, at) => `${at + 1}`);
  const without = (...gone: number[]) => numbers.filter((line) => !gone.includes(Number(line)));

  it.each([
    ['one change in the middle', without(15), ['12,7 12,6']],
    ['two that are near are one', without(10, 16), ['7,13 7,11']],
    ['two whose surroundings do not touch', without(10, 18), ['7,7 7,6', '15,7 14,6']],
    ['the first and the last line', without(1, 30), ['1,4 1,3', '27,4 26,3']],
    ['a line more at the end', [...numbers, 'x'], ['28,3 28,4']],
    ['nothing', numbers, []],
  ])('%s', (_, after, expected) => {
    const found = hunks(diffLines(numbers, after), 3);
    expect(found.map((hunk) => `${hunk.before} ${hunk.after}`)).toEqual(expected);
  });

  it('of an empty list', () => {
    const [hunk] = hunks(diffLines([], ['x']), 3);
    expect([hunk!.before, hunk!.after]).toEqual(['0,0', '1']);
  });
});
