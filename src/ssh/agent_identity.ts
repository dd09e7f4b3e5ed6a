/** What an agent's keys are: types, certificates, and the algorithms that each can sign with. */
import { isCertificateType, plainName } from './certificate.ts';
import { SshError } from './errors.ts';
import { fingerprintOf } from './public_key.ts';
import { Reader, Writer } from './wire.ts';

/** A key that an agent holds. */
export interface AgentIdentity {
  /** As the blob has it: `ssh-ed25519`, `ssh-rsa-cert-v01@openssh.com`, `sk-ssh-ed25519@openssh.com`. */
  readonly keyType: string;
  /** What the agent is asked to sign with: the public key, or the whole certificate. */
  readonly blob: Buffer;
  /** At most 1,024 characters, as the agent sent them: escape before showing. */
  readonly comment: string;
  /** Of the plain key, also for a certificate, as ssh-add -l prints it: `SHA256:` and unpadded base64. */
  readonly fingerprint: string;
  readonly isCertificate: boolean;
  /** Without `-cert-v01`; equal to `keyType` for a plain key. */
  readonly plainKeyType: string;
  /** The public key without its certificate. */
  readonly plainBlob: Buffer;
}

interface KeyKind {
  /** Strings that follow the type in the public key. */
  readonly fields: number;
  /** Signature algorithms, preferred first. */
  readonly algorithms: readonly string[];
}

const KINDS: ReadonlyMap<string, KeyKind> = new Map([
  ['ssh-ed25519', { fields: 1, algorithms: ['ssh-ed25519'] }],
  ['ecdsa-sha2-nistp256', { fields: 2, algorithms: ['ecdsa-sha2-nistp256'] }],
  ['ecdsa-sha2-nistp384', { fields: 2, algorithms: ['ecdsa-sha2-nistp384'] }],
  ['ecdsa-sha2-nistp521', { fields: 2, algorithms: ['ecdsa-sha2-nistp521'] }],
  ['ssh-rsa', { fields: 2, algorithms: ['rsa-sha2-512', 'rsa-sha2-256'] }],
  ['sk-ssh-ed25519@openssh.com', { fields: 2, algorithms: ['sk-ssh-ed25519@openssh.com'] }],
  ['sk-ecdsa-sha2-nistp256@openssh.com', { fields: 3, algorithms: ['sk-ecdsa-sha2-nistp256@openssh.com'] }],
]);

const MAX_COMMENT = 1024;
const CERTIFICATE = '-cert-v01@openssh.com';
/** SSH_CERT_TYPE_USER. */
const USER = 1;

/** `ssh-rsa` → `ssh-rsa-cert-v01@openssh.com`, `sk-ssh-ed25519@openssh.com` → `sk-ssh-ed25519-cert-v01@openssh.com`. */
export function certificateName(plain: string): string {
  return plain.replace(/@openssh\.com$/, '') + CERTIFICATE;
}

/** What a key of this type can sign with, preferred first, in certificate form for a certificate; [] for an unknown type. */
export function signatureAlgorithmsOf(keyType: string): readonly string[] {
  const algorithms = KINDS.get(plainName(keyType))?.algorithms ?? [];
  return isCertificateType(keyType) ? algorithms.map(certificateName) : algorithms;
}

/** Whether a signature waits for a person who touches the security key. */
export function needsTouch(blob: Uint8Array): boolean {
  // uint32 length, then the type: "sk-".
  return blob.length > 7 && blob[4] === 0x73 && blob[5] === 0x6b && blob[6] === 0x2d;
}

/** Describes a public key or certificate blob, copied; undefined where it is none or its certificate cannot be read. */
export function identityOf(blob: Uint8Array, comment = ''): AgentIdentity | undefined {
  const own = Buffer.from(blob);
  return orUndefined(() => {
    const keyType = new Reader(own).text();
    if (!/^[\x21-\x7e]{1,64}$/.test(keyType)) return undefined;
    const plainKeyType = plainName(keyType);
    const isCertificate = isCertificateType(keyType);
    const plainBlob = isCertificate ? readHead(own)?.plainBlob : own;
    if (plainBlob === undefined) return undefined;
    const fingerprint = fingerprintOf(plainBlob);
    const shortComment = comment.slice(0, MAX_COMMENT);
    return { keyType, blob: own, comment: shortComment, fingerprint, isCertificate, plainKeyType, plainBlob };
  });
}

/** Whether it is a certificate for users; those of hosts are the other kind. */
export function isUserCertificate(blob: Uint8Array): boolean {
  return orUndefined(() => readHead(Buffer.from(blob))?.role) === USER;
}

interface CertificateHead {
  readonly plainBlob: Buffer;
  readonly role: number;
}

/**
 * A certificate is type, nonce, the strings of the public key, uint64 serial, uint32 role, and what else was signed. Only so much
 * is read of it, and no signature checked: it is ours to show, and the server's to judge.
 */
function readHead(certificate: Buffer): CertificateHead | undefined {
  const reader = new Reader(certificate);
  const keyType = reader.text();
  const plainKeyType = plainName(keyType);
  const kind = KINDS.get(plainKeyType);
  if (kind === undefined || !isCertificateType(keyType)) return undefined;
  reader.string();
  const writer = new Writer(certificate.length).text(plainKeyType);
  for (let i = 0; i < kind.fields; i++) writer.string(reader.string());
  reader.uint64();
  return { plainBlob: writer.copy(), role: reader.uint32() };
}

function orUndefined<T>(read: () => T | undefined): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof SshError) return undefined;
    throw error;
  }
}
