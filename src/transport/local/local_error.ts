/** What can go wrong with a program here, and the outcome it makes. */
import type { Began, Outcome } from '../../contracts/outcome.ts';

/** `code`: the system's (`ENOENT`), or `stopped`, where the process was given up by us. */
export class LocalError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LocalError';
    this.code = code;
  }
}

/** Errors that say that this machine is full, not that the program is wrong. */
const FULL: ReadonlySet<string> = new Set(['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM']);

/** The error of a program that did not start. */
export function spawnError(program: string, cause: unknown): LocalError {
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : 'spawn';
  return new LocalError(code, spawnMessage(JSON.stringify(program), code, cause), { cause });
}

function spawnMessage(program: string, code: string, cause: unknown): string {
  if (code === 'ENOENT') return `program ${program} was not found: give its path, or see that PATH names its folder`;
  if (code === 'EACCES')
    return `program ${program} may not be executed: check its permissions and those of its folders`;
  if (code === 'E2BIG') return `program ${program} was not started: its arguments are too long`;
  if (FULL.has(code))
    return `program ${program} was not started: this machine is at a limit (${code}): lower the fanout`;
  return `program ${program} was not started: ${cause instanceof Error ? cause.message : String(cause)}`;
}

/** A program that did not start has not begun; whatever else comes is a fault of ours. */
export function classifyLocal(error: unknown, began: Began): Outcome {
  if (!(error instanceof LocalError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { kind: 'error', began, code: 'internal', message };
  }
  const { code, message } = error;
  if (code === 'stopped') return { kind: 'error', began, code, message };
  if (FULL.has(code)) return { kind: 'unreachable', began: 'no', cause: 'local-limit', message };
  return { kind: 'error', began: 'no', code, message };
}
