/**
 * Private keys of users and of the server half: parsed once into a KeyObject, then asked for one signature per host.
 *
 * OpenSSH's own format is decoded in `openssh_key.ts`; PKCS#1, SEC1 and PKCS#8, plain or encrypted, go to node:crypto.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { MyriadError } from '../contracts/errors.ts';
import { damagedKey, missingPassphrase, unsupportedKey, wrongPassphrase } from './key_errors.ts';
import { readOpensshKey } from './openssh_key.ts';
import { fingerprintOf } from './public_key.ts';
import { Writer } from './wire.ts';

/** A key that can sign in to hosts. */
export interface UserKey {
  /** `ssh-ed25519`, `ecdsa-sha2-nistp256` (384, 521), `ssh-rsa`, or a certificate's type. */
  readonly keyType: string;
  readonly privateKey: KeyObject;
  /** RFC 4253 §6.6; of a certified key, the certificate. */
  readonly publicBlob: Buffer;
  /** `SHA256:` and unpadded base64. */
  readonly fingerprint: string;
  /** '' where the file has none. */
  readonly comment: string;
  /** Preferred first. */
  readonly signatureAlgorithms: readonly string[];
  /** Signs `data`. Returns the RFC 4253 §6.6 blob (string algorithm, string signature); throws `internal` for another algorithm. */
  sign(data: Uint8Array, algorithm: string): Buffer;
}

export interface PrivateKeyOptions {
  /** What messages call the key: its file. */
  readonly source: string;
  /** Not used for a key that is not encrypted; '' counts as none. */
  readonly passphrase?: string | Buffer | undefined;
}

/** A private key file of RSA with 16,384 bits has 13 KB. */
const MAX_FILE = 64 * 1024;
/** OpenSSH's bounds for RSA, in bits. */
const MIN_RSA = 1024;
const MAX_RSA = 16_384;

interface Curve {
  readonly keyType: string;
  readonly name: string;
  readonly hash: string;
  /** Bytes of a coordinate. */
  readonly size: number;
}

const CURVES: readonly Curve[] = [
  { keyType: 'ecdsa-sha2-nistp256', name: 'nistp256', hash: 'sha256', size: 32 },
  { keyType: 'ecdsa-sha2-nistp384', name: 'nistp384', hash: 'sha384', size: 48 },
  { keyType: 'ecdsa-sha2-nistp521', name: 'nistp521', hash: 'sha512', size: 66 },
];
const CURVE_OF_NODE: Readonly<Record<string, Curve | undefined>> = {
  prime256v1: CURVES[0],
  secp384r1: CURVES[1],
  secp521r1: CURVES[2],
};

/**
 * Reads a private key file. Throws MyriadError `key` (not a private key, of a kind that cannot be used, damaged) or `passphrase` (needed,
 * wrong), each one sentence with the source in it and never a byte of the key.
 */
export function parsePrivateKey(text: Buffer | string, options: PrivateKeyOptions): UserKey {
  const { source } = options;
  if (text.length > MAX_FILE) throw new MyriadError('key', `${source} is no private key: it has more than 64 KiB`);
  const content = typeof text === 'string' ? text : text.toString('latin1');
  const passphrase = options.passphrase?.length ? Buffer.from(options.passphrase) : undefined;
  const block = /-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY)-----/.exec(content);
  const label = block?.[1];
  const pem = content.slice(block?.index ?? 0);
  switch (label) {
    case 'OPENSSH PRIVATE KEY': {
      const { privateKey, publicBlob, comment } = readOpensshKey(pem, source, passphrase);
      const key = toUserKey(privateKey, comment, source);
      if (!key.publicBlob.equals(publicBlob)) throw damagedKey(source);
      return key;
    }
    case 'RSA PRIVATE KEY':
    case 'EC PRIVATE KEY':
    case 'PRIVATE KEY':
    case 'ENCRYPTED PRIVATE KEY':
      return toUserKey(readPem(pem, label, source, passphrase), '', source);
    case 'DSA PRIVATE KEY':
      throw unsupportedKey(source, 'DSA');
    default:
      throw notPrivate(content, source);
  }
}

/** The RFC 4253 §6.6 blob of a public or private key. Throws `key` for a type that SSH does not have. */
export function publicBlobOf(key: KeyObject): Buffer {
  const type = key.asymmetricKeyType;
  const curve = curveOf(key);
  if (curve === undefined && type !== 'ed25519' && type !== 'rsa') {
    throw new MyriadError('key', `SSH has no key type for "${type}"`);
  }
  const jwk = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  const bytes = (field: string | undefined): Buffer => Buffer.from(field ?? '', 'base64url');
  const writer = new Writer(128);
  if (curve !== undefined) {
    const point = Buffer.concat([Buffer.of(4), bytes(jwk.x), bytes(jwk.y)]);
    return writer.text(curve.keyType).text(curve.name).string(point).copy();
  }
  if (type === 'rsa') return writer.text('ssh-rsa').mpint(bytes(jwk.e)).mpint(bytes(jwk.n)).copy();
  return writer.text('ssh-ed25519').string(bytes(jwk.x)).copy();
}

