/** `diff` and `report`, on recorded runs. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bytes } from '../../src/contracts/task.ts';
import { made, output, result } from '../journal/runs.ts';
import { type Ended, myriad, ROOT } from './command.ts';

let folder: string;
const HOUR = 3_600_000;

/** `answers`: of host 0, 1, …; null: not reached. */
async function record(id: string, answers: readonly (string | null)[], startedAt: number): Promise<void> {
  const { journal, record, plan } = made(folder, { id, count: answers.length, startedAt });
  const writer = await journal.create(record, plan);
  const refused = { kind: 'unreachable', began: 'no', cause: 'refused', message: 'no <b>\x1b[2Jway' } as const;
  for (const [index, text] of answers.entries()) {
    const given = text === null ? { outcome: refused, stdout: Bytes.empty } : { stdout: output(text) };
    await writer.result(result(id, index, given));
  }
  await writer.close();
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'myriad-diff-'));
  const now = Date.now();
  await record('first', ['same\n', 'v1\nx\n', 'v1\nx\n', 'up\n', null, 'gone\n'], now - 3 * HOUR);
  await record('second', ['same\n', 'v2\nx\n', 'v2\nx\n', null, null], now - 2 * HOUR);
  await record('third', ['same\n', 'v2\nx\n', 'v2\nx\n', null, null], now - HOUR);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (...args: readonly string[]): Promise<Ended> => myriad([...args, '--journal', folder]);

describe('diff', () => {
  it('folds what changed alike', async () => {
    const { code, stdout, stderr } = await run('diff', 'first', 'second');
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout.split('\n').slice(2)).toEqual([
      expect.stringMatching(/^ok -> unreachable\(refused\): \S+ \(1\)$/),
      expect.stringMatching(/^\S+\[2-3\] \(2\)$/),
      '  -v1',
      '  +v2',
      expect.stringMatching(/^only in the first: \S+ \(1\)$/),
      '5 tasks in both: 2 alike, 1 ended differently, 2 answered differently',
      '',
    ]);
  });

  it('as data', async () => {
    const { code, stdout } = await run('diff', 'second', 'first', '--output', 'json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      before: 'second',
      after: 'first',
      equal: 2,
      changes: [
        { kind: 'outcome', before: 'unreachable(refused)', after: 'ok', count: 1 },
        { kind: 'answer', count: 2, lines: ['-v2', '+v1'] },
      ],
      onlyBefore: { count: 0, hosts: '' },
      onlyAfter: { count: 1 },
    });
  });

  it.each([[['diff', '-2', 'last']], [['diff', 'last']], [['diff', '-2', '-1', '-q']]])('%j: alike', async (line) => {
    const { code, stdout, stderr } = await run(...line);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.endsWith(line.includes('-q') ? '' : '5 tasks in both: 5 alike\n')).toBe(true);
  });

  it('what is refused', async () => {
    expect(await run('diff')).toMatchObject({ code: 2, stderr: expect.stringContaining('no run was given') });
    expect(await run('diff', 'a', 'b', 'c')).toMatchObject({ code: 2 });
    expect(await run('diff', 'nowhere', 'last')).toMatchObject({ code: 2, stderr: expect.stringContaining('nowhere') });
  });
});

describe('report', () => {
  it('one page, escaped, with all outcomes', async () => {
    const file = join(folder, 'page.html');
    const { code, stdout, stderr } = await run('report', 'first', '--html', file);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toMatch(/page\.html: [\d.]+ KiB\n$/);
    const page = readFileSync(file, 'utf8');
    expect(page).toContain('Run first');
    expect(page).toContain('no &lt;b&gt;');
    expect(page).toMatch(/<th>ok<\/th><td class="n">5<\/td><td class="n">83\.3%<\/td>/);
    expect(page).toMatch(/<th>unreachable<\/th><td class="n">1<\/td>/);
    expect(await run('report', '-3', '--html', '-')).toMatchObject({ code: 0, stdout: page });
  });

  it('what is refused', async () => {
    expect(await run('report', 'first')).toMatchObject({
      code: 2,
      stderr: 'myriad: add --html FILE: where the page goes\n',
    });
    expect(await run('report', '--html', '-')).toMatchObject({ code: 2, stderr: expect.stringContaining('no run') });
    const nowhere = await run('report', 'first', '--html', '/nowhere/page.html');
    expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringContaining('--html: "/nowhere/page.html"') });
  });
});

it('docs/compare.md names every option', async () => {
  const page = readFileSync(join(ROOT, 'docs/compare.md'), 'utf8');
  for (const verb of ['diff', 'report']) {
    const { stdout } = await myriad([verb, '--help']);
    for (const option of stdout.match(/(?<=^ {2}(?:-\w, )?)--[a-z-]+/gm) ?? []) {
      if (option !== '--help') expect(page).toContain(`\`${option}`);
    }
  }
});
