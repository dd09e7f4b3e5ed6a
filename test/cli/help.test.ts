/** Help and version: complete, within the smallest usual terminal, and true. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
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

  it('a misspelt verb is said with those that are near', async () => {
    expect(await myriad(['pign', '-w', 'web1'])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'myriad: no hosts were given; name them with -w or --hostfile; "pign" is no verb; nearest is "ping"\n',
    });
  });

  it('an option wins over the command that follows it', async () => {
    expect((await myriad(['-w', 'a', '--help', 'uptime'])).stdout).toMatch(/^Usage: myriad run/);
    expect((await myriad(['--version', 'uptime'])).stdout).toBe(`${version}\n`);
  });
});

describe('what is written about options', () => {
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
