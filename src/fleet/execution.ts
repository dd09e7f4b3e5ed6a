/** How a run's commands are executed: what callers may give, what of it goes into a job's spec, and what stays here. */
import { readSync } from 'node:fs';
import { MyriadError } from '../contracts/errors.ts';
import type { Clock } from '../contracts/limits.ts';
import type { ExecutionOptions as ExecutionSpec } from '../jobs/execution.ts';
import { MAX_SCRIPT } from '../jobs/script.ts';
import { SHELLS, type Shell } from '../jobs/windows.ts';
import type { Secret } from '../ssh/client_auth_secret.ts';
import { type LockOptions, leaseSpec } from './lock.ts';
import { type LoginHost, type PasswordSource, Passwords, readPasswordFile } from './passwords.ts';
import { withRegularFile } from './regular_file.ts';

/** As another user of the host. */
export interface SudoOptions {
  /** @default root */
  readonly user?: string;
  /** @default 'sudo' */
  readonly program?: 'sudo' | 'doas';
  /** Given when sudo asks for it, to the first host alone until one takes it. @default none: sudo is told not to ask */
  readonly password?: PasswordSource;
  /** As `password`: the first line of a file that nobody else may read. */
  readonly passwordFile?: string;
}

/** What a command finds on its host. With any of these a /bin/sh runs it, not the login shell. */
export interface ExecutionOptions extends LockOptions {
  /** Variables for the command. Their values travel on stdin and stand in no argument list. */
  readonly env?: Readonly<Record<string, string>>;
  /** The directory it starts in; relative to that of the login. */
  readonly cwd?: string;
  /** Octal, as `027`. */
  readonly umask?: string;
  /** Exports MYRIAD_HOST, MYRIAD_RANK, MYRIAD_COUNT and MYRIAD_RUN. @default false */
  readonly exportIdentity?: boolean;
  /** Runs it as another user. @default as who logs in */
  readonly sudo?: SudoOptions;
  /**
   * The login shell of the hosts. Values in templates are quoted for it; `cmd` and `powershell` also mean that nothing there is POSIX:
   * no umask, sudo, scripts and terminals, and what is stopped ends as `unknown`. `sh` stands for all shells of POSIX hosts. @default 'sh'
   */
  readonly shell?: Shell;
}

export const EXECUTION_OPTIONS = ['env', 'cwd', 'umask', 'exportIdentity', 'sudo', 'shell'] as const;
const SUDO_OPTIONS = ['user', 'program', 'password', 'passwordFile'];

/** Throws `usage` where the login shells of the hosts are not POSIX ones, which `what` needs. */
export function needPosix(what: string, shell: Shell | undefined): void {
  if (shell === undefined || shell === 'sh') return;
  if (!SHELLS.includes(shell)) {
    throw new MyriadError('usage', `shell: expected one of ${SHELLS.join(', ')}, got ${JSON.stringify(shell)}`);
  }
  throw new MyriadError('usage', `shell: ${what} needs a POSIX shell, which hosts with ${shell} do not have`);
}

/** The two halves of the options: what the job takes, and where the password comes from. */
export interface ResolvedExecution {
  readonly spec: ExecutionSpec | undefined;
  readonly password: PasswordSource | undefined;
}

/**
 * Throws `usage` for options that cannot be taken, `file` for a bad password file; values are the job's to check. `commandMs`: the
 * deadline of its commands.
 */
export function resolveExecution(options: ExecutionOptions, commandMs?: number | null): ResolvedExecution {
  const { env, cwd, umask, exportIdentity, sudo } = options;
  const lock = leaseSpec(options, commandMs);
  const given = Object.entries({ env, cwd, umask, identity: exportIdentity, lock }).filter(
    ([, value]) => value !== undefined,
  );
  const spec = Object.fromEntries(given);
  if (sudo === undefined) return { spec: given.length > 0 ? spec : undefined, password: undefined };
  for (const name of Object.keys(sudo)) {
    if (SUDO_OPTIONS.includes(name)) continue;
    throw new MyriadError('usage', `sudo: unknown option "${name}"; known are ${SUDO_OPTIONS.join(', ')}`);
  }
  const { user, program, passwordFile } = sudo;
  if (sudo.password !== undefined && passwordFile !== undefined) {
    throw new MyriadError('usage', 'sudo: password and passwordFile: give one source of passwords');
  }
  const password = passwordFile === undefined ? sudo.password : readPasswordFile(passwordFile, '--sudo-password-file');
  const as = Object.entries({ user, program }).filter(([, value]) => value !== undefined);
  return { spec: { ...spec, sudo: { ...Object.fromEntries(as), asks: password !== undefined } }, password };
}

/** The passwords that sudo gets in the runs of a fleet: each tried on one host first, whichever run asks. */
export class SudoSecrets {
  readonly #clock: Pick<Clock, 'setTimer'>;
  readonly #onSpent: (reason: string) => void;
  readonly #sources = new Map<PasswordSource, Passwords>();

  constructor(clock: Pick<Clock, 'setTimer'>, onSpent: (reason: string) => void) {
    this.#clock = clock;
    this.#onSpent = onSpent;
  }

  /** What is given to sudo on `host`; `host.user` is who logs in there. */
  secretFor(source: PasswordSource, host: LoginHost): Secret {
    let passwords = this.#sources.get(source);
    if (passwords === undefined) {
      passwords = new Passwords({ source, clock: this.#clock, onSpent: this.#onSpent });
      this.#sources.set(source, passwords);
    }
    return passwords.secretFor(host);
  }

  clear(): void {
    for (const passwords of this.#sources.values()) passwords.clear();
    this.#sources.clear();
  }
}

/** Reads a script, once for all hosts. Throws `file` where it cannot be read, or has more than 8 MiB. */
export function readScript(path: string): Uint8Array {
  const name = `script ${JSON.stringify(path)}`;
  return withRegularFile(path, name, (descriptor, stat) => {
    if (stat.size > MAX_SCRIPT) throw new MyriadError('file', `${name} has ${stat.size} bytes; 8 MiB is the most`);
    const buffer = Buffer.alloc(stat.size);
    for (let at = 0; at < buffer.length; ) {
      const got = readSync(descriptor, buffer, at, buffer.length - at, at);
      if (got === 0) throw new MyriadError('file', `${name} became shorter while it was read`);
      at += got;
    }
    return buffer;
  });
}
