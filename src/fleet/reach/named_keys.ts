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
    keys.push(...(await keysIn(expandHome(file), passphrase, '--identity')));
  }
  return keys;
}

/** The key of a file, after its certificate. `option`: where the file was named. Throws `file`, `key` or `passphrase`. */
export async function keysIn(
  file: string,
  passphrase: FleetOptions['passphrase'],
  option?: string,
): Promise<readonly AuthKey[]> {
  return withCertificate(await loadKey(file, readKey(file, option), passphrase), file);
}

async function loadKey(file: string, text: Buffer, passphrase: FleetOptions['passphrase']): Promise<UserKey> {
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

function readKey(file: string, option: string | undefined): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    const { message } = cause as Error;
    const text = option === undefined ? message : `${option} "${file}" cannot be read: ${message}`;
    throw new MyriadError('file', text, { cause });
  }
}

export function expandHome(file: string): string {
  return file.startsWith('~/') ? join(homedir(), file.slice(2)) : file;
}
