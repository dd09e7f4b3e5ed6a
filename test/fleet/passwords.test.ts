/** Passwords from files and commands: what is taken, what is refused, and that no sentence has a secret in it. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LoginHost, Passwords, passwordCommand, passwordSource } from '../../src/fleet/passwords.ts';
import { ManualClock } from '../util/manual_clock.ts';

const SECRET = 'xyzzy "1" ü';
const isRoot = process.getuid?.() === 0;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'myriad-passwords-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function host(name: string, user = 'deploy'): LoginHost {
  return { label: name, name, user, port: 22 };
}

/** The error's sentence, which holds no secret. */
function sentence(error: unknown): string {
  const { message, code } = error as { message: string; code: string };
  expect(message).not.toContain('xyzzy');
  return `${code}: ${message}`;
}

function fileWith(content: string | Uint8Array, mode = 0o600): string {
  const file = join(dir, 'password');
  rmSync(file, { recursive: true, force: true });
  writeFileSync(file, content, { mode });
  chmodSync(file, mode);
  return file;
}

function read(file: string): unknown {
  try {
    return passwordSource({ passwordFile: file }, new ManualClock());
  } catch (error) {
    return sentence(error);
  }
}

describe('--password-file', () => {
  it.each([
    ['a line', `${SECRET}\n`, SECRET],
    ['no newline', SECRET, SECRET],
    ['more lines', `${SECRET}\nsecond\n`, SECRET],
    ['a line of Windows', `${SECRET}\r\n`, SECRET],
    ['blanks, which belong to it', '  a b \n', '  a b '],
    ['4,096 bytes', 'x'.repeat(4096), 'x'.repeat(4096)],
  ])('takes %s', (_, content, password) => {
    expect(read(fileWith(content))).toBe(password);
    expect(read(fileWith(content, 0o400))).toBe(password);
  });

  it.each([
    ['nothing', '', /the first line is empty$/],
    ['an empty first line', '\nxyzzy\n', /the first line is empty$/],
    ['more than 4,096 bytes', 'xyzzy'.repeat(1000), /the first line has more than 4096 bytes$/],
    ['a NUL', 'xyzzy\0\n', /the first line has a NUL byte in it$/],
    ['what is not UTF-8', Buffer.from([0xff, 0x0a]), /the first line is not UTF-8$/],
  ])('refuses %s', (_, content, said) => {
    expect(read(fileWith(content))).toMatch(said);
    expect(read(fileWith(content))).toMatch(/^file: --password-file "/);
  });

  it.each([0o604, 0o640, 0o620, 0o602, 0o610, 0o666])('refuses mode %o', (mode) => {
    const digits = mode.toString(8).padStart(4, '0');
    expect(read(fileWith(SECRET, mode))).toMatch(new RegExp(`by others \\(mode ${digits}\\); chmod 600 it$`));
  });

  it('refuses what is not there, a folder, and a pipe, without waiting for it', () => {
    expect(read(join(dir, 'missing'))).toMatch(/cannot be read \(ENOENT\)$/);
    expect(read(dir)).toMatch(/is not a regular file$/);
    execFileSync('mkfifo', ['-m', '600', join(dir, 'pipe')]);
    expect(read(join(dir, 'pipe'))).toMatch(/is not a regular file$/);
  });

  it('follows a link to the file that counts', () => {
    const link = join(dir, 'link');
    symlinkSync(fileWith(SECRET), link);
    expect(read(link)).toBe(SECRET);
    chmodSync(join(dir, 'password'), 0o644);
    expect(read(link)).toMatch(/mode 0644/);
  });

  it.runIf(isRoot)("refuses another user's", () => {
    const file = fileWith(SECRET);
    chownSync(file, 12_345, 0);
    expect(read(file)).toMatch(/belongs to another user \(uid 12345\)/);
  });

  it('is one source of one', () => {
    const all = { password: 'a', passwordFile: 'b', passwordCommand: 'c' };
    expect(() => passwordSource(all, new ManualClock())).toThrow(
      /^password and passwordFile and passwordCommand: give one/,
    );
    expect(passwordSource({}, new ManualClock())).toBeUndefined();
  });
});

describe('--password-command', () => {
  const real = {
    setTimer(delayMs: number, callback: () => void) {
      const timer = setTimeout(callback, delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
  };
  const failed = async (command: string, more: { timeoutMs?: number } = {}) =>
    sentence(await passwordCommand(command, { clock: real, ...more })(host('web1')).catch((error) => error));
  const countIn = (file: string) => readFileSync(file, 'utf8').trim().split('\n').length;

  it('runs once for all hosts, by a shell, and takes the first line', async () => {
    const mark = join(dir, 'once');
    const ask = passwordCommand(`echo ran >> ${mark}; printf 'xyz%s\\nmore\\n' zy`, { clock: real });
    expect(await Promise.all([ask(host('a')), ask(host('b', 'root')), ask(host('a'))])).toEqual(
      Array.from({ length: 3 }, () => 'xyzzy'),
    );
    expect(countIn(mark)).toBe(1);
  });

  it('runs once per host and user where it names them, each one word to the shell', async () => {
    const mark = join(dir, 'each');
    const ask = passwordCommand(`echo ran >> ${mark}; printf %s {user}@{host}:{port}`, { clock: real });
    const odd = "a'; touch owned; echo '$(id)";
    expect(await Promise.all([ask(host('a')), ask(host('a', 'root')), ask(host(odd)), ask(host('a'))])).toEqual([
      'deploy@a:22',
      'root@a:22',
      `deploy@${odd}:22`,
      'deploy@a:22',
    ]);
    expect(countIn(mark)).toBe(3);
  });

  it('runs 8 at once, and never more', async () => {
    // The first eight wait until there are eight of them.
    const count = `ls ${dir} | grep -c '^run[.]'`;
    const wait = `[ $n -ge 8 ] && touch ${dir}/eight; until [ -e ${dir}/eight ]; do sleep 0.01; done`;
    const command = `mkdir ${dir}/run.{host}; n=$(${count}); echo $n >> ${dir}/most; ${wait}; rmdir ${dir}/run.{host}; echo x`;
    const ask = passwordCommand(command, { clock: real });
    await Promise.all(Array.from({ length: 24 }, (_, i) => ask(host(`h${i}`))));
    const counts = readFileSync(join(dir, 'most'), 'utf8').trim().split('\n').map(Number);
    expect(counts).toHaveLength(24);
    expect(Math.max(...counts)).toBe(8);
  });

  it('says how it failed, never what it printed', async () => {
    expect(await failed('echo xyzzy; exit 3')).toBe('file: --password-command failed with exit status 3');
    expect(await failed('echo xyzzy; kill -9 $$')).toBe('file: --password-command was ended by SIGKILL');
    expect(await failed('true')).toBe('file: --password-command: the first line is empty');
    expect(await failed('yes xyzzy | head -c 100000 | tr -d "\\n"')).toMatch(/has more than 4096 bytes$/);
  });

  it('is ended with all its children where it does not end', async () => {
    const mark = join(dir, 'child');
    const said = await failed(`sh -c 'echo $$ > ${mark}; sleep 600' & echo xyzzy; wait`, { timeoutMs: 100 });
    expect(said).toBe('file: --password-command did not end within 0.1 s');
    const child = Number(readFileSync(mark, 'utf8'));
    await expect
      .poll(() => {
        try {
          return readFileSync(`/proc/${child}/stat`, 'utf8').split(' ')[2];
        } catch {
          return 'gone';
        }
      })
      .toMatch(/gone|Z/);
  });
});

describe('the passwords of a fleet', () => {
  const signal = new AbortController().signal;

  it('of which one is for all are tried on one host first', async () => {
    const passwords = new Passwords({ source: 'xyzzy', clock: new ManualClock(), onSpent: () => {} });
    const first = await passwords.secretFor(host('a')).take(signal);
    const second = Promise.resolve(passwords.secretFor(host('b')).take(signal));
    const other = await passwords.secretFor(host('c', 'root')).take(signal);
    expect([first?.value, other?.value]).toEqual(['xyzzy', 'xyzzy']);
    let waits = true;
    void second.then(() => {
      waits = false;
    });
    await turn();
    expect(waits).toBe(true);
    first!.accepted();
    expect((await second)?.value).toBe('xyzzy');
  });

  it('of which each host has its own wait for nothing; a host may have none', async () => {
    const source = async ({ name }: LoginHost) => (name === 'none' ? undefined : `xyzzy ${name}`);
    const passwords = new Passwords({ source, clock: new ManualClock(), onSpent: () => {} });
    const tries = await Promise.all(['a', 'b', 'none'].map((name) => passwords.secretFor(host(name)).take(signal)));
    expect(tries.map((one) => one?.value)).toEqual(['xyzzy a', 'xyzzy b', undefined]);
  });

  it('are asked for when they are about to be sent, and not before', () => {
    let asked = 0;
    const source = () => {
      asked++;
      return 'xyzzy';
    };
    const passwords = new Passwords({ source, clock: new ManualClock(), onSpent: () => {} });
    const secret = passwords.secretFor(host('a'));
    expect(asked).toBe(0);
    void secret.take(signal);
    expect(asked).toBe(1);
  });
});
