/** Scripts against OpenSSH: by their interpreters, with their arguments, whole or not at all, and nothing of them left behind. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FleetOptions, fleet, type ScriptOptions, type TaskResult } from '../../src/index.ts';
import { interpreterOf, scriptKind } from '../../src/jobs/script.ts';
import { BOOTSTRAP } from '../../src/jobs/shell_program.ts';
import { dial, run as runBare } from '../kit/client.ts';
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

const OK = { kind: 'ok', began: 'yes', status: 0 };
const ARGS = ['', 'two words', `it's "q" $x \`y\` \\ ! *\n\n-n`, '--level'];

describe.skipIf(!(present('sshd') && isRoot))('script', () => {
  let dir: string;
  let server: RealServer;
  let account: Account;
  let login: FleetOptions;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'myriad-script-'));
    server = await sshdForAccounts();
    account = makeAccount('/usr/bin/dash');
    login = loginOptions(server, account);
  });
  afterAll(async () => {
    await account[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  const go = async (text: string | Buffer, args: readonly string[] = [], options: ScriptOptions = {}) => {
    const file = join(dir, 'the script');
    writeFileSync(file, text);
    await using hosts = fleet(login);
    const [result] = await hosts.script(file, args, options).all();
    return result!;
  };
  const shown = ({ outcome, stdout, stderr }: TaskResult) => [outcome, stdout.text(), stderr.text()];
  const leftovers = () =>
    ['/tmp', '/var/tmp', '/dev/shm', account.home].flatMap((place) =>
      readdirSync(place).filter((name) => /^myriad\.[A-Za-z0-9]{10}$/.test(name)),
    );

  const PRINT_ARGS = {
    sh: `printf '%s|' "$@"`,
    python3: '#!/usr/bin/env python3\nimport sys\nsys.stdout.write("".join(a + "|" for a in sys.argv[1:]))',
    perl: '#!/usr/bin/perl\nprint "$_|" for @ARGV;',
    bash: '#!/bin/bash -eu\nprintf "%s|" "$@"',
    awk: '#!/usr/bin/awk -f\nBEGIN { for (i = 1; i < ARGC; i++) printf "%s|", ARGV[i] }',
  };
  it.each(Object.entries(PRINT_ARGS))('%s gets its arguments as they are, and an empty stdin', async (_name, text) => {
    const result = await go(text, ARGS);
    expect(shown(result)).toEqual([OK, ARGS.map((arg) => `${arg}|`).join(''), '']);
  });

  it('node takes it from stdin', async () => {
    const options = { interpreter: [process.execPath, '--no-warnings'] };
    const result = await go('process.stdout.write(process.argv.slice(2).join("|"))', ['a', 'b c'], options);
    expect(shown(result)).toEqual([OK, 'a|b c', '']);
  });

  it('what reads stdin within it does not eat it, and gets the stdin that is given', async () => {
    const text = 'cat\nread -r none\necho after\nexit 5\n';
    const given = await go(text, [], { stdin: Buffer.from('first\n') });
    expect(shown(given)).toEqual([{ ...OK, kind: 'failed', status: 5 }, 'first\nafter\n', '']);
    expect(shown(await go(text))).toEqual([{ ...OK, kind: 'failed', status: 5 }, 'after\n', '']);
  });

  it.each([
    ['of 8 MiB', `echo begun\n${'# a comment\n'.repeat(690_000)}printf end`, 'begun\nend'],
    [
      'without a last line end, and many of them',
      `printf %s '${'\n'.repeat(3000)}' | wc -l; printf 'x\n\n\n'`,
      '3000\nx\n\n\n',
    ],
    [
      'with bytes that no variable holds',
      Buffer.from('tail -c 5 "$0" | od -An -tx1\nexit 0\n\0\xff\xfe\0!', 'latin1'),
      ' 00 ff fe 00 21\n',
    ],
  ])('one %s arrives whole', async (_what, text, stdout) => {
    expect(shown(await go(text))).toEqual([OK, stdout, '']);
    expect(leftovers()).toEqual([]);
  });

  it('runs in its surroundings, and under sudo', async () => {
    const around = { env: { SAID: "it's" }, cwd: '/usr', umask: '077' };
    const text = 'id -un; pwd; umask; echo "$SAID $1"\n';
    expect(shown(await go(text, ['x'], around))).toEqual([OK, `${account.name}\n/usr\n0077\nit's x\n`, '']);
    await using _rules = sudoers(account, [`${account.name} ALL=(ALL) ALL`]);
    const sudo = { password: account.password };
    const binary = Buffer.concat([Buffer.from(`${text}exit 0\n`), Buffer.from([0])]);
    for (const content of [text, binary]) {
      expect(shown(await go(content, ['x'], { ...around, sudo }))).toEqual([OK, `root\n/usr\n0077\nit's x\n`, '']);
    }
    expect(leftovers()).toEqual([]);
  });

  it('needs no place that can be written or run from', async () => {
    // A file system without room for anything stands in for TMPDIR: the next place is taken.
    const full = join(dir, 'full');
    mkdirSync(full);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro,noexec,size=4k', 'tmpfs', full]);
    try {
      const binary = Buffer.from('echo begun; exit 0\n\0', 'latin1');
      expect(shown(await go(binary, [], { env: { TMPDIR: full } }))).toEqual([OK, 'begun\n', '']);
      expect(shown(await go('echo begun', [], { env: { TMPDIR: full, HOME: full } }))).toEqual([OK, 'begun\n', '']);
    } finally {
      execFileSync('umount', [full]);
    }
  });

  it.each([
    ['from a pipe', 'echo up; sleep 985001; echo survived', false],
    ['from a file', Buffer.from('echo up; sleep 985001; echo survived\nexit\n\0', 'latin1'), false],
    ['as root', 'echo up; sleep 985001; echo survived', true],
  ])('one that is stopped is ended, and nothing survives: %s', async (_how, text, root) => {
    await using _rules = sudoers(account, [`${account.name} ALL=(ALL) NOPASSWD: ALL`]);
    const file = join(dir, 'stopped');
    writeFileSync(file, text);
    await using hosts = fleet(login);
    const run = hosts.script(file, [], { gather: 'stream', graceMs: 300, ...(root ? { sudo: {} } : {}) });
    run.on(({ type }) => {
      if (type === 'task:output') run.cancel();
    });
    const [result] = await run.all();
    expect(result!.outcome).toEqual({ kind: 'cancelled', began: 'yes', remote: 'killed' });
    expect(processesWith('sleep 985001')).toEqual([]);
    expect(leftovers()).toEqual([]);
  });

  it.each([
    ['line', 'echo begun\n'],
    ['text', `echo begun\n${'# a comment\n'.repeat(10_000)}`],
    ['file', Buffer.from('echo begun\nexit\n\0\0\0', 'latin1')],
  ])('one of which half arrives is not started: %s', async (_way, text) => {
    const { rest, payload } = scriptKind.prepare(scriptKind.validate({ name: 'x', content: Buffer.from(text) })) as {
      rest: Uint8Array;
      payload?: Uint8Array;
    };
    const program = payload ? rest : rest.subarray(0, -1);
    const half = payload ? Buffer.concat([program, payload.subarray(0, payload.length - 2)]) : program;
    const client = await dial({ port: server.port, user: account.name, identities: [server.identity] });
    const { stdout, status } = await runBare(client, BOOTSTRAP, half);
    client.close();
    expect(stdout.toString()).toBe('');
    expect(status).toBe(payload ? 125 : 1);
    expect(leftovers()).toEqual([]);
  });
});

describe('the interpreter', () => {
  it.each([
    ['echo', ['/bin/sh']],
    ['#!/bin/bash -eu\n', ['/bin/bash', '-eu']],
    ['#! /bin/sh\r\n', ['/bin/sh']],
    ['#!/usr/bin/env python3\n', ['/usr/bin/env', 'python3']],
    ['#!/usr/bin/env -S python3 -u -X dev\n', ['/usr/bin/env', 'python3', '-u', '-X', 'dev']],
    ['#!/usr/bin/awk -v a=b -f\n', ['/usr/bin/awk', '-v a=b -f']],
    ['# !/bin/bash', ['/bin/sh']],
  ])('of %j', (text, words) => {
    expect(interpreterOf({ content: Buffer.from(text) })).toEqual(words);
  });

  it.each([
    [{ name: 'x', content: Buffer.alloc(0) }, 'script "x" is empty'],
    [{ name: 'x', content: Buffer.alloc(8 * 1024 * 1024 + 1) }, '8 MiB is the most'],
    [{ name: 'x', content: Buffer.from('a'), args: ['a\0'] }, 'NUL'],
    [{ name: 'x', content: Buffer.from('a\0'), stdin: Buffer.from('b') }, 'with stdin a script must be UTF-8 text'],
    [{ name: 'x', content: Buffer.from('#!/usr/bin/node\n'), stdin: Buffer.from('b') }, 'takes the script from stdin'],
    [{ name: 'x', content: Buffer.from('a'), interpreter: [] }, 'interpreter" is empty'],
  ])('options %# are refused', (options, message) => {
    expect(() => scriptKind.validate(options)).toThrow(message);
  });

  it('a file that is not there is refused before anything connects', async () => {
    await using hosts = fleet({ hosts: '127.0.0.1', port: 1, config: 'none' });
    expect(() => hosts.script('/no/such/file')).toThrow('script "/no/such/file" cannot be read (ENOENT)');
    expect(() => hosts.script('/tmp')).toThrow('is not a regular file');
  });
});
