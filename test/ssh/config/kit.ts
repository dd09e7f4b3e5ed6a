/** Configurations out of a map of files, on a machine that is always the same. */

import { SshConfigError } from '../../../src/ssh/config/problems.ts';
import { SshConfig, type SshConfigOptions } from '../../../src/ssh/config/ssh_config.ts';

export const HOME = '/home/ann';
export const USER_FILE = `${HOME}/.ssh/config`;
export const SYSTEM_FILE = '/etc/ssh/ssh_config';

/** A variable as ssh_config writes it: `${NAME}`. */
export function variable(name: string): string {
  return `\${${name}}`;
}

/** The text is the user's file; `files` are more, by path. A glob finds the paths that start and end like it. */
export function load(
  text: string,
  files: Readonly<Record<string, string>> = {},
  more: Partial<SshConfigOptions> = {},
): SshConfig {
  const all: Record<string, string> = { [USER_FILE]: text, ...files };
  return SshConfig.load({
    userFile: USER_FILE,
    systemFile: SYSTEM_FILE,
    home: HOME,
    localUser: 'ann',
    localHost: 'box.example.net',
    uid: 1000,
    env: { HOME, SSH_AUTH_SOCK: '/run/agent', KEYS: '/keys' },
    exec: () => {
      throw new Error('no command was expected');
    },
    readFile: (path) => all[path],
    glob: (pattern) => {
      const [start, end] = pattern.split('*') as [string, string | undefined];
      if (end === undefined) return pattern in all ? [pattern] : [];
      return Object.keys(all)
        .filter((path) => path.startsWith(start) && path.endsWith(end))
        .sort();
    },
    ...more,
  });
}

/** The problems of a configuration that cannot be used, as `line: reason`. */
export function problemsOf(work: () => unknown): string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof SshConfigError) return error.problems.map(({ line, reason }) => `${line}: ${reason}`);
    throw error;
  }
  return [];
}
