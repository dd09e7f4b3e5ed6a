/**
 * One key exchange: from both KEXINITs to the exchange hash and the keys derived from it. RFC 4253 §7–8, RFC 5656 §4. What is common
 * to its kinds and halves, which are in `exchange_client.ts` and `exchange_server.ts`.
 */
import { hash } from 'node:crypto';
import { keptRoom } from '../util/kept_bytes.ts';
import type { Negotiated } from './algorithms.ts';
import type { Arena } from './arena.ts';
import type { FillRandom, Opener, Sealer } from './cipher/packet.ts';
import { createOpener, createSealer } from './cipher.ts';
import type { KexMethod } from './kex/method.ts';
import { MSG } from './messages.ts';
import type { PublicKey } from './public_key.ts';
import type { Reader, Writer } from './wire.ts';

export interface ExchangeContext {
  readonly arena: Arena;
  readonly negotiated: Negotiated;
  readonly identifications: { readonly ours: string; readonly peers: string };
  /** `peers` is the whole payload; ours is type, cookie and tail. */
  readonly kexInits: { readonly cookie: Buffer; readonly tail: Buffer; readonly peers: Buffer };
}

/** The host key of the server half. */
export interface ServerKeys {
  /** By host key algorithm. */
  readonly hostKeys: ReadonlyMap<string, { readonly blob: Buffer; sign(data: Uint8Array): Buffer }>;
  /** Announced as server-sig-algs. */
  readonly userSignatures: readonly string[];
}

/** A message of ours in the middle of an exchange. */
export interface ExchangeMessage {
  readonly type: number;
  /** What follows the type. */
  readonly body: Buffer;
}

export interface ExchangeResult {
  readonly hash: Buffer;
  /** Client: the key that signed. */
  readonly hostKey?: PublicKey;
  /** Client: its signature over the hash, a copy. */
  readonly signature?: Buffer;
  /** Server: leaves before its NEWKEYS. */
  readonly reply?: ExchangeMessage;
  deriveKeys(sessionId: Buffer, fill: FillRandom): { sealer: Sealer; opener: Opener };
}

export type ExchangeStep = ExchangeMessage | ExchangeResult;

/** A promise is of work on the thread pool: until it resolves the peer's next message must wait. */
export interface Exchange {
  /** Client: our public value, which starts it, where it is there at once. */
  readonly init?: Buffer;
  /** Client: what starts it, where there is no `init`. */
  begin?(): Promise<ExchangeMessage>;
  /** Takes the peer's message; throws or rejects with `protocol`. */
  message(type: number, reader: Reader): ExchangeResult | Promise<ExchangeStep>;
}

/** What was exchanged: public values as they travelled. */
export interface Exchanged {
  readonly hostKeyBlob: Buffer;
  /** Of a grouped method: what RFC 4419 §3 hashes of the group, as it travelled. */
  readonly group?: Buffer;
  readonly clientValue: Buffer;
  readonly serverValue: Buffer;
  readonly secret: Buffer;
}

function writeSecret(writer: Writer, method: KexMethod, secret: Buffer): Writer {
  return method.secretAs === 'mpint' ? writer.mpint(secret) : writer.string(secret);
}

/** The digest in `room`: by way of latin1 it costs 0.5 µs, as a buffer of its own 1.4 and what another thread takes to free it. */
function digestIn(room: (count: number) => Buffer, hashName: KexMethod['hash'], bytes: Buffer): Buffer {
  const digest = hash(hashName, bytes, 'latin1');
  const buffer = room(digest.length);
  buffer.write(digest, 'latin1');
  return buffer;
}

/** H = hash(V_C, V_S, I_C, I_S, K_S, Q_C, Q_S, K), RFC 5656 §4. Kept: the first one is the connection's session id. */
export function exchangeHash(
  context: ExchangeContext,
  method: KexMethod,
  weAreClient: boolean,
  exchanged: Exchanged,
): Buffer {
  const { identifications, kexInits } = context;
  const { ours, peers } = identifications;
  const writer = context.arena.scratch.reset();
  const ourInit = () =>
    writer
      .uint32(17 + kexInits.tail.length)
      .byte(MSG.KEXINIT)
      .raw(kexInits.cookie)
      .raw(kexInits.tail);
  writer.text(weAreClient ? ours : peers).text(weAreClient ? peers : ours);
  if (weAreClient) {
    ourInit();
    writer.string(kexInits.peers);
  } else {
    writer.string(kexInits.peers);
    ourInit();
  }
  writer.string(exchanged.hostKeyBlob);
  if (exchanged.group !== undefined) writer.raw(exchanged.group);
  writer.string(exchanged.clientValue).string(exchanged.serverValue);
  return digestIn(keptRoom, method.hash, writeSecret(writer, method, exchanged.secret).view());
}

/** The six values of RFC 4253 §7.2, letters A to F. */
function deriveAll(
  { arena, negotiated }: ExchangeContext,
  method: KexMethod,
  secret: Buffer,
  digest: Buffer,
  sessionId: Buffer,
) {
  const writer = writeSecret(arena.scratch.reset(), method, secret).raw(digest);
  const letterAt = writer.length;
  const prefixLength = letterAt;
  writer.byte(0).raw(sessionId);
  const base = writer.length;
  const derive = (letter: string, length: number): Buffer => {
    writer.length = base;
    writer.buffer[letterAt] = letter.charCodeAt(0);
    let key = digestIn(Buffer.allocUnsafe, method.hash, writer.view());
    while (key.length < length) {
      writer.length = prefixLength;
      writer.raw(key);
      key = Buffer.concat([key, digestIn(Buffer.allocUnsafe, method.hash, writer.view())]);
      // The session id stood there: write it again for the next letter.
      writer.length = letterAt;
      writer.byte(0).raw(sessionId);
    }
    return key.subarray(0, length);
  };
  const { clientCipher, serverCipher, clientMac, serverMac } = negotiated;
  return {
    client: {
      cipher: clientCipher,
      mac: clientMac,
      iv: derive('A', clientCipher.ivLength),
      key: derive('C', clientCipher.keyLength),
      macKey: clientMac ? derive('E', clientMac.keyLength) : Buffer.alloc(0),
    },
    server: {
      cipher: serverCipher,
      mac: serverMac,
      iv: derive('B', serverCipher.ivLength),
      key: derive('D', serverCipher.keyLength),
      macKey: serverMac ? derive('F', serverMac.keyLength) : Buffer.alloc(0),
    },
  };
}

/** The keys of a client's two directions. */
export function clientKeys(
  context: ExchangeContext,
  method: KexMethod,
  secret: Buffer,
  digest: Buffer,
): ExchangeResult['deriveKeys'] {
  return (sessionId, fill) => {
    const keys = deriveAll(context, method, secret, digest, sessionId);
    return { sealer: createSealer(keys.client, fill), opener: createOpener(keys.server) };
  };
}

export function serverKeys(
  context: ExchangeContext,
  method: KexMethod,
  secret: Buffer,
  digest: Buffer,
): ExchangeResult['deriveKeys'] {
  return (sessionId, fill) => {
    const keys = deriveAll(context, method, secret, digest, sessionId);
    return { sealer: createSealer(keys.server, fill), opener: createOpener(keys.client) };
  };
}
