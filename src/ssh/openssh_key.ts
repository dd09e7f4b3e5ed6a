/**
 * The private key format of OpenSSH (its PROTOCOL.key), turned into KeyObjects:
 *
 *   "openssh-key-v1\0", cipher, kdf, kdf options, uint32 1, public key, string private part, authentication tag
 *   private part: uint32 check, the same again, key type, its numbers, comment, padding 1 2 3 …
 */
import { createDecipheriv, createPrivateKey, type KeyObject, type webcrypto } from 'node:crypto';
import { createRequire } from 'node:module';
import { MyriadError } from '../contracts/errors.ts';
import { agentKey, damagedKey, missingPassphrase, unsupportedKey, wrongPassphrase } from './key_errors.ts';
import { Reader } from './wire.ts';

export interface OpensshKey {
  readonly privateKey: KeyObject;
  /** As the unencrypted part of the file has it; not compared with the private half yet. */
  readonly publicBlob: Buffer;
  readonly comment: string;
}

interface FileCipher {
  readonly node: 'aes-128-ctr' | 'aes-192-ctr' | 'aes-256-ctr' | 'aes-128-cbc' | 'aes-192-cbc' | 'aes-256-cbc';
  readonly key: number;
}
interface GcmCipher {
  readonly gcm: 'aes-128-gcm' | 'aes-256-gcm';
  readonly key: number;
}

const CIPHERS: ReadonlyMap<string, FileCipher | GcmCipher> = new Map<string, FileCipher | GcmCipher>([
  ['aes256-ctr', { node: 'aes-256-ctr', key: 32 }],
  ['aes192-ctr', { node: 'aes-192-ctr', key: 24 }],
  ['aes128-ctr', { node: 'aes-128-ctr', key: 16 }],
  ['aes256-cbc', { node: 'aes-256-cbc', key: 32 }],
  ['aes192-cbc', { node: 'aes-192-cbc', key: 24 }],
  ['aes128-cbc', { node: 'aes-128-cbc', key: 16 }],
  ['aes256-gcm@openssh.com', { gcm: 'aes-256-gcm', key: 32 }],
  ['aes128-gcm@openssh.com', { gcm: 'aes-128-gcm', key: 16 }],
]);

const MAGIC = Buffer.from('openssh-key-v1\0', 'latin1');
const BLOCK = 16;
const GCM_IV = 12;
const GCM_TAG = 16;
/** ssh-keygen writes 16 bytes. */
const MAX_SALT = 64;
/** ssh-keygen takes 16 or 24 rounds of 15 ms each; a thousand is a quarter of a minute. */
const MAX_ROUNDS = 1000;
const MAX_COMMENT = 1024;

type JsonWebKey = webcrypto.JsonWebKey;

const CURVES: ReadonlyMap<string, { readonly crv: string; readonly size: number; readonly name: string }> = new Map([
  ['ecdsa-sha2-nistp256', { crv: 'P-256', size: 32, name: 'nistp256' }],
  ['ecdsa-sha2-nistp384', { crv: 'P-384', size: 48, name: 'nistp384' }],
  ['ecdsa-sha2-nistp521', { crv: 'P-521', size: 66, name: 'nistp521' }],
]);

/** The file's envelope. */
interface Envelope {
  readonly cipher: string;
  readonly kdf: string;
  readonly kdfOptions: Buffer;
  readonly publicBlob: Buffer;
  readonly sealed: Buffer;
  readonly tag: Buffer;
}

/** Reads the first OPENSSH PRIVATE KEY block of `pem`. Throws MyriadError `key` or `passphrase`. */
export function readOpensshKey(pem: string, source: string, passphrase: Buffer | undefined): OpensshKey {
  return orDamaged(source, () => {
    const envelope = readEnvelope(pem, source);
    refuseTypes(new Reader(envelope.publicBlob).text(), source);
    const encrypted = envelope.cipher !== 'none';
    if (encrypted && passphrase === undefined) throw missingPassphrase(source);
    const opened = encrypted ? open(envelope, source, passphrase!) : Buffer.from(envelope.sealed);
    try {
      const reader = new Reader(opened);
      const check = reader.uint32();
      if (reader.uint32() !== check) throw encrypted ? wrongPassphrase(source) : damagedKey(source);
      const { privateKey, comment } = readPrivatePart(reader, source);
      return { privateKey, comment, publicBlob: Buffer.from(envelope.publicBlob) };
    } finally {
      opened.fill(0);
    }
  });
}

