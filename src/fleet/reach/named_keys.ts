/** Private key files that the caller named: read and parsed once per fleet, and all of them must be usable. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { MyriadError } from '../../contracts/errors.ts';
import { validityProblem } from '../../ssh/certificate.ts';
import { loadCertificate } from '../../ssh/certificate_user.ts';
import type { AuthKey } from '../../ssh/client_auth.ts';
import { parsePrivateKey, type UserKey } from '../../ssh/private_key.ts';
import type { FleetOptions } from '../options.ts';

/** The keys of `identity`, each after its certificate. Throws `file`, `key` or `passphrase`. */
export async function namedKeys(options: FleetOptions): Promise<readonly AuthKey[]> {
  const { identity = [], passphrase } = options;
  const keys: AuthKey[] = [];
  for (const file of typeof identity === 'string' ? [identity] : identity) {
    const path = expandHome(file);
    keys.push(...withCertificate(await loadKey(path, passphrase), path));
  }
  return keys;
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

export function expandHome(file: string): string {
  return file.startsWith('~/') ? join(homedir(), file.slice(2)) : file;
}
