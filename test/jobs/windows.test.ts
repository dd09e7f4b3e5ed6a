/** Hosts with cmd or PowerShell: how values are quoted, what a command finds there, and what is refused before anything connects. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Fleet, fleet, type RunOptions } from '../../src/index.ts';
import { cmdQuote, powershellQuote, WINDOWS_BOOTSTRAP } from '../../src/jobs/windows.ts';
import { type WindowsHost, windowsHost } from '../kit/windows_host.ts';
import { cmdRead, powershellString, programWords } from '../kit/windows_words.ts';

/** Set on the host: what any of these is replaced by would be seen. */
const SET = { PATH: 'C:\\Windows', A: 'x" & calc & "', X: 'replaced' };

describe('quoting for cmd', () => {
  test.each([
    ['web1.example.org', 'web1.example.org'],
    ['C:\\dir\\', 'C:\\dir\\'],
    ['', '""'],
    ['two words', '"two words"'],
    ['a&calc', '"a&calc"'],
    ['a|b>c<d^e(f)', '"a|b>c<d^e(f)"'],
    ["it's", '"it\'s"'],
    ['a,b;c=d', '"a,b;c=d"'],
    ['C:\\my dir\\x', '"C:\\my dir\\x"'],
    ['*', '"*"'],
    ['käse', '"käse"'],
  ])('%j', (value, quoted) => {
    expect(cmdQuote(value)).toBe(quoted);
    expect(cmdRead(`prog ${quoted} end`, SET)).toEqual({ commands: [['prog', value, 'end']], redirects: false });
  });

  test.each([
    ['100%', 'with % in it'],
    ['%PATH%', 'with % in it'],
    ['fe80::1%eth0', 'with % in it'],
    ['say "hi"', 'with " in it'],
    ['wow!', 'with ! in it'],
    ['a\nb', 'with a line break in it'],
    ['a\rb', 'with a line break in it'],
    ['a\0b', 'with a control character in it'],
    ['a\x1ab', 'with a control character in it'],
    ['C:\\my dir\\', 'that needs quotes and ends in \\'],
    ['a\uff02 b', 'with a character in it that programs may take for "'],
  ])('%j is refused', (value, why) => {
    expect(() => cmdQuote(value)).toThrow(`cmd cannot be given a value ${why}`);
    expect(() => cmdQuote(value)).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  test('what is not refused is one word, whatever stands in it', () => {
    let taken = 0;
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'aX \t&|<>^()%!"\'\\/,;=*?\n\r\0é') }), (value) => {
        let quoted: string;
        try {
          quoted = cmdQuote(value);
        } catch {
          return;
        }
        taken++;
        expect(cmdRead(`prog ${quoted} end`, SET)).toEqual({ commands: [['prog', value, 'end']], redirects: false });
      }),
      { numRuns: 2000, seed: 11 },
    );
    expect(taken).toBeGreaterThan(200);
  });

  test('the reading that these are held against does tell harm', () => {
    expect(cmdRead('prog "a" & calc', SET).commands).toEqual([['prog', 'a'], ['calc']]);
    expect(cmdRead('prog "%A%"', SET).commands).toHaveLength(3);
    expect(cmdRead('prog "!X!"', SET).commands).toEqual([['prog', 'replaced']]);
    expect(cmdRead('prog a>b', SET).redirects).toBe(true);
    expect(programWords('p "C:\\my dir\\" end')).toEqual(['p', 'C:\\my dir" end']);
  });
});

describe('quoting for PowerShell', () => {
  test.each([
    ['web1', "'web1'"],
    ['', "''"],
    ["it's", "'it''s'"],
    ['$(calc) `n $x "q" %PATH%', '\'$(calc) `n $x "q" %PATH%\''],
    ['\u2018a\u2019b\u201ac\u201bd', "'\u2018\u2018a\u2019\u2019b\u201a\u201ac\u201b\u201bd'"],
    ["'; calc; '", "'''; calc; '''"],
    ['\u2019; calc; #', "'\u2019\u2019; calc; #'"],
    ['two\r\nlines', "'two\r\nlines'"],
  ])('%j', (value, quoted) => {
    expect(powershellQuote(value)).toBe(quoted);
    expect(powershellString(quoted, 0)).toEqual({ value, end: quoted.length });
  });

  test('any text comes back, and nothing of it stands behind the end', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'a \'\u2018\u2019\u201a\u201b"`$;#\n') }), (value) => {
        const quoted = powershellQuote(value);
        expect(powershellString(`${quoted} end`, 0)).toEqual({ value, end: quoted.length });
      }),
      { numRuns: 2000, seed: 5 },
    );
  });

  test('a NUL is refused', () => {
    expect(() => powershellQuote('a\0b')).toThrow('PowerShell cannot be given a value with a NUL in it');
  });
});

