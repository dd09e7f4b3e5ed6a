/** Passwords, keyboard-interactive and several steps, against sshd with PAM and a user made for the test. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dial, run } from '../kit/client.ts';
import { leftover } from '../kit/leftovers.ts';
import { present, type RealServer, startSshd } from '../kit/servers.ts';

const isRoot = process.getuid?.() === 0;
const USER = `myriad-auth-${process.pid % 100_000}`;
const PASSWORD = 'corr3ct horse "battery"';

const PAM = ['UsePAM yes', 'PasswordAuthentication yes', 'KbdInteractiveAuthentication yes'];

describe.skipIf(!(present('sshd') && isRoot))('logging in to OpenSSH', () => {
  let server: RealServer | undefined;
  let removed = () => {};

  beforeAll(() => {
    removed = leftover('account', USER);
    execFileSync('useradd', ['-M', '-d', '/nonexistent', '-s', '/bin/sh', USER]);
    execFileSync('chpasswd', { input: `${USER}:${PASSWORD}\n` });
  });
  afterAll(() => {
    execFileSync('userdel', ['-f', USER], { stdio: 'ignore' });
    removed();
  });

  async function login(config: readonly string[], options: Partial<Parameters<typeof dial>[0]>, keyed = false) {
    server = await startSshd(['LogLevel DEBUG1', ...config]);
    try {
      const identities = keyed ? [server.identity] : [];
      const client = await dial({ port: server.port, user: USER, identities, ...options });
      const answer = await run(client, 'id -un');
      client.close();
      return answer.stdout.toString().trim();
    } finally {
      await server[Symbol.asyncDispose]();
    }
  }

  it('takes a password', async () => {
    expect(await login(['PasswordAuthentication yes'], { password: PASSWORD })).toBe(USER);
  });

  it('gives the password to keyboard-interactive where that is all there is', async () => {
    const config = ['UsePAM yes', 'PasswordAuthentication no', 'KbdInteractiveAuthentication yes'];
    expect(await login(config, { password: PASSWORD })).toBe(USER);
  });

  it('asks the callback', async () => {
    const asked: string[] = [];
    const config = ['UsePAM yes', 'PasswordAuthentication no', 'KbdInteractiveAuthentication yes'];
    const answer = async (prompts: readonly { text: string; echo: boolean }[]) => {
      asked.push(...prompts.map((prompt) => `${prompt.text} ${prompt.echo}`));
      return [PASSWORD];
    };
    expect(await login(config, { answer })).toBe(USER);
    expect(asked).toEqual([expect.stringMatching(/^Password:.* false$/)]);
  });

  it('goes through key and then keyboard-interactive', async () => {
    const config = [...PAM, 'AuthenticationMethods publickey,keyboard-interactive'];
    expect(await login(config, { password: PASSWORD }, true)).toBe(USER);
  });

  it('goes through key and then password', async () => {
    const config = [...PAM, 'AuthenticationMethods publickey,password'];
    expect(await login(config, { password: PASSWORD }, true)).toBe(USER);
  });

  it('tries a wrong password once, by one method', async () => {
    await expect(login(PAM, { password: 'wrong' })).rejects.toMatchObject({
      reason: 'auth',
      detail: { tried: ['password'] },
    });
  });

  it('says when nobody answers', async () => {
    const config = ['UsePAM yes', 'PasswordAuthentication no', 'KbdInteractiveAuthentication yes'];
    await expect(login(config, { answer: async () => undefined })).rejects.toMatchObject({
      reason: 'auth',
      detail: { tried: [expect.stringContaining('nobody answers')] },
    });
  });
});
