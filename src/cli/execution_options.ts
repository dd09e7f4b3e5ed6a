/** The options that say how commands are executed on hosts, for all verbs that run some; what they come to for the library. */
import { type Command, Option } from 'commander';
import { MyriadError, type RunOptions, type SudoOptions } from '../index.ts';
import { escapeText } from '../output/escape.ts';
import { defined } from './connection_options.ts';
import { readEnvironment } from './env_file.ts';
import type { TerminalSecrets } from './secrets.ts';
import { append, duration, name, statuses, word } from './values.ts';

export interface ExecutionFlags {
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
  readonly okStatus?: (number | 'none')[];
  readonly onStop?: 'term' | 'leave';
  readonly shell?: 'sh' | 'cmd' | 'powershell';
  readonly lock?: string;
  readonly lockTtl?: number;
}

/** Begins the group of options; what of them is a secret, or may be one. */
export function addSecrets(command: Command): Command {
  return command
    .optionsGroup('Execution:')
    .option('-K, --ask-sudo-password', 'ask for the password that sudo wants')
    .option('--sudo-password-file <file>', 'that password: the first line of a file of mode 0600')
    .option('--env <k=v>', 'set a variable; K alone takes its value from here', append)
    .option('--env-file <file>', 'set the variables of a file with one K=V a line', append);
}

/** Begins the group of options. */
export function addExecution(command: Command): Command {
  command
    .optionsGroup('Execution:')
    .option('--sudo', 'as root, by way of sudo')
    .option('--sudo-user <name>', 'as this user, by way of sudo', name('--sudo-user'))
    .option('--doas', 'by way of doas instead of sudo');
  return addSecrets(command)
    .option('--export-identity', 'set MYRIAD_HOST, MYRIAD_RANK, MYRIAD_COUNT and MYRIAD_RUN')
    .option('--cwd <dir>', 'the directory to start in')
    .option('--umask <mask>', 'as 027')
    .option('--lock <name>', 'begin only where no other run has this lock', name('--lock'))
    .option('--lock-ttl <time>', 'it ends on a host by then (default: 1h)', duration('--lock-ttl'))
    .addOption(
      new Option(
        '--shell <name>',
        'the login shell of hosts: sh (as all POSIX has; default), cmd, powershell',
      ).argParser(word('--shell', ['sh', 'cmd', 'powershell'])),
    )
    .option(
      '--ok-status <list>',
      'exit statuses that are ok, as 0,1; none is an end without status (default: 0)',
      statuses('--ok-status'),
    )
    .addOption(
      new Option(
        '--on-stop <how>',
        'at ^C and deadlines, commands are ended (term; default) or left (leave)',
      ).argParser(word('--on-stop', ['term', 'leave'])),
    );
}

/** Throws `usage`, `file`. `secrets`: who asks on the terminal; what is asked is asked when sudo wants it, or by `askSudoFirst`. */
export function executionOptions(flags: ExecutionFlags, secrets: TerminalSecrets | undefined): RunOptions {
  if (flags.umask !== undefined && !/^[0-7]{3,4}$/.test(flags.umask)) {
    throw new MyriadError('usage', `--umask: expected an octal mask such as 027, got "${flags.umask}"`);
  }
  refuseForShell(flags);
  refuseForLock(flags);
  const env = readEnvironment(flags.env, flags.envFile);
  return defined({
    env: Object.keys(env).length > 0 ? env : undefined,
    cwd: flags.cwd,
    umask: flags.umask,
    exportIdentity: flags.exportIdentity,
    sudo: sudoOptions(flags, secrets),
    okStatus: flags.okStatus,
    onStop: flags.onStop === 'leave' ? ('leave' as const) : undefined,
    shell: flags.shell,
    lock: flags.lock,
    lockMs: flags.lockTtl,
  });
}

/** What only a POSIX shell has, by name. */
function refuseForShell(flags: ExecutionFlags & { readonly tty?: boolean }): void {
  const { shell = 'sh' } = flags;
  if (shell === 'sh') return;
  const [name, what] =
    Object.entries({
      sudo: flags.sudo || flags.sudoUser !== undefined,
      doas: flags.doas,
      umask: flags.umask !== undefined,
      lock: flags.lock !== undefined,
      tty: flags.tty,
    }).find(([, given]) => given) ?? [];
  if (!what) return;
  const option = name === 'sudo' && !flags.sudo ? 'sudo-user' : name;
  const lacks = name === 'tty' ? 'is given no terminal' : `has no ${name}`;
  throw new MyriadError('usage', `--${option}: --shell ${shell} ${lacks}`);
}

