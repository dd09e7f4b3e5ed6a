/** One key exchange: from both KEXINITs to the exchange hash and the keys derived from it. RFC 4253 §7–8, RFC 5656 §4. */
import { hash } from 'node:crypto';
import type { Negotiated } from './algorithms.ts';
import type { Arena } from './arena.ts';
import { createOpener, createSealer, type FillRandom, type Opener, type Sealer } from './cipher.ts';
import { protocolError } from './errors.ts';
import { type KexMethod, kexMethod } from './kex.ts';
import { MSG } from './messages.ts';
import { checkSignature, type PublicKey } from './public_key.ts';
import { type Reader, Writer } from './wire.ts';

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

export interface ExchangeResult {
  readonly hash: Buffer;
  /** Client: the key that signed. */
  readonly hostKey?: PublicKey;
  /** Client: its signature over the hash, a copy. */
  readonly signature?: Buffer;
  /** Server: what follows the type in KEX_ECDH_REPLY. */
  readonly reply?: Buffer;
  deriveKeys(sessionId: Buffer, fill: FillRandom): { sealer: Sealer; opener: Opener };
}

export interface Exchange {
  /** Client: our public value, which starts it. */
  readonly init?: Buffer;
  /** Takes the peer's message; throws `protocol`. */
  message(type: number, reader: Reader): ExchangeResult;
}

/** `keys`: those of the server; undefined for a client. */
export function startExchange(context: ExchangeContext, keys: ServerKeys | undefined): Exchange {
  return keys === undefined ? new ClientExchange(context) : serverExchange(context, keys);
}

class ClientExchange implements Exchange {
  readonly init: Buffer;
  readonly #context: ExchangeContext;
  readonly #method: KexMethod;
  readonly #finish: (reply: Buffer) => Buffer;

  constructor(context: ExchangeContext) {
    this.#context = context;
    this.#method = kexMethod(context.negotiated.kex);
    const half = this.#method.client();
    this.init = half.init;
    this.#finish = half.finish;
  }

  message(type: number, reader: Reader): ExchangeResult {
    if (type !== MSG.KEX_ECDH_REPLY) throw protocolError(`expected KEX_ECDH_REPLY, got message ${type}`);
    const { arena, negotiated } = this.#context;
    const blob = reader.string();
    const serverValue = reader.string();
    const signature = reader.string();
    const secret = this.#finish(serverValue);
    const digest = exchangeHash(this.#context, this.#method.hash, true, blob, this.init, serverValue, secret);
    const hostKey = arena.publicKeys.get(blob);
    checkSignature(hostKey, negotiated.hostKey, digest, signature);
    return {
      hash: digest,
      hostKey,
      signature: Buffer.from(signature),
      deriveKeys: (sessionId, fill) => {
        const keys = deriveAll(this.#context, this.#method.hash, secret, digest, sessionId);
        return { sealer: createSealer(keys.client, fill), opener: createOpener(keys.server) };
      },
    };
  }
}

function serverExchange(context: ExchangeContext, keys: ServerKeys): Exchange {
  const { negotiated } = context;
  return {
    message(type, reader) {
      if (type !== MSG.KEX_ECDH_INIT) throw protocolError(`expected KEX_ECDH_INIT, got message ${type}`);
      const clientValue = reader.string();
      const method = kexMethod(negotiated.kex);
      const { reply: serverValue, secret } = method.server(clientValue);
      const hostKey = keys.hostKeys.get(negotiated.hostKey);
      if (!hostKey) throw protocolError(`expected a host key for ${negotiated.hostKey}`);
      const digest = exchangeHash(context, method.hash, false, hostKey.blob, clientValue, serverValue, secret);
      const reply = new Writer(512).string(hostKey.blob).string(serverValue).string(hostKey.sign(digest));
      return {
        hash: digest,
        reply: reply.view(),
        deriveKeys: (sessionId, fill) => {
          const derived = deriveAll(context, method.hash, secret, digest, sessionId);
          return { sealer: createSealer(derived.server, fill), opener: createOpener(derived.client) };
        },
      };
    },
  };
}

/** H = hash(V_C, V_S, I_C, I_S, K_S, Q_C, Q_S, K), RFC 5656 §4. */
function exchangeHash(
  context: ExchangeContext,
  algorithm: KexMethod['hash'],
  weAreClient: boolean,
  hostKeyBlob: Buffer,
  clientValue: Buffer,
  serverValue: Buffer,
  secret: Buffer,
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
  writer.string(hostKeyBlob).string(clientValue).string(serverValue).mpint(secret);
  return hash(algorithm, writer.view(), 'buffer');
}

/** The six values of RFC 4253 §7.2, letters A to F. */
function deriveAll(
  { arena, negotiated }: ExchangeContext,
  algorithm: KexMethod['hash'],
  secret: Buffer,
  digest: Buffer,
  sessionId: Buffer,
) {
  const writer = arena.scratch.reset().mpint(secret).raw(digest);
  const letterAt = writer.length;
  const prefixLength = letterAt;
  writer.byte(0).raw(sessionId);
  const base = writer.length;
  const derive = (letter: string, length: number): Buffer => {
    writer.length = base;
    writer.buffer[letterAt] = letter.charCodeAt(0);
    let key = hash(algorithm, writer.view(), 'buffer');
    while (key.length < length) {
      writer.length = prefixLength;
      writer.raw(key);
      key = Buffer.concat([key, hash(algorithm, writer.view(), 'buffer')]);
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
