/** The ssh_config of a fleet: the user's and the system's file, or the one that was named, under the options given with `-o`. */
import { spawnSync } from 'node:child_process';
import { homedir, hostname, userInfo } from 'node:os';
import { MyriadError } from '../../contracts/errors.ts';
import type { Host } from '../../contracts/task.ts';
import { configFiles } from '../../ssh/config/files.ts';
import type { HostConfig } from '../../ssh/config/host_config.ts';
import { type HostQuestion, SshConfig } from '../../ssh/config/ssh_config.ts';
import type { FleetOptions } from '../options.ts';

/** For one command of Match exec. */
const EXEC_MS = 30_000;

export interface LoadedConfig {
  readonly config: SshConfig;
  /** One map for all hosts: it is read once. */
  readonly overrides: ReadonlyMap<string, readonly string[]> | undefined;
}

/** Throws `usage` with the bad lines or options, and `file` for a file that cannot be read. */
export function loadConfig(options: FleetOptions): LoadedConfig {
  const home = homedir();
  const overrides = readOverrides(options.configOptions);
  const [ignoreUnknown] = overrides?.get('ignoreunknown') ?? [];
  const config = SshConfig.load({
    ...configFiles(options.config, home),
    home,
    localUser: userInfo().username,
    localHost: hostname(),
    exec: runsWell,
    // A copy: each look at process.env costs a microsecond.
    env: { ...process.env },
    ...(ignoreUnknown === undefined ? {} : { ignoreUnknown }),
  });
  if (overrides) config.check(overrides);
  return { config, overrides };
}

/** What is asked of the configuration about a host: what its label says counts before the options. */
export function questionOf({ overrides }: LoadedConfig, options: FleetOptions, host: Host): HostQuestion {
  const { name, user = options.user, port = options.port } = host;
  return { name, user, port, overrides };
}

export function resolveHost(loaded: LoadedConfig, options: FleetOptions, host: Host): HostConfig {
  return loaded.config.resolve(questionOf(loaded, options, host));
}

/** `Keyword=value` or `Keyword value`, as ssh -o takes it. Throws `usage`. */
function readOverrides(texts: readonly string[] | undefined): Map<string, string[]> | undefined {
  if (texts === undefined || texts.length === 0) return undefined;
  const overrides = new Map<string, string[]>();
  for (const text of texts) {
    const found = /^\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(\S.*)$/s.exec(text);
    if (!found) throw new MyriadError('usage', `option -o "${text}": expected Keyword=value, as ssh_config has it`);
    const keyword = found[1]!.toLowerCase();
    overrides.set(keyword, [...(overrides.get(keyword) ?? []), found[2]!]);
  }
  return overrides;
}

/** Whether a command of Match exec ends with 0, in the user's shell as ssh runs it. */
function runsWell(command: string): boolean {
  const shell = process.env.SHELL || '/bin/sh';
  return spawnSync(shell, ['-c', command], { stdio: 'ignore', timeout: EXEC_MS, killSignal: 'SIGKILL' }).status === 0;
}
