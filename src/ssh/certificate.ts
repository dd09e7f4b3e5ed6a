/**
 * OpenSSH certificates (PROTOCOL.certkeys): a public key, what it is good for, and the signature of an authority over both.
 *
 * A `Certificate` exists only where the authority's signature holds; whether that authority is to be trusted, and for what, is
 * asked elsewhere: for hosts in `certificate_host.ts`, for users by the server.
 */
import type { KeyObject } from 'node:crypto';
import { protocolError } from './errors.ts';
import { PLAIN_KEY_TYPES, readPlainKey, verifySignature } from './plain_key.ts';
import { Reader, Writer } from './wire.ts';

export interface Certificate {
  /** `ssh-ed25519-cert-v01@openssh.com`, `ssh-rsa-cert-v01@openssh.com`… */
  readonly keyType: string;
  /** The whole certificate, a copy. */
  readonly blob: Buffer;
  /** The key that is certified. */
  readonly key: KeyObject;
  /** `ssh-ed25519`, `ssh-rsa`… */
  readonly plainKeyType: string;
  /** The wire form of the key alone. */
  readonly plainBlob: Buffer;
  readonly serial: bigint;
  readonly kind: 'user' | 'host';
  /** A free text of the authority's. */
  readonly keyId: string;
  /** Names of hosts or users; at most 256. */
  readonly principals: readonly string[];
  /** Seconds since 1970: good from `validAfter` on and before `validBefore`. */
  readonly validAfter: bigint;
  /** 2^64 - 1: for ever. */
  readonly validBefore: bigint;
  /** Names. */
  readonly criticalOptions: readonly string[];
  /** Names. */
  readonly extensions: readonly string[];
  readonly authority: CertificateAuthority;
  /** What the authority signed with: `ssh-ed25519`, `rsa-sha2-512`… */
  readonly signatureAlgorithm: string;
}

/** The key that signed a certificate. */
export interface CertificateAuthority {
  readonly keyType: string;
  /** `SHA256:` and unpadded base64. */
  readonly fingerprint: string;
  readonly key: KeyObject;
  readonly blob: Buffer;
}

const SUFFIX = '-cert-v01@openssh.com';
/** OpenSSH's own bound. */
const MAX_PRINCIPALS = 256;
/** Far above what is ever set: there are five extensions and three critical options. */
const MAX_OPTIONS = 256;
/** 256 principals of 100 bytes, with the largest keys and signatures. */
const MAX_BYTES = 32 * 1024;
export const FOREVER = 2n ** 64n - 1n;

/** Key types of certificates, as they stand on the wire and in files. */
export const CERTIFICATE_KEY_TYPES: readonly string[] = PLAIN_KEY_TYPES.map((type) => `${type}${SUFFIX}`);

/** Algorithms that host and user keys of a certificate type sign with, preferred first; SHA-1 is not among them. */
export const CERTIFICATE_ALGORITHMS: readonly string[] = CERTIFICATE_KEY_TYPES.flatMap(certificateAlgorithms);

export function isCertificateType(keyType: string): boolean {
  return keyType.endsWith(SUFFIX);
}

/**
 * The name without its certificate form, of a key type or a signature algorithm: `ssh-ed25519` for `ssh-ed25519-cert-v01@openssh.com`,
 * `sk-ssh-ed25519@openssh.com` for `sk-ssh-ed25519-cert-v01@openssh.com`; a plain one as it is.
 */
export function plainName(name: string): string {
  if (!name.endsWith(SUFFIX)) return name;
  const plain = name.slice(0, -SUFFIX.length);
  return plain.startsWith('sk-') ? `${plain}@openssh.com` : plain;
}

/** What is negotiated and asked for with a certificate type: RSA by its two hashes. */
export function certificateAlgorithms(keyType: string): readonly string[] {
  return keyType === `ssh-rsa${SUFFIX}` ? [`rsa-sha2-512${SUFFIX}`, `rsa-sha2-256${SUFFIX}`] : [keyType];
}

/** The key of an authority: given by the cache, because fleets share authorities. */
export type ReadAuthority = (blob: Buffer) => CertificateAuthority;

/**
 * Reads a certificate and verifies its authority's signature; `blob` must not change afterwards. Throws `protocol`, or what node:crypto
 * says of a key that cannot be.
 */
