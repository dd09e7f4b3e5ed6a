/** The library with an SSH agent: its keys log in, before any file; a named agent that is not there is said to be. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fleet } from '../../src/index.ts';
import { leftover } from '../kit/leftovers.ts';
import { present, startSshd } from '../kit/servers.ts';

describe.skipIf(!(present('sshd') && present('ssh-agent')))('an SSH agent', () => {
  it('signs for 20 logins', async () => {
    await using server = await startSshd();
    const socket = join(server.dir, 'agent');
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    agent.once('exit', leftover('process', agent.pid!));
    try {
      while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 20));
      execFileSync('ssh-add', ['-q', server.identity], {
        env: { ...process.env, SSH_AUTH_SOCK: socket },
        stdio: 'ignore',
      });
      const { port, user, knownHosts } = server;
      await using hosts = fleet({ hosts: '127.0.0.1', port, user, knownHosts, agent: socket });
      expect((await hosts.run('true', { repeat: 20 }).summary()).outcomes.ok).toBe(20);
    } finally {
      agent.kill();
    }
  });

  it('that is named and not there is one sentence', async () => {
    await using hosts = fleet({ hosts: '127.0.0.1', agent: '/nonexistent/agent' });
    await expect(hosts.run('true').summary()).rejects.toThrow(/^the SSH agent cannot be used: .*\/nonexistent\/agent/);
  });
});
