/**
 * The SSH transport layer (RFC 4253), both halves: identification, key exchange, packets.
 *
 *   identification ──peer's line──▶ kexinit ──peer's KEXINIT──▶ exchange ──reply/init──▶ newkeys ──peer's NEWKEYS──▶ open
 *                                      ▲                                                                              │
 *                                      └──────────────────────── either side's KEXINIT (rekey) ───────────────────────┘
 *   any ──error, DISCONNECT, end──▶ closed
 *
 * kexinit    our KEXINIT is out, the peer's is not here
 * exchange   both are known; the client's public value is out
 * newkeys    our NEWKEYS is out: what leaves now is under the new keys
 *
 * The identification leaves at connect, KEXINIT as soon as the peer's identification is there. After NEWKEYS the user
 * may send at once (`secured`), so that SERVICE_REQUEST and the signed request leave in the same write.
 * While the state is kexinit or exchange again (rekey), what the user sends is queued: RFC 4253 §7.1 allows only
 * key exchange messages then.
 */
import type { Negotiated, Offer } from './algorithms.ts';
import type { Arena } from './arena.ts';
import { type Opener, PlainCipher, type Sealer } from './cipher.ts';
import { DISCONNECT, protocolError, SshError } from './errors.ts';
import { ClientExchange, type Exchange, type ExchangeResult, type ServerKeys, serverExchange } from './exchange.ts';
import { IDENTIFICATION, IdentificationReader } from './identification.ts';
import { MSG } from './messages.ts';
import type { PublicKey } from './public_key.ts';
import { Reader, Writer } from './wire.ts';

export type TransportMode = 'identification' | 'kexinit' | 'exchange' | 'newkeys' | 'open' | 'closed';

/** The socket, as far as this layer needs it. */
export interface ByteStream {
  /** Takes the bytes; never throws. */
  write(bytes: Buffer): void;
  /** Drops the connection after what was written. */
  end(): void;
}

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
  /** A rekey is over: data may leave again. */
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

/** Of queued packets during a rekey, and of bytes that wait while a promise holds reading back. */
const MAX_HELD = 1024 * 1024;
/** After a flush larger than this the outgoing buffer is given back. */
const KEEP_OUT = 64 * 1024;
/** RFC 4253 §9: packets before a rekey; sequence numbers must never repeat under one key. */
const MAX_PACKETS = 2 ** 31;
const NOTHING = Buffer.alloc(0);

export class TransportLayer {
  readonly #arena: Arena;
  readonly #stream: ByteStream;
  readonly #user: TransportUser;
  readonly #options: TransportOptions;
  readonly #rekeyBytes: number;
  #mode: TransportMode = 'identification';
  #ident: IdentificationReader | undefined = new IdentificationReader();
  #peerIdentification = '';
  #software = '';
  #sealer: Sealer = new PlainCipher();
  #opener: Opener = new PlainCipher();
  #nextOpener: Opener | undefined;
  #sent = 0;
  #received = 0;
  /** Bytes and packets under the current keys. */
  #keyedBytes = 0;
  #keyedPackets = 0;
  #pending: Buffer = NOTHING;
  #held = false;
  #later: (() => void)[] = [];
  #receiving = false;
  #out: Writer | undefined;
  #cookie: Buffer = NOTHING;
  #peerKexInit: Buffer = NOTHING;
  #negotiated: Negotiated | undefined;
  #exchange: Exchange | undefined;
  #ignoreNext = false;
  #initial = true;
  #queue: Buffer[] = [];
  #queued = 0;
  #sessionId: Buffer = NOTHING;
  #serverSigAlgs: string | undefined;

  constructor(stream: ByteStream, arena: Arena, options: TransportOptions, user: TransportUser) {
    this.#stream = stream;
    this.#arena = arena;
    this.#options = options;
    this.#user = user;
    this.#rekeyBytes = options.rekeyBytes ?? 2 ** 30;
  }

  get mode(): TransportMode {
    return this.#mode;
  }

  /** The first exchange hash; empty until `secured`. */
  get sessionId(): Buffer {
    return this.#sessionId;
  }

  /** From EXT_INFO: signature algorithms that the server takes; undefined until it said so. */
  get serverSigAlgs(): readonly string[] | undefined {
    return this.#serverSigAlgs?.split(',');
  }

  /** The peer's software version, without `SSH-2.0-`. */
  get software(): string {
    return this.#software;
  }

