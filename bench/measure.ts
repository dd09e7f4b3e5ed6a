/** Runs one command on one core and says what its whole process tree cost. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** The fleet has the first core, the client under test the second; on one core they share it. */
export const FLEET_CORE = 0;
export const CLIENT_CORE = availableParallelism() > 1 ? 1 : 0;

export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Cost {
  /** From spawn to exit, with about 10 ms for taskset and perl. */
  readonly wallMs: number;
  /** User time of the command and every descendant it waited for. */
  readonly userMs: number;
  readonly systemMs: number;
  /** The largest single process of the tree, in MiB. */
  readonly peakMiB: number;
  /** Exit status, 128 + N after signal N. */
  readonly status: number;
  readonly stdout: string;
  /** The last 2,000 characters. */
  readonly stderr: string;
}

export interface MeasureOptions {
  /** Directory for the command's output; also its HOME, so that nobody's settings count. */
  readonly scratch: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** More than one gives the client the fleet's core, too. @default 1 */
  readonly cores?: number;
}

/** The number of getrusage(2), which differs by architecture. */
const GETRUSAGE: Readonly<Record<string, number>> = { x64: 98, arm64: 165, riscv64: 165 };

/** Nothing of the caller's environment but PATH and the locale reaches a client: no agent, no settings. */
function cleanEnv(home: string, extra: Command['env']): Record<string, string> {
  return { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C.UTF-8', HOME: home, XDG_STATE_HOME: home, ...extra };
}

/**
 * Measures one run. The output goes to files, so that the harness uses no CPU while a client runs.
 * Rejects when the command cannot be measured, takes longer than `timeoutMs`, or `signal` fires; a failing command
 * is a `status`, not a rejection.
 */
export async function measure(command: Command, options: MeasureOptions): Promise<Cost> {
  const number = GETRUSAGE[process.arch];
  if (number === undefined) throw new Error(`bench: the number of getrusage is not known for "${process.arch}"`);
  const [usage, out, err] = ['usage', 'stdout', 'stderr'].map((name) => join(options.scratch, name)) as [
    string,
    string,
    string,
  ];
  await using outFile = await open(out, 'w');
  await using errFile = await open(err, 'w');
  options.signal.throwIfAborted();

  const started = performance.now();
  const cores = (options.cores ?? 1) > 1 ? `0-${availableParallelism() - 1}` : `${CLIENT_CORE}`;
  const argv = ['-c', cores, 'perl', join(import.meta.dirname, 'rusage.pl'), `${number}`, usage];
  // A process group of its own, so that a client that hangs is ended with everything it started.
  const child = spawn('taskset', [...argv, ...command.argv], {
    stdio: ['ignore', outFile.fd, errFile.fd],
    env: cleanEnv(options.scratch, command.env),
    detached: true,
  });
  const limit = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)]);
  const end = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Gone a moment before: nothing is left to end.
    }
  };
  limit.addEventListener('abort', end);
  const [code] = await once(child, 'exit').finally(() => limit.removeEventListener('abort', end));
  const wallMs = performance.now() - started;

  options.signal.throwIfAborted();
  const stderr = (await readFile(err, 'utf8')).slice(-2000);
  if (limit.aborted) throw new Error(`no end after ${options.timeoutMs / 1000} s; stderr: ${stderr.trim()}`);
  if (code !== 0) throw new Error(`could not be measured (status ${code}): ${stderr.trim()}`);
  const [user, system, rss, status] = (await readFile(usage, 'utf8')).split(' ').map(Number);
  return {
    wallMs,
    userMs: user! / 1000,
    systemMs: system! / 1000,
    peakMiB: rss! / 1024,
    status: status!,
    stdout: await readFile(out, 'utf8'),
    stderr,
  };
}