/** What a lock goes together with. Throws `usage`. */
function refuseForLock({
  lock,
  lockTtl,
  tty,
  repeat,
}: ExecutionFlags & { readonly tty?: boolean; readonly repeat?: number }) {
  if (lockTtl !== undefined && lock === undefined) throw new MyriadError('usage', '--lock-ttl: there is no --lock');
  if (lock === undefined) return;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(lock)) {
    const expected = 'up to 64 letters, digits, ".", "_" and "-", the first a letter or digit';
    throw new MyriadError('usage', `--lock: expected ${expected}, got "${lock}"`);
  }
  if (tty) throw new MyriadError('usage', '--lock: it does not go together with --tty yet');
  if (repeat !== undefined && repeat > 1) {
    throw new MyriadError('usage', '--lock: with --repeat the tasks of a host would lock each other out');
  }
}

function sudoOptions(flags: ExecutionFlags, secrets: TerminalSecrets | undefined): SudoOptions | undefined {
  const { sudoUser: user, doas, askSudoPassword, sudoPasswordFile: passwordFile } = flags;
  const asked = askSudoPassword ? '--ask-sudo-password (-K)' : '--sudo-password-file';
  if (!flags.sudo && user === undefined && !doas) {
    if (!askSudoPassword && passwordFile === undefined) return undefined;
    throw new MyriadError('usage', `${asked}: nothing asks for it without --sudo; add that`);
  }
  if (askSudoPassword && passwordFile !== undefined) {
    throw new MyriadError('usage', '--ask-sudo-password (-K) and --sudo-password-file: give one of them');
  }
  if (flags.sudo && doas) throw new MyriadError('usage', '--sudo and --doas: give one of them');
  if (doas && (askSudoPassword || passwordFile !== undefined)) {
    throw new MyriadError('usage', `${asked}: doas takes no password from here; let doas.conf say nopass there`);
  }
  return defined({
    user,
    program: doas ? ('doas' as const) : undefined,
    password: askSudoPassword && secrets ? () => secrets.sudoPassword() : undefined,
    passwordFile,
  });
}

/** Asks for the password of `-K`, so that no host has to wait for the question. */
export async function askSudoFirst(flags: ExecutionFlags, secrets: TerminalSecrets): Promise<void> {
  if (flags.askSudoPassword) await secrets.sudoPassword();
}

/** For a dry run: what a command would have around it. Names of variables, without values, which may be secret. */
export function executionLines(flags: ExecutionFlags & { readonly tty?: boolean; readonly stdin?: string }): string[] {
  const { sudo, sudoUser, doas, cwd, umask, lock, shell } = flags;
  const names = [...(flags.env ?? []).map((text) => text.split('=', 1)[0]!), ...(flags.envFile ?? [])];
  const parts = [
    sudo || doas || sudoUser !== undefined ? `as ${sudoUser ?? 'root'} by way of ${doas ? 'doas' : 'sudo'}` : '',
    cwd === undefined ? '' : `in ${cwd}`,
    umask === undefined ? '' : `umask ${umask}`,
    names.length === 0 ? '' : `with ${names.join(', ')} set`,
    shell === undefined || shell === 'sh' ? '' : `for ${shell}`,
    flags.tty ? 'on a terminal' : '',
    flags.stdin === undefined ? '' : `stdin from ${flags.stdin === '-' ? 'here' : flags.stdin}`,
    lock === undefined ? '' : `where the lock ${lock} is free`,
  ].filter((part) => part !== '');
  return parts.length === 0 ? [] : [escapeText(parts.join(', '))];
}

/** What only a command on a host has; for `--local`. Throws `usage`. */
export function refuseExecution(flags: ExecutionFlags): void {
  const given = Object.entries({
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
    '--lock': flags.lock,
    '--lock-ttl': flags.lockTtl,
  }).find(([, value]) => value !== undefined);
  if (given) throw new MyriadError('usage', `${given[0]}: a program that runs here (--local) gets none`);
}
