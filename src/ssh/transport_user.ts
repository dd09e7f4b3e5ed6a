/** What stands above the transport layer, and how it is set up. */
import type { Offer } from './algorithms.ts';
import type { SshError } from './errors.ts';
import type { ServerKeys } from './exchange.ts';
import type { PublicKey } from './public_key.ts';
import type { Reader } from './wire.ts';

/** The layer above. A promise from `identified` or `hostKey` holds all reading back until it settles. */
export interface TransportUser {
  /** The peer's identification, without `SSH-2.0-`. */
  identified(software: string): Promise<void> | undefined;
  /** Client only: the server proved to hold this key. Throw or reject to refuse it. */
  hostKey(key: PublicKey): Promise<void> | undefined;
  /** The first key exchange is done: services may be asked for. */
  secured(): void;
  /** Any message of a service. */
  message(type: number, reader: Reader): void;
  /** A rekey is over, or the stream has drained: data may leave again. */
  resumed(): void;
  /** Called once, last. */
  closed(error: SshError): void;
}

export interface TransportOptions {
  readonly offer: Offer;
  /** Server only. */
  readonly keys?: ServerKeys;
  /** A rekey starts after so many bytes in either direction. @default 1 GiB (RFC 4253 §9) */
  readonly rekeyBytes?: number;
}
