/**
 * How a task ended: a closed list. Every planned host ends in exactly one of these per round.
 *
 * A host's failure is data, never an exception; a connection failure is never disguised as an exit status, and a missing
 * exit status never as 0. `began` says whether the job may have run on the host: retry and resume repeat only `no`.
 */

/** Whether the job began on the host: `no`: the request to start it never left; `maybe`: it left, nothing came back. */
export type Began = 'no' | 'maybe' | 'yes';

/** The phases of a task that a deadline can end, in their order; `run` is the deadline of the whole run. */
export type Phase = 'dns' | 'connect' | 'handshake' | 'auth' | 'open' | 'command' | 'idle' | 'run';

/** What became of the remote process when we stopped waiting for it; `none`: there was none. */
export type RemoteFate = 'none' | 'killed' | 'left-running' | 'unknown';

/**
 * Why there was no usable connection. `throttled`: the peer hung up before its identification, as MaxStartups does ·
 * `jump`: the jump host before it could not be used · `proxy`: the ProxyCommand gave no way to it.
 */
export type UnreachableCause =
  | 'dns'
  | 'refused'
  | 'no-route'
  | 'reset'
  | 'local-limit'
  | 'throttled'
  | 'jump'
  | 'proxy';

/** What a server declined; `lock`: another run has it on that host, or there is no place there for it. */
export type RefusedWhat = 'algorithm' | 'service' | 'session' | 'exec' | 'subsystem' | 'forwarding' | 'lock';

/** `certificate`: signed by an authority that is known for the host, and still not good for it; `advice` says why. */
export type HostKeyCause = 'unknown' | 'changed' | 'revoked' | 'certificate';

export type LostCause = 'peer-closed' | 'reset' | 'crash';

/** Exit status accepted, probe answered, or nothing to change. `status` is null only where no status was asked for. */
export interface OkOutcome {
  readonly kind: 'ok';
  readonly began: 'yes';
  readonly status: number | null;
}

/** Any other exit status. */
export interface FailedOutcome {
  readonly kind: 'failed';
  readonly began: 'yes';
  readonly status: number;
}

/** sudo or doas did not let the command begin; `message` has their words. Never an exit status: the command has none. */
export interface NotPermittedOutcome {
  readonly kind: 'failed';
  readonly began: 'no';
  readonly status: null;
  readonly cause: 'sudo' | 'doas';
  readonly message: string;
}

/** A job of the caller's own said no; `message` has its words. Never an exit status: it has none. */
export interface SaidNoOutcome {
  readonly kind: 'failed';
  readonly began: 'yes';
  readonly status: null;
  readonly cause: 'job';
  readonly message: string;
}

/** Ended by a signal; `signal` without `SIG`, as RFC 4254 §6.10 writes it. */
export interface SignalledOutcome {
  readonly kind: 'signalled';
  readonly began: 'yes';
  readonly signal: string;
  readonly coreDumped: boolean;
}

/** The channel closed properly without an exit status, as network gear does. */
export interface NoStatusOutcome {
  readonly kind: 'no-status';
  readonly began: Began;
}

/** The server declined; `reason` carries its words and code, or both algorithm lists. */
export interface RefusedOutcome {
  readonly kind: 'refused';
  readonly began: 'no';
  readonly what: RefusedWhat;
  readonly reason: string;
}

/** A deadline passed. */
export interface TimeoutOutcome {
  readonly kind: 'timeout';
  readonly began: Began;
  readonly phase: Phase;
  readonly remote: RemoteFate;
}

/** No usable connection. `message` holds what was seen, the peer's text included. */
export interface UnreachableOutcome {
  readonly kind: 'unreachable';
  readonly began: 'no';
  readonly cause: UnreachableCause;
  readonly message: string;
}

/** `tried`: each method, with the key's fingerprint; `allowed`: what the server would still take. */
export interface AuthFailedOutcome {
  readonly kind: 'auth-failed';
  readonly began: 'no';
  readonly tried: readonly string[];
  readonly allowed: readonly string[];
}

/** The host key is not the one we know. `advice`: what to do about it, one line. */
export interface HostKeyOutcome {
  readonly kind: 'host-key';
  readonly began: 'no';
  readonly cause: HostKeyCause;
  readonly keyType: string;
  readonly fingerprint: string;
  readonly advice: string;
}

