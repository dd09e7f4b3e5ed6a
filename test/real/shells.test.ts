/** Command lines reach the login shell as they are: what comes back is what `ssh host COMMAND` gives, whatever shell that is. */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FleetOptions, fleet } from '../../src/index.ts';
import { present, type RealServer } from '../kit/servers.ts';
import {
  type Account,
  isRoot,
  loginOptions,
  makeAccount,
  processesWith,
  sshdForAccounts,
  sudoers,
} from './accounts.ts';

const COMMANDS = 100;
const WORDS = [
  'a',
  'b c',
  "'",
  '"',
  '\\',
  '`echo t`',
  '$HOME',
  '$(echo s)',
  '!',
  '*',
  '?',
  '[a-c]',
  '{x,y}',
  '~',
  '#',
  '\\&',
  "'|'",
];
// Quoted only: what a command leaves in a file the next would find, and what runs at once says so in any order.
const MORE = [
  ';',
  '%s',
  '^',
  '\t',
  '(',
  ')',
  "'<'",
  '\\>',
  '\n',
  'é',
  '=',
  '-n',
  '!!',
  '$nope',
  "'q q'",
  '"d $HOME d"',
  '\\ ',
  '😀',
];
const PARTS = [...WORDS, ...MORE];

/** Numerical Recipes' generator: the commands are the same in every run. */
function commands(): string[] {
  let state = 7;
  const next = (bound: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  return Array.from({ length: COMMANDS }, (_, i) => {
    const parts = Array.from({ length: 1 + next(6) }, () => PARTS[next(PARTS.length)]!);
    // Each part occurs at least once by itself.
    return `echo ${i < PARTS.length ? PARTS[i] : parts.join(next(2) === 0 ? '' : ' ')}`;
  });
}

interface Seen {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | null;
}

describe.skipIf(!(present('sshd') && present('ssh') && isRoot))('login shells', () => {
  let server: RealServer;
  const shells = ['dash', 'bash', 'csh', 'fish', 'rbash'].filter((shell) => present(shell));
  const accounts = new Map<string, Account>();
  beforeAll(async () => {
    server = await sshdForAccounts(['MaxSessions 200']);
    for (const shell of shells) accounts.set(shell, makeAccount(`/usr/bin/${shell}`));
  });
  afterAll(async () => {
    for (const account of accounts.values()) await account[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  /** What the real client gives, over one connection. */
  async function oracle(account: Account, lines: readonly string[]): Promise<Seen[]> {
    const socket = `${server.dir}/m-${account.name}`;
    const to = [
      '-F',
      'none',
      '-p',
      `${server.port}`,
      '-i',
      server.identity,
      '-o',
      `UserKnownHostsFile=${server.knownHosts}`,
    ];
    const options = [
      ...to,
      '-o',
      'BatchMode=yes',
      '-o',
      `ControlPath=${socket}`,
      '-o',
      'ControlPersist=30',
      '-o',
      'LogLevel=ERROR',
    ];
    const host = `${account.name}@127.0.0.1`;
    const one = (line: string, control: string) =>
      new Promise<Seen>((resolve) => {
        const child = spawn('ssh', [...options, '-o', `ControlMaster=${control}`, host, line], {
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        let stdout = '';
        let stderr = '';
        child.stdout.on('data', (chunk: Buffer) => {
          stdout += chunk.toString('latin1');
        });
        child.stderr.on('data', (chunk: Buffer) => {
          stderr += chunk.toString('latin1');
        });
        child.once('close', (status) => resolve({ stdout, stderr, status }));
      });
    await one('true', 'yes');
    const found: Seen[] = [];
    for (let at = 0; at < lines.length; at += 10) {
      found.push(...(await Promise.all(lines.slice(at, at + 10).map((line) => one(line, 'no')))));
    }
    spawn('ssh', [...options, '-O', 'exit', host], { stdio: 'ignore' });
    return found;
  }

  async function ours(login: FleetOptions, lines: readonly string[], wrapped: boolean): Promise<Seen[]> {
    await using hosts = fleet(login);
    const found: Seen[] = [];
    for (let at = 0; at < lines.length; at += 10) {
      const runs = lines.slice(at, at + 10).map(async (line) => {
        const [result] = await hosts.run(line, wrapped ? { env: { MYRIAD_TEST: '1' } } : {}).all();
        const { outcome, stdout, stderr } = result!;
        const status = 'status' in outcome ? outcome.status : null;
        return { stdout: stdout.bytes.toString('latin1'), stderr: stderr.bytes.toString('latin1'), status };
      });
      found.push(...(await Promise.all(runs)));
    }
    return found;
  }

  it.each(shells.filter((shell) => shell !== 'rbash'))(
    `%s gives for ${COMMANDS} commands what it gives ssh`,
    async (shell) => {
      const account = accounts.get(shell)!;
      const lines = commands();
      const [expected, got] = await Promise.all([
        oracle(account, lines),
        ours(loginOptions(server, account), lines, false),
      ]);
      const shown = (all: readonly Seen[]) =>
        all.map(({ stdout, stderr, status }, i) => [lines[i], stdout, stderr, status]);
      expect(shown(got)).toEqual(shown(expected));
      expect(new Set(expected.map(({ stdout }) => stdout)).size).toBeGreaterThan(20);
    },
    60_000,
  );

  it('with variables a /bin/sh runs them, whatever the login shell is', async () => {
    const lines = commands();
    const quote = (line: string) => `/bin/sh -c '${line.replaceAll("'", "'\\''")}'`;
    const expected = await oracle(accounts.get('bash')!, lines.map(quote));
    for (const shell of ['csh', 'fish'].filter((name) => accounts.has(name))) {
      const got = await ours(loginOptions(server, accounts.get(shell)!), lines, true);
      const home = (text: string) => text.replaceAll(/\/[\w./-]*\/myriad-home-\w+/g, 'HOME');
      expect(got.map((one, i) => [lines[i], home(one.stdout), one.status])).toEqual(
        expected.map((one, i) => [lines[i], home(one.stdout), one.status]),
      );
    }
  }, 60_000);

  it.each(shells)('%s: what it runs is ended, and nothing survives, with and without variables', async (shell) => {
    const account = accounts.get(shell)!;
    await using _rules = sudoers(account, [`${account.name} ALL=(ALL) NOPASSWD: ALL`]);
    const seconds = 986_000 + shells.indexOf(shell);
    for (const options of [{}, { env: { A: 'b' } }, { sudo: {} }]) {
      await using hosts = fleet(loginOptions(server, account));
      const run = hosts.run(`echo up; sleep ${seconds}`, { ...options, gather: 'stream', graceMs: 500 });
      run.on(({ type }) => {
        if (type === 'task:output') run.cancel();
      });
      const [result] = await run.all();
      expect(result!.outcome).toEqual({ kind: 'cancelled', began: 'yes', remote: 'killed' });
      expect(processesWith(`sleep ${seconds}`)).toEqual([]);
    }
  });
});
