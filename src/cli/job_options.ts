/** `--job FILE#EXPORT`: a function of the user's own instead of a command. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type EachOptions, MyriadError } from '../index.ts';

export interface JobFlags {
  readonly job?: string;
  readonly jobOptions?: string;
}

/** What only a command has. */
interface CommandFlags {
  readonly local?: boolean;
  readonly sudo?: boolean;
  readonly sudoUser?: string;
  readonly doas?: boolean;
  readonly askSudoPassword?: boolean;
  readonly sudoPasswordFile?: string;
  readonly env?: string[];
  readonly envFile?: string[];
  readonly exportIdentity?: boolean;
  readonly cwd?: string;
  readonly umask?: string;
  readonly shell?: string;
  readonly okStatus?: unknown;
  readonly stdin?: string;
  readonly tty?: boolean;
  readonly var?: unknown;
  readonly template?: boolean;
}

/** Into the group of execution. */
export function addJob(command: Command): Command {
  return command
    .option('--job <file#export>', 'call a function of a module here, once per host, instead of COMMAND')
    .option('--job-options <json>', 'what it is given as task.options; @FILE is a file of it');
}

/** Throws `usage` for what a function would not heed. */
export function refuseJob(flags: JobFlags & CommandFlags): void {
  if (flags.job === undefined) {
    if (flags.jobOptions === undefined) return;
    throw new MyriadError('usage', '--job-options: nothing takes them without --job; add that');
  }
  const given = Object.entries({
    '--local': flags.local,
    '--sudo': flags.sudo,
    '--sudo-user': flags.sudoUser,
    '--doas': flags.doas,
    '--ask-sudo-password (-K)': flags.askSudoPassword,
    '--sudo-password-file': flags.sudoPasswordFile,
    '--env': flags.env,
    '--env-file': flags.envFile,
    '--export-identity': flags.exportIdentity,
    '--cwd': flags.cwd,
    '--umask': flags.umask,
    '--shell': flags.shell,
    '--ok-status': flags.okStatus,
    '--stdin': flags.stdin,
    '--tty': flags.tty,
    '--var (-e)': flags.var,
    '--template': flags.template,
  }).find(([, value]) => value !== undefined);
  if (given) throw new MyriadError('usage', `${given[0]}: it is for a command; a function (--job) runs its own`);
}

/** Throws `usage` where there is a command beside a job, or nothing to do at all. */
export function checkWords(flags: JobFlags, words: readonly string[]): void {
  if (flags.job !== undefined) {
    if (words.length === 0) return;
    throw new MyriadError(
      'usage',
      `--job "${flags.job}": it takes the place of a command; leave out "${words.join(' ')}"`,
    );
  }
  if (words.join('').trim() !== '' && words[0] !== '') return;
  throw new MyriadError('usage', 'no command was given: add it after the options');
}

/** Throws `usage` for a file that cannot be read, and for what is no JSON. */
export function eachOptions({ jobOptions }: JobFlags): EachOptions {
  if (jobOptions === undefined) return {};
  const text = jobOptions.startsWith('@') ? textOf(jobOptions.slice(1)) : jobOptions;
  try {
    return { jobOptions: JSON.parse(text) as unknown };
  } catch (cause) {
    throw new MyriadError('usage', `--job-options "${jobOptions}": not JSON: ${(cause as Error).message}`, { cause });
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new MyriadError('usage', `--job-options "@${file}": the file cannot be read: ${code}`, { cause });
  }
}