function curveOf(key: KeyObject): Curve | undefined {
  return key.asymmetricKeyType === 'ec' ? CURVE_OF_NODE[key.asymmetricKeyDetails?.namedCurve ?? ''] : undefined;
}

function readPem(pem: string, label: string, source: string, passphrase: Buffer | undefined): KeyObject {
  const encrypted = label === 'ENCRYPTED PRIVATE KEY' || pem.includes('Proc-Type: 4,ENCRYPTED');
  if (encrypted && passphrase === undefined) throw missingPassphrase(source);
  try {
    return createPrivateKey(encrypted ? { key: pem, passphrase: passphrase! } : { key: pem });
  } catch {
    // OpenSSL's texts differ between a wrong passphrase that leaves bad padding and one that leaves noise: both are said alike.
    throw encrypted ? wrongPassphrase(source) : damagedKey(source);
  }
}

function notPrivate(content: string, source: string): MyriadError {
  const head = content.trimStart().slice(0, 200);
  if (/^(ssh-|ecdsa-|sk-ssh-|sk-ecdsa-)/.test(head) || /-----? ?BEGIN [A-Z0-9 ]*(PUBLIC KEY|CERTIFICATE)/.test(head)) {
    return new MyriadError('key', `${source}: that is a public key; give the private key file`);
  }
  if (head.startsWith('PuTTY-User-Key-File')) {
    return new MyriadError('key', `${source} is a PuTTY key; convert it with: puttygen KEY -O private-openssh`);
  }
  return new MyriadError('key', `${source} is not a private key (expected OpenSSH, PKCS#1, SEC1 or PKCS#8 in PEM)`);
}

function toUserKey(privateKey: KeyObject, comment: string, source: string): UserKey {
  const curve = curveOf(privateKey);
  const type = privateKey.asymmetricKeyType ?? 'unknown';
  if (type === 'rsa') checkRsa(privateKey, source);
  const signer = curve ? ecdsaSigner(privateKey, curve) : type === 'rsa' ? rsaSigner(privateKey) : undefined;
  if (signer === undefined && type !== 'ed25519')
    throw unsupportedKey(source, type === 'ec' ? 'EC on this curve' : type);
  if (!signsForItself(privateKey)) throw damagedKey(source);
  const publicBlob = publicBlobOf(privateKey);
  return {
    privateKey,
    publicBlob,
    fingerprint: fingerprintOf(publicBlob),
    comment,
    ...(signer ?? ed25519Signer(privateKey)),
  };
}

function checkRsa(key: KeyObject, source: string): void {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < MIN_RSA || bits > MAX_RSA) {
    throw new MyriadError('key', `${source} is an RSA key of ${bits} bits; ${MIN_RSA} to ${MAX_RSA} can be used`);
  }
}

type Signer = Pick<UserKey, 'keyType' | 'signatureAlgorithms' | 'sign'>;

function ed25519Signer(key: KeyObject): Signer {
  const keyType = 'ssh-ed25519';
  const head = new Writer(32).text(keyType).uint32(64).copy();
  return {
    keyType,
    signatureAlgorithms: [keyType],
    sign(data, algorithm) {
      if (algorithm !== keyType) throw wrongAlgorithm(keyType, algorithm);
      return Buffer.concat([head, sign(null, data, key)]);
    },
  };
}

function rsaSigner(key: KeyObject): Signer {
  const modern = { 'rsa-sha2-512': 'sha512', 'rsa-sha2-256': 'sha256' };
  // Never with SHA-1 by itself; who names that gets it.
  const hashes: Readonly<Record<string, string | undefined>> = { ...modern, 'ssh-rsa': 'sha1' };
  return {
    keyType: 'ssh-rsa',
    signatureAlgorithms: Object.keys(modern),
    sign(data, algorithm) {
      const hash = hashes[algorithm];
      if (hash === undefined) throw wrongAlgorithm('ssh-rsa', algorithm);
      const signature = sign(hash, data, key);
      return new Writer(signature.length + 24).text(algorithm).string(signature).copy();
    },
  };
}

/** RFC 5656 §3.1.2: r and s are two mpints; node:crypto gives them as fixed halves. */
function ecdsaSigner(key: KeyObject, curve: Curve): Signer {
  const input = { key, dsaEncoding: 'ieee-p1363' } as const;
  return {
    keyType: curve.keyType,
    signatureAlgorithms: [curve.keyType],
    sign(data, algorithm) {
      if (algorithm !== curve.keyType) throw wrongAlgorithm(curve.keyType, algorithm);
      const halves = sign(curve.hash, data, input);
      const pair = new Writer(160).mpint(halves.subarray(0, curve.size)).mpint(halves.subarray(curve.size));
      return new Writer(192).text(algorithm).string(pair.view()).copy();
    },
  };
}

function wrongAlgorithm(keyType: string, algorithm: string): MyriadError {
  return new MyriadError('internal', `a ${keyType} key cannot sign with "${algorithm}"`);
}

/** Whether a signature by the private half verifies with the public half; OpenSSL takes pairs that do not fit. */
function signsForItself(key: KeyObject): boolean {
  const data = Buffer.from('myriad');
  const hash = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  try {
    return verify(hash, data, createPublicKey(key), sign(hash, data, key));
  } catch {
    return false;
  }
}
