/** The pages of `check` and `trust`: complete, and true. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseCheck } from '../../src/cli/check.ts';
import { wordsOf } from '../../src/cli/connection_options.ts';
import { parsePing } from '../../src/cli/ping_options.ts';
import { parseTrust } from '../../src/cli/trust.ts';
import { myriad, ROOT } from './command.ts';

/** The words of a line as a shell would give them to the command. */
function shellWords(line: string): string[] {
  return execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1);
}

describe.each([
  ['check', parseCheck],
  ['ping', parsePing],
  ['trust', parseTrust],
] as const)('docs/%s.md', (verb, parse) => {
  const page = readFileSync(join(ROOT, `docs/${verb}.md`), 'utf8');

  it('names every option', async () => {
    const { stdout } = await myriad([verb, '--help']);
    const options = new Set(stdout.match(/(?<=^ {2}(?:-\w, )?)--[a-z][a-z0-9-]*|(?<=^ {2})-\w(?=,)/gm));
    expect(options.size).toBeGreaterThan(25);
    // Options with a letter go by it, and those of a password are told with run.
    const short = new Map(
      [...stdout.matchAll(/^ {2}(-\w), (--[a-z0-9-]+)/gm)].map(([, letter, name]) => [name!, letter!]),
    );
    const undocumented = [...options].filter((option) => {
      const known = [option, short.get(option)].filter((name) => name !== undefined);
      return !known.some((name) => new RegExp(`\`${name}[ \`]`).test(page));
    });
    expect(undocumented.filter((option) => !/^--password-|^-h$|^--help$/.test(option))).toEqual([]);
  });

  it.each([`docs/${verb}.md`, `src/cli/${verb === 'ping' ? 'ping_options' : verb}.ts`])(
    'every line of %s that calls it is taken',
    (file) => {
      const text = readFileSync(join(ROOT, file), 'utf8');
      const lines = [
        ...text.matchAll(new RegExp(`^ *(?:(?:fix|then): )?myriad ${verb} (-(?!.*\\[options\\]).*)$`, 'gm')),
      ].map(([, line]) => line!);
      expect(lines.length).toBeGreaterThan(1);
      for (const line of lines) expect(parse(shellWords(line)), line).toMatchObject({ hosts: expect.any(Array) });
    },
  );
});

it('words that are to be typed again are those that were given', () => {
  const line = `-w 'web[1-9]' --hostfile 'my hosts' -x web7 -l ann -p 22 -J b1,b2 -o 'SetEnv A=it'\\''s' -4 -F none --identity /k --known-hosts /h`;
  const flags = parseCheck(shellWords(line))!;
  const { targets, connection, hop } = wordsOf(flags);
  expect(parseCheck(shellWords(`${targets} ${connection}`))).toEqual(flags);
  expect(hop).toBe('-F none --identity /k --known-hosts /h');
  // What may hold a secret is not printed.
  expect(wordsOf({ ...flags, passwordCommand: 'echo secret' }).connection).not.toContain('secret');
});

describe('docs/journal.md', () => {
  const page = readFileSync(join(ROOT, 'docs/journal.md'), 'utf8');

  it.each(['runs', 'runs prune', 'show', 'resume'])('names every option of %s', async (verb) => {
    const part = verb === 'runs prune' ? page : page.slice(page.indexOf(`## myriad ${verb}\n`));
    const { stdout } = await myriad([...verb.split(' '), '--help']);
    const { stdout: run } = await myriad(['run', '--help']);
    const names = (text: string) => text.match(/(?<=^ {2}(?:-\w, )?)--[a-z][a-z0-9-]*/gm) ?? [];
    // What resume shares with run is told there, but for what has to do with the journal.
    const told = verb === 'resume' ? new Set(names(run)) : new Set<string>();
    for (const own of ['--journal', '--journal-output', '--env']) told.delete(own);
    const options = names(stdout).filter((name) => name !== '--help' && !told.has(name));
    expect(options.length).toBeGreaterThan(2);
    expect(options.filter((name) => !new RegExp(`\`${name}[ \`]`).test(part))).toEqual([]);
  });

  it('every line of it that calls the command is taken', async () => {
    const lines = [...page.matchAll(/^myriad ((?:runs|show|resume) ?.*?)(?: {2,}.*)?$/gm)].map(([, line]) => line!);
    expect(lines.length).toBeGreaterThan(8);
    const home = { env: { HOME: '/dev/null/nowhere' } };
    const said = await Promise.all(lines.map((line) => myriad(shellWords(line), home)));
    // The words are taken, and then there is no journal to read.
    for (const [at, { stderr }] of said.entries()) expect(stderr, lines[at]).toMatch(/^myriad: journal folder /);
  });
});
