import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TaskResult } from '../../src/contracts/task.ts';
import { Folder, type FoldOptions } from '../../src/output/fold.ts';
import { foldBounded } from '../../src/output/hosts.ts';
import { fold, label, result, sinks } from './helpers.ts';

const FAILED = { kind: 'failed', began: 'yes', status: 1 } as const;
const RULE = '---------------';

function print(results: readonly TaskResult[], options: FoldOptions = {}, terminal = false) {
  const to = sinks(terminal);
  const folder = new Folder(to, { label, fold }, options);
  for (const one of results) folder.add(one);
  folder.print();
  return { stdout: to.stdout.bytes.toString('latin1'), stderr: to.stderr.text };
}

describe('Folder', () => {
  it('prints as clush does, the largest group first', () => {
    const { stdout } = print([
      result(0, { stdout: 'odd\n' }),
      ...[1, 2, 4].map((index) => result(index, { stdout: 'same' })),
    ]);
    expect(stdout).toBe(`${RULE}\nweb[2-3],web5 (3)\n${RULE}\nsame\n${RULE}\nweb1\n${RULE}\nodd\n`);
  });

  it('groups of one size stand in the order of the plan', () => {
    const { stdout } = print([result(3, { stdout: 'c' }), result(1, { stdout: 'a' }), result(2, { stdout: 'b' })]);
    expect(stdout.match(/web\d/g)).toEqual(['web2', 'web3', 'web4']);
  });

  it('a cut output is not equal to a whole one, and says so', () => {
    const { stdout } = print([result(0, { stdout: 'a' }), result(1, { stdout: 'a', cut: 5 })]);
    expect(stdout).toBe(`${RULE}\nweb1\n${RULE}\na\n${RULE}\nweb2, truncated\n${RULE}\na\n`);
  });

  it.each([
    [
      'ok without output is shown only where nothing else is',
      [result(0), result(1)],
      `${RULE}\nweb[1-2] (2)\n${RULE}\n`,
    ],
    ['and not beside others', [result(0), result(1, { stdout: 'a' })], `${RULE}\nweb2\n${RULE}\na\n`],
    ['not ok without output is told on stderr by others', [result(0, { outcome: FAILED })], ''],
    ['not ok with output is shown', [result(0, { stdout: 'a', outcome: FAILED })], `${RULE}\nweb1\n${RULE}\na\n`],
  ])('%s', (_, results, shown) => expect(print(results).stdout).toBe(shown));

  it('-b looks at stdout alone, -B at both', () => {
    const results = [
      result(0, { stdout: 'a', stderr: 'x\n' }),
      result(1, { stdout: 'a', stderr: 'y\n' }),
      result(2, { stderr: 'ax\n' }),
    ];
    expect(print(results).stdout).toBe(`${RULE}\nweb[1-2] (2)\n${RULE}\na\n`);
    const both = print(results, { streams: 'both' }).stdout;
    expect(both).toBe(
      ['web1', 'a\nx', 'web2', 'a\ny', 'web3', 'ax']
        .map((text, number) => (number % 2 === 0 ? `${RULE}\n${text}\n${RULE}\n` : `${text}\n`))
        .join(''),
    );
  });

  it('-B keeps apart what went to different streams', () => {
    const results = [result(0, { stdout: 'a' }), result(1, { stderr: 'a' })];
    expect(print(results, { streams: 'both' }).stdout).toBe(`${RULE}\nweb1\n${RULE}\na\n${RULE}\nweb2\n${RULE}\na\n`);
  });

  it.each([
    [true, false, '^[[2J\xe9\n'],
    [true, true, '\x1b[2J\xe9\n'],
    [false, false, '\x1b[2J\xe9\n'],
  ])('terminal %s, raw %s', (terminal, raw, body) => {
    const stdout = Buffer.from('\x1b[2J\xe9', 'latin1');
    expect(print([result(0, { stdout })], { raw }, terminal).stdout).toBe(`${RULE}\nweb1\n${RULE}\n${body}`);
  });

  it('groups equal those of a map, for any outputs', () => {
    const output = fc.oneof(fc.constantFrom('', 'a', 'b', 'a\n'), fc.string({ maxLength: 3 }));
    fc.assert(
      fc.property(fc.array(fc.tuple(output, fc.boolean()), { maxLength: 60 }), (outputs) => {
        const folder = new Folder(sinks(), { label, fold });
        const model = new Map<string, number[]>();
        for (const [index, [stdout, cut]] of outputs.entries()) {
          folder.add(result(index, { stdout, cut: cut ? 1 : 0 }));
          if (stdout === '') continue;
          const key = `${cut} ${stdout}`;
          model.set(key, [...(model.get(key) ?? []), index]);
        }
        const expected = [...model].sort(([, a], [, b]) => b.length - a.length || a[0]! - b[0]!);
        const got = folder.groups().map((group) => [`${group.truncated} ${group.output}`, [...group.indices]]);
        expect(got).toEqual(expected);
      }),
    );
  });

  it('beyond its bound shows new outputs at once and goes on folding known ones', () => {
    const to = sinks();
    const folder = new Folder(to, { label, fold }, { maxBytes: 600 });
    folder.add(result(0, { stdout: 'a' }));
    folder.add(result(1, { stdout: 'b'.repeat(100) }));
    folder.add(result(2, { stdout: 'c'.repeat(100) }));
    folder.add(result(3, { stdout: 'a' }));
    expect(folder.held).toBeLessThanOrEqual(600);
    expect(to.stdout.text.match(/web\d/g)).toEqual(['web2', 'web3']);
    folder.print();
    expect(to.stdout.text.endsWith(`${RULE}\nweb1,web4 (2)\n${RULE}\na\n`)).toBe(true);
    expect(to.stderr.text).toBe('more than 600 B of different outputs: new ones are shown as they come, not folded\n');
  });

  it('starts afresh after a round', () => {
    const to = sinks();
    const folder = new Folder(to, { label, fold });
    folder.add(result(0, { stdout: 'a' }));
    folder.print();
    expect(folder.held).toBe(0);
    folder.add(result(1, { stdout: 'a' }));
    folder.print();
    expect(to.stdout.text).toBe(`${RULE}\nweb1\n${RULE}\na\n${RULE}\nweb2\n${RULE}\na\n`);
  });
});

