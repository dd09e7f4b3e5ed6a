/** Help and version: complete, within the smallest usual terminal, and true. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseRun } from '../../src/cli/run_options.ts';
import { VERBS } from '../../src/cli/verbs.ts';
import { outcomeAdvice } from '../../src/output/advice.ts';
import { OUTCOMES } from '../output/helpers.ts';
import { myriad, ROOT, shell } from './command.ts';

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

describe.concurrent('help', () => {
  it.each([['--version'], ['-V']])('%s', async (word) => {
    expect(await myriad([word])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([
    ['--help'],
    ['-h'],
    ['help'],
    ...VERBS.flatMap(({ name }) => [
      [name, '--help'],
      [name, '-h'],
      ['help', name],
    ]),
  ])('%s %s is at most 80 columns wide', async (...words) => {
    const { code, stdout, stderr } = await myriad(words.filter(Boolean));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: myriad/m);
    for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  it('names every verb, and is cut short without a word of it', async () => {
    const { stdout } = await myriad(['--help']);
    for (const { name, what } of VERBS) expect(stdout).toContain(`${name.padEnd(10)}  ${what}\n`);
    expect(await shell('{ $MYRIAD run --help; echo "exit $?" >&2; } | true').ended).toMatchObject({
      stderr: 'exit 0\n',
    });
  });

  it('an option wins over the command that follows it', async () => {
    expect((await myriad(['-w', 'a', '--help', 'uptime'])).stdout).toMatch(/^Usage: myriad run/);
    expect((await myriad(['--version', 'uptime'])).stdout).toBe(`${version}\n`);
  });
});

/** The words of a line as a shell would give them to the command. */
function wordsOf(line: string): string[] {
  const script = `printf '%s\\0' ${line}`;
  return execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1);
}

/** Lines of a page that call the command, without what a shell does with the result. */
function examples(text: string): string[] {
  return [...text.matchAll(/^ *(?:\$ )?myriad ((?:run )?-.*)$/gm)]
    .map(([, line]) => line!.replace(/ (?:\||>) .*$/, ''))
    .filter((line) => !line.includes('…') && !line.includes('[options]'));
}

describe('what is written about options', () => {
  it.each(['README.md', 'docs/run.md', 'docs/simulate.md', 'src/cli/run_options.ts', 'src/cli/overview.ts'])(
    'every line of %s that calls the command is taken by it',
    (file) => {
      const lines = examples(readFileSync(join(ROOT, file), 'utf8'));
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines) {
        const [first, ...rest] = wordsOf(line);
        const { words } = parseRun(first === 'run' ? rest : [first!, ...rest]);
        expect(words.length, line).toBeGreaterThan(0);
      }
    },
  );

  it('docs/run.md names every option, and the summary advises none that is not there', async () => {
    const { stdout } = await myriad(['run', '--help']);
    const options = new Set(stdout.match(/(?<=^ {2}(?:-\w, )?)--[a-z][a-z0-9-]*|(?<=^ {2})-\w(?=,)/gm));
    expect(options.size).toBeGreaterThan(40);
    const page = readFileSync(join(ROOT, 'docs/run.md'), 'utf8');
    const undocumented = [...options].filter((option) => !new RegExp(`\`${option}[ \`]`).test(page));
    expect(undocumented).toEqual(['-h', '--help']);
    for (const outcome of OUTCOMES) {
      for (const [option] of outcomeAdvice(outcome).matchAll(/(?<=^|[\s(])--?[a-zA-Z][a-z-]*/g)) {
        expect(options, `${outcome.kind}: ${outcomeAdvice(outcome)}`).toContain(option);
      }
    }
  });
});
