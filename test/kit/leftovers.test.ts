/** Whoever starts a server for a test leaves none behind, by whatever death. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { processesWith } from '../real/accounts.ts';
import { until } from '../ssh/agent_fake.ts';
import { present, startSshd } from './servers.ts';

const CHILD = join(import.meta.dirname, 'leftovers_child.ts');

it.skipIf(!present('sshd'))('a process that is killed leaves neither its server nor the folder', async () => {
  const child = spawn(process.execPath, [CHILD], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const { dir } = JSON.parse(line) as { dir: string };
  expect(processesWith(dir)).toHaveLength(1);
  child.kill('SIGKILL');
  await until(() => processesWith(dir).length === 0 && !existsSync(dir));
});

it.skipIf(!present('sshd'))('a server that does not start leaves no folder', async () => {
  const before = servers();
  await expect(startSshd(['NoSuchOption yes'])).rejects.toThrow('Bad configuration option');
  expect(servers()).toBe(before);
});

/** How many servers of this process there are. */
function servers(): number {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim();
  return children.split(' ').filter((pid) => pid !== '' && isServer(pid)).length;
}

function isServer(pid: string): boolean {
  return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('sshd_config');
}
