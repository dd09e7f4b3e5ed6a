/** Completion: what a word may become, and that bash, zsh and fish get it right with the scripts that they are given. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { complete } from '../../src/cli/complete.ts';
import { makeTable, type Table } from '../../src/cli/completion/table.ts';
import { candidates, FILES } from '../../src/cli/completion/words.ts';
import { VERBS } from '../../src/cli/verbs.ts';
import { environment, MAIN, myriad } from './command.ts';

let home: string;
let table: Table;
let before: string | undefined;

function write(path: string, text: string, mode = 0o600): void {
  mkdirSync(join(home, path, '..'), { recursive: true });
  writeFileSync(join(home, path), text);
  chmodSync(join(home, path), mode);
}

beforeAll(async () => {
  table = await makeTable(VERBS);
  home = mkdtempSync(join(tmpdir(), 'myriad-completion-'));
  before = process.env.HOME;
  process.env.HOME = home;
  write('.ssh/config', 'Host alias1 *.wild !not\n  User x\nhost alias2\n');
  write(
    '.ssh/known_hosts',
    'web1,10.0.0.1 ssh-ed25519 AAAA\n[web2]:2222 ssh-ed25519 AAAA\n|1|abc=|def= ssh-ed25519 AAAA\n' +
      '@cert-authority *.example ssh-ed25519 AAAA\n# comment web9\nevil$(touch\\x20x) ssh-ed25519 AAAA\n',
  );
  write('inv/hosts.ini', '[web]\nw[1:3]\n[db]\nd1\n');
  write('program', '#!/bin/sh\ntouch ran\necho a\n', 0o700);
  for (const id of ['3lab-1', '3lab-2'])
    write(`.local/state/myriad/runs/20261121T1502030${id.slice(-1)}0-${id}.db`, '');
});
afterAll(() => {
  process.env.HOME = before;
  rmSync(home, { recursive: true, force: true });
});

async function words(...line: string[]): Promise<string[] | typeof FILES> {
  const found = await candidates(table, line);
  return found === FILES ? FILES : found.map(({ word }) => word);
}

describe('what a word may become', () => {
  it('verbs, and options of the verb that there is', async () => {
    expect(await words('s')).toEqual(expect.arrayContaining(['script', 'show', 'simulate']));
    expect(await words('help', 'sc')).toEqual(['script']);
    expect(await words('--fan')).toEqual(['--fanout']);
    expect(await words('run', '--interp')).toEqual([]);
    expect(await words('script', '--interp')).toEqual(['--interpreter']);
    expect(await words('runs', 'p')).toEqual(['prune']);
    expect(await words('runs', 'prune', '--older')).toEqual(['--older-than']);
    expect(await words('runs', '')).toEqual(['prune']);
    for (const { name } of VERBS) expect(await words(name, '--hel'), name).toEqual(['--help']);
  });

  it('values of options', async () => {
    expect(await words('--order', '')).toEqual(['done', 'input']);
    expect(await words('--order=i')).toEqual(['--order=input']);
    expect(await words('--host-keys', 'a')).toEqual(['accept-new']);
    expect(await words('--identity', '')).toBe(FILES);
    expect(await words('--fanout', '')).toEqual([]);
    expect(await words('completion', '')).toEqual(['bash', 'zsh', 'fish']);
  });

  it('hosts, also behind operators and users', async () => {
    expect(await words('-w', '')).toEqual(['alias1', 'alias2', 'web1', '10.0.0.1', 'web2:2222']);
    expect(await words('-w', 'web1,al')).toEqual(['web1,alias1', 'web1,alias2']);
    expect(await words('-w', 'web[1-9]!w')).toEqual(['web[1-9]!web1', 'web[1-9]!web2:2222']);
    expect(await words('-w', 'root@al')).toEqual(['root@alias1', 'root@alias2']);
    expect(await words('-bx', 'web1')).toEqual(['web1']);
    expect(await words('--hosts=al')).toEqual(['--hosts=alias1', '--hosts=alias2']);
  });

  it('groups and hosts of inventories; a program is not run', async () => {
    const inventory = join(home, 'inv/hosts.ini');
    expect(await words('-i', inventory, '-g', '')).toEqual(expect.arrayContaining(['web', 'db']));
    expect(await words('-i', inventory, '-g', 'web,d')).toEqual(['web,db']);
    expect(await words('-i', inventory, '-w', '@d')).toEqual(['@db']);
    expect(await words('-i', inventory, '-w', 'd')).toEqual(['d1']);
    for (const program of [join(home, 'program'), `ansible:${home}/program`, `command:${home}/program`]) {
      expect(await words('-i', program, '-g', '')).toEqual([]);
    }
    expect(() => readFileSync(join(home, 'ran'))).toThrow();
    expect(await words('-i', '/nowhere', '-g', '')).toEqual([]);
  });

  it('runs and what of them', async () => {
    expect(await words('show', '')).toEqual(['last', '3lab-2', '3lab-1']);
    expect(await words('resume', '3lab-1')).toEqual(['3lab-1']);
    expect(await words('show', 'last:ba')).toEqual(['last:bad']);
    expect(await words('--from', 'last:un')).toEqual(['last:unreached', 'last:uncertain', 'last:unreachable']);
    expect(await words('show', '--journal', '/nowhere', '')).toEqual([]);
  });

  it('what belongs to the command is left to the shell', async () => {
    expect(await words('-w', 'web1', '--', '--fan')).toBe(FILES);
    expect(await words('-w', 'web1', 'ls', '-')).toBe(FILES);
    expect(await words('script', '')).toBe(FILES);
    expect(await words('check', '')).toEqual([]);
  });

  it('names that a shell could misread are left out', async () => {
    expect(await words('-w', 'evil')).toEqual([]);
  });
});

describe('the shells', () => {
  const env = () => ({ ...environment({ HOME: home }), PATH: `${home}/bin:${process.env.PATH}` });
  const run = async (program: string, ...args: string[]) =>
    (await promisify(execFile)(program, args, { env: env(), timeout: 30_000 })).stdout;

  beforeAll(async () => {
    // Whatever a line does once it is complete, here it is only told.
    const told = `[ "$1" = __complete ] || { echo "GOT $*"; exit; }`;
    write('bin/myriad', `#!/bin/sh\n${told}\nexec '${process.execPath}' '${MAIN}' "$@"\n`, 0o755);
    for (const shell of ['bash', 'zsh', 'fish']) write(shell, (await myriad(['completion', shell])).stdout);
  });

  it.each([
    ['myriad sc', ['script']],
    ['myriad script --interp', ['--interpreter']],
    ['myriad -w al', ['alias1', 'alias2']],
    ['myriad -w web1,al', ['web1,alias1', 'web1,alias2']],
    ["myriad -w 'web1,al", ['web1,alias1', 'web1,alias2']],
    // Behind its word breaks bash wants the rest alone.
    ['myriad --order=i', ['input']],
    ['myriad -w web2:', ['2222']],
    ['myriad show last:ba', ['bad']],
    ['myriad -w root@al', ['alias1', 'alias2']],
    ['myriad --order ', ['done', 'input']],
    ['myriad -w web1 ls ', []],
  ])('bash: %s', async (line, expected) => {
    const script = `. ~/bash; COMP_LINE=$1; COMP_POINT=\${#1}; _myriad; for each in "\${COMPREPLY[@]}"; do echo "$each"; done`;
    const stdout = await run('bash', '--norc', '-c', script, 'bash', line);
    expect(stdout.split('\n').slice(0, -1)).toEqual(expected);
  });

  it.each([
    ['myriad sc', ['script']],
    ['myriad -w al', ['alias1', 'alias2']],
    ['myriad --order=i', ['--order=input']],
    ['myriad show last:ba', ['last:bad']],
  ])('fish: %s', async (line, expected) => {
    const stdout = await run('fish', '--no-config', '-c', `source ~/fish; complete -C '${line}'`);
    expect(
      stdout
        .split('\n')
        .slice(0, -1)
        .map((text) => text.split('\t')[0]),
    ).toEqual(expected);
    if (expected[0] === 'script') expect(stdout).toContain('\trun a script');
  });

  it('zsh: on a terminal, by the key', async () => {
    // The line is run once it is complete: then the words tell what came of the keys.
    const script = `
      zmodload zsh/zpty
      zpty shell zsh -f -i
      zpty -w shell 'unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; . ~/zsh; PS1=; print READY'
      zpty -r shell text '*READY*READY*'
      zpty -w shell $'myriad show --outp\\tndj\\tlast:ba\\t'
      zpty -r shell text '*GOT*last*bad*'
      print -r -- "$text"
      zpty -d shell`;
    const stdout = await run('zsh', '-f', '-c', script);
    expect(stdout).toContain('GOT show --output ndjson last:bad');
  });
});

it('the table that the build writes down is all that is needed: the library is not loaded', async () => {
  const loaded: string[] = [];
  const { write: own } = process.stdout;
  process.stdout.write = ((text: string) => loaded.push(text) > 0) as typeof own;
  try {
    expect(await complete(['--table'], VERBS)).toBe(0);
  } finally {
    process.stdout.write = own;
  }
  expect(JSON.parse(loaded.join(''))).toEqual(table);
  expect(Object.keys(table)).toEqual(expect.arrayContaining([...VERBS.map(({ name }) => name), 'runs prune']));
});
