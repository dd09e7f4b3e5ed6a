/** The server's half of a key exchange. */

import { protocolError } from './errors.ts';
import {
  type Exchange,
  type ExchangeContext,
  type Exchanged,
  type ExchangeResult,
  type ExchangeStep,
  exchangeHash,
  type ServerKeys,
  serverKeys,
} from './exchange.ts';
import { chooseGroup, type Group, halvesOf } from './kex/groups.ts';
import type { DirectKex, GroupedKex, KexMethod, PoolKex } from './kex/method.ts';
import { MSG } from './messages.ts';
import { type Reader, Writer } from './wire.ts';

/** What the exchange hash takes apart from the host key. */
type Values = Omit<Exchanged, 'hostKeyBlob'>;

class Signer {
  readonly context: ExchangeContext;
  readonly #keys: ServerKeys;

  constructor(context: ExchangeContext, keys: ServerKeys) {
    this.context = context;
    this.#keys = keys;
  }

  /** Signs; the reply is a message of this type. */
  resultOf(method: KexMethod, values: Values, type: number): ExchangeResult {
    const { negotiated } = this.context;
    const hostKey = this.#keys.hostKeys.get(negotiated.hostKey);
    if (!hostKey) throw protocolError(`expected a host key for ${negotiated.hostKey}`);
    const digest = exchangeHash(this.context, method, false, { ...values, hostKeyBlob: hostKey.blob });
    const body = new Writer(512).string(hostKey.blob).string(values.serverValue).string(hostKey.sign(digest));
    return {
      hash: digest,
      reply: { type, body: body.view() },
      deriveKeys: serverKeys(this.context, method, values.secret, digest),
    };
  }
}

class DirectServerExchange implements Exchange {
  readonly #signer: Signer;
  readonly #method: DirectKex;

  constructor(signer: Signer, method: DirectKex) {
    this.#signer = signer;
    this.#method = method;
  }

  message(type: number, reader: Reader): ExchangeResult {
    if (type !== MSG.KEX_ECDH_INIT) throw protocolError(`expected KEX_ECDH_INIT, got message ${type}`);
    const clientValue = reader.string();
    const { reply: serverValue, secret } = this.#method.server(clientValue);
    return this.#signer.resultOf(this.#method, { clientValue, serverValue, secret }, MSG.KEX_ECDH_REPLY);
  }
}

class PoolServerExchange implements Exchange {
  readonly #signer: Signer;
  readonly #method: PoolKex;

  constructor(signer: Signer, method: PoolKex) {
    this.#signer = signer;
    this.#method = method;
  }

  async message(type: number, reader: Reader): Promise<ExchangeStep> {
    if (type !== MSG.KEX_ECDH_INIT) throw protocolError(`expected KEX_ECDH_INIT, got message ${type}`);
    const clientValue = Buffer.from(reader.string());
    const { reply: serverValue, secret } = await this.#method.server(clientValue);
    return this.#signer.resultOf(this.#method, { clientValue, serverValue, secret }, MSG.KEX_ECDH_REPLY);
  }
}

/** RFC 4419 §3: the client says which sizes it takes, we which group it is, and from then on it is as any other. */
class GroupedServerExchange implements Exchange {
  readonly #signer: Signer;
  readonly #method: GroupedKex;
  #group: Group | undefined;
  /** What the hash says of the group. */
  #hashed: Buffer = Buffer.alloc(0);

  constructor(signer: Signer, method: GroupedKex) {
    this.#signer = signer;
    this.#method = method;
  }

  async message(type: number, reader: Reader): Promise<ExchangeStep> {
    const group = this.#group;
    if (group === undefined) return this.#requestMessage(type, reader);
    if (type !== MSG.KEX_DH_GEX_INIT) throw protocolError(`expected KEX_DH_GEX_INIT, got message ${type}`);
    const clientValue = Buffer.from(reader.string());
    const { reply: serverValue, secret } = await halvesOf(group).server(clientValue);
    const values = { group: this.#hashed, clientValue, serverValue, secret };
    return this.#signer.resultOf(this.#method, values, MSG.KEX_DH_GEX_REPLY);
  }

  #requestMessage(type: number, reader: Reader): ExchangeStep {
    if (type !== MSG.KEX_DH_GEX_REQUEST) throw protocolError(`expected KEX_DH_GEX_REQUEST, got message ${type}`);
    const bounds = { least: reader.uint32(), wanted: reader.uint32(), most: reader.uint32() };
    const group = chooseGroup(bounds);
    this.#group = group;
    const body = new Writer(1024).string(group.prime).string(group.generator).view();
    this.#hashed = new Writer(1024).uint32(bounds.least).uint32(bounds.wanted).uint32(bounds.most).raw(body).view();
    return { type: MSG.KEX_DH_GEX_GROUP, body };
  }
}

export function serverExchange(context: ExchangeContext, keys: ServerKeys, method: KexMethod): Exchange {
  const signer = new Signer(context, keys);
  switch (method.kind) {
    case 'direct':
      return new DirectServerExchange(signer, method);
    case 'pool':
      return new PoolServerExchange(signer, method);
    case 'grouped':
      return new GroupedServerExchange(signer, method);
  }
}
