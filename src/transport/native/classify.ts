/** Turns what the SSH client and the resolver throw into outcomes: the only place that does. */
import { MyriadError } from '../../contracts/errors.ts';
import type { Began, Outcome, RefusedWhat, UnreachableCause } from '../../contracts/outcome.ts';
import { DISCONNECT, OPEN_FAILURE, SshError } from '../../ssh/errors.ts';
import { JumpError } from './jump.ts';
import { ResolveError } from './resolver.ts';

/** What connect(2) and friends say, as a cause. What is not listed is `no-route`: there was no way to the host. */
const CONNECT_CAUSES: Readonly<Record<string, UnreachableCause>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  EMFILE: 'local-limit',
  ENFILE: 'local-limit',
  ENOBUFS: 'local-limit',
  ENOMEM: 'local-limit',
  EAGAIN: 'local-limit',
  EADDRNOTAVAIL: 'local-limit',
  EADDRINUSE: 'local-limit',
};

export function classify(error: unknown, began: Began): Outcome {
  if (error instanceof ResolveError) return fromResolve(error);
  if (error instanceof JumpError) return unreachable('jump', error.message);
  if (error instanceof SshError) return fromSsh(error, began);
  if (error instanceof MyriadError) return { kind: 'error', began, code: error.code, message: error.message };
  const message = error instanceof Error ? error.message : String(error);
  return { kind: 'error', began, code: 'internal', message };
}

function fromResolve({ fault, message }: ResolveError): Outcome {
  // The name servers' own patience ended before our deadline did: the same thing, told by the same name.
  if (fault === 'silent') return { kind: 'timeout', began: 'no', phase: 'dns', remote: 'none' };
  return unreachable(fault === 'local-limit' ? 'local-limit' : 'dns', message);
}

function fromSsh(error: SshError, began: Began): Outcome {
  const { message, detail } = error;
  switch (error.reason) {
    case 'protocol':
      return { kind: 'protocol', began, message };
    case 'algorithm':
      return refused('algorithm', message);
    case 'host-key':
      return fromHostKey(error);
    case 'auth':
      return { kind: 'auth-failed', began: 'no', tried: detail.tried ?? [], allowed: detail.allowed ?? [] };
    case 'connect':
      return fromConnect(error);
    case 'banner-closed':
      return unreachable('throttled', message);
    case 'open-refused':
      return detail.channel === 'direct-tcpip' ? fromForward(error) : refused('session', message);
    case 'request-refused':
      return refused(detail.request === 'exec' ? 'exec' : 'subsystem', message);
    case 'disconnected':
      if (began === 'no') return fromDisconnect(error);
      return { kind: 'lost', began, cause: 'peer-closed', message };
    case 'closed':
      return began === 'no' ? unreachable('reset', message) : { kind: 'lost', began, cause: 'peer-closed', message };
    case 'reset':
      return began === 'no' ? unreachable('reset', message) : { kind: 'lost', began, cause: 'reset', message };
    case 'local':
    case 'stopped':
      // A password command that failed, say: the user's to mend, not ours.
      return {
        kind: 'error',
        began,
        code: error.cause instanceof MyriadError ? error.cause.code : 'internal',
        message,
      };
  }
}

function fromHostKey(error: SshError): Outcome {
  const { hostKey } = error.detail;
  if (!hostKey) return { kind: 'protocol', began: 'no', message: error.message };
  return { kind: 'host-key', began: 'no', ...hostKey };
}

function fromConnect(error: SshError): Outcome {
  if (error.detail.proxy) return unreachable('proxy', error.message);
  const code = (error.cause as NodeJS.ErrnoException | undefined)?.code ?? '';
  if (code === 'ETIMEDOUT') return { kind: 'timeout', began: 'no', phase: 'connect', remote: 'none' };
  return unreachable(CONNECT_CAUSES[code] ?? 'no-route', error.message);
}

/** What a jump host says of a target it could not reach; its words are all there is to go by. */
function fromForward({ message, detail }: SshError): Outcome {
  if (detail.code === OPEN_FAILURE.ADMINISTRATIVELY_PROHIBITED) return refused('forwarding', message);
  const said = `through the jump host: ${message}`;
  if (/timed out/i.test(message)) return { kind: 'timeout', began: 'no', phase: 'connect', remote: 'none' };
  if (/refused/i.test(message)) return unreachable('refused', said);
  if (/resolve|name or service|not known/i.test(message)) return unreachable('dns', said);
  return unreachable('no-route', said);
}

function fromDisconnect(error: SshError): Outcome {
  switch (error.detail.code) {
    case DISCONNECT.TOO_MANY_CONNECTIONS:
      return unreachable('throttled', error.message);
    case DISCONNECT.SERVICE_NOT_AVAILABLE:
      return refused('service', error.message);
    case DISCONNECT.KEY_EXCHANGE_FAILED:
      return refused('algorithm', error.message);
    case DISCONNECT.NO_MORE_AUTH_METHODS_AVAILABLE:
    case DISCONNECT.ILLEGAL_USER_NAME:
      return { kind: 'auth-failed', began: 'no', tried: [error.message], allowed: [] };
    default:
      return unreachable('reset', error.message);
  }
}

function refused(what: RefusedWhat, reason: string): Outcome {
  return { kind: 'refused', began: 'no', what, reason };
}

function unreachable(cause: UnreachableCause, message: string): Outcome {
  return { kind: 'unreachable', began: 'no', cause, message };
}