/** The peer broke RFC 4251–4254; `message` says what was expected. */
export interface ProtocolOutcome {
  readonly kind: 'protocol';
  readonly began: Began;
  readonly message: string;
}

/** What happened there is unknown: the connection ended after the job may have begun and before its status came. */
export interface LostOutcome {
  readonly kind: 'lost';
  readonly began: 'maybe' | 'yes';
  readonly cause: LostCause;
  readonly message: string;
}

/** Stopped by the user. */
export interface CancelledOutcome {
  readonly kind: 'cancelled';
  readonly began: Began;
  readonly remote: RemoteFate;
}

/** Already done in this run. */
export interface SkippedOutcome {
  readonly kind: 'skipped';
  readonly began: 'no';
}

/** The run stopped before it. */
export interface NotRunOutcome {
  readonly kind: 'not-run';
  readonly began: 'no';
}

/** A fault on our side. */
export interface ErrorOutcome {
  readonly kind: 'error';
  readonly began: Began;
  readonly code: string;
  readonly message: string;
}

export type Outcome =
  | OkOutcome
  | FailedOutcome
  | NotPermittedOutcome
  | SaidNoOutcome
  | SignalledOutcome
  | NoStatusOutcome
  | RefusedOutcome
  | TimeoutOutcome
  | UnreachableOutcome
  | AuthFailedOutcome
  | HostKeyOutcome
  | ProtocolOutcome
  | LostOutcome
  | CancelledOutcome
  | SkippedOutcome
  | NotRunOutcome
  | ErrorOutcome;

export type OutcomeKind = Outcome['kind'];

/** Every kind, in the order in which summaries print them. */
export const OUTCOME_KINDS: readonly OutcomeKind[] = [
  'ok',
  'failed',
  'signalled',
  'no-status',
  'refused',
  'timeout',
  'unreachable',
  'auth-failed',
  'host-key',
  'protocol',
  'lost',
  'cancelled',
  'skipped',
  'not-run',
  'error',
];

/**
 * The cause within the kind, short and closed enough to group by: `failed(1)`, `timeout(connect)`, `unreachable(reset)`.
 * Two outcomes with one label belong under one line of the summary.
 */
export function outcomeLabel(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'failed':
      return `failed(${outcome.status ?? outcome.cause})`;
    case 'signalled':
      return `signalled(${outcome.signal})`;
    case 'refused':
      return `refused(${outcome.what})`;
    case 'timeout':
      return `timeout(${outcome.phase})`;
    case 'unreachable':
    case 'host-key':
    case 'lost':
      return `${outcome.kind}(${outcome.cause})`;
    case 'error':
      return `error(${outcome.code})`;
    default:
      return outcome.kind;
  }
}

/** One sentence for a person: what happened, with the peer's words where there are any. */
export function outcomeMessage(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'ok':
      return 'ok';
    case 'failed':
      return outcome.status === null ? outcome.message : `exit status ${outcome.status}`;
    case 'signalled':
      return `killed by signal ${outcome.signal}${outcome.coreDumped ? ' (core dumped)' : ''}`;
    case 'no-status':
      return 'the server closed the channel without an exit status';
    case 'refused':
      return outcome.what === 'lock' ? outcome.reason : `${outcome.what} refused: ${outcome.reason}`;
    case 'timeout':
      return `timed out in phase ${outcome.phase}${fateText(outcome.remote)}`;
    case 'unreachable':
    case 'protocol':
    case 'lost':
      return outcome.message;
    case 'auth-failed':
      return `authentication failed; tried ${outcome.tried.join(', ') || 'nothing'}; the server takes ${outcome.allowed.join(', ') || 'no method'}`;
    case 'host-key':
      return `host ${outcome.cause === 'certificate' ? 'certificate refused' : `key ${outcome.cause}`} (${outcome.keyType} ${outcome.fingerprint}); ${outcome.advice}`;
    case 'cancelled':
      return `stopped by the user${fateText(outcome.remote)}`;
    case 'skipped':
      return 'already done in this run';
    case 'not-run':
      return 'the run stopped before it';
    case 'error':
      return outcome.message;
  }
}

function fateText(fate: RemoteFate): string {
  switch (fate) {
    case 'none':
      return '';
    case 'killed':
      return '; the remote process was killed';
    case 'left-running':
      return '; the remote process is still running';
    case 'unknown':
      return '; what became of the remote process is not known';
  }
}
