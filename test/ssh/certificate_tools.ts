/** Certificates by hand, so that they can lie, and by ssh-keygen, so that they are real. */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Certificate, readCertificate } from '../../src/ssh/certificate.ts';
import { PublicKeyCache } from '../../src/ssh/public_key.ts';
import { str, u32 } from './bytes.ts';
import { ed25519Blob } from './private_key_tools.ts';

export interface Ed25519Pair {
  readonly blob: Buffer;
  readonly privateKey: KeyObject;
}

export function ed25519Pair(): Ed25519Pair {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { x } = publicKey.export({ format: 'jwk' }) as { x: string };
  return { blob: ed25519Blob(Buffer.from(x, 'base64url')), privateKey };
}

export const ED25519_CERT = 'ssh-ed25519-cert-v01@openssh.com';

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

/** What a certificate made by hand says; every field may lie. */
export interface CertificateFields {
  readonly type?: string;
  readonly serial?: bigint;
  readonly kind?: number;
  readonly keyId?: string;
  /** Names, or the packed bytes. */
  readonly principals?: readonly string[] | Buffer;
  readonly validAfter?: bigint;
  readonly validBefore?: bigint;
  /** Names, or the packed bytes. */
  readonly criticalOptions?: readonly string[] | Buffer;
  readonly extensions?: readonly string[] | Buffer;
  readonly authority?: Buffer;
  readonly signature?: (signed: Buffer) => Buffer;
  readonly after?: Buffer;
}

const packed = (names: readonly string[] | Buffer, options: boolean): Buffer =>
  Buffer.isBuffer(names)
    ? names
    : Buffer.concat(names.map((name) => (options ? Buffer.concat([str(name), str('')]) : str(name))));

/** The wire form of an ed25519 certificate for `key` (a plain blob), signed by `authority`. */
export function certificateBlob(key: Buffer, authority: Ed25519Pair, fields: CertificateFields = {}): Buffer {
  const { type = ED25519_CERT, serial = 7n, kind = 2, keyId = 'web1', principals = ['web1.example.org'] } = fields;
  const { criticalOptions = [], extensions = [], validAfter = 0n, validBefore = 2n ** 64n - 1n } = fields;
  const signed = Buffer.concat([
    str(type),
    str(Buffer.alloc(32, 5)),
    key.subarray(4 + 'ssh-ed25519'.length),
    u64(serial),
    u32(kind),
    str(keyId),
    str(packed(principals, false)),
    u64(validAfter),
    u64(validBefore),
    str(packed(criticalOptions, true)),
    str(packed(extensions, true)),
    str(''),
    str(fields.authority ?? authority.blob),
  ]);
  const made = fields.signature
    ? fields.signature(signed)
    : Buffer.concat([str('ssh-ed25519'), str(sign(null, signed, authority.privateKey))]);
  return Buffer.concat([signed, str(made), fields.after ?? Buffer.alloc(0)]);
}

export function parseCertificate(blob: Buffer): Certificate {
  const { certificate } = new PublicKeyCache().get(blob);
  if (certificate === undefined) throw new Error('that is no certificate');
  return certificate;
}

/** Reads without the cache in front of it. */
export function readAlone(blob: Buffer): Certificate {
  const cache = new PublicKeyCache();
  return readCertificate(blob, (authority) => cache.get(authority));
}

let copies = 0;

/** Has ssh-keygen sign KEY.pub; returns the file with the certificate. `options`: -h, -n, -V, -z, -O… */
export function signKey(directory: string, authority: string, key: string, ...options: readonly string[]): string {
  // ssh-keygen writes next to the key: each certificate has a copy of its own.
  const copy = join(directory, `signed-${process.pid}-${copies++}`);
  copyFileSync(`${key}.pub`, `${copy}.pub`);
  execFileSync('ssh-keygen', ['-q', '-s', authority, ...options, `${copy}.pub`], { stdio: 'ignore' });
  return `${copy}-cert.pub`;
}

/** The blob of a public key or certificate file. */
export function blobOf(file: string): Buffer {
  return Buffer.from(readFileSync(file, 'latin1').split(' ')[1]!, 'base64');
}