export function readCertificate(blob: Buffer, readAuthority: ReadAuthority): Certificate {
  if (blob.length > MAX_BYTES) throw protocolError(`expected a certificate of at most ${MAX_BYTES} bytes`);
  const reader = new Reader(blob);
  const keyType = reader.text();
  if (!CERTIFICATE_KEY_TYPES.includes(keyType)) {
    throw protocolError(`expected a certificate of a known type, got ${JSON.stringify(keyType.slice(0, 64))}`);
  }
  // The nonce: only there to make the bytes that are signed unforeseeable.
  reader.string();
  const plainKeyType = plainName(keyType);
  const fields = reader.offset;
  const key = readPlainKey(plainKeyType, reader);
  const plainBlob = new Writer(256).text(plainKeyType).raw(blob.subarray(fields, reader.offset)).copy();
  const serial = reader.uint64();
  const kind = readKind(reader);
  const keyId = reader.text();
  const principals = readPrincipals(reader.string());
  const validAfter = reader.uint64();
  const validBefore = reader.uint64();
  const criticalOptions = readOptions(reader.string());
  const extensions = readOptions(reader.string());
  // Reserved.
  reader.string();
  const authorityBlob = reader.string();
  const signed = blob.subarray(0, reader.offset);
  const signature = reader.string();
  if (reader.remaining !== 0) throw protocolError('expected nothing after the certificate');
  const authority = checkAuthority(authorityBlob, signed, signature, readAuthority);
  const meaning = { serial, kind, keyId, principals, validAfter, validBefore, criticalOptions, extensions };
  const signatureAlgorithm = new Reader(signature).text();
  return { keyType, blob, key, plainKeyType, plainBlob, ...meaning, authority, signatureAlgorithm };
}

function readKind(reader: Reader): Certificate['kind'] {
  const kind = reader.uint32();
  if (kind !== 1 && kind !== 2) throw protocolError(`expected a certificate of a user (1) or a host (2), got ${kind}`);
  return kind === 1 ? 'user' : 'host';
}

function readPrincipals(packed: Buffer): readonly string[] {
  const reader = new Reader(packed);
  const principals: string[] = [];
  while (reader.remaining > 0) {
    if (principals.length === MAX_PRINCIPALS) {
      throw protocolError(`expected a certificate with at most ${MAX_PRINCIPALS} principals`);
    }
    const name = reader.text();
    if (name === '' || name.includes('\0')) throw protocolError('expected a certificate whose principals are names');
    principals.push(name);
  }
  return principals;
}

/** Names and data, one after the other; of the data nothing is needed here. */
function readOptions(packed: Buffer): readonly string[] {
  const reader = new Reader(packed);
  const names: string[] = [];
  while (reader.remaining > 0) {
    if (names.length === MAX_OPTIONS) {
      throw protocolError(`expected a certificate with at most ${MAX_OPTIONS} options of a kind`);
    }
    names.push(reader.text());
    reader.string();
  }
  return names;
}

/** The authority's own key chooses what it must have signed with: RSA by SHA-2, whatever the signature says. */
function checkAuthority(
  blob: Buffer,
  signed: Buffer,
  signature: Buffer,
  readAuthority: ReadAuthority,
): CertificateAuthority {
  // A chain of certificates is not allowed, and would be followed for ever.
  const keyType = new Reader(blob).text();
  if (!PLAIN_KEY_TYPES.includes(keyType)) {
    throw protocolError(`expected an authority's key of a known type, got ${JSON.stringify(keyType.slice(0, 64))}`);
  }
  const algorithm = keyType === 'ssh-rsa' ? new Reader(signature).text() : keyType;
  if (keyType === 'ssh-rsa' && algorithm !== 'rsa-sha2-512' && algorithm !== 'rsa-sha2-256') {
    const shown = JSON.stringify(algorithm.slice(0, 64));
    throw protocolError(`expected a certificate signed by rsa-sha2-512 or rsa-sha2-256, got ${shown}`);
  }
  const authority = readAuthority(blob);
  verifySignature(authority.key, algorithm, signed, signature);
  return authority;
}

/** Why a certificate is not good at this time, in milliseconds since 1970: a clause; undefined where it is. */
export function validityProblem(certificate: Certificate, nowMs: number): string | undefined {
  const now = BigInt(Math.floor(nowMs / 1000));
  if (now < certificate.validAfter) return `is not valid before ${dateOf(certificate.validAfter)}`;
  if (now >= certificate.validBefore) return `expired at ${dateOf(certificate.validBefore)}`;
  return undefined;
}

/** 2026-01-31T12:00:00Z, or the number where the calendar has ended. */
function dateOf(seconds: bigint): string {
  const ms = seconds * 1000n;
  return ms > 253_402_300_799_999n ? `second ${seconds}` : new Date(Number(ms)).toISOString().replace('.000', '');
}
