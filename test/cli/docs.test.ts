/** The pages: each can be found, each link leads somewhere, and each line that calls the command is taken by it. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Definitions } from '../../src/cli/definitions.ts';
import { VERBS } from '../../src/cli/verbs.ts';
import { myriad, ROOT } from './command.ts';

const DOCS = readdirSync(join(ROOT, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);
const PAGES = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', ...DOCS];
const text = (page: string) => readFileSync(join(ROOT, page), 'utf8');

/** What stands behind `#` in a link to each heading. */
function anchors(page: string): string[] {
  return [...text(page).matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\- _]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('links', () => {
  it.each(PAGES)('of %s lead somewhere', (page) => {
    const bad: string[] = [];
    for (const [, target] of text(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      // What a benchmark measured is there once it has been run to its end.
      if (/^https?:|^\.\.\/bench\/results\//.test(target!)) continue;
      const [path = '', anchor] = target!.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      if (!existsSync(join(ROOT, file))) bad.push(target!);
      else if (anchor !== undefined && !anchors(file).includes(anchor)) bad.push(target!);
    }
    expect(bad).toEqual([]);
  });

  it('README leads to every page', () => {
    const readme = text('README.md');
    expect(DOCS.filter((page) => !readme.includes(`(${page})`))).toEqual([]);
  });

  it('from the first page to the last one every page is passed once, and back', () => {
    const found: string[] = [];
    let at: string | undefined = 'run.md';
    let before: string | undefined;
    while (at !== undefined && found.length <= DOCS.length) {
      const last: string = text(`docs/${at}`).trimEnd().split('\n').at(-1)!;
      expect(/^Previous: \[[^\]]*\]\(([^)]*)\)/.exec(last)?.[1], at).toBe(before);
      found.push(`docs/${at}`);
      before = at;
      at = /(?:^| · )Next: \[[^\]]*\]\(([^)]*)\)$/.exec(last)?.[1];
    }
    expect(found.sort()).toEqual([...DOCS].sort());
  });
});

/** The words of a line as a shell would give them to the command. */
function shellWords(line: string): string[] {
  const words = execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8' }).split('\0');
  return words.slice(1, -1);
}

/** Lines that call the command, without what the shell does with the result. */
function calls(page: string): string[] {
  const lines = [...page.matchAll(/^(?: {2}|\$ )?(myriad (?!VERB|.*(?:…|\[options\])).*)$/gm)].map(([, line]) => line!);
  return lines.map((line) => line.replace(/ {4,}.*$/, '').replace(/ (?:\||>|&|#) ?.*$/, ''));
}

const definitions = new Definitions(VERBS);

/** Throws what the verb says to a line that it does not take. */
async function take(line: string): Promise<void> {
  const [first = '', ...rest] = shellWords(line);
  const isVerb = VERBS.some(({ name }) => name === first);
  const { verb, rest: words } = definitions.verbOf(isVerb ? first : 'run', isVerb ? rest : [first, ...rest]);
  const command = await definitions.of(verb);
  command.exitOverride().configureOutput({ writeErr: () => {} });
  // A run as `-2` is taken before options are.
  command.parse(
    words.filter((word) => !/^-\d/.test(word)),
    { from: 'user' },
  );
}

describe('lines that call the command are taken', () => {
  it.each(PAGES.filter((page) => calls(text(page)).length > 0))('of %s', async (page) => {
    for (const line of calls(text(page))) await expect(take(line), line).resolves.toBeUndefined();
  });

  it.concurrent.each(['', ...VERBS.map(({ name }) => name)])('of myriad %s --help', async (name) => {
    const { stdout } = await myriad([name, '--help'].filter(Boolean));
    const lines = calls(stdout.slice(stdout.indexOf('\nExamples:')));
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) await expect(take(line), line).resolves.toBeUndefined();
  });

  it('and those that are wrong are not', async () => {
    await expect(take('myriad -w web1 --fanuot 3 true')).rejects.toThrow('fanuot');
    await expect(take('myriad report last --htm x')).rejects.toThrow('--htm');
    await expect(take('myriad -w web1 -t soon true')).rejects.toThrow('soon');
  });
});
