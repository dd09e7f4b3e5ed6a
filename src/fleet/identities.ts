/** The user's private keys, read and parsed once per fleet. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { MyriadError } from '../contracts/errors.ts';
import { validityProblem } from '../ssh/certificate.ts';
import { loadCertificate } from '../ssh/certificate_user.ts';
import { parsePrivateKey, type UserKey } from '../ssh/private_key.ts';
import type { FleetOptions } from './options.ts';

/** OpenSSH's own defaults and order, as far as we speak them. */
const DEFAULT_FILES = ['id_rsa', 'id_ecdsa', 'id_ed25519'];

/** Throws `file`, `key` or `passphrase` for a key that was asked for; default keys that cannot be used are passed over. */
export async function loadIdentities(options: FleetOptions): Promise<UserKey[]> {
  if (options.identity !== undefined) {
    const files = typeof options.identity === 'string' ? [options.identity] : options.identity;
    const keys: UserKey[] = [];
    for (const file of files) {
      const path = expandHome(file);
      keys.push(...withCertificate(await loadKey(path, options.passphrase), path));
    }
    return keys;
  }
  if (options.password !== undefined) return [];
  const keys = defaultKeys();
  if (keys.length > 0) return keys;
  throw new MyriadError(
    'usage',
    `no way to log in: no --identity, no password, and no usable key in ~/.ssh (looked for ${DEFAULT_FILES.join(', ')}, not encrypted)`,
  );
}

async function loadKey(file: string, passphrase: FleetOptions['passphrase']): Promise<UserKey> {
  const text = readKey(file);
  if (typeof passphrase !== 'function') {
    return parsePrivateKey(text, { source: file, ...(passphrase === undefined ? {} : { passphrase }) });
  }
  try {
    return parsePrivateKey(text, { source: file });
  } catch (error) {
    if (!(error instanceof MyriadError) || error.code !== 'passphrase') throw error;
    return parsePrivateKey(text, { source: file, passphrase: await passphrase(file) });
  }
}

/** A valid certificate beside the key (`KEY-cert.pub`) is shown first, as OpenSSH does. Throws `key` for one that is damaged. */
function withCertificate(key: UserKey, file: string): UserKey[] {
  const beside = `${file}-cert.pub`;
  if (!existsSync(beside)) return [key];
  const certified = loadCertificate(readFileSync(beside, 'utf8'), beside, key);
  return validityProblem(certified.certificate, Date.now()) === undefined ? [certified, key] : [key];
}

function readKey(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new MyriadError('file', `--identity "${file}" cannot be read: ${(cause as Error).message}`, { cause });
  }
}

function defaultKeys(): UserKey[] {
  const keys: UserKey[] = [];
  for (const name of DEFAULT_FILES) {
    const file = join(homedir(), '.ssh', name);
    if (!existsSync(file)) continue;
    try {
      keys.push(...withCertificate(parsePrivateKey(readFileSync(file), { source: file }), file));
    } catch {
      // Nobody asked for this one: an encrypted or foreign key in the usual place must not stop a run.
    }
  }
  return keys;
}

export function expandHome(file: string): string {
  return file.startsWith('~/') ? join(homedir(), file.slice(2)) : file;
}
