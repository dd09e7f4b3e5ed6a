/** sudo and doas against the real ones, with rules of the test's own: what they let begin, what they refuse, what is seen of a password. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FleetOptions, fleet, outcomeLabel, type RunOptions } from '../../src/index.ts';
import { present, type RealServer } from '../kit/servers.ts';
import {
  type Account,
  everythingOfProcesses,
  isRoot,
  loginOptions,
  makeAccount,
  processesWith,
  runOne,
  seen,
  sshdForAccounts,
  sudoers,
} from './accounts.ts';

const OK = { kind: 'ok', began: 'yes', status: 0 };
const DOAS_CONF = '/etc/doas.conf';

function refused(message: unknown, cause = 'sudo'): object {
  return { kind: 'failed', began: 'no', status: null, cause, message };
}

describe.skipIf(!(present('sudo') && present('sshd') && isRoot))('sudo', () => {
  let dir: string;
  let server: RealServer;
  let account: Account;
  let login: FleetOptions;
  let log: string;
  let pam: string;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'myriad-sudo-'));
    log = join(dir, 'sudo.log');
    server = await sshdForAccounts();
    account = makeAccount();
    login = loginOptions(server, account);
    pam = `/etc/pam.d/${account.name}`;
    writeFileSync(
      pam,
      'auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n',
    );
  });
  afterAll(async () => {
    rmSync(pam, { force: true });
    await account[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  const rules = (what: string, ...defaults: string[]) => {
    rmSync(log, { force: true });
    // PAM waits for two seconds after a wrong password, unless it is told not to.
    const lines = [`logfile=${log}`, `pam_service=${account.name}`, ...defaults].map(
      (line) => `Defaults:${account.name} ${line}`,
    );
    return sudoers(account, [...lines, `${account.name} ${what}`]);
  };
  const withPassword = (password = account.password): RunOptions => ({ sudo: { password } });

  it('that asks for nothing runs it as root or another user, in its own surroundings, with stdin whole', async () => {
    await using _rules = rules('ALL=(ALL) NOPASSWD: ALL');
    const command = 'id -un; pwd; umask; echo "$SAID"; cat; echo at the end >&2';
    const around = { env: { SAID: 'it\'s "so"\n$x' }, cwd: '/usr', umask: '0027', stdin: Buffer.from('a\0b\n') };
    const said = `/usr\n0027\nit's "so"\n$x\na\0b\n`;
    for (const user of [undefined, 'nobody']) {
      const result = await runOne(login, command, { ...around, sudo: user ? { user } : {} });
      expect(seen(result)).toEqual({ outcome: OK, stdout: `${user ?? 'root'}\n${said}`, stderr: 'at the end\n' });
    }
    // What was run stands in the log of sudo, and what it was given does not.
    expect(readFileSync(log, 'utf8').replace(/\n +/g, ' ')).toContain('id -un; pwd; umask');
    expect(readFileSync(log, 'utf8')).not.toContain('$x');
  });

  it('that asks gets the password, and nobody else sees it', async () => {
    await using _rules = rules('ALL=(ALL) ALL', 'lecture=always');
    await using hosts = fleet(login);
    const token = 'token-of-the-test';
    const run = hosts.run('echo up; cat; exec sleep 987654', {
      ...withPassword(),
      env: { TOKEN: token },
      stdin: Buffer.from('and stdin\n'),
      gather: 'stream',
      graceMs: 1000,
    });
    let heard = '';
    let processes = '';
    let words = '';
    run.on((event) => {
      words += JSON.stringify(event);
      if (event.type !== 'task:output') return;
      heard += Buffer.from(event.data).toString();
      if (!heard.includes('and stdin\n')) return;
      processes = everythingOfProcesses('cmdline');
      words += everythingOfProcesses('environ');
      run.cancel();
    });
    const [result] = await run.all();
    expect(heard).toBe('up\nand stdin\n');
    expect(result!.outcome).toEqual({ kind: 'cancelled', began: 'yes', remote: 'killed' });
    expect(processes).toContain('987654');
    expect(processes).not.toContain(token);
    for (const text of [processes, words, JSON.stringify(result), readFileSync(log, 'utf8'), server.log()]) {
      expect(text).not.toContain(account.password);
      expect(text).not.toContain(JSON.stringify(account.password).slice(1, -1));
    }
    expect(processesWith('987654')).toEqual([]);
  });

  it.each([
    ['a lecture', ['lecture=always']],
    ['a prompt of its own', ['passprompt="Geheim: "']],
    ['a prompt of its own that overrides', ['passprompt="Geheim: "', 'passprompt_override']],
    ['a terminal of its own', ['use_pty']],
    ['a terminal that it requires', ['requiretty']],
    ['one try', ['passwd_tries=1']],
  ])('works with %s', async (_what, defaults) => {
    await using _rules = rules('ALL=(ALL) ALL', ...defaults);
    const result = await runOne(login, 'id -un; cat; printf "\\377\\r\\n\\000"', withPassword());
    expect(result.outcome).toEqual(OK);
    expect(result.stdout.bytes.toString('latin1')).toBe('root\n\xff\r\n\0');
    expect(result.stderr.text()).toBe('');
  });

  it.each([[[]], [['requiretty']]])('works by way of the ssh program: %s', async (defaults) => {
    await using _rules = rules('ALL=(ALL) ALL', ...defaults);
    const byProgram: FleetOptions = { ...login, transport: 'openssh' };
    const result = await runOne(byProgram, 'id -un; cat; printf "\\377\\r\\n"', withPassword());
    expect(result.outcome).toEqual(OK);
    expect(result.stdout.bytes.toString('latin1')).toBe('root\n\xff\r\n');
    const wrong = await runOne(byProgram, 'id -un', withPassword('wrong'));
    expect(wrong.outcome).toEqual(refused('sudo refused: the password was refused'));
  });

  it.each([
    ['a password is wanted', 'ALL=(ALL) ALL', {}, 'sudo refused: a password is required'],
    ['it may not become root', 'ALL=(nobody) ALL', { password: 'right' }, /^sudo refused: .*not allowed/],
    ['there is no such user', 'ALL=(ALL) NOPASSWD: ALL', { user: 'no-such-user' }, /^sudo refused: .*unknown user/],
    ['the password is wrong', 'ALL=(ALL) ALL', { password: 'wrong' }, 'sudo refused: the password was refused'],
  ])('that refuses because %s is no exit status', async (_why, what, sudo, message) => {
    await using _rules = rules(what);
    const right = 'password' in sudo && sudo.password === 'right' ? { password: account.password } : {};
    const result = await runOne(login, 'id -un', { sudo: { ...sudo, ...right } });
    const expected = typeof message === 'string' ? message : expect.stringMatching(message);
    expect(seen(result)).toEqual({ outcome: refused(expected), stdout: '', stderr: '' });
    expect(outcomeLabel(result.outcome)).toBe('failed(sudo)');
  });

  it.each([[['passwd_tries=3']], [['passwd_tries=1']], [['requiretty']]])(
    'gets a wrong password once: %s',
    async (defaults) => {
      await using _rules = rules('ALL=(ALL) ALL', ...defaults);
      const result = await runOne(login, 'id -un', withPassword('wrong'));
      expect(outcomeLabel(result.outcome)).toBe('failed(sudo)');
      const tries = /(\d+) incorrect password attempts? ;/.exec(readFileSync(log, 'utf8').replace(/\n +/g, ' '));
      // A terminal that is taken away ends sudo before it writes of it.
      expect(tries?.[1] ?? '1').toBe('1');
    },
  );

  it('a wrong password is tried on three hosts of 20, and the rest is not run', async () => {
    await using _rules = rules('ALL=(ALL) ALL', 'passwd_tries=1');
    await using hosts = fleet({ ...login, fanout: 5 });
    const run = hosts.run('id -un', { ...withPassword('wrong'), repeat: 20 });
    const summary = await run.summary();
    expect(summary.stopped).toBe('guard');
    expect(summary.outcomes['not-run']).toBeGreaterThanOrEqual(12);
    expect(
      readFileSync(log, 'utf8')
        .replace(/\n +/g, ' ')
        .match(/incorrect password attempt/g),
    ).toHaveLength(3);
  });

  it.each([
    ['as root', {}, 'sleep 987001 & sleep 987002', []],
    ['as another user', { user: 'nobody' }, 'sleep 987001 & sleep 987002', []],
    ['that ignores TERM', {}, "trap '' TERM; sleep 987001; sleep 987002", []],
    ['on a terminal of sudo', {}, 'sleep 987001 & sleep 987002', ['use_pty']],
    ['on a terminal that sudo requires', {}, 'sleep 987001 & sleep 987002', ['requiretty']],
  ])('what runs %s is ended, and nothing survives', async (_how, sudo, command, defaults) => {
    await using _rules = rules('ALL=(ALL) ALL', ...defaults);
    await using hosts = fleet(login);
    const run = hosts.run(`echo up; ${command}`, {
      sudo: { ...sudo, password: account.password },
      gather: 'stream',
      graceMs: 300,
    });
    let before: string[] = [];
    run.on(({ type }) => {
      if (type !== 'task:output') return;
      if (before.length === 0) before = processesWith('98700');
      run.cancel();
    });
    const [result] = await run.all();
    expect(before.length).toBeGreaterThan(0);
    expect(result!.outcome).toEqual({ kind: 'cancelled', began: 'yes', remote: 'killed' });
    expect(processesWith('sleep 98700')).toEqual([]);
  });

  it('a password file that others may read is refused before anything connects', async () => {
    const file = join(dir, 'password');
    writeFileSync(file, `${account.password}\n`, { mode: 0o644 });
    await using hosts = fleet(login);
    expect(() => hosts.run('id', { sudo: { passwordFile: file } })).toThrow(/^--sudo-password-file ".*" can be read/);
  });

  it.skipIf(!present('doas') || existsSync(DOAS_CONF))('doas runs it, or refuses it', async () => {
    writeFileSync(DOAS_CONF, `permit nopass ${account.name} as root\n`, { mode: 0o600 });
    try {
      const result = await runOne(login, 'id -un; cat', { sudo: { program: 'doas' }, stdin: Buffer.from('x') });
      expect(seen(result)).toEqual({ outcome: OK, stdout: 'root\nx', stderr: '' });
      const other = await runOne(login, 'id -un', { sudo: { program: 'doas', user: 'nobody' } });
      expect(other.outcome).toEqual(refused(expect.stringMatching(/^doas refused: .*not permitted/i), 'doas'));
    } finally {
      rmSync(DOAS_CONF, { force: true });
    }
  });
});

/** Programs that stand before the real sudo in PATH, and what they were given. */
describe.skipIf(!(present('sshd') && isRoot))('a sudo that behaves oddly', () => {
  let dir: string;
  let server: RealServer;
  let account: Account;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'myriad-odd-'));
    server = await sshdForAccounts([`SetEnv PATH=${dir}:/usr/bin:/bin`]);
    account = makeAccount();
  });
  afterAll(async () => {
    await account[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  const odd = async (script: string, openMs = 10_000) => {
    const got = join(dir, 'got');
    rmSync(got, { force: true });
    writeFileSync(got, '', { mode: 0o666 });
    chmodSync(dir, 0o755);
    chmodSync(got, 0o666);
    writeFileSync(join(dir, 'sudo'), `#!/bin/sh\nprompt=$3\n${script.replaceAll('GOT', got)}\n`, { mode: 0o755 });
    const login = { ...loginOptions(server, account), deadlines: { openMs } };
    const result = await runOne(login, 'echo begun', { sudo: { password: 'the-secret' } });
    return { outcome: result.outcome, stdout: result.stdout.text(), got: readFileSync(got, 'utf8') };
  };

  it('asks for something else: nothing is answered', async () => {
    const { outcome, got, stdout } = await odd('printf "Verification code: " >&2; cat >GOT');
    expect(outcome).toEqual(
      refused('sudo refused: it asks "Verification code:", which is not the prompt it was given'),
    );
    expect([got, stdout]).toEqual(['', '']);
  });

  it('asks twice: the second is not answered', async () => {
    const { outcome, got } = await odd('printf %s "$prompt" >&2; read -r a; printf %s "$prompt" >&2; cat >GOT');
    expect(outcome).toEqual(refused('sudo refused: the password was refused'));
    expect(got).toBe('');
  });

  it('asks once more for something else: that is not answered', async () => {
    const { outcome, got } = await odd('printf %s "$prompt" >&2; read -r a; printf "Code: " >&2; cat >GOT');
    expect(outcome).toEqual(refused('sudo refused: it asks "Code:", which is not the prompt it was given'));
    expect(got).toBe('');
  });

  it('says nothing: the deadline of the start counts', async () => {
    const { outcome } = await odd('exec sleep 987003', 300);
    expect(outcome).toEqual({ kind: 'timeout', began: 'maybe', phase: 'open', remote: 'killed' });
    expect(processesWith('987003')).toEqual([]);
  });

  it('talks without end, and is not listened to', async () => {
    const { outcome, stdout } = await odd('yes "a long line of words that mean nothing" >&2', 500);
    expect(outcome).toMatchObject({ kind: 'timeout', phase: 'open' });
    expect(stdout).toBe('');
  });

  it('is not there', async () => {
    const { outcome } = await odd('exit 3');
    expect(outcome).toEqual(refused('sudo refused: it ended with status 3'));
  });
});
