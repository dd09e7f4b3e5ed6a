/**
 * The SSH transport layer (RFC 4253), both halves: identification, key exchange, packets.
 *
 *   identification ──peer's line──▶ kexinit ──peer's KEXINIT──▶ exchange ──reply/init──▶ newkeys ──peer's NEWKEYS──▶ open
 *                                      ▲                                                                              │
 *                                      └──────────────────────── either side's KEXINIT (rekey) ───────────────────────┘
 *   any ──error, DISCONNECT, end──▶ closed
 *
 * kexinit    our KEXINIT is out, the peer's is not here
 * exchange   both are known; the client's public value is out, or what it says first. Work on the thread pool holds reading back
 * newkeys    our NEWKEYS is out: what leaves now is under the new keys
 *
 * The identification leaves at connect, KEXINIT as soon as the peer's identification is there. After NEWKEYS the user
 * may send at once (`secured`), so that SERVICE_REQUEST and the signed request leave in the same write.
 * While the state is kexinit or exchange again (rekey), what the user sends is queued: RFC 4253 §7.1 allows only
 * key exchange messages then.
 */
import type { Arena } from './arena.ts';
import type { ByteStream } from './byte_stream.ts';
import type { Opener } from './cipher/packet.ts';
import { disconnectCode, disconnectedError, hangUpError, protocolError, type SshError, toSshError } from './errors.ts';
import type { Exchange, ExchangeMessage, ExchangeResult, ExchangeStep } from './exchange.ts';
import { startExchange } from './exchange_start.ts';
import { readServerSigAlgs, writeServerSigAlgs } from './ext_info.ts';
import { IDENTIFICATION, IdentificationReader } from './identification.ts';
import { KexInits } from './kexinit.ts';
import { MSG } from './messages.ts';
import { PacketReader } from './packet_reader.ts';
import { MOST_HELD, PacketWriter } from './packet_writer.ts';
import type { TransportOptions, TransportUser } from './transport_user.ts';
import { Reader, type Writer } from './wire.ts';

export type TransportMode = 'identification' | 'kexinit' | 'exchange' | 'newkeys' | 'open' | 'closed';

