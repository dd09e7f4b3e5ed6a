/** Plain public keys: from their wire form to a KeyObject, and signatures by them. RFC 4253 §6.6, 5656 §3.1, 8332, 8709. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { protocolError } from './errors.ts';
import { Reader } from './wire.ts';

interface Curve {
  readonly name: string;
  /** What node:crypto calls it. */
  readonly crv: string;
  readonly hash: string;
  /** Bytes of a coordinate. */
  readonly size: number;
}

const CURVES: Readonly<Record<string, Curve | undefined>> = {
  'ecdsa-sha2-nistp256': { name: 'nistp256', crv: 'P-256', hash: 'sha256', size: 32 },
  'ecdsa-sha2-nistp384': { name: 'nistp384', crv: 'P-384', hash: 'sha384', size: 48 },
  'ecdsa-sha2-nistp521': { name: 'nistp521', crv: 'P-521', hash: 'sha512', size: 66 },
};

/** Key types that can be read and verified. */
export const PLAIN_KEY_TYPES: readonly string[] = ['ssh-ed25519', ...Object.keys(CURVES), 'ssh-rsa'];

/** Reads the fields of a key after its type. Throws `protocol`, or what node:crypto says of a key that cannot be. */
export function readPlainKey(keyType: string, reader: Reader): KeyObject {
  if (keyType === 'ssh-ed25519') {
    const x = reader.string();
    if (x.length !== 32) throw protocolError('expected an ed25519 key of 32 bytes');
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') }, format: 'jwk' });
  }
  if (keyType === 'ssh-rsa') return readRsa(reader);
  const curve = CURVES[keyType];
  if (curve !== undefined) return readEcdsa(curve, reader);
  throw protocolError(`expected a key of a known type, got ${JSON.stringify(keyType.slice(0, 64))}`);
}

function readRsa(reader: Reader): KeyObject {
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

function readEcdsa(curve: Curve, reader: Reader): KeyObject {
  if (reader.text() !== curve.name) throw protocolError(`expected the curve ${curve.name} in the key`);
  const point = reader.string();
  const length = 1 + 2 * curve.size;
  if (point.length !== length || point[0] !== 4) {
    throw protocolError(`expected an uncompressed point of ${length} bytes`);
  }
  const x = point.toString('base64url', 1, 1 + curve.size);
  const y = point.toString('base64url', 1 + curve.size, length);
  return createPublicKey({ key: { kty: 'EC', crv: curve.crv, x, y }, format: 'jwk' });
}

/**
 * Checks a signature blob (algorithm, signature) by a key of the type that `algorithm` needs. Throws `protocol` when it names another
 * algorithm, is damaged, or does not hold. `ssh-rsa`, which is SHA-1, holds as well: who asks decides what may be asked for.
 */
export function verifySignature(key: KeyObject, algorithm: string, signed: Uint8Array, signatureBlob: Buffer): void {
  const reader = new Reader(signatureBlob);
  const name = reader.text();
  if (name !== algorithm) throw protocolError(`expected a signature by ${algorithm}, got ${name.slice(0, 64)}`);
  if (!verifyWith(key, algorithm, signed, reader.string()))
    throw protocolError('expected a valid signature by the key');
}

function verifyWith(key: KeyObject, algorithm: string, signed: Uint8Array, signature: Buffer): boolean {
  switch (algorithm) {
    case 'ssh-ed25519':
      return signature.length === 64 && verify(null, signed, key, signature);
    case 'ssh-rsa':
      return verify('sha1', signed, key, signature);
    case 'rsa-sha2-256':
      return verify('sha256', signed, key, signature);
    case 'rsa-sha2-512':
      return verify('sha512', signed, key, signature);
    default: {
      const curve = CURVES[algorithm];
      if (curve === undefined) return false;
      return verify(curve.hash, signed, { key, dsaEncoding: 'ieee-p1363' }, ecdsaHalves(signature, curve.size));
    }
  }
}

/** ASN.1 is not what SSH sends: r and s are two mpints; node:crypto takes them as two halves of the curve's size. */
function ecdsaHalves(blob: Buffer, size: number): Buffer {
  const reader = new Reader(blob);
  const halves = Buffer.alloc(2 * size);
  for (const end of [size, 2 * size]) {
    const part = reader.mpint();
    if (part.length > size) throw protocolError(`expected an ECDSA signature of 2 × ${size} bytes`);
    halves.set(part, end - part.length);
  }
  return halves;
}
