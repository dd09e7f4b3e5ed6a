/** Accounts of a test's own, with rules for sudo and doas; all of it is removed again. Needs root. */
import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FleetOptions, fleet, type RunOptions, type TaskResult } from '../../src/index.ts';
import { leftover } from '../kit/leftovers.ts';
import { type RealServer, startSshd } from '../kit/servers.ts';

export const isRoot = process.getuid?.() === 0;

export interface Account extends AsyncDisposable {
  readonly name: string;
  readonly password: string;
  readonly home: string;
}

/** A user with a home, a login shell, and a password that no other account has. */
export function makeAccount(shell = '/bin/sh'): Account {
  const name = `myr${randomBytes(4).toString('hex')}`;
  const home = mkdtempSync(join(tmpdir(), 'myriad-home-'));
  const removed = [leftover('path', home), leftover('account', name)];
  // Two fish that log in for the first time at once complain of each other's folders.
  for (const folder of ['.config/fish', '.local/share/fish']) mkdirSync(join(home, folder), { recursive: true });
  const password = `pw-${name}-$ec"ret'`;
  locked(() => spawnSync('useradd', ['-M', '-d', home, '-s', shell, name]));
  locked(() => spawnSync('chpasswd', { input: `${name}:${password}\n` }));
  execFileSync('chown', ['-R', name, home]);
  return {
    name,
    password,
    home,
    async [Symbol.asyncDispose]() {
      locked(() => spawnSync('userdel', ['-f', name]));
      rmSync(home, { recursive: true, force: true });
      for (const taken of removed) taken();
    },
  };
}

/** Other tests make accounts at the same time: who finds /etc/passwd locked tries again, for at most 10 s. */
function locked(change: () => SpawnSyncReturns<Buffer>): void {
  for (let tries = 0; ; tries++) {
    const { status, stderr } = change();
    if (status === 0) return;
    if (tries === 100) throw new Error(stderr.toString());
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
}

/** A file of rules under /etc/sudoers.d, checked by visudo before it counts. */
export function sudoers(account: Account, lines: readonly string[]): AsyncDisposable {
  const file = `/etc/sudoers.d/${account.name}`;
  const text = `${lines.join('\n')}\n`;
  execFileSync('visudo', ['-cf', '-'], { input: text, stdio: ['pipe', 'ignore', 'inherit'] });
  const removed = leftover('path', file);
  writeFileSync(file, text, { mode: 0o440 });
  return {
    async [Symbol.asyncDispose]() {
      rmSync(file, { force: true });
      removed();
      rmSync(`/run/sudo/ts/${account.name}`, { force: true });
      rmSync(`/var/lib/sudo/lectured/${account.name}`, { force: true });
    },
  };
}

/** sshd for accounts: their homes count, not the server's. */
export function sshdForAccounts(config: readonly string[] = []): Promise<RealServer> {
  return startSshd([...config, 'SetEnv MYRIAD_TEST=1', 'MaxStartups 100']);
}

export function loginOptions(server: RealServer, account: { readonly name: string }): FleetOptions {
  return {
    hosts: '127.0.0.1',
    port: server.port,
    user: account.name,
    identity: server.identity,
    knownHosts: server.knownHosts,
    config: 'none',
  };
}

/** One command on one host. */
export async function runOne(login: FleetOptions, command: string, options: RunOptions = {}): Promise<TaskResult> {
  await using hosts = fleet(login);
  const [result] = await hosts.run(command, options).all();
  return result!;
}

/** What a result has for eyes: outcome and both streams. */
export function seen({ outcome, stdout, stderr }: TaskResult): object {
  return { outcome, stdout: stdout.text(), stderr: stderr.text() };
}

/** What of all processes of this machine can be read, now. */
export function everythingOfProcesses(...files: readonly ('cmdline' | 'environ')[]): string {
  const pids = execFileSync('ls', ['/proc'], { encoding: 'utf8' }).split('\n');
  let all = '';
  for (const pid of pids.filter((name) => /^\d+$/.test(name) && name !== String(process.pid))) {
    for (const file of files) {
      try {
        all += readFileSync(`/proc/${pid}/${file}`, 'latin1');
      } catch {
        // It has ended, or is a thread of the kernel.
      }
    }
  }
  return all;
}

/** Processes of a user, by what they were started as. */
export function processesWith(word: string): string[] {
  const found: string[] = [];
  for (const pid of execFileSync('ls', ['/proc'], { encoding: 'utf8' }).split('\n')) {
    if (!/^\d+$/.test(pid) || !existsSync(`/proc/${pid}/cmdline`)) continue;
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
      if (line.includes(word)) found.push(`${pid} ${line}`);
    } catch {
      // It has ended.
    }
  }
  return found;
}
