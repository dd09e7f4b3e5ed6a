/** The client's half of a key exchange. */

import { keptCopy } from '../util/kept_bytes.ts';
import { protocolError } from './errors.ts';
import {
  clientKeys,
  type Exchange,
  type ExchangeContext,
  type Exchanged,
  type ExchangeMessage,
  type ExchangeResult,
  type ExchangeStep,
  exchangeHash,
} from './exchange.ts';
import { checkGroup, GROUP_BOUNDS, type Group, halvesOf } from './kex/groups.ts';
import type { DirectKex, GroupedKex, KexMethod, PoolKex } from './kex/method.ts';
import { MSG } from './messages.ts';
import { checkSignature } from './public_key.ts';
import { type Reader, Writer } from './wire.ts';

/** Throws `protocol` where the signature does not hold. */
function resultOf(
  context: ExchangeContext,
  method: KexMethod,
  exchanged: Exchanged,
  signature: Buffer,
): ExchangeResult {
  const digest = exchangeHash(context, method, true, exchanged);
  const hostKey = context.arena.publicKeys.get(exchanged.hostKeyBlob);
  checkSignature(hostKey, context.negotiated.hostKey, digest, signature);
  return {
    hash: digest,
    hostKey,
    signature: keptCopy(signature),
    deriveKeys: clientKeys(context, method, exchanged.secret, digest),
  };
}

export class DirectClientExchange implements Exchange {
  readonly init: Buffer;
  readonly #context: ExchangeContext;
  readonly #method: DirectKex;
  readonly #finish: (reply: Buffer) => Buffer;

  constructor(context: ExchangeContext, method: DirectKex) {
    this.#context = context;
    this.#method = method;
    const half = method.client();
    this.init = half.init;
    this.#finish = half.finish;
  }

  message(type: number, reader: Reader): ExchangeResult {
    if (type !== MSG.KEX_ECDH_REPLY) throw protocolError(`expected KEX_ECDH_REPLY, got message ${type}`);
    const hostKeyBlob = reader.string();
    const serverValue = reader.string();
    const signature = reader.string();
    const secret = this.#finish(serverValue);
    const exchanged = { hostKeyBlob, clientValue: this.init, serverValue, secret };
    return resultOf(this.#context, this.#method, exchanged, signature);
  }
}

/** Our half while the server's answer is awaited. */
type Half = Awaited<ReturnType<PoolKex['client']>>;

/** The server's answer, of which copies outlive the packet, and the result. */
async function finished(
  context: ExchangeContext,
  method: KexMethod,
  half: Half,
  reader: Reader,
  group?: Buffer,
): Promise<ExchangeResult> {
  const hostKeyBlob = Buffer.from(reader.string());
  const serverValue = Buffer.from(reader.string());
  const signature = Buffer.from(reader.string());
  const secret = await half.finish(serverValue);
  const exchanged = { hostKeyBlob, clientValue: half.init, serverValue, secret, ...(group && { group }) };
  return resultOf(context, method, exchanged, signature);
}

export class PoolClientExchange implements Exchange {
  readonly #context: ExchangeContext;
  readonly #method: PoolKex;
  #half: Half | undefined;

  constructor(context: ExchangeContext, method: PoolKex) {
    this.#context = context;
    this.#method = method;
  }

  async begin(): Promise<ExchangeMessage> {
    this.#half = await this.#method.client();
    const { init } = this.#half;
    return { type: MSG.KEX_ECDH_INIT, body: new Writer(init.length + 4).string(init).view() };
  }

  async message(type: number, reader: Reader): Promise<ExchangeStep> {
    const half = this.#half;
    if (type !== MSG.KEX_ECDH_REPLY || half === undefined) {
      throw protocolError(`expected KEX_ECDH_REPLY, got message ${type}`);
    }
    this.#half = undefined;
    return finished(this.#context, this.#method, half, reader);
  }
}

/**
 * RFC 4419 §3:  begin ──GEX_REQUEST──▶ asked ──GEX_GROUP──▶ agreeing ──GEX_REPLY──▶ done
 *
 * asked      we said which sizes we take
 * agreeing   the server's group passed, and our public value in it is out
 */
export class GroupedClientExchange implements Exchange {
  readonly #context: ExchangeContext;
  readonly #method: GroupedKex;
  #mode: 'asked' | 'agreeing' | 'done' = 'asked';
  #half: Half | undefined;
  /** What the hash says of the group. */
  #group: Buffer = Buffer.alloc(0);

  constructor(context: ExchangeContext, method: GroupedKex) {
    this.#context = context;
    this.#method = method;
  }

  async begin(): Promise<ExchangeMessage> {
    const { least, wanted, most } = GROUP_BOUNDS;
    const body = new Writer(12).uint32(least).uint32(wanted).uint32(most).view();
    return { type: MSG.KEX_DH_GEX_REQUEST, body };
  }

  async message(type: number, reader: Reader): Promise<ExchangeStep> {
    if (this.#mode === 'asked' && type === MSG.KEX_DH_GEX_GROUP) return this.#groupMessage(reader);
    if (this.#mode === 'agreeing' && type === MSG.KEX_DH_GEX_REPLY) return this.#replyMessage(reader);
    const wanted = this.#mode === 'asked' ? 'KEX_DH_GEX_GROUP' : 'KEX_DH_GEX_REPLY';
    throw protocolError(`expected ${wanted}, got message ${type}`);
  }

  async #groupMessage(reader: Reader): Promise<ExchangeMessage> {
    const group: Group = { prime: Buffer.from(reader.string()), generator: Buffer.from(reader.string()) };
    checkGroup(group, GROUP_BOUNDS);
    const { least, wanted, most } = GROUP_BOUNDS;
    this.#group = new Writer(1024)
      .uint32(least)
      .uint32(wanted)
      .uint32(most)
      .string(group.prime)
      .string(group.generator)
      .view();
    this.#half = await halvesOf(group).client();
    this.#mode = 'agreeing';
    const { init } = this.#half;
    return { type: MSG.KEX_DH_GEX_INIT, body: new Writer(init.length + 4).string(init).view() };
  }

  async #replyMessage(reader: Reader): Promise<ExchangeResult> {
    const half = this.#half!;
    this.#mode = 'done';
    return finished(this.#context, this.#method, half, reader, this.#group);
  }
}
