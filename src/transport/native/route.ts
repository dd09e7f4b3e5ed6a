/**
 * How a host is reached: all that its label, the caller's options and its configuration come to, settled before anything
 * connects to it. Who makes routes is given; the transport only follows them.
 *
 * route    one host: where, as whom, through what
 * profile  what many hosts share: one object for all of them
 */
import type { Preferences } from '../../ssh/algorithms.ts';
import type { Credentials } from '../../ssh/client_auth.ts';
import type { HostKeyVerifier } from '../../ssh/host_key_policy.ts';
import type { SessionRequests } from '../../ssh/session_requests.ts';
import type { Family } from './addresses.ts';

export interface Profile {
  readonly hostKeys: HostKeyVerifier;
  /** Algorithms, most wanted first. */
  readonly preferences: Preferences;
  /** New keys after so long, in milliseconds. @default never by time */
  readonly rekeyMs?: number | undefined;
  /** RSA host keys with fewer bits are refused. @default 1024, below which no key is read */
  readonly requiredRsaBits?: number | undefined;
  /** Which addresses of a name. */
  readonly family: Family;
  /** Where connections come from; undefined: as the system chooses. */
  readonly bindAddress?: string | undefined;
  /** The deadline of the phase `connect`, in milliseconds; undefined: the run's. */
  readonly connectMs?: number | undefined;
  /** Tries for a TCP connection, a second apart. @default 1 */
  readonly connectionAttempts?: number | undefined;
  /** Without anything received for so long the peer is asked whether it is there; 0: never. @default 30000 */
  readonly keepaliveMs?: number | undefined;
  /** @default 3 */
  readonly keepaliveCount?: number | undefined;
  /** What each session asks for before its command: SendEnv, SetEnv, ForwardAgent, RequestTTY. @default nothing */
  readonly requests?: SessionRequests | undefined;
  /** The socket of the agent that the host may use; undefined: none. */
  readonly forwardAgent?: string | undefined;
  /** Bytes under one set of keys. @default those of RFC 4253 §9 */
  readonly rekeyBytes?: number | undefined;
}

export interface Route {
  /** `user@name:port`, as far as they were written: for messages. */
  readonly label: string;
  /** What is dialled: a name or a literal. */
  readonly name: string;
  readonly port: number;
  /** As whom, and with what. */
  readonly credentials: Credentials;
  /** Under what the host's keys are known: HostKeyAlias, else name and port. */
  readonly keyHost: { readonly name: string; readonly port: number };
  readonly profile: Profile;
  /** Jump hosts on the way, the nearest first; each without jump hosts of its own. */
  readonly via: readonly Route[];
  /** A program whose stdin and stdout are the way to the host, or to the first jump host. */
  readonly proxyCommand?: string | undefined;
}

/** One name for all that lead to the same account on the same machine. */
export function routeId({ name, port, credentials, via, proxyCommand }: Route): string {
  const before = via.map((hop) => `${routeId(hop)},`).join('');
  return `${before}${credentials.user}@${name}:${port}${proxyCommand === undefined ? '' : ` by ${proxyCommand}`}`;
}
