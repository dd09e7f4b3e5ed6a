/** Environment, directory and umask against OpenSSH, for login shells of every kind: values whole, and in no argument list. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEnvironment } from '../../src/cli/env_file.ts';
import { fleet, type RunOptions } from '../../src/index.ts';
import { present, type RealServer } from '../kit/servers.ts';
import {
  type Account,
  everythingOfProcesses,
  isRoot,
  loginOptions,
  makeAccount,
  runOne,
  sshdForAccounts,
} from './accounts.ts';

/** Every byte that a shell gives a meaning, and some more. */
const HARD = `'"\\$x \`id\` !! *?[a]{b,c}~ #&|;<>()%^\t\n\n éЯ€😀 -n = \r end\n`;

describe.skipIf(!(present('sshd') && isRoot))('the surroundings of a command', () => {
  let server: RealServer;
  const accounts = new Map<string, Account>();
  const shells = ['dash', 'bash', 'rbash', 'csh', 'fish', 'mksh', 'zsh'].filter((shell) => present(shell));
  beforeAll(async () => {
    server = await sshdForAccounts();
    for (const shell of shells) accounts.set(shell, makeAccount(`/usr/bin/${shell}`));
  });
  afterAll(async () => {
    for (const account of accounts.values()) await account[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const on = (shell: string) => loginOptions(server, accounts.get(shell)!);

  it.each(shells)('are the same whatever the login shell: %s', async (shell) => {
    const command = `printf '%s|' "$HARD" "$EMPTY" "$PWD"; umask; cat; exit 7`;
    const options: RunOptions = {
      env: { HARD, EMPTY: '' },
      cwd: '/usr/lib',
      umask: '037',
      stdin: Buffer.from('stdin\nis whole'),
    };
    const result = await runOne(on(shell), command, options);
    expect(result.stderr.text()).toBe(shell === 'rbash' ? 'rbash: line 1: exec: restricted\n' : '');
    expect(result.stdout.text().replace(/\|0*37\n/, '|037\n')).toBe(`${HARD}||/usr/lib|037\nstdin\nis whole`);
    expect(result.outcome).toEqual({ kind: 'failed', began: 'yes', status: 7 });
  });

  it('a command of many lines, and stdin of some, stay what they are', async () => {
    const bytes = Buffer.alloc(3_000_000, 'a line of stdin\n\0\xff');
    const command = `cat <<'END'\nit's "$HOME"\n\\n\nEND\ncat | md5sum`;
    const plain = await runOne(on('bash'), command, { stdin: bytes });
    const wrapped = await runOne(on('bash'), command, { stdin: bytes, env: { A: 'b' } });
    expect(plain.stdout.text()).toContain('it\'s "$HOME"\n\\n\n');
    expect(wrapped.stdout.text()).toBe(plain.stdout.text());
  });

  it('values stand in no argument list while the command runs', async () => {
    const value = 'value-of-the-test-4711';
    await using hosts = fleet(on('bash'));
    const run = hosts.run('echo up; exec sleep 987010', { env: { SECRET: value }, gather: 'stream', graceMs: 500 });
    let processes = '';
    run.on(({ type }) => {
      if (type !== 'task:output') return;
      processes ||= everythingOfProcesses('cmdline');
      run.cancel();
    });
    await run.summary();
    expect(processes).toContain('987010');
    expect(processes).not.toContain(value);
  });

  it('the place in the run is exported where it is asked for', async () => {
    await using hosts = fleet(on('dash'));
    const run = hosts.run('echo "$MYRIAD_HOST $MYRIAD_RANK of $MYRIAD_COUNT in $MYRIAD_RUN"', {
      exportIdentity: true,
      repeat: 2,
    });
    const results = await run.all();
    expect(results.map(({ stdout }) => stdout.text())).toEqual([
      `127.0.0.1 0 of 2 in ${run.id}\n`,
      `127.0.0.1 1 of 2 in ${run.id}\n`,
    ]);
  });

  it('a directory that is not there has a status and a sentence of its own', async () => {
    const result = await runOne(on('dash'), 'echo begun', { cwd: '/no/such/place' });
    expect(result.outcome).toEqual({ kind: 'failed', began: 'yes', status: 125 });
    expect(result.stdout.text()).toBe('');
    expect(result.stderr.text()).toMatch(/\/no\/such\/place\nmyriad: the command was not started\n$/);
  });

  it('a signal that ends the command is told as that', async () => {
    const result = await runOne(on('dash'), 'kill -9 $$', { env: { A: 'b' } });
    expect(result.outcome).toMatchObject({ kind: 'signalled', signal: 'KILL' });
  });
});

describe('what cannot be taken is refused before anything connects', () => {
  const hosts = fleet({ hosts: '127.0.0.1', config: 'none', port: 1 });
  it.each([
    [{ env: { A: 'a\0b' } }, 'env "A": the value contains a NUL'],
    [{ env: { 'A-B': 'x' } }, 'env "A-B": a name is letters'],
    [{ env: { '1A': 'x' } }, 'begins with no digit'],
    [{ env: { UID: '0' } }, 'shells do not let this be set'],
    [{ env: { A: 'x'.repeat(200_000) } }, '128 KiB is the most'],
    [{ cwd: 'a\0b' }, 'contains a NUL'],
    [{ cwd: '' }, 'is empty'],
    [{ umask: '99' }, 'must be octal'],
    [{ sudo: { user: '-s' } }, 'is no name of a user'],
    [{ sudo: { program: 'su' } }, 'must be sudo or doas'],
    [{ sudo: { program: 'doas', password: 'x' } }, 'no password is given to it'],
    [{ sudo: { pasword: 'x' } }, 'unknown option "pasword"'],
  ])('options %#', (options, message) => {
    expect(() => hosts.run('true', options as RunOptions)).toThrow(message);
    expect(() => hosts.run('true', options as RunOptions)).not.toThrow('xxxxx');
  });
});

describe('variables of the command line', () => {
  const dir = mkdtempSync(join(tmpdir(), 'myriad-env-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const file = (text: string) => {
    const path = join(dir, 'env');
    writeFileSync(path, text);
    return path;
  };

  it('come from files, from here and from the words, the last counts', () => {
    const path = file('# a comment\n\n A=1\nexport B="two words"\r\nC=\'it"s\'\nD=a=b # no comment\nE=\nF="\n');
    process.env.MYRIAD_TEST_HERE = 'from here';
    expect(readEnvironment(['A=2', 'MYRIAD_TEST_HERE', 'G=x=y'], [path])).toEqual({
      A: '2',
      B: 'two words',
      C: 'it"s',
      D: 'a=b # no comment',
      E: '',
      F: '"',
      G: 'x=y',
      MYRIAD_TEST_HERE: 'from here',
    });
  });

  it.each([
    [['MYRIAD_NOT_THERE'], undefined, '--env MYRIAD_NOT_THERE: there is no such variable here'],
    [['a value that was typed'], undefined, '--env: a name is letters, digits and _'],
    [[], 'A=1\nhush hush\n', /line 2: expected NAME=VALUE$/],
    [[], 'A B=hush\n', /line 1: expected NAME=VALUE$/],
  ])('%j %j is refused, and no value is told', (words, text, message) => {
    const files = text === undefined ? [] : [file(text)];
    expect(() => readEnvironment(words, files)).toThrow(message);
    expect(() => readEnvironment(words, files)).not.toThrow('hush');
  });
});
