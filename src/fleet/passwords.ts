/** Where passwords come from: the caller, a file, a command that runs here. None of them is ever part of an error. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { readSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { MyriadError } from '../contracts/errors.ts';
import type { Clock } from '../contracts/limits.ts';
import type { Host } from '../contracts/task.ts';
import type { AnswerPrompts } from '../ssh/client_auth.ts';
import type { Secret } from '../ssh/client_auth_secret.ts';
import { withUsualDescriptors } from '../util/usual_descriptors.ts';
import { withRegularFile } from './regular_file.ts';
import { SecretGuard } from './secret_guard.ts';

/** Who logs in, and where: a host of the fleet or a jump host, with what it leaves open filled in. */
export interface LoginHost extends Host {
  readonly user: string;
  readonly port: number;
}

/** One password for all, or one per host; undefined: none for this host. What it throws ends the login. */
export type PasswordSource = string | ((host: LoginHost) => string | undefined | Promise<string | undefined>);

/** Answers a host's keyboard-interactive questions, one answer each; undefined gives up. `signal`: it has gone away. */
export type AnswerSource = (
  host: LoginHost,
  prompts: Parameters<AnswerPrompts>[0],
  about: Parameters<AnswerPrompts>[1],
  signal: AbortSignal,
) => ReturnType<AnswerPrompts>;

/** How a caller may say where passwords come from: one of these. */
export interface PasswordOptions {
  readonly password?: PasswordSource | undefined;
  /** The first line of a file of mode 0600. */
  readonly passwordFile?: string | undefined;
  /** A command line that prints it, run here by /bin/sh; with `{host}`, `{name}`, `{user}` or `{port}` once per host. */
  readonly passwordCommand?: string | undefined;
}

/** Reads a password file now, runs commands when they are needed. Throws `usage` for two sources, `file` for a bad file. */
export function passwordSource(options: PasswordOptions, clock: Pick<Clock, 'setTimer'>): PasswordSource | undefined {
  const { password, passwordFile, passwordCommand: command } = options;
  const given = Object.entries({ password, passwordFile, passwordCommand: command }).filter(([, value]) => {
    return value !== undefined;
  });
  if (given.length > 1) {
    throw new MyriadError('usage', `${given.map(([name]) => name).join(' and ')}: give one source of passwords`);
  }
  if (passwordFile !== undefined) return readPasswordFile(passwordFile);
  return command === undefined ? password : passwordCommand(command, { clock });
}

/** A file with more than this is no password. Longest that sshd takes: 1,024. */
const MAX_BYTES = 4096;

export interface PasswordsOptions {
  readonly source: PasswordSource;
  readonly clock: Pick<Clock, 'setTimer'>;
  /** a password was refused three times and never accepted: the run is to be stopped. */
  readonly onSpent: (reason: string) => void;
}

/** The passwords of a fleet, each tried on one host first. Kept as long as the fleet lives. */
export class Passwords {
  readonly #source: PasswordSource;
  readonly #guard: SecretGuard;

  constructor(options: PasswordsOptions) {
    this.#source = options.source;
    this.#guard = new SecretGuard(options);
  }

  /** What the credentials for `host` hold as their password. The source is asked when it is about to be sent, not before. */
  secretFor(host: LoginHost): Secret {
    const source = this.#source;
    if (typeof source === 'string') return this.#guard.secret(host.user, source);
    return {
      take: (signal) => {
        const got = source(host);
        if (typeof got === 'string') return this.#guard.secret(host.user, got).take(signal);
        return got?.then((value) => {
          if (value === undefined) return undefined;
          signal.throwIfAborted();
          return this.#guard.secret(host.user, value).take(signal);
        });
      },
    };
  }

  clear(): void {
    this.#guard.clear();
  }
}

/**
 * The first line of a file that nobody else may read: a regular file of the user's or root's, without bits for group and
 * others. Throws `file` for any other. `option`: how it is named, for the sentence.
 */
export function readPasswordFile(path: string, option = '--password-file'): string {
  const name = `${option} ${JSON.stringify(path)}`;
  return withRegularFile(path, name, (descriptor, stat) => {
    const own = process.getuid?.();
    if (own !== undefined && stat.uid !== own && stat.uid !== 0) {
      throw new MyriadError('file', `${name} belongs to another user (uid ${stat.uid}); it must be yours or root's`);
    }
    if ((stat.mode & 0o077) !== 0) {
      const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
      throw new MyriadError('file', `${name} can be read or changed by others (mode ${mode}); chmod 600 it`);
    }
    const buffer = Buffer.alloc(MAX_BYTES + 1);
    const length = readSync(descriptor, buffer, 0, buffer.length, 0);
    return firstLine(buffer.subarray(0, length), name);
  });
}