describe('on a host', () => {
  let host: WindowsHost;
  let hosts: Fleet;
  let dir: string;
  beforeAll(async () => {
    host = await windowsHost();
    dir = mkdtempSync(join(tmpdir(), 'myriad-windows-'));
    const knownHosts = join(dir, 'known_hosts');
    writeFileSync(knownHosts, host.knownHosts);
    const options = { user: 'Administrator', password: 'x', knownHosts, config: 'none', agent: false } as const;
    hosts = fleet({ hosts: '127.0.0.1', port: host.port, ...options });
  });
  afterAll(async () => {
    await hosts.close();
    await host[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  async function one(command: string, options: RunOptions) {
    host.ran.length = 0;
    const [result] = await hosts.run(command, options).all();
    return { result: result!, ran: [...host.ran] };
  }

  test.each(['cmd', 'powershell', 'sh'] as const)('a plain line goes to %s as it is', async (shell) => {
    const line = 'dir "C:\\Program Files" | find "x" %PATH% $env:PATH';
    const { result, ran } = await one(line, { shell });
    expect(result.outcome.kind).toBe('ok');
    expect(ran).toMatchObject([{ line, by: 'login' }]);
  });

  test('places are quoted for the shell', async () => {
    const variables = { dir: "C:\\Bob's files & more" };
    const cmd = await one('dir {dir} {i}', { shell: 'cmd', variables });
    expect(cmd.ran.map(({ line }) => line)).toEqual(['dir "C:\\Bob\'s files & more" 1']);
    const powershell = await one('dir {dir} {i:raw}', { shell: 'powershell', variables });
    expect(powershell.ran.map(({ line }) => line)).toEqual(["dir 'C:\\Bob''s files & more' 1"]);
  });

  test.each(['cmd', 'powershell'] as const)(
    '%s: environment and directory by stdin, its rest for the command',
    async (shell) => {
      const env = { TOKEN: "hush-hush '; calc; '", PATH: 'C:\\x;\u2019; calc', LINES: 'a\r\nb\n$env:NOT=1' };
      const command = 'echo "it\'s \u2019 %TOKEN%" & rem';
      const { result, ran } = await one(command, {
        shell,
        env,
        cwd: "D:\\Bob's \u201bdata",
        exportIdentity: true,
        stdin: Buffer.from('given\nto it\n'),
      });
      expect(result.outcome).toEqual({ kind: 'ok', began: 'yes', status: 0 });
      expect(result.stdout.text()).toBe('given\nto it\n');
      expect(ran).toHaveLength(1);
      expect(ran[0]).toMatchObject({ line: WINDOWS_BOOTSTRAP, by: shell, command, cwd: "D:\\Bob's \u201bdata" });
      expect(ran[0]!.env).toEqual({
        ...env,
        MYRIAD_HOST: '127.0.0.1',
        MYRIAD_RANK: '0',
        MYRIAD_COUNT: '1',
        MYRIAD_RUN: result.run,
      });
      // As it stands in the list of processes there: always the same, short enough for cmd, and nothing that a shell would read.
      expect(ran[0]!.line).toMatch(/^powershell( -[A-Za-z]+| None| Text)* [A-Za-z0-9+/]+=*$/);
      expect(ran[0]!.line.length).toBeLessThan(8191);
    },
  );

  test('the exit status of the command is kept', async () => {
    const { result } = await one('exit 3010', { shell: 'cmd', env: { A: 'b' }, okStatus: [0, 3010] });
    expect(result.outcome).toEqual({ kind: 'ok', began: 'yes', status: 3010 });
    const failed = await one('exit 5', { shell: 'powershell', cwd: 'C:\\' });
    expect(failed.result.outcome).toEqual({ kind: 'failed', began: 'yes', status: 5 });
  });

  test('a directory that is not there: not started, and said', async () => {
    const { result, ran } = await one('calc', { shell: 'powershell', cwd: 'C:\\missing' });
    expect(result.outcome).toEqual({ kind: 'failed', began: 'yes', status: 125 });
    expect(result.stderr.text()).toBe('myriad: the command was not started\n');
    expect(ran[0]!.command).toBeUndefined();
  });

  test.each([{}, { env: { A: 'b' } }])(
    'a deadline: TERM, the channel closed, no script; its fate is unknown (%j)',
    async (more) => {
      const { result, ran } = await one('hang', { shell: 'powershell', idleMs: 100, ...more });
      expect(result.outcome).toEqual({ kind: 'timeout', began: 'yes', phase: 'idle', remote: 'unknown' });
      await expect.poll(() => ran[0]!.gone).toBe(true);
      expect(host.ran).toHaveLength(1);
      expect(ran[0]!.signals).toEqual(['TERM']);
    },
  );

  test('without --shell the same stop runs the script', async () => {
    const { result } = await one('hang', { idleMs: 100 });
    expect(result.outcome).toMatchObject({ kind: 'timeout', phase: 'idle' });
    expect(host.ran.map(({ line }) => line)).toEqual(['hang', expect.stringMatching(/sh/)]);
  });

  test.each<[RunOptions, RegExp]>([
    [{ shell: 'cmd', sudo: {} }, /^sudo: the shell cmd has no sudo$/],
    [{ shell: 'powershell', sudo: { program: 'doas' } }, /^sudo: the shell powershell has no doas$/],
    [{ shell: 'powershell', umask: '027' }, /^umask: the shell powershell has none$/],
    [{ shell: 'cmd', tty: {} }, /^shell: tty needs a POSIX shell, which hosts with cmd do not have$/],
    [{ shell: 'cmd', env: { A: '' } }, /^env "A": Windows has no variables that are empty$/],
    [{ shell: 'cmd', env: { Path: 'a', PATH: 'b' } }, /^env "PATH": on Windows this is the same variable as "Path"$/],
    [{ shell: 'cmd', env: { A: 'x'.repeat(32_767) } }, /^env "A": Windows takes at most 32,767 characters$/],
    [{ shell: 'fish' as 'sh' }, /option "shell" must be one of sh, cmd, powershell, not "fish"/],
    [{ shell: 'cmd', variables: { x: '50%' } }, /^command: "\{x\}": cmd cannot be given a value with % in it$/],
  ])('%j is refused', (options, message) => {
    const command = options.variables ? 'echo {x}' : 'ver';
    expect(() => hosts.run(command, options)).toThrow(expect.objectContaining({ code: 'usage' }));
    expect(() => hosts.run(command, options)).toThrow(message);
  });

  test('scripts and local programs', () => {
    const file = join(dir, 'known_hosts');
    expect(() => hosts.script(file, [], { shell: 'cmd' })).toThrow(/^shell: a script needs a POSIX shell/);
    expect(() => hosts.local('true', [], { shell: 'cmd' })).toThrow(/^shell: a local program gets none$/);
  });
});

describe('values of hosts', () => {
  const variables = ({ name }: { readonly name: string }) => ({
    zone: /[3-5]$/.test(name) ? '50% off "x"' : 'a & b',
    note: /7$/.test(name) ? 'a\nb' : '',
  });
  const open = () => fleet({ hosts: 'web[1-9]', config: 'none', agent: false, variables });

  test('that cmd cannot be given are refused for all hosts at once, before anything connects', async () => {
    await using hosts = open();
    await expect(hosts.run('echo {zone}', { shell: 'cmd', template: true }).check()).rejects.toThrow(
      /^command: 3 of 9 hosts have a \{zone\} that cannot be quoted: cmd cannot be given a value with " in it: web\[3-5\]$/,
    );
    await expect(hosts.run('echo {note}', { shell: 'cmd', template: true }).check()).rejects.toThrow(
      /^command: 1 of 9 hosts have a \{note\} that cannot be quoted: cmd cannot be given a value with a line break in it: web7$/,
    );
  });

  test('are left alone where they are not asked for, raw, or for another shell', async () => {
    await using hosts = open();
    await hosts.run('echo {name}', { shell: 'cmd', template: true }).check();
    await hosts.run('echo {zone:raw}', { shell: 'cmd', template: true }).check();
    await hosts.run('echo {zone} {note}', { shell: 'powershell', template: true }).check();
    await hosts.run('echo {zone} {note}', { template: true }).check();
  });

  test('a missing variable is told first', async () => {
    await using hosts = fleet({
      hosts: 'web[1-3]',
      config: 'none',
      agent: false,
      variables: ({ name }) => (name === 'web2' ? {} : { zone: '%' }),
    });
    await expect(hosts.run('echo {zone}', { shell: 'cmd', template: true }).check()).rejects.toThrow(
      /1 of 3 hosts have no variable "\{zone\}": web2$/,
    );
  });
});
