/** Who runs this process: for the record of a run. */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import type { Who } from './journal.ts';

/** The kernel's word for a process of no login. */
const NO_LOGIN = 0xffffffff;

/** The login user is the kernel's, which `sudo` and `su` do not change; without it, who called `sudo`, then the uid. */
export function whoRuns(env: Readonly<Record<string, string | undefined>> = process.env): Who {
  const uid = process.getuid?.() ?? -1;
  return {
    loginUser: loginUser() ?? env.SUDO_USER ?? ownName() ?? String(uid),
    uid,
    terminal: terminal(),
    hostName: hostname(),
    pid: process.pid,
  };
}

function loginUser(): string | undefined {
  try {
    const uid = Number(readFileSync('/proc/self/loginuid', 'latin1'));
    if (uid === NO_LOGIN) return undefined;
    const line = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((entry) => entry.split(':')[2] === String(uid));
    return line?.split(':')[0] ?? String(uid);
  } catch {
    return undefined;
  }
}

function ownName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

/** The terminal of any of the three standard streams. */
function terminal(): string {
  for (const descriptor of [0, 1, 2]) {
    try {
      const target = readlinkSync(`/proc/self/fd/${descriptor}`);
      if (/^\/dev\/(pts\/\d+|tty.+|console)$/.test(target)) return target;
    } catch {
      // Closed, or a machine without /proc.
    }
  }
  return '';
}