/** Whatever goes wrong while decoding means damage; the cause is left out because it may quote what was decoded. */
function orDamaged<T>(source: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw error instanceof MyriadError ? error : damagedKey(source);
  }
}

function readEnvelope(pem: string, source: string): Envelope {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]*)-----END OPENSSH PRIVATE KEY-----/.exec(pem)?.[1];
  if (body === undefined) throw damagedKey(source);
  const reader = new Reader(Buffer.from(body.replace(/\s+/g, ''), 'base64'));
  if (!reader.raw(MAGIC.length).equals(MAGIC)) throw damagedKey(source);
  const cipher = reader.text();
  const kdf = reader.text();
  const kdfOptions = reader.string();
  if (reader.uint32() !== 1) throw new MyriadError('key', `${source} has several keys; give a file with one`);
  const publicBlob = reader.string();
  const sealed = reader.string();
  const tag = reader.raw(reader.remaining);
  const known = cipher === 'none' ? kdf === 'none' : kdf === 'bcrypt' && CIPHERS.has(cipher);
  if (!known) {
    const [c, k] = [cipher, kdf].map((name) => JSON.stringify(name.slice(0, 40)));
    throw new MyriadError(
      'key',
      `the private key ${source} is encrypted in a way that cannot be read (cipher ${c}, kdf ${k})`,
    );
  }
  const wholeBlocks = sealed.length > 0 && sealed.length % (cipher === 'none' ? 8 : BLOCK) === 0;
  if (!wholeBlocks || tag.length !== (cipher.includes('gcm') ? GCM_TAG : 0)) throw damagedKey(source);
  return { cipher, kdf, kdfOptions, publicBlob, sealed, tag };
}

/** Types that are known but cannot be used are told from damage by the part that is never encrypted. */
function refuseTypes(keyType: string, source: string): void {
  if (keyType === 'ssh-ed25519' || keyType === 'ssh-rsa' || CURVES.has(keyType)) return;
  if (/^sk-(ssh|ecdsa)-[\w@.-]{1,60}$/.test(keyType)) throw agentKey(source);
  if (keyType === 'ssh-dss') throw unsupportedKey(source, 'DSA');
  if (/^[\w@.-]{1,60}$/.test(keyType)) throw unsupportedKey(source, keyType);
  throw damagedKey(source);
}

function open(envelope: Envelope, source: string, passphrase: Buffer): Buffer {
  const cipher = CIPHERS.get(envelope.cipher)!;
  const ivLength = 'gcm' in cipher ? GCM_IV : BLOCK;
  const derived = deriveKey(envelope.kdfOptions, passphrase, cipher.key + ivLength, source);
  const key = derived.subarray(0, cipher.key);
  const iv = derived.subarray(cipher.key);
  try {
    if ('gcm' in cipher) {
      const decipher = createDecipheriv(cipher.gcm, key, iv, { authTagLength: GCM_TAG }).setAuthTag(envelope.tag);
      return Buffer.concat([decipher.update(envelope.sealed), decipher.final()]);
    }
    const decipher = createDecipheriv(cipher.node, key, iv).setAutoPadding(false);
    return Buffer.concat([decipher.update(envelope.sealed), decipher.final()]);
  } catch {
    throw wrongPassphrase(source);
  } finally {
    derived.fill(0);
  }
}

interface Bcrypt {
  /** Fills `key`; 0 when it did. */
  pbkdf(
    passphrase: Uint8Array,
    passphraseLength: number,
    salt: Uint8Array,
    saltLength: number,
    key: Uint8Array,
    keyLength: number,
    rounds: number,
  ): number;
}

