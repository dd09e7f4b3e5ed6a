/** What can go wrong around the ssh program: one class, discriminated by `reason`; `classify.ts` makes outcomes of it. */
import type { Heard } from './master_log.ts';

/**
 * `spawn`: the program did not start (`code` has the system's) · `connect`: a master ended before it was authenticated ·
 * `lost`: a master went down · `session`: the server gave no session · `exec`: it refused the command · `local`: the
 * program did not do what we know of it · `stopped`: the caller's reason is in `cause`.
 */
export type OpensshErrorReason = 'spawn' | 'connect' | 'lost' | 'session' | 'exec' | 'local' | 'stopped';

export interface OpensshErrorDetail {
  /** `spawn`: the system's code (`ENOENT`). */
  readonly code?: string;
  /** `connect`, `lost`: what the master said. */
  readonly heard?: Heard;
}

export class OpensshError extends Error {
  readonly reason: OpensshErrorReason;
  readonly detail: OpensshErrorDetail;

  constructor(reason: OpensshErrorReason, message: string, detail: OpensshErrorDetail = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = 'OpensshError';
    this.reason = reason;
    this.detail = detail;
  }
}

/** The ssh program did not start. */
export function spawnError(program: string, cause: unknown): OpensshError {
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : 'spawn';
  return new OpensshError('spawn', spawnMessage(JSON.stringify(program), code, cause), { code }, { cause });
}

function spawnMessage(program: string, code: string, cause: unknown): string {
  if (code === 'ENOENT') return `ssh program ${program} was not found: install OpenSSH's client, or give its path`;
  if (code === 'EACCES') return `ssh program ${program} may not be executed: check its permissions`;
  if (code === 'E2BIG') return `ssh program ${program} was not started: the command is too long for an argument`;
  return `ssh program ${program} was not started (${code}): ${cause instanceof Error ? cause.message : String(cause)}`;
}

/** The caller gave it up. */
export function stopped(reason: Error): OpensshError {
  return new OpensshError('stopped', reason.message, {}, { cause: reason });
}
