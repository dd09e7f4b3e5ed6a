/** Where errors become messages and exit codes: the only place. */
import { escapeText } from '../output/escape.ts';

/** Codes of MyriadError that are not the caller's doing. */
const OURS: ReadonlySet<string> = new Set(['internal', 'closed']);

/** Prints one sentence on stderr, with `besides` at its end; 2 for what the user can mend, 130 when interrupted, 1 for what is ours. */
export function failure(error: unknown, besides = ''): number {
  const { code, message, stack } = error as { code?: string; message?: string; stack?: string };
  const known = isMyriadError(error);
  if (known && code !== undefined && !OURS.has(code)) {
    process.stderr.write(`myriad: ${escapeText((message ?? code) + besides)}\n`);
    return code === 'aborted' ? 130 : 2;
  }
  process.stderr.write(`myriad: internal error: ${known ? message : (stack ?? String(error))}\n`);
  return 1;
}

/** MyriadError or a class made of it, known by name: to import it would cost every start. */
function isMyriadError(error: unknown): boolean {
  for (let type = error; type instanceof Object; type = Object.getPrototypeOf(type)) {
    if (type.constructor.name === 'MyriadError') return true;
  }
  return false;
}

/**
 * Where the reader of stdout or stderr went away (`| head`) nothing is wrong. Where they cannot be written to (a full
 * disk) output is lost: the exit code is then 1 instead of 0.
 */
export function watchStreams(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') process.exitCode ||= 1;
    });
  }
}