function deriveKey(options: Buffer, passphrase: Buffer, length: number, source: string): Buffer {
  const reader = new Reader(options);
  const salt = reader.string();
  const rounds = reader.uint32();
  if (reader.remaining !== 0 || salt.length === 0 || salt.length > MAX_SALT || rounds === 0) throw damagedKey(source);
  if (rounds > MAX_ROUNDS) {
    const advice = 'write it again with: ssh-keygen -p -a 24';
    throw new MyriadError('key', `${source} has ${rounds} bcrypt rounds, at most ${MAX_ROUNDS} are taken; ${advice}`);
  }
  // Loaded here because only encrypted keys need it, and synchronously because it is CommonJS without types.
  const { pbkdf } = createRequire(import.meta.url)('bcrypt-pbkdf') as Bcrypt;
  const key = Buffer.alloc(length);
  if (pbkdf(passphrase, passphrase.length, salt, salt.length, key, length, rounds) !== 0) throw damagedKey(source);
  return key;
}

function readPrivatePart(reader: Reader, source: string): { privateKey: KeyObject; comment: string } {
  const keyType = reader.text();
  const jwk = readJwk(keyType, reader);
  if (jwk === undefined) throw damagedKey(source);
  const comment = reader.text();
  if (comment.length > MAX_COMMENT || reader.remaining >= BLOCK) throw damagedKey(source);
  for (let expected = 1; reader.remaining > 0; expected++) if (reader.byte() !== expected) throw damagedKey(source);
  return { privateKey: createPrivateKey({ key: jwk, format: 'jwk' }), comment };
}

/** The key's numbers as a JWK; undefined when they contradict each other. */
function readJwk(keyType: string, reader: Reader): JsonWebKey | undefined {
  if (keyType === 'ssh-ed25519') {
    const publicKey = reader.string();
    const pair = reader.string();
    if (publicKey.length !== 32 || pair.length !== 64 || !pair.subarray(32).equals(publicKey)) return undefined;
    return { kty: 'OKP', crv: 'Ed25519', d: base64url(pair.subarray(0, 32)), x: base64url(publicKey) };
  }
  return keyType === 'ssh-rsa' ? readRsa(reader) : readEcdsa(keyType, reader);
}

function readEcdsa(keyType: string, reader: Reader): JsonWebKey | undefined {
  const curve = CURVES.get(keyType);
  if (curve === undefined || reader.text() !== curve.name) return undefined;
  const point = reader.string();
  const d = reader.mpint();
  if (point.length !== 1 + 2 * curve.size || point[0] !== 4 || d.length > curve.size) return undefined;
  const padded = Buffer.concat([Buffer.alloc(curve.size - d.length), d]);
  const x = point.subarray(1, 1 + curve.size);
  const y = point.subarray(1 + curve.size);
  return { kty: 'EC', crv: curve.crv, x: base64url(x), y: base64url(y), d: base64url(padded) };
}

/** The file has n, e, d, 1/q, p, q; a JWK also wants d mod p-1 and d mod q-1. */
function readRsa(reader: Reader): JsonWebKey | undefined {
  const [n, e, d, qi, p, q] = [1, 2, 3, 4, 5, 6].map(() => reader.mpint()) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  const [bigD, bigP, bigQ] = [toBigInt(d), toBigInt(p), toBigInt(q)];
  if (bigP < 2n || bigQ < 2n || bigP * bigQ !== toBigInt(n)) return undefined;
  if ((bigQ * toBigInt(qi)) % bigP !== 1n) return undefined;
  return {
    kty: 'RSA',
    n: base64url(n),
    e: base64url(e),
    d: base64url(d),
    p: base64url(p),
    q: base64url(q),
    dp: base64url(fromBigInt(bigD % (bigP - 1n))),
    dq: base64url(fromBigInt(bigD % (bigQ - 1n))),
    qi: base64url(qi),
  };
}

function base64url(bytes: Buffer): string {
  return bytes.toString('base64url');
}

function toBigInt(bytes: Buffer): bigint {
  return BigInt(`0x0${bytes.toString('hex')}`);
}

function fromBigInt(value: bigint): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}