describe('foldBounded', () => {
  const indices = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
  const plain = (index: number): string => `h${'x'.repeat(8)}${index}`;

  it.each([
    ['all', 3, { labels: 10, characters: 200 }, { text: 'web[1-3]', more: 0 }],
    ['only so many labels are folded', 30, { labels: 10, characters: 200 }, { text: 'web[1-10]', more: 20 }],
    ['none', 0, { labels: 10, characters: 200 }, { text: '', more: 0 }],
  ])('%s', (_, count, limits, expected) => {
    expect(foldBounded(indices(count), count, label, fold, limits)).toEqual(expected);
  });

  it('cuts a single label that is too long', () => {
    const hosts = foldBounded([0], 1, () => 'h'.repeat(300), fold, { labels: 10, characters: 20 });
    expect(hosts).toEqual({ text: `${'h'.repeat(20)}…`, more: 0 });
  });

  it('shows as many as fit and counts the rest', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 15, max: 300 }), (count, characters) => {
        const { text, more } = foldBounded(indices(count), count, plain, fold, { labels: 400, characters });
        expect(text.length).toBeLessThanOrEqual(characters);
        const shown = text.split(',').length;
        expect(shown + more).toBe(count);
        const next =
          shown < Math.min(count, 400) ? fold(indices(shown + 1).map(plain)).length : Number.POSITIVE_INFINITY;
        expect(next).toBeGreaterThan(characters);
      }),
    );
  });

  it('folds few labels where they do not fold', () => {
    let folded = 0;
    const counting = (labels: Iterable<string>): string => {
      const all = [...labels];
      folded += all.length;
      return all.join(',');
    };
    foldBounded(indices(10_000), 10_000, plain, counting, { labels: 10_000, characters: 200 });
    expect(folded).toBeLessThan(10_200);
  });
});
