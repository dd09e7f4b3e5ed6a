/** What is said about a private key file that cannot be used: one sentence each, with its source, never a byte of it. */
import { MyriadError } from '../contracts/errors.ts';

export function damagedKey(source: string): MyriadError {
  return new MyriadError('key', `the private key ${source} is damaged`);
}

/** `kind` must not come from decrypted bytes. */
export function unsupportedKey(source: string, kind: string): MyriadError {
  return new MyriadError(
    'key',
    `the private key ${source} is of a kind that cannot be used (${kind}); use Ed25519, ECDSA or RSA`,
  );
}

export function agentKey(source: string): MyriadError {
  return new MyriadError(
    'key',
    `the private key ${source} lives in a security key: it needs the agent (ssh-add ${source})`,
  );
}

export function missingPassphrase(source: string): MyriadError {
  return new MyriadError('passphrase', `the private key ${source} is encrypted: it needs its passphrase`);
}

export function wrongPassphrase(source: string): MyriadError {
  return new MyriadError(
    'passphrase',
    `the passphrase for the private key ${source} is wrong (or the file is damaged)`,
  );
}