  /** False during a rekey: data should wait for `resumed`. */
  get sendable(): boolean {
    return this.#mode === 'open' || this.#mode === 'newkeys';
  }

  /** Sends the identification. */
  start(): void {
    this.#stream.write(Buffer.from(`${IDENTIFICATION}\r\n`, 'latin1'));
  }

  /** Takes bytes from the socket; keeps none of `chunk`. */
  receive(chunk: Buffer): void {
    if (this.#mode === 'closed') return;
    const buffer = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    this.#pending = NOTHING;
    let offset = 0;
    this.#receiving = true;
    try {
      offset = this.#consume(buffer);
    } catch (error) {
      this.fail(error);
    }
    this.#receiving = false;
    if (this.mode === 'closed') return;
    if (offset < buffer.length) {
      if (this.#held && buffer.length - offset > MAX_HELD) {
        this.fail(protocolError(`expected the peer to wait, got ${buffer.length - offset} bytes`));
        return;
      }
      this.#pending = Buffer.from(buffer.subarray(offset));
    }
    this.flush();
  }

  /** The peer ended (`reset` false) or cut (`reset` true) the connection. */
  ended(reset: boolean, cause?: unknown): void {
    if (this.#mode === 'closed') return;
    const options = cause === undefined ? undefined : { cause };
    if (this.#mode === 'identification') {
      const text = this.#ident?.received ?? '';
      const said = text === '' ? 'without a word' : `saying "${text}"`;
      this.#close(new SshError('banner-closed', `the server hung up before its identification, ${said}`, {}, options));
    } else if (reset) {
      this.#close(new SshError('reset', 'the connection was reset', {}, options));
    } else {
      this.#close(new SshError('closed', 'the peer closed the connection', {}, options));
    }
  }

  /** Begins a packet: fill it and call `send` in the same turn. */
  packet(type: number): Writer {
    if (this.#later.length > 0 && type !== MSG.DISCONNECT) this.#sendLater();
    const packet = this.#arena.packet;
    packet.length = 5;
    return packet.byte(type);
  }

  /**
   * Sends an answer that nobody waits for in the next turn, before anything else that leaves until then. It is not even
   * built where the connection ends first, which saves a packet and a write for every host that has done its work.
   */
  sendLater(build: () => void): void {
    const first = this.#later.length === 0;
    this.#later.push(build);
    if (!first) return;
    setImmediate(() => {
      this.#sendLater();
      this.flush();
    });
  }

  #sendLater(): void {
    const builds = this.#later;
    this.#later = [];
    if (this.#mode === 'closed') return;
    for (const build of builds) {
      build();
      this.send();
    }
  }

  /** Seals the packet begun last. It leaves with the next flush; outside of `receive` the caller flushes. */
  send(): void {
    if (this.#mode === 'closed') return;
    const packet = this.#arena.packet;
    if (!this.sendable) {
      if (this.#queued + packet.length > MAX_HELD) {
        this.fail(protocolError(`expected the key exchange to end within ${MAX_HELD} bytes of messages`));
        return;
      }
      this.#queued += packet.length;
      this.#queue.push(Buffer.from(packet.buffer.subarray(5, packet.length)));
      return;
    }
    this.#seal();
    if (this.#keyedBytes > this.#rekeyBytes || this.#keyedPackets > MAX_PACKETS) this.rekey();
  }

  /** Starts a key exchange, if none is under way. */
  rekey(): void {
    if (this.#mode === 'open') this.#sendKexInit();
  }

  /** Writes out what was sealed, in one write. Inside of `receive` it waits for its end. */
  flush(): void {
    const out = this.#out;
    if (this.#receiving || out === undefined || out.length === 0) return;
    this.#stream.write(out.copy());
    if (out.buffer.length > KEEP_OUT) this.#out = undefined;
    else out.reset();
  }

  /** Says DISCONNECT with this code, and ends; `closed` is told of `error`. */
  disconnect(code: number, error: SshError): void {
    if (this.#mode === 'closed') return;
    if (this.#mode !== 'identification') {
      this.packet(MSG.DISCONNECT).uint32(code).text(error.message.slice(0, 200)).text('');
      // Even in the middle of a key exchange: DISCONNECT is allowed at any time.
      this.#seal();
    }
    this.#receiving = false;
    this.flush();
    this.#close(error);
    this.#stream.end();
  }

  /** Ends the connection for an error of either side. */
  fail(error: unknown): void {
    const sshError = error instanceof SshError ? error : new SshError('local', messageOf(error), {}, { cause: error });
    this.disconnect(disconnectCode(sshError), sshError);
  }

  #close(error: SshError): void {
    this.#mode = 'closed';
    this.#pending = NOTHING;
    this.#queue = [];
    this.#exchange = undefined;
    this.#user.closed(error);
  }

  /** Handles all whole packets; returns the offset of the first byte not used. */
  #consume(buffer: Buffer): number {
    let offset = 0;
    while (!this.#held && offset < buffer.length && this.mode !== 'closed') {
      if (this.#mode === 'identification') {
        const next = this.#ident!.read(buffer, offset, this.#options.offer.role === 'server');
        if (next < 0) return buffer.length;
        offset = next;
        this.#identified(this.#ident!.identification);
        continue;
      }
      const available = buffer.length - offset;
      const size = this.#opener.size(buffer, offset, available);
      if (size === 0 || size > available) break;
      const { plain, start, end } = this.#opener.open(buffer, offset, size, this.#received);
      this.#received = (this.#received + 1) >>> 0;
      this.#keyedBytes += size;
      this.#keyedPackets++;
      offset += size;
      this.#dispatch(plain, start, end);
    }
    return offset;
  }

  #identified(line: string): void {
    this.#peerIdentification = line;
    this.#software = line.slice(line.indexOf('-', 4) + 1);
    this.#ident = undefined;
    this.#hold(this.#user.identified(this.software), () => this.#sendKexInit());
  }

  /** Goes on with `next` now, or, where there is a promise, when it resolves; until then nothing is read. */
  #hold(promise: Promise<void> | undefined, next: () => void): void {
    if (promise === undefined) {
      next();
      return;
    }
    this.#held = true;
    promise.then(
      () => {
        this.#held = false;
        if (this.#mode === 'closed') return;
        try {
          next();
        } catch (error) {
          this.fail(error);
        }
        this.receive(NOTHING);
      },
      (error) => {
        this.#held = false;
        this.fail(error);
      },
    );
  }

  #sendKexInit(): void {
    this.#mode = 'kexinit';
    this.#cookie = Buffer.allocUnsafe(16);
    this.#arena.fillRandom(this.#cookie, 0, 16);
    this.packet(MSG.KEXINIT).raw(this.#cookie).raw(this.#options.offer.tail);
    this.#seal();
    this.flush();
  }

  #dispatch(plain: Buffer, start: number, end: number): void {
    const type = plain[start]!;
    const reader = new Reader(plain, start + 1, end);
    if (type >= 50) {
      if (this.#initial || (this.#mode !== 'open' && this.#mode !== 'kexinit')) {
        throw protocolError(`expected only key exchange messages, got message ${type}`);
      }
      this.#user.message(type, reader);
      return;
    }
    if (type >= 20) this.#kexMessage(type, reader);
    else this.#transportMessage(type, reader);
  }

  #transportMessage(type: number, reader: Reader): void {
    if (type === MSG.DISCONNECT) {
      const code = reader.uint32();
      const text = reader.text().slice(0, 200);
      this.#close(new SshError('disconnected', `the peer disconnected: ${printable(text)} (code ${code})`, { code }));
      this.#stream.end();
      return;
    }
    // Strict KEX: nothing but the exchange itself until the first NEWKEYS, or a man in the middle could drop messages.
    const strict = this.#initial && this.#negotiated?.strict === true;
    if (strict) throw protocolError(`expected only key exchange messages under strict KEX, got message ${type}`);
    switch (type) {
      case MSG.IGNORE:
      case MSG.UNIMPLEMENTED:
      case MSG.DEBUG:
        return;
      case MSG.EXT_INFO:
        this.#extInfo(reader);
        return;
      case MSG.SERVICE_REQUEST:
      case MSG.SERVICE_ACCEPT:
        if (this.#initial) throw protocolError('expected key exchange before any service');
        this.#user.message(type, reader);
        return;
      default:
        this.#unimplemented();
    }
  }

  #unimplemented(): void {
    this.packet(MSG.UNIMPLEMENTED).uint32((this.#received - 1) >>> 0);
    this.send();
  }

  #extInfo(reader: Reader): void {
    const count = reader.uint32();
    if (count > 64) throw protocolError(`expected at most 64 extensions, got ${count}`);
    for (let i = 0; i < count; i++) {
      const name = reader.text();
      const value = reader.string();
      if (name === 'server-sig-algs') this.#serverSigAlgs = value.toString('latin1');
    }
  }

  #kexMessage(type: number, reader: Reader): void {
    if (type === MSG.KEXINIT) {
      this.#peerKexInitMessage(reader);
      return;
    }
    if (this.#ignoreNext) {
      this.#ignoreNext = false;
      return;
    }
    if (type === MSG.NEWKEYS && this.#mode === 'newkeys') {
      this.#peerNewKeys();
      return;
    }
    if (this.#mode !== 'exchange' || !this.#exchange) throw protocolError(`unexpected key exchange message ${type}`);
    const result = this.#exchange.message(type, reader);
    if (result.hostKey) this.#hold(this.#user.hostKey(result.hostKey), () => this.#exchanged(result));
    else this.#exchanged(result);
  }

  #peerKexInitMessage(reader: Reader): void {
    if (this.#mode === 'open') this.#sendKexInit();
    if (this.#mode !== 'kexinit') throw protocolError('unexpected KEXINIT');
    this.#peerKexInit = Buffer.from(reader.bytes.subarray(reader.offset - 1, reader.end));
    const negotiated = this.#options.offer.negotiate(this.#peerKexInit.subarray(17));
    // Strict KEX (initial exchange only) wants KEXINIT to be the very first packet.
    if (this.#initial && negotiated.strict && this.#received !== 1) {
      throw protocolError('expected KEXINIT as the first packet under strict KEX');
    }
    // Marks count in the first KEXINIT only.
    this.#negotiated = this.#initial ? negotiated : { ...negotiated, strict: this.#negotiated!.strict };
    this.#ignoreNext = negotiated.ignoreGuess;
    this.#mode = 'exchange';
    const { role, tail } = this.#options.offer;
    const context = {
      arena: this.#arena,
      negotiated,
      identifications: { ours: IDENTIFICATION, peers: this.#peerIdentification },
      kexInits: { cookie: this.#cookie, tail, peers: this.#peerKexInit },
    };
    if (role === 'client') {
      const exchange = new ClientExchange(context);
      this.packet(MSG.KEX_ECDH_INIT).string(exchange.init);
      this.#seal();
      this.#exchange = exchange;
    } else {
      this.#exchange = serverExchange(context, this.#options.keys!);
    }
  }

  /** The secret is shared: our NEWKEYS leaves, and all that follows it is under the new keys. */
  #exchanged(result: ExchangeResult): void {
    if (result.reply) {
      this.packet(MSG.KEX_ECDH_REPLY).raw(result.reply);
      this.#seal();
    }
    if (this.#initial) this.#sessionId = result.hash;
    const keys = result.deriveKeys(this.#sessionId, this.#arena.fillRandom);
    this.#exchange = undefined;
    this.#peerKexInit = NOTHING;
    this.packet(MSG.NEWKEYS);
    this.#seal();
    this.#sealer = keys.sealer;
    this.#nextOpener = keys.opener;
    if (this.#negotiated!.strict) this.#sent = 0;
    this.#mode = 'newkeys';
    this.#keyedBytes = 0;
    this.#keyedPackets = 0;
    if (this.#initial) {
      if (this.#options.offer.role === 'server') this.#sendExtInfo();
      else this.#user.secured();
      return;
    }
    this.#sendQueued();
    this.#user.resumed();
  }

  #sendExtInfo(): void {
    if (!this.#negotiated!.extInfo) return;
    this.packet(MSG.EXT_INFO).uint32(1).text('server-sig-algs').text(this.#options.keys!.userSignatures.join(','));
    this.#seal();
  }

  #sendQueued(): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#queued = 0;
    for (const payload of queue) {
      const packet = this.#arena.packet;
      packet.length = 5;
      packet.raw(payload);
      this.#seal();
    }
  }

  #peerNewKeys(): void {
    this.#opener = this.#nextOpener!;
    this.#nextOpener = undefined;
    if (this.#negotiated!.strict) this.#received = 0;
    const first = this.#initial;
    this.#initial = false;
    this.#mode = 'open';
    if (first && this.#options.offer.role === 'server') this.#user.secured();
  }

  #seal(): void {
    this.#out ??= new Writer(1024);
    const before = this.#out.length;
    this.#sealer.seal(this.#arena.packet, this.#sent, this.#out);
    this.#sent = (this.#sent + 1) >>> 0;
    this.#keyedBytes += this.#out.length - before;
    this.#keyedPackets++;
  }
}

function disconnectCode(error: SshError): number {
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A peer's words, safe to print. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ').trim();
}
