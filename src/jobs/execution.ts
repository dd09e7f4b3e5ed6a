/** How a command is run on a host beyond the line itself: its environment, directory, umask, and as whom. */
import { MyriadError } from '../contracts/errors.ts';
import type { Elevation } from './elevation.ts';
import type { TaskContext } from './job.ts';
import { checkLease, Lease, type LeaseSpec } from './lease.ts';
import { checkText, shown } from './process_job.ts';
import { checkEnvironment, type Surroundings, surround } from './shell_program.ts';
import { checkWindowsEnvironment, SHELLS, type Shell, type WindowsShell, windowsLine } from './windows.ts';

/** As another user. The password is no part of it: it stays with the caller, see TaskContext.secret. */
export interface SudoSpec {
  /** @default root */
  readonly user?: string;
  /** @default 'sudo' */
  readonly program?: 'sudo' | 'doas';
  /** It may ask for a password, which the run has. @default false: it is told not to ask */
  readonly asks?: boolean;
}

export interface ExecutionOptions {
  /** Set for the command; the values stand in no argument list. */
  readonly env?: Readonly<Record<string, string>>;
  /** The directory it starts in; relative to that of the login. */
  readonly cwd?: string;
  /** Octal, as `027`. */
  readonly umask?: string;
  /** Exports MYRIAD_HOST, MYRIAD_RANK, MYRIAD_COUNT and MYRIAD_RUN. @default false */
  readonly identity?: boolean;
  readonly sudo?: SudoSpec;
  /** Begins only where no other run has this lock. */
  readonly lock?: LeaseSpec;
}

/** Ready for all tasks of a run. */
export interface Execution {
  readonly surroundings: Surroundings;
  readonly identity: boolean;
  readonly elevation: Elevation | undefined;
  readonly lock: LeaseSpec | undefined;
}

const KNOWN = ['env', 'cwd', 'umask', 'identity', 'sudo', 'lock'];
const KNOWN_SUDO = ['user', 'program', 'asks'];
const KNOWN_LOCK = ['name', 'seconds', 'user'];

/** The options of a spec; undefined where none of them is set. Throws MyriadError `usage`. */
export function checkExecution(kind: string, value: unknown): ExecutionOptions | undefined {
  if (value === undefined) return undefined;
  const options = checkObject(kind, 'execution', value, KNOWN);
  const { env, cwd, umask, identity, sudo, lock } = options;
  const checked: { -readonly [K in keyof ExecutionOptions]: ExecutionOptions[K] } = {};
  if (env !== undefined) checked.env = checkEnvironment(checkObject(kind, 'env', env, undefined));
  if (cwd !== undefined) checked.cwd = checkText(kind, 'cwd', cwd, 'refuse');
  if (umask !== undefined) {
    if (typeof umask !== 'string' || !/^[0-7]{3,4}$/.test(umask)) {
      throw new MyriadError('usage', `job "${kind}": option "umask" must be octal, such as 027, not ${shown(umask)}`);
    }
    checked.umask = umask;
  }
  if (identity !== undefined) checked.identity = checkFlag(kind, 'identity', identity);
  if (sudo !== undefined) checked.sudo = checkSudo(kind, sudo);
  if (lock !== undefined) checked.lock = checkLease(checkObject(kind, 'lock', lock, KNOWN_LOCK));
  return Object.keys(checked).length > 0 ? checked : undefined;
}

/** What takes command lines there. Throws MyriadError `usage`, also for what that shell has not. */
export function checkShell(kind: string, value: unknown, execution: ExecutionOptions | undefined): Shell {
  if (value === undefined) return 'sh';
  const shell = SHELLS.find((known) => known === value);
  if (shell === undefined) {
    throw new MyriadError(
      'usage',
      `job "${kind}": option "shell" must be one of ${SHELLS.join(', ')}, not ${shown(value)}`,
    );
  }
  if (shell === 'sh' || execution === undefined) return shell;
  const { umask, sudo, lock, env = {} } = execution;
  if (umask !== undefined) throw new MyriadError('usage', `umask: the shell ${shell} has none`);
  if (sudo !== undefined) throw new MyriadError('usage', `sudo: the shell ${shell} has no ${sudo.program ?? 'sudo'}`);
  if (lock !== undefined) throw new MyriadError('usage', `lock: the shell ${shell} takes none`);
  checkWindowsEnvironment(env);
  return shell;
}

function checkSudo(kind: string, value: unknown): SudoSpec {
  const { user, program = 'sudo', asks = false } = checkObject(kind, 'sudo', value, KNOWN_SUDO);
  if (program !== 'sudo' && program !== 'doas') {
    throw new MyriadError('usage', `job "${kind}": option "sudo.program" must be sudo or doas, not ${shown(program)}`);
  }
  const asking = checkFlag(kind, 'sudo.asks', asks);
  if (asking && program === 'doas') {
    throw new MyriadError(
      'usage',
      'doas asks on a terminal, with words that other programs could say too: no password is given to it; let doas.conf say nopass',
    );
  }
  const spec = { program, asks: asking } as const;
  if (user === undefined) return spec;
  const name = checkText(kind, 'sudo.user', user, 'refuse');
  // `#1000` is a number for sudo; a name that begins with - would be an option.
  if (!/^(#\d+|[A-Za-z0-9_.][^\s:/\\]*)$/.test(name)) {
    throw new MyriadError('usage', `job "${kind}": option "sudo.user": ${shown(name)} is no name of a user`);
  }
  return { ...spec, user: name };
}

function checkFlag(kind: string, name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new MyriadError('usage', `job "${kind}": option "${name}" must be true or false, not ${shown(value)}`);
}

function checkObject(
  kind: string,
  name: string,
  value: unknown,
  known: readonly string[] | undefined,
): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new MyriadError('usage', `job "${kind}": option "${name}" must be an object`);
  }
  for (const key of Object.keys(value)) {
    if (known === undefined || known.includes(key)) continue;
    throw new MyriadError('usage', `job "${kind}": option "${name}" has no "${key}"; there are: ${known.join(', ')}`);
  }
  return { ...value };
}

export function prepareExecution(options: ExecutionOptions): Execution {
  const { env = {}, cwd, umask, identity = false, sudo, lock } = options;
  const { program = 'sudo', user, asks = false } = sudo ?? {};
  return {
    surroundings: { env, cwd, umask },
    identity,
    elevation: sudo && { program, user, asks },
    lock,
  };
}

/** The lease of one task; undefined: it needs none. */
export function leaseOf({ lock }: Execution, task: TaskContext): Lease | undefined {
  return lock && new Lease(lock, task.run, task.sink);
}

/** Statements that make the surroundings of one task. */
export function surroundTask({ surroundings, identity }: Execution, task: TaskContext): string {
  return identity ? surround(surroundings, identityOf(task)) : surround(surroundings);
}

/** A command with its surroundings, as a host without a POSIX shell takes it. */
export function windowsTask(
  shell: WindowsShell,
  { surroundings, identity }: Execution,
  task: TaskContext,
  command: string,
): Buffer {
  const { env, cwd } = surroundings;
  return windowsLine(shell, { env: identity ? { ...identityOf(task), ...env } : env, cwd }, command);
}

function identityOf(task: TaskContext): Record<string, string> {
  return {
    MYRIAD_HOST: task.target.label,
    MYRIAD_RANK: String(task.target.index),
    MYRIAD_COUNT: String(task.count),
    MYRIAD_RUN: task.run,
  };
}
