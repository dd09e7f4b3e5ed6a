import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TaskResult } from '../../src/contracts/task.ts';
import { Folder, type FoldOptions } from '../../src/output/fold.ts';
import { foldBounded } from '../../src/output/hosts.ts';
import { fold, label, result, sinks } from './helpers.ts';

const FAILED = { kind: 'failed', began: 'yes', status: 1 } as const;
const RULE = '---------------';

async function print(results: readonly TaskResult[], options: FoldOptions = {}, terminal = false) {
  const to = sinks(terminal);
  const folder = new Folder(to, { label, fold }, options);
  for (const one of results) folder.add(one);
  await folder.print();
  return { stdout: to.stdout.bytes.toString('latin1'), stderr: to.stderr.text };
}

describe('Folder', () => {
  it('prints as clush does, the largest group first', async () => {
    const { stdout } = await print([
      result(0, { stdout: 'odd\n' }),
      ...[1, 2, 4].map((index) => result(index, { stdout: 'same' })),
    ]);
    expect(stdout).toBe(`${RULE}\nweb[2-3],web5 (3)\n${RULE}\nsame\n${RULE}\nweb1\n${RULE}\nodd\n`);
  });

  it('groups of one size stand in the order of the plan', async () => {
    const { stdout } = await print([
      result(3, { stdout: 'c' }),
      result(1, { stdout: 'a' }),
      result(2, { stdout: 'b' }),
    ]);
    expect(stdout.match(/web\d/g)).toEqual(['web2', 'web3', 'web4']);
  });

  it('a cut output is not equal to a whole one, and says so', async () => {
    const { stdout } = await print([result(0, { stdout: 'a' }), result(1, { stdout: 'a', cut: 5 })]);
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
  ])('%s', async (_, results, shown) => expect((await print(results)).stdout).toBe(shown));

  it('-b looks at stdout alone, -B at both', async () => {
    const results = [
      result(0, { stdout: 'a', stderr: 'x\n' }),
      result(1, { stdout: 'a', stderr: 'y\n' }),
      result(2, { stderr: 'ax\n' }),
    ];
    expect((await print(results)).stdout).toBe(`${RULE}\nweb[1-2] (2)\n${RULE}\na\n`);
    const { stdout: both } = await print(results, { streams: 'both' });
    expect(both).toBe(
      ['web1', 'a\nx', 'web2', 'a\ny', 'web3', 'ax']
        .map((text, number) => (number % 2 === 0 ? `${RULE}\n${text}\n${RULE}\n` : `${text}\n`))
        .join(''),
    );
  });

  it('-B keeps apart what went to different streams', async () => {
    const results = [result(0, { stdout: 'a' }), result(1, { stderr: 'a' })];
    expect((await print(results, { streams: 'both' })).stdout).toBe(
      `${RULE}\nweb1\n${RULE}\na\n${RULE}\nweb2\n${RULE}\na\n`,
    );
  });

  it.each([
    [true, false, '^[[2J\xe9\n'],
    [true, true, '\x1b[2J\xe9\n'],
    [false, false, '\x1b[2J\xe9\n'],
  ])('terminal %s, raw %s', async (terminal, raw, body) => {
    const stdout = Buffer.from('\x1b[2J\xe9', 'latin1');
    expect((await print([result(0, { stdout })], { raw }, terminal)).stdout).toBe(`${RULE}\nweb1\n${RULE}\n${body}`);
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

  it('beyond its bound shows new outputs at once and goes on folding known ones', async () => {
    const to = sinks();
    const folder = new Folder(to, { label, fold }, { maxBytes: 1200 });
    folder.add(result(0, { stdout: 'a' }));
    folder.add(result(1, { stdout: 'b'.repeat(100) }));
    folder.add(result(2, { stdout: 'c'.repeat(100) }));
    folder.add(result(3, { stdout: 'a' }));
    expect(folder.held).toBeLessThanOrEqual(1200);
    expect(to.stdout.text.match(/web\d/g)).toEqual(['web2', 'web3']);
    await folder.print();
    expect(to.stdout.text.endsWith(`${RULE}\nweb1,web4 (2)\n${RULE}\na\n`)).toBe(true);
    expect(to.stderr.text).toBe(
      'more different outputs than 1.2 KiB and a file take: new ones are shown as they come, not folded\n',
    );
  });

  it('what memory does not take goes to a file, and comes back as it was', () => {
    const outputs = fc.array(fc.tuple(fc.nat(12), fc.integer({ min: 1, max: 600 })), { maxLength: 60 });
    return fc.assert(
      fc.asyncProperty(outputs, async (sizes) => {
        const results = sizes.map(([kind, length], index) =>
          result(index, { stdout: Buffer.alloc(length, kind + 0x80), changes: { host: { label: '', name: '' } } }),
        );
        const [few, many] = [sinks(), sinks()];
        const small = new Folder(few, { label, fold }, { maxBytes: 130_000, maxSpill: 1e6 });
        const large = new Folder(many, { label, fold });
        // Memory is for 8 KiB of outputs, and for as many groups as come.
        const filler = result(1000, { stdout: Buffer.alloc(57_000, 0x7a) });
        for (const one of [filler, ...results]) {
          small.add(one);
          large.add(one);
        }
        expect(small.held).toBeLessThanOrEqual(130_000);
        expect(small.groups().map(({ output }) => output)).toEqual(large.groups().map(({ output }) => output));
        await small.print();
        await large.print();
        expect(few.stdout.bytes.equals(many.stdout.bytes)).toBe(true);
        expect(few.stderr.text).toBe('');
      }),
      { numRuns: 30 },
    );
  });

  it('the file is used, and has no name', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'myriad-spill-'));
    try {
      const to = sinks();
      const folding = new Folder(to, { label, fold }, { maxBytes: 10_000, maxSpill: 7000, folder });
      for (const index of [0, 1, 2]) folding.add(result(index, { stdout: `${index}`.repeat(3000) }));
      expect(folding.spilled).toBe(6000);
      expect(readdirSync(folder)).toEqual([]);
      // No room for a third one.
      folding.add(result(3, { stdout: '3'.repeat(3000) }));
      expect(to.stderr.text).toMatch(/^more different outputs than/);
      await folding.print();
      expect(to.stdout.text.match(/^web\d$/gm)).toEqual(['web4', 'web1', 'web2', 'web3']);
      expect(to.stdout.text.match(/^(\d)\1{2999}$/gm)).toHaveLength(4);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('goes on without a file where none can be made', async () => {
    const to = sinks();
    const folder = new Folder(to, { label, fold }, { maxBytes: 10_000, folder: '/no/such/folder' });
    for (const index of [0, 1]) folder.add(result(index, { stdout: `${index}`.repeat(5001) }));
    await folder.print();
    expect(to.stdout.text.match(/^web\d$/gm)).toEqual(['web1', 'web2']);
  });

  it('starts afresh after a round', async () => {
    const to = sinks();
    const folder = new Folder(to, { label, fold });
    folder.add(result(0, { stdout: 'a' }));
    await folder.print();
    expect(folder.held).toBe(0);
    folder.add(result(1, { stdout: 'a' }));
    await folder.print();
    expect(to.stdout.text).toBe(`${RULE}\nweb1\n${RULE}\na\n${RULE}\nweb2\n${RULE}\na\n`);
  });
});

describe('forms', () => {
  const answers = [
    result(0, { stdout: 'up\nok\n' }),
    result(1, { stdout: 'up\nlate\nok\n' }),
    result(2, { stdout: 'up\nok\n' }),
  ];

  it.each<[string, FoldOptions, string]>([
    ['-L', { form: 'lines' }, 'web1,web3: up\nweb1,web3: ok\nweb2: up\nweb2: late\nweb2: ok\n'],
    ['-bL', { form: 'each-line' }, 'web1,web3,web2: up\nweb1,web3: ok\nweb2: late\nweb2: ok\n'],
    ['--diff', { form: 'diff' }, '--- web1,web3 (2)\n+++ web2\n@@ -1,2 +1,3 @@\n up\n+late\n ok\n'],
  ])('%s', async (_, options, expected) => expect((await print(answers, options)).stdout).toBe(expected));

  it('-L stands in the order of the hosts, however many gave an answer', async () => {
    const { stdout } = await print(
      [result(0, { stdout: 'odd' }), result(1, { stdout: 'x' }), result(2, { stdout: 'x' })],
      { form: 'lines' },
    );
    expect(stdout).toBe('web1: odd\nweb[2-3]: x\n');
  });

  it('--diff: an answer without a word is one, and equal ones are told as that', async () => {
    const silent = await print([result(0, { stdout: 'a' }), result(1, { stdout: 'a' }), result(2)], { form: 'diff' });
    expect(silent.stdout).toBe('--- web[1-2] (2)\n+++ web3\n@@ -1 +0,0 @@\n-a\n');
    const same = await print([result(0, { stdout: 'a' }), result(1, { stdout: 'a' })], { form: 'diff' });
    expect(same).toEqual({ stdout: '', stderr: 'all answers are the same: web[1-2] (2)\n' });
  });

  it('--diff shows no difference that is normalised', async () => {
    const results = ['up 3 days\nx\n', 'up 4 days\nx\n', 'up 5 days\ny\n'].map((stdout, at) => result(at, { stdout }));
    const { stdout } = await print(results, { form: 'diff', normalize: ['times'] });
    expect(stdout).toBe('--- web[1-2] (2), alike but for times\n+++ web3\n@@ -1,2 +1,2 @@\n up 3 days\n-x\n+y\n');
  });

  it('--normalize groups what is alike, says so, and only then', async () => {
    const results = [
      result(0, { stdout: 'load 1.5' }),
      result(1, { stdout: 'load 20' }),
      result(2, { stdout: 'idle' }),
      result(3, { stdout: 'idle' }),
      result(4, { stdout: 'load 3', cut: 1 }),
    ];
    const { stdout } = await print(results, { normalize: ['numbers'] });
    expect(stdout.match(/^web.*$/gm)).toEqual([
      'web[1-2] (2), alike but for numbers',
      'web[3-4] (2)',
      'web5, truncated',
    ]);
    expect(stdout).toContain('load 1.5\n');
  });

  it('line by line says what a map by place and line says, for any outputs', () => {
    const text = fc.array(fc.constantFrom('a', 'b', ''), { maxLength: 4 }).map((lines) => lines.join('\n'));
    return fc.assert(
      fc.asyncProperty(fc.array(text, { maxLength: 8 }), async (outputs) => {
        const { stdout } = await print(
          outputs.map((stdout, at) => result(at, { stdout })),
          { form: 'each-line' },
        );
        const model: string[] = [];
        const lines = outputs.map((output) => (output === '' ? [] : output.replace(/\n$/, '').split('\n')));
        for (let at = 0; lines.some((each) => at < each.length); at++) {
          for (const line of new Set(lines.flatMap((each) => each.slice(at, at + 1)))) {
            model.push(`${lines.flatMap((each, host) => (each[at] === line ? [host + 1] : [])).join()}: ${line}`);
          }
        }
        const got = stdout
          .split('\n')
          .slice(0, -1)
          .map((line) => {
            const [hosts = '', ...rest] = line.split(': ');
            const numbers = hosts
              .replace(/web|\[|\]/g, '')
              .split(',')
              .flatMap((part) => {
                const [from, to = from] = part.split('-').map(Number) as [number, number?];
                return Array.from({ length: to! - from + 1 }, (_, more) => from + more);
              });
            return `${numbers.sort((a, b) => a - b).join()}: ${rest.join(': ')}`;
          });
        const shown = outputs.every((output) => output === '') ? [] : model;
        expect(got.sort()).toEqual(shown.sort());
      }),
    );
  });

  it('tells so far how many gave which answer', () => {
    const folder = new Folder(sinks(), { label, fold });
    expect(folder.describe(40)).toBe('');
    for (const [at, text] of ['\x1b[2Jx\ny', 'z'.repeat(50), 'z'.repeat(50)].entries())
      folder.add(result(at, { stdout: text }));
    expect(folder.describe(40)).toBe(`2 different answers so far\n  2: ${'z'.repeat(33)}…\n  1: ^[[2Jx\n`);
  });

  it('no control sequence of a host reaches a terminal, in any form', async () => {
    for (const form of ['blocks', 'lines', 'each-line', 'diff'] as const) {
      const results = ['\x1b[2Jx', '\x1b]0;t\x07y', '\x1b[2Jx'].map((stdout, at) => result(at, { stdout }));
      const { stdout } = await print(results, { form }, true);
      expect(stdout).not.toContain('\x1b');
      expect(stdout).toContain('^[[2Jx');
    }
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
