/** Public keys as they come over the wire, of hosts and users: imported, checked, remembered. RFC 4253 §6.6, 5656, 8332, 8709. */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { protocolError, SshError } from './errors.ts';
import { Reader } from './wire.ts';

export interface PublicKey {
  /** `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`. */
  readonly keyType: string;
  readonly fingerprint: string;
  readonly key: KeyObject;
  /** A copy of the wire form. */
  readonly blob: Buffer;
}

/** `SHA256:` and unpadded base64, as ssh-keygen -l prints it. */
export function fingerprintOf(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

function importKey(keyType: string, reader: Reader): KeyObject {
  switch (keyType) {
    case 'ssh-ed25519': {
      const x = reader.string();
      if (x.length !== 32) throw protocolError('expected an ed25519 key of 32 bytes');
      return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') }, format: 'jwk' });
    }
    case 'ecdsa-sha2-nistp256': {
      if (reader.text() !== 'nistp256') throw protocolError('expected the curve nistp256 in the key');
      const point = reader.string();
      if (point.length !== 65 || point[0] !== 4) throw protocolError('expected an uncompressed point of 65 bytes');
      const x = point.toString('base64url', 1, 33);
      const y = point.toString('base64url', 33, 65);
      return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
    }
    case 'ssh-rsa': {
      const e = reader.mpint();
      const n = reader.mpint();
      // 16,384 bits is OpenSSH's own upper bound; verifying a larger one would hold the loop.
      if (n.length < 128 || n.length > 2048 || e.length > 8)
        throw protocolError('expected an RSA key of 1,024 to 16,384 bits');
      return createPublicKey({
        key: { kty: 'RSA', e: e.toString('base64url'), n: n.toString('base64url') },
        format: 'jwk',
      });
    }
    default:
      throw protocolError(`expected a key of a known type, got ${JSON.stringify(keyType.slice(0, 64))}`);
  }
}

function parsePublicKey(blob: Buffer): PublicKey {
  const copy = Buffer.from(blob);
  const reader = new Reader(copy);
  const keyType = reader.text();
  try {
    const key = importKey(keyType, reader);
    if (reader.remaining !== 0) throw protocolError('expected nothing after the key');
    return { keyType, fingerprint: fingerprintOf(copy), key, blob: copy };
  } catch (cause) {
    if (cause instanceof SshError) throw cause;
    throw new SshError('protocol', `expected a valid ${keyType} key`, {}, { cause });
  }
}

/** The key type that an algorithm's signatures are made with. */
function keyTypeOf(algorithm: string): string {
  return algorithm.startsWith('rsa-sha2-') ? 'ssh-rsa' : algorithm;
}

/** ASN.1 is not what SSH sends: r and s are two mpints; node:crypto takes them as 32 + 32 bytes. */
function ecdsaSignature(blob: Buffer): Buffer {
  const reader = new Reader(blob);
  const signature = Buffer.alloc(64);
  for (const end of [32, 64]) {
    const part = reader.mpint();
    if (part.length > 32) throw protocolError('expected an ECDSA signature of 2 × 32 bytes');
    signature.set(part, end - part.length);
  }
  return signature;
}

/** Checks a signature blob over `signed`: the server's over the exchange hash, a user's over its request. Throws `protocol`. */
export function checkSignature(key: PublicKey, algorithm: string, signed: Uint8Array, signatureBlob: Buffer): void {
  if (keyTypeOf(algorithm) !== key.keyType) {
    throw protocolError(`expected a ${keyTypeOf(algorithm)} key as negotiated, got ${key.keyType}`);
  }
  const reader = new Reader(signatureBlob);
  const name = reader.text();
  if (name !== algorithm) throw protocolError(`expected a signature by ${algorithm}, got ${name.slice(0, 64)}`);
  const signature = reader.string();
  if (!verifyWith(key.key, algorithm, signed, signature)) {
    throw protocolError('expected a valid signature by the key');
  }
}

function verifyWith(key: KeyObject, algorithm: string, signed: Uint8Array, signature: Buffer): boolean {
  switch (algorithm) {
    case 'ssh-ed25519':
      return signature.length === 64 && verify(null, signed, key, signature);
    case 'ecdsa-sha2-nistp256':
      return verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, ecdsaSignature(signature));
    case 'rsa-sha2-256':
      return verify('sha256', signed, key, signature);
    case 'rsa-sha2-512':
      return verify('sha512', signed, key, signature);
    default:
      return false;
  }
}

/** Imported keys by wire form: fleets share keys (images, load balancers) and runs come back to hosts. Bounded. */
export class PublicKeyCache {
  readonly #entries = new Map<string, PublicKey>();
  readonly #capacity: number;

  constructor(capacity = 4096) {
    this.#capacity = capacity;
  }

  get(blob: Buffer): PublicKey {
    const id = blob.toString('latin1');
    const known = this.#entries.get(id);
    if (known) return known;
    const parsed = parsePublicKey(blob);
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
}
