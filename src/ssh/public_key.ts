/** Public keys as they come over the wire, of hosts and users, certified or not: imported, checked, remembered. */
import { createHash, type KeyObject } from 'node:crypto';
import { keptCopy } from '../util/kept_bytes.ts';
import { type Certificate, isCertificateType, plainName, readCertificate } from './certificate.ts';
import { protocolError, SshError } from './errors.ts';
import { readPlainKey, verifySignature } from './plain_key.ts';
import { Reader } from './wire.ts';

export interface PublicKey {
  /** `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`, `ssh-ed25519-cert-v01@openssh.com`… */
  readonly keyType: string;
  /** Of the key itself, also where it is certified. */
  readonly fingerprint: string;
  readonly key: KeyObject;
  /** A copy of the wire form; of a certificate, all of it. */
  readonly blob: Buffer;
  readonly certificate?: Certificate;
}

/** `SHA256:` and unpadded base64, as ssh-keygen -l prints it. */
export function fingerprintOf(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** The key type that an algorithm's signatures are made with. */
function keyTypeOf(algorithm: string): string {
  return algorithm.startsWith('rsa-sha2-') ? `ssh-rsa${algorithm.slice('rsa-sha2-512'.length)}` : algorithm;
}

/** Checks a signature blob over `signed`: the server's over the exchange hash, a user's over its request. Throws `protocol`. */
export function checkSignature(key: PublicKey, algorithm: string, signed: Uint8Array, signatureBlob: Buffer): void {
  if (keyTypeOf(algorithm) !== key.keyType) {
    throw protocolError(`expected a ${keyTypeOf(algorithm)} key as negotiated, got ${key.keyType}`);
  }
  // A certificate's key signs as the plain key it is.
  verifySignature(key.key, key.certificate === undefined ? algorithm : plainName(algorithm), signed, signatureBlob);
}

/** A larger one (RSA with 16,384 bits has 2,071 bytes) is worked out again each time, so that peers cannot fill the memory. */
const REMEMBERED_BYTES = 4096;

/**
 * Imported keys by wire form: fleets share keys (images, load balancers) and runs come back to hosts; of certificates, the authority's
 * signature is verified once. Bounded.
 */
export class PublicKeyCache {
  readonly #entries = new Map<string, PublicKey>();
  readonly #capacity: number;

  constructor(capacity = 4096) {
    this.#capacity = capacity;
  }

  /** Throws `protocol` for what is no key, and for a certificate whose signature does not hold. */
  get(blob: Buffer): PublicKey {
    const id = blob.toString('latin1');
    const known = this.#entries.get(id);
    if (known) return known;
    const parsed = this.#parse(blob);
    if (blob.length > REMEMBERED_BYTES) return parsed;
    if (this.#entries.size >= this.#capacity) {
      // The oldest goes: a plain FIFO is enough, a miss costs 15 µs.
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
    this.#entries.set(id, parsed);
    return parsed;
  }

  #parse(blob: Buffer): PublicKey {
    const copy = keptCopy(blob);
    const reader = new Reader(copy);
    const keyType = reader.text();
    try {
      if (isCertificateType(keyType)) return this.#certified(copy);
      const key = readPlainKey(keyType, reader);
      if (reader.remaining !== 0) throw protocolError('expected nothing after the key');
      return { keyType, fingerprint: fingerprintOf(copy), key, blob: copy };
    } catch (cause) {
      if (cause instanceof SshError) throw cause;
      throw new SshError('protocol', `expected a valid ${keyType} key`, {}, { cause });
    }
  }

  #certified(blob: Buffer): PublicKey {
    // An authority's key is never a certificate itself, so that this goes one level deep.
    const certificate = readCertificate(blob, (authority) => this.get(authority));
    const { keyType, key, plainBlob } = certificate;
    return { keyType, fingerprint: fingerprintOf(plainBlob), key, blob, certificate };
  }
}
