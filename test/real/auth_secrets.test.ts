/**
 * Secrets against OpenSSH: several steps and several questions through a PAM service of the test's own, and the lock-out guard,
 * whose tries the server's own log counts. Makes a user, a copy of sshd (its name names the PAM service) and /etc/pam.d/NAME, and
 * removes them.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Passwords } from '../../src/fleet/passwords.ts';
import { SecretSpentError } from '../../src/fleet/secret_guard.ts';
import type { Secret, SecretTry } from '../../src/ssh/client_auth_secret.ts';
import { SshError } from '../../src/ssh/errors.ts';
import { type DialOptions, dial, run } from '../kit/client.ts';
import { leftover } from '../kit/leftovers.ts';
import { present, type RealServer, startSshd } from '../kit/servers.ts';

const isRoot = process.getuid?.() === 0;
const NAME = `myriad-pam-${process.pid % 100_000}`;
const SERVICE = `/etc/pam.d/${NAME}`;
const PASSWORD = 'corr3ct horse "battery"';
const CLOCK = {
  setTimer(delayMs: number, callback: () => void) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** From OpenSSH 9.8 on the name of the service is an option; before, it is the program's. */
function serviceLines(): string[] {
  const [, major, minor] = /OpenSSH_(\d+)\.(\d+)/.exec(spawnSync('ssh', ['-V'], { encoding: 'utf8' }).stderr)!;
  return Number(major) * 100 + Number(minor) >= 908 ? [`PAMServiceName ${NAME}`] : [];
}

/** Gives the password, and says what it was told. */
class Told implements Secret {
  readonly told: string[] = [];
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  take(): SecretTry {
    const tell = (what: string) => () => void this.told.push(what);
    return { value: this.#value, accepted: tell('accepted'), refused: tell('refused'), gone: tell('gone') };
  }
}

describe.skipIf(!(present('sshd') && isRoot))('secrets and OpenSSH', () => {
  let dir: string;
  let program: string;
  const removed: (() => void)[] = [];

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'myriad-pam-'));
    program = join(dir, NAME);
    removed.push(leftover('path', dir), leftover('path', SERVICE), leftover('account', NAME));
    copyFileSync('/usr/sbin/sshd', program);
    execFileSync('useradd', ['-M', '-d', '/nonexistent', '-s', '/bin/sh', NAME]);
    execFileSync('chpasswd', { input: `${NAME}:${PASSWORD}\n` });
    // No delay after a wrong password; an expired one is changed by way of more questions.
    const lines = [
      'auth required pam_unix.so nodelay',
      'account required pam_unix.so',
      'password required pam_unix.so',
    ];
    writeFileSync(SERVICE, [...lines, 'session required pam_permit.so', ''].join('\n'));
  });
  afterAll(() => {
    rmSync(SERVICE, { force: true });
    execFileSync('userdel', ['-f', NAME], { stdio: 'ignore' });
    rmSync(dir, { recursive: true, force: true });
    for (const taken of removed) taken();
  });

  const start = (methods: string): Promise<RealServer> => {
    const kbd = ['UsePAM yes', 'PasswordAuthentication no', 'KbdInteractiveAuthentication yes'];
    return startSshd([...kbd, `AuthenticationMethods ${methods}`, ...serviceLines()], program);
  };

  async function login(server: RealServer, options: Partial<DialOptions>): Promise<string> {
    const client = await dial({ port: server.port, user: NAME, ...options });
    const { stdout } = await run(client, 'id -un');
    client.close();
    return stdout.toString().trim();
  }

  it('go through key and keyboard-interactive, and are told so', async () => {
    await using server = await start('publickey,keyboard-interactive');
    const password = new Told(PASSWORD);
    expect(await login(server, { identities: [server.identity], password })).toBe(NAME);
    expect(password.told).toEqual(['accepted']);
    const wrong = new Told('wrong');
    const refused = login(server, { identities: [server.identity], password: wrong });
    await expect(refused).rejects.toMatchObject({ reason: 'auth' });
    expect(wrong.told).toEqual(['refused']);
    expect(server.log().match(/PAM: Authentication failure/g)).toHaveLength(1);
  });

  it('are not asked for where the key is missing', async () => {
    await using server = await start('publickey,keyboard-interactive');
    const password = new Told(PASSWORD);
    const answer = async () => ['not asked for'];
    await expect(login(server, { password, answer, methods: ['keyboard-interactive'] })).rejects.toMatchObject({
      detail: { tried: ['keyboard-interactive'], allowed: ['publickey'] },
    });
    expect(password.told).toEqual([]);
  });

  it('that have expired answer the first question, and a person the others', async () => {
    await using server = await start('publickey,keyboard-interactive');
    const newPassword = `${PASSWORD} of tomorrow`;
    const attempt = async (retyped: string) => {
      execFileSync('chage', ['-d', '0', NAME]);
      const password = new Told(PASSWORD);
      const asked: string[] = [];
      const answer = async (prompts: readonly { readonly text: string; readonly echo: boolean }[]) =>
        prompts.map(({ text, echo }) => {
          // Before the first question PAM tells why it is asked.
          asked.push(`${/(current|retype new|new) password: *$/i.exec(text)?.[1]?.toLowerCase()} ${echo}`);
          if (/current/i.test(text)) return PASSWORD;
          return /retype/i.test(text) ? retyped : newPassword;
        });
      const end = await login(server, { identities: [server.identity], password, answer }).catch(
        ({ reason }) => reason,
      );
      return { end, asked, told: password.told };
    };
    const asked = ['current false', 'new false', 'retype new false'];
    expect(await attempt('another')).toEqual({ end: 'auth', asked, told: ['refused'] });
    expect(await attempt(newPassword)).toEqual({ end: NAME, asked, told: ['accepted'] });
    execFileSync('chpasswd', { input: `${NAME}:${PASSWORD}\n` });
  });

  it('that are wrong are tried on three of 20 hosts, and the run hears why', async () => {
    await using server = await startSshd(['PasswordAuthentication yes', 'MaxStartups 100', 'LogLevel VERBOSE']);
    const spent: string[] = [];
    const passwords = new Passwords({ source: 'wrong', clock: CLOCK, onSpent: (reason) => void spent.push(reason) });
    const password = passwords.secretFor({ label: 'h', name: 'h', user: NAME, port: server.port });
    const logins = Array.from({ length: 20 }, () => login(server, { password, methods: ['password'] }));
    const errors = (await Promise.allSettled(logins)).map((end) => (end as PromiseRejectedResult).reason);
    for (const error of errors) expect(error).toBeInstanceOf(SshError);
    expect(errors.filter((error) => error instanceof SecretSpentError)).toHaveLength(17);
    expect(server.log().match(/Failed password for/g)).toHaveLength(3);
    expect(spent).toEqual([expect.stringMatching(/^the password of ".*" was refused three times/)]);
  });

  it('that are right are tried on one host first, and then by all', async () => {
    await using server = await startSshd(['PasswordAuthentication yes', 'MaxStartups 100', 'LogLevel VERBOSE']);
    let asked = 0;
    const source = async () => {
      asked++;
      return PASSWORD;
    };
    const passwords = new Passwords({ source, clock: CLOCK, onSpent: () => {} });
    const password = passwords.secretFor({ label: 'h', name: 'h', user: NAME, port: server.port });
    const logins = await Promise.all(Array.from({ length: 10 }, () => login(server, { password })));
    expect(new Set(logins)).toEqual(new Set([NAME]));
    expect(asked).toBe(10);
    expect(server.log().match(/Accepted password for/g)).toHaveLength(10);
    expect(server.log()).not.toContain('Failed password');
  });
});
