/** Files and programs that inventories are read from: bounded in size and time. */
import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { problem, shown } from './problem.ts';

/** A million hosts with a dozen variables. */
const MOST_BYTES = 256 * 1024 * 1024;
/** For one program, however often it is asked for more. */
export const PROGRAM_MS = 30_000;

/** The text of a file. Throws `inventory`. */
export function readText(path: string, title: string): string {
  try {
    // Not by its name: a socket, which is what a parent process may have given us, cannot be opened again.
    const file = path === '/dev/stdin' ? 0 : openSync(path, 'r');
    try {
      const { size } = fstatSync(file);
      if (size > MOST_BYTES) throw problem(title, `it has ${size} bytes, of which at most ${MOST_BYTES} are taken`);
      return readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
    } finally {
      if (file !== 0) closeSync(file);
    }
  } catch (cause) {
    if ((cause as { code?: string }).code === 'inventory') throw cause;
    throw problem(title, `it cannot be read: ${(cause as Error).message}`, cause);
  }
}

export interface ProgramOptions {
  readonly cwd?: string | undefined;
  /** What is left of the time. @default PROGRAM_MS */
  readonly timeoutMs?: number | undefined;
}

/** What a program prints. Throws `inventory` where it cannot be started, fails, takes too long or prints too much. */
export function outputOf(
  program: string,
  args: readonly string[],
  title: string,
  options: ProgramOptions = {},
): string {
  const { cwd, timeoutMs = PROGRAM_MS } = options;
  const { error, status, signal, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: Math.max(1, Math.ceil(timeoutMs)),
    killSignal: 'SIGKILL',
    maxBuffer: MOST_BYTES,
    ...(cwd !== undefined && { cwd }),
  });
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ETIMEDOUT')
    throw problem(title, `it took too long and was killed; programs have ${PROGRAM_MS / 1000} s`);
  if (code === 'ENOBUFS') throw problem(title, `it printed more than ${MOST_BYTES} bytes and was killed`);
  if (error) throw problem(title, `it cannot be run: ${error.message}`, error);
  if (status === 0) return stdout;
  const how = signal === null ? `exit status ${status}` : signal;
  const said = stderr.trim().split('\n')[0] ?? '';
  throw problem(title, `it failed with ${how}${said === '' ? '' : `: ${shown(said)}`}`);
}