/** Throws `file` where there is none, or none that could be a password. Wipes `bytes`. */
function firstLine(bytes: Buffer, name: string): string {
  const end = bytes.indexOf(0x0a);
  const line = end < 0 ? bytes : bytes.subarray(0, end);
  const last = line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
  const text = last.toString('utf8');
  const problem = lineProblem(last, text, end < 0 && bytes.length > MAX_BYTES);
  bytes.fill(0);
  if (problem !== undefined) throw new MyriadError('file', `${name}: ${problem}`);
  return text;
}

function lineProblem(line: Buffer, text: string, tooLong: boolean): string | undefined {
  if (tooLong) return `the first line has more than ${MAX_BYTES} bytes`;
  if (text === '') return 'the first line is empty';
  if (line.includes(0)) return 'the first line has a NUL byte in it';
  return Buffer.from(text, 'utf8').equals(line) ? undefined : 'the first line is not UTF-8';
}

export interface PasswordCommandOptions {
  /** How it is named in errors. @default '--password-command' */
  readonly option?: string;
  /** @default 30000 */
  readonly timeoutMs?: number;
  readonly clock: Pick<Clock, 'setTimer'>;
}

/** Commands at once. */
const MAX_COMMANDS = 8;
/** Passwords that are kept, so that a retry does not run the command again. */
const MAX_KEPT = 100_000;
const TIMEOUT_MS = 30_000;

/**
 * Passwords that a command prints, run by /bin/sh: once for all, or, where `{host}`, `{name}`, `{user}` or `{port}` stands in
 * it, once per host and user. At most 8 run at once. It gets no input; its stderr goes to ours. The returned function rejects
 * with MyriadError `file` where the command fails.
 */
export function passwordCommand(
  command: string,
  options: PasswordCommandOptions,
): (host: LoginHost) => Promise<string | undefined> {
  const known = new Map<string, Promise<string>>();
  const places = new Places(MAX_COMMANDS);
  return (host) => {
    const line = fillIn(command, host);
    const kept = known.get(line);
    if (kept) return kept;
    const got = places.with(() => runOnce(line, options));
    if (known.size >= MAX_KEPT) known.delete(known.keys().next().value!);
    known.set(line, got);
    return got;
  };
}

/** Host names come from files and inventories: the shell sees each as one word, whatever is in it. */
function fillIn(command: string, host: LoginHost): string {
  return command.replace(/\{(host|name|user|port)\}/g, (_, word: 'host' | 'name' | 'user' | 'port') => {
    const value = word === 'host' ? host.name : String(host[word]);
    return `'${value.replaceAll("'", "'\\''")}'`;
  });
}

/** Calls that wait for one of a few places, in order. Their number is bounded by the logins in progress. */
class Places {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async with<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}

type Shell = ChildProcessByStdio<null, Readable, null>;

async function runOnce(line: string, options: PasswordCommandOptions): Promise<string> {
  const { option = '--password-command', timeoutMs = TIMEOUT_MS, clock } = options;
  // A group of its own: on a deadline all of it is ended.
  const child: Shell = spawn('/bin/sh', ['-c', withUsualDescriptors(line)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  let late = false;
  const timer = clock.setTimer(timeoutMs, () => {
    late = true;
    endGroup(child);
    // What left the group may hold the output open.
    child.stdout.destroy();
  });
  const buffer = Buffer.alloc(MAX_BYTES + 1);
  try {
    const { length, how } = await endOf(child, buffer);
    if (late) throw new MyriadError('file', `${option} did not end within ${timeoutMs / 1000} s`);
    // What it printed is never told.
    if (how !== undefined) throw new MyriadError('file', `${option} ${how}`);
    return firstLine(buffer.subarray(0, length), option);
  } finally {
    timer.cancel();
    buffer.fill(0);
  }
}

/** Reads its output as far as `buffer` takes it, drains the rest. Resolves when it is over; `how`: what went wrong. */
function endOf(child: Shell, buffer: Buffer): Promise<{ readonly length: number; readonly how: string | undefined }> {
  let length = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    length += chunk.copy(buffer, length);
    chunk.fill(0);
  });
  return new Promise((resolve) => {
    child.once('error', ({ code }: NodeJS.ErrnoException) => {
      resolve({ length, how: `cannot be run (${code ?? 'unknown'})` });
    });
    child.once('close', (status, signal) => {
      const failed = signal === null ? `failed with exit status ${status}` : `was ended by ${signal}`;
      resolve({ length, how: status === 0 ? undefined : failed });
    });
  });
}

function endGroup(child: Shell): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}