/** Of bytes that wait while a promise holds reading back. */
const MOST_PENDING = 1024 * 1024;
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
  readonly #in = new PacketReader();
  readonly #out: PacketWriter;
  #nextOpener: Opener | undefined;
  #held = false;
  #later: (() => void)[] | undefined;
  #laterKept = false;
  #receiving = false;
  readonly #kexInits: KexInits;
  #exchange: Exchange | undefined;
  #ignoreNext = false;
  #initial = true;
  #sessionId: Buffer = NOTHING;
  #exchangeSignature: Buffer = NOTHING;
  #serverSigAlgs: string | undefined;

  constructor(stream: ByteStream, arena: Arena, options: TransportOptions, user: TransportUser) {
    this.#stream = stream;
    this.#out = new PacketWriter(stream);
    this.#arena = arena;
    this.#kexInits = new KexInits(options.offer, arena);
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

  /** Client only: the host key's signature over `sessionId`; empty until `secured`. */
  get exchangeSignature(): Buffer {
    return this.#exchangeSignature;
  }

  /** From EXT_INFO: signature algorithms that the server takes; undefined until it said so. */
  get serverSigAlgs(): readonly string[] | undefined {
    return this.#serverSigAlgs?.split(',');
  }

  /** Host key algorithms that the server offers; empty before its KEXINIT. */
  get serverHostKeys(): readonly string[] {
    return this.#kexInits.negotiated?.serverHostKeys ?? [];
  }

  /** The peer's software version, without `SSH-2.0-`. */
  get software(): string {
    return this.#peerIdentification.slice(this.#peerIdentification.indexOf('-', 4) + 1);
  }

  /** False during a rekey: only key exchange messages may leave. */
  get sendable(): boolean {
    return this.#mode === 'open' || this.#mode === 'newkeys';
  }

  /** Whether data may leave now; false: it should wait for `resumed`. Much that was sealed is written out for the answer. */
  room(): boolean {
    if (!this.sendable) return false;
    if (this.#out.due) this.#flushNow();
    return this.#out.room;
  }

  /** Sends the identification. */
  start(): void {
    this.#stream.write(Buffer.from(`${IDENTIFICATION}\r\n`, 'latin1'));
  }

  /** Takes bytes from the stream; keeps none of `chunk`. */
  receive(chunk: Buffer): void {
    if (this.#mode === 'closed') return;
    const bytes = this.#in.join(chunk);
    let offset = 0;
    this.#receiving = true;
    try {
      offset = this.#consume(bytes);
    } catch (error) {
      this.fail(error);
    }
    this.#receiving = false;
    if (this.mode === 'closed') return;
    this.#in.keep(bytes, offset);
    if (this.#held && this.#in.pending > MOST_PENDING) {
      this.fail(protocolError(`expected the peer to wait, got ${this.#in.pending} bytes`));
    }
    this.flush();
  }

  /** All that the stream took has left. */
  drained(): void {
    if (!this.#out.drained() || this.#mode === 'closed') return;
    this.#user.resumed();
    this.flush();
  }

  /** The peer ended (`reset` false) or cut (`reset` true) the connection. */
  ended(reset: boolean, cause?: unknown): void {
    if (this.#mode === 'closed') return;
    const said = this.#mode === 'identification' ? (this.#ident?.received ?? '') : undefined;
    this.#close(hangUpError(said, reset, cause));
  }

  /** Begins a packet: fill it and call `send` in the same turn. */
  packet(type: number): Writer {
    if (this.#later !== undefined && type !== MSG.DISCONNECT) this.#sendLater();
    const packet = this.#arena.packet;
    packet.length = 5;
    return packet.byte(type);
  }

  /**
   * Sends an answer that nobody waits for in the next turn, before anything else that leaves until then. It is not even
   * built where the connection ends first, which saves a packet and a write for every host that has done its work.
   */
  sendLater(build: () => void): void {
    if (this.#later === undefined) {
      this.#later = [];
      this.#laterKept = false;
      setImmediate(() => {
        if (this.#laterKept) return;
        this.#sendLater();
        this.flush();
      });
    }
    this.#later.push(build);
  }

  /** What `sendLater` has by now is sealed, and leaves in one write with the next packet: nothing of who asked for it is kept. */
  keepLater(): void {
    this.#sendLater();
    this.#out.rest();
    this.#laterKept = true;
  }

  #sendLater(): void {
    const builds = this.#later;
    this.#later = undefined;
    if (builds === undefined || this.#mode === 'closed') return;
    for (const build of builds) {
      build();
      this.send();
    }
  }

  /** Seals the packet begun last. It leaves with the next flush; outside of `receive` the caller flushes. */
  send(): void {
    if (this.#mode === 'closed') return;
    if (!this.sendable) {
      if (!this.#out.hold(this.#arena.packet)) {
        this.fail(protocolError(`expected the key exchange to end within ${MOST_HELD} bytes of messages`));
      }
      return;
    }
    this.#out.seal(this.#arena.packet);
    const bytes = this.#out.keyedBytes + this.#in.keyedBytes;
    const packets = this.#out.keyedPackets + this.#in.keyedPackets;
    if (bytes > this.#rekeyBytes || packets > MAX_PACKETS) this.rekey();
  }

  /** Starts a key exchange, if none is under way. */
  rekey(): void {
    if (this.#mode === 'open') this.#sendKexInit();
  }

  /** Writes out what was sealed, in one write. Inside of `receive` it waits for its end. */
  flush(): void {
    if (!this.#receiving) this.#flushNow();
  }

  #flushNow(): void {
    if (this.#out.flush()) return;
    // DISCONNECT would only wait behind the rest.
    this.#close(protocolError('expected the peer to read its answers'));
    this.#stream.destroy();
  }

  /** Says DISCONNECT with this code, and ends; `closed` is told of `error`. */
  disconnect(code: number, error: SshError): void {
    if (this.#mode === 'closed') return;
    if (this.#mode !== 'identification') {
      this.packet(MSG.DISCONNECT).uint32(code).text(error.message.slice(0, 200)).text('');
      // Even in the middle of a key exchange: DISCONNECT is allowed at any time.
      this.#out.seal(this.#arena.packet);
    }
    const written = this.#out.flush();
    this.#close(error);
    if (written) this.#stream.end();
    else this.#stream.destroy();
  }

  /** Ends the connection for an error of either side. */
  fail(error: unknown): void {
    const sshError = toSshError(error);
    this.disconnect(disconnectCode(sshError), sshError);
  }

  #close(error: SshError): void {
    this.#mode = 'closed';
    this.#in.drop();
    this.#out.drop();
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
        this.#peerIdentification = this.#ident!.identification;
        this.#ident = undefined;
        this.#hold(this.#user.identified(this.software), () => this.#sendKexInit());
        continue;
      }
      const size = this.#in.size(buffer, offset);
      if (size === 0) break;
      const opened = this.#in.open(buffer, offset, size);
      offset += size;
      this.#dispatch(opened.plain, opened.start, opened.end);
      // A connection at rest would keep it, until it has become old.
      opened.plain = NOTHING;
    }
    return offset;
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

  /** As `#hold`, with what it resolves to. */
  #holdFor<T>(promise: Promise<T>, next: (value: T) => void): void {
    let then = () => {};
    const known = promise.then((value) => {
      then = () => next(value);
    });
    this.#hold(known, () => then());
  }

  #sendKexInit(): void {
    this.#mode = 'kexinit';
    this.#kexInits.write(this.packet(MSG.KEXINIT));
    this.#out.seal(this.#arena.packet);
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
      this.#close(disconnectedError(reader.uint32(), reader.text()));
      this.#stream.end();
      return;
    }
    // Strict KEX: nothing but the exchange itself until the first NEWKEYS, or a man in the middle could drop messages.
    const strict = this.#initial && this.#kexInits.negotiated?.strict === true;
    if (strict) throw protocolError(`expected only key exchange messages under strict KEX, got message ${type}`);
    switch (type) {
      case MSG.IGNORE:
      case MSG.UNIMPLEMENTED:
      case MSG.DEBUG:
        return;
      case MSG.EXT_INFO:
        this.#serverSigAlgs = readServerSigAlgs(reader) ?? this.#serverSigAlgs;
        return;
      case MSG.SERVICE_REQUEST:
      case MSG.SERVICE_ACCEPT:
        if (this.#initial) throw protocolError('expected key exchange before any service');
        this.#user.message(type, reader);
        return;
      default:
        this.packet(MSG.UNIMPLEMENTED).uint32((this.#in.sequence - 1) >>> 0);
        this.send();
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
    const step = this.#exchange.message(type, reader);
    if (step instanceof Promise) this.#holdFor(step, (taken) => this.#kexStep(taken));
    else this.#kexStep(step);
  }

  #kexStep(step: ExchangeStep): void {
    if (!('deriveKeys' in step)) this.#sendKexMessage(step);
    else if (step.hostKey) this.#hold(this.#user.hostKey(step.hostKey), () => this.#exchanged(step));
    else this.#exchanged(step);
  }

  #sendKexMessage({ type, body }: ExchangeMessage): void {
    this.packet(type).raw(body);
    this.#out.seal(this.#arena.packet);
  }

  #peerKexInitMessage(reader: Reader): void {
    if (this.#mode === 'open') this.#sendKexInit();
    if (this.#mode !== 'kexinit') throw protocolError('unexpected KEXINIT');
    const negotiated = this.#kexInits.take(reader, (this.#in.sequence - 1) >>> 0);
    this.#ignoreNext = negotiated.ignoreGuess;
    this.#mode = 'exchange';
    const context = this.#kexInits.context(negotiated, this.#peerIdentification);
    this.#exchange = startExchange(context, this.#options.keys);
    if (this.#exchange.init === undefined) {
      const begun = this.#exchange.begin?.();
      if (begun !== undefined) this.#holdFor(begun, (message) => this.#sendKexMessage(message));
      return;
    }
    this.packet(MSG.KEX_ECDH_INIT).string(this.#exchange.init);
    this.#out.seal(this.#arena.packet);
  }

  /** The secret is shared: our NEWKEYS leaves, and all that follows it is under the new keys. */
  #exchanged(result: ExchangeResult): void {
    if (result.reply) this.#sendKexMessage(result.reply);
    if (this.#initial) {
      this.#sessionId = result.hash;
      this.#exchangeSignature = result.signature ?? NOTHING;
    }
    const keys = result.deriveKeys(this.#sessionId, this.#arena.fillRandom);
    this.#exchange = undefined;
    this.#kexInits.drop();
    this.packet(MSG.NEWKEYS);
    this.#out.seal(this.#arena.packet);
    this.#out.useKeys(keys.sealer, this.#kexInits.negotiated!.strict);
    this.#in.resetKeyed();
    this.#nextOpener = keys.opener;
    this.#mode = 'newkeys';
    if (this.#initial) {
      const { offer, keys: serverKeys } = this.#options;
      if (offer.role === 'client') this.#user.secured();
      else if (this.#kexInits.negotiated!.extInfo) {
        writeServerSigAlgs(this.packet(MSG.EXT_INFO), serverKeys!.userSignatures);
        this.#out.seal(this.#arena.packet);
      }
      return;
    }
    this.#out.sealHeld(this.#arena.packet);
    this.#user.resumed();
  }

  #peerNewKeys(): void {
    this.#in.useKeys(this.#nextOpener!, this.#kexInits.negotiated!.strict);
    this.#nextOpener = undefined;
    const first = this.#initial;
    this.#initial = false;
    this.#mode = 'open';
    if (first && this.#options.offer.role === 'server') this.#user.secured();
  }
}
