/** What can go wrong on an SSH connection: one class, discriminated by `reason`. It carries no host names: callers know. */
import type { HostKeyCause } from '../contracts/outcome.ts';

/** Disconnect reason codes, RFC 4253 §11.1. */
export const DISCONNECT = {
  HOST_NOT_ALLOWED_TO_CONNECT: 1,
  PROTOCOL_ERROR: 2,
  KEY_EXCHANGE_FAILED: 3,
  RESERVED: 4,
  MAC_ERROR: 5,
  COMPRESSION_ERROR: 6,
  SERVICE_NOT_AVAILABLE: 7,
  PROTOCOL_VERSION_NOT_SUPPORTED: 8,
  HOST_KEY_NOT_VERIFIABLE: 9,
  CONNECTION_LOST: 10,
  BY_APPLICATION: 11,
  TOO_MANY_CONNECTIONS: 12,
  AUTH_CANCELLED_BY_USER: 13,
  NO_MORE_AUTH_METHODS_AVAILABLE: 14,
  ILLEGAL_USER_NAME: 15,
} as const;

/** Channel open failure codes, RFC 4254 §5.1. */
export const OPEN_FAILURE = {
  ADMINISTRATIVELY_PROHIBITED: 1,
  CONNECT_FAILED: 2,
  UNKNOWN_CHANNEL_TYPE: 3,
  RESOURCE_SHORTAGE: 4,
} as const;

/**
 * `protocol`: the peer broke an RFC · `algorithm`: nothing in common · `host-key`: not verified · `auth`: refused ·
 * `disconnected`: the peer sent DISCONNECT · `closed`: the peer ended the connection · `reset`: it was cut ·
 * `connect`: no TCP connection (`cause` has the system's error) · `banner-closed`: ended before the identification ·
 * `open-refused`: a channel was refused · `request-refused`: a channel request was refused · `local`: a fault of ours ·
 * `stopped`: the caller's reason is in `cause`.
 */
export type SshErrorReason =
  | 'protocol'
  | 'algorithm'
  | 'host-key'
  | 'auth'
  | 'disconnected'
  | 'closed'
  | 'reset'
  | 'connect'
  | 'banner-closed'
  | 'open-refused'
  | 'request-refused'
  | 'local'
  | 'stopped';

/** What more is known, by reason. */
export interface SshErrorDetail {
  /** `disconnected`: RFC 4253 code; `open-refused`: RFC 4254 code. */
  readonly code?: number;
  /** `auth`: methods and keys tried. */
  readonly tried?: readonly string[];
  /** `auth`: methods that can continue. */
  readonly allowed?: readonly string[];
  /** `host-key`. */
  readonly hostKey?: {
    readonly cause: HostKeyCause;
    readonly keyType: string;
    readonly fingerprint: string;
    readonly advice: string;
  };
  /** `request-refused`: the request's name. */
  readonly request?: string;
  /** `open-refused`: the channel's type. @default session */
  readonly channel?: 'direct-tcpip';
  /** `connect`: it was a program that should have been the way. */
  readonly proxy?: boolean;
}

export class SshError extends Error {
  readonly reason: SshErrorReason;
  readonly detail: SshErrorDetail;

  constructor(reason: SshErrorReason, message: string, detail: SshErrorDetail = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SshError';
    this.reason = reason;
    this.detail = detail;
  }
}

/** The peer broke the protocol; `expected` is a sentence about what should have come. */
export function protocolError(expected: string): SshError {
  return new SshError('protocol', expected);
}

/** Anything thrown, as an SshError: what is none is a fault of ours. */
export function toSshError(error: unknown): SshError {
  if (error instanceof SshError) return error;
  return new SshError('local', error instanceof Error ? error.message : String(error), {}, { cause: error });
}

/** The peer said DISCONNECT. */
export function disconnectedError(code: number, text: string): SshError {
  const shown = printable(text.slice(0, 200));
  return new SshError('disconnected', `the peer disconnected: ${shown} (code ${code})`, { code });
}

/** The peer hung up without a word of SSH; `said`: what came instead of its identification, undefined after that. */
export function hangUpError(said: string | undefined, reset: boolean, cause: unknown): SshError {
  const options = cause === undefined ? undefined : { cause };
  if (said !== undefined) {
    const heard = said === '' ? 'without a word' : `saying "${said}"`;
    return new SshError('banner-closed', `the server hung up before its identification, ${heard}`, {}, options);
  }
  if (reset) return new SshError('reset', 'the connection was reset', {}, options);
  return new SshError('closed', 'the peer closed the connection', {}, options);
}

/** What DISCONNECT says for an error of ours. */
export function disconnectCode(error: SshError): number {
  switch (error.reason) {
    case 'protocol':
      return DISCONNECT.PROTOCOL_ERROR;
    case 'algorithm':
      return DISCONNECT.KEY_EXCHANGE_FAILED;
    case 'host-key':
      return DISCONNECT.HOST_KEY_NOT_VERIFIABLE;
    case 'auth':
      return DISCONNECT.NO_MORE_AUTH_METHODS_AVAILABLE;
    default:
      return DISCONNECT.BY_APPLICATION;
  }
}

/** A peer's words, safe to print. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ').trim();
}
