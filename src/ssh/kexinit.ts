/** The KEXINITs of the key exchange under way, ours and the peer's, and what was negotiated by them (RFC 4253 §7.1). */
import type { Negotiated, Offer } from './algorithms.ts';
import type { Arena } from './arena.ts';
import { protocolError } from './errors.ts';
import type { ExchangeContext } from './exchange.ts';
import { IDENTIFICATION } from './identification.ts';
import type { Reader, Writer } from './wire.ts';

const NOTHING = Buffer.alloc(0);

export class KexInits {
  readonly #offer: Offer;
  readonly #arena: Arena;
  #cookie: Buffer = NOTHING;
  #peers: Buffer = NOTHING;
  #negotiated: Negotiated | undefined;

  constructor(offer: Offer, arena: Arena) {
    this.#offer = offer;
    this.#arena = arena;
  }

  /** Undefined before the peer's first KEXINIT; from then on `strict` is what that one made of it. */
  get negotiated(): Negotiated | undefined {
    return this.#negotiated;
  }

  /** Fills in ours, with a cookie of its own. */
  write(packet: Writer): void {
    this.#cookie = Buffer.allocUnsafe(16);
    this.#arena.fillRandom(this.#cookie, 0, 16);
    packet.raw(this.#cookie).raw(this.#offer.tail);
  }

  /** Takes the peer's, which came as packet number `sequence` + 1. Throws `protocol`, `algorithm`. */
  take(reader: Reader, sequence: number): Negotiated {
    this.#peers = Buffer.from(reader.bytes.subarray(reader.offset - 1, reader.end));
    const negotiated = this.#offer.negotiate(this.#peers.subarray(17));
    const first = this.#negotiated;
    // Strict KEX (initial exchange only) wants KEXINIT to be the very first packet.
    if (first === undefined && negotiated.strict && sequence !== 0) {
      throw protocolError('expected KEXINIT as the first packet under strict KEX');
    }
    // Marks count in the first KEXINIT only.
    this.#negotiated = first === undefined ? negotiated : { ...negotiated, strict: first.strict };
    return negotiated;
  }

  /** What the key exchange is computed from. */
  context(negotiated: Negotiated, peerIdentification: string): ExchangeContext {
    return {
      arena: this.#arena,
      negotiated,
      identifications: { ours: IDENTIFICATION, peers: peerIdentification },
      kexInits: { cookie: this.#cookie, tail: this.#offer.tail, peers: this.#peers },
    };
  }

  /** The exchange is over: they are of no use any more. */
  drop(): void {
    this.#cookie = NOTHING;
    this.#peers = NOTHING;
  }
}
