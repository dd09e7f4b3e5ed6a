/** What can go wrong with an ssh-agent: one class, discriminated by `reason`, one sentence each, and never a byte of a key. */
import { fingerprintOf } from './public_key.ts';

/**
 * `unreachable`: nobody takes connections on the socket · `refused`: it answered that it will not · `timeout`: it was
 * silent for too long · `protocol`: it broke the agent protocol · `closed`: it hung up, or we did.
 */
export type AgentErrorReason = 'unreachable' | 'refused' | 'timeout' | 'protocol' | 'closed';

export class AgentError extends Error {
  readonly reason: AgentErrorReason;

  constructor(reason: AgentErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AgentError';
    this.reason = reason;
  }
}

function agentAt(socketPath: string): string {
  return `the SSH agent at ${JSON.stringify(socketPath)}`;
}

export function unreachable(socketPath: string, cause: NodeJS.ErrnoException | undefined): AgentError {
  const why = cause?.code ?? 'no socket is named';
  const advice = 'check that it runs and that SSH_AUTH_SOCK or IdentityAgent names its socket';
  return new AgentError('unreachable', `${agentAt(socketPath)} cannot be reached (${why}); ${advice}`, { cause });
}

/** `what`: what it would not do, after "refused to". */
export function refused(socketPath: string, what: string): AgentError {
  return new AgentError('refused', `${agentAt(socketPath)} refused to ${what}`);
}

/** The agent does not say why it does not sign, so the sentence names what it may be. */
export function refusedToSign(socketPath: string, plainBlob: Uint8Array): AgentError {
  const key = fingerprintOf(plainBlob);
  const why = 'it is locked, the key is gone, was not confirmed or touched, or is for other hosts only';
  return refused(socketPath, `sign with the key ${key}: ${why}`);
}

export function silent(socketPath: string, afterMs: number): AgentError {
  return new AgentError('timeout', `${agentAt(socketPath)} did not answer within ${afterMs / 1000} s`);
}

/** `found`: what is wrong, a clause. */
export function brokenProtocol(socketPath: string, found: string, cause?: unknown): AgentError {
  return new AgentError('protocol', `${agentAt(socketPath)} broke the agent protocol: ${found}`, { cause });
}

export function hungUp(socketPath: string, cause?: NodeJS.ErrnoException): AgentError {
  const why = cause?.code === undefined ? '' : ` (${cause.code})`;
  return new AgentError('closed', `${agentAt(socketPath)} closed the connection before it answered${why}`, { cause });
}

export function closedByUs(socketPath: string): AgentError {
  return new AgentError('closed', `the connections to ${agentAt(socketPath)} were closed on this side`);
}

export function overfull(socketPath: string, limit: string): AgentError {
  return new AgentError('refused', `${agentAt(socketPath)} is given no more requests: ${limit} wait for it already`);
}
