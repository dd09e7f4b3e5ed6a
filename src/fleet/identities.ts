/** The user's private keys, read and parsed once per fleet. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { MyriadError } from '../contracts/errors.ts';
import { Agent } from '../ssh/agent.ts';
import type { SetTimer } from '../ssh/agent_connection.ts';
import { signatureAlgorithmsOf } from '../ssh/agent_identity.ts';
import { agentKey } from '../ssh/agent_key.ts';
import { validityProblem } from '../ssh/certificate.ts';
import { loadCertificate } from '../ssh/certificate_user.ts';
import type { AuthKey } from '../ssh/client_auth.ts';
import { parsePrivateKey, type UserKey } from '../ssh/private_key.ts';
import type { FleetOptions } from './options.ts';

/** OpenSSH's own defaults and order, as far as we speak them. */
const DEFAULT_FILES = ['id_rsa', 'id_ecdsa', 'id_ed25519'];

/** What can log in, and what must be closed afterwards. */
export interface Identities {
  readonly keys: readonly AuthKey[];
  close(): void;
}

const NOTHING_OPEN = () => {};

/**
 * The keys of `identity`; or, without it and without a password, what the SSH agent holds and then the default files.
 * Throws `file`, `key` or `passphrase` for a key that was asked for; default keys that cannot be used are passed over.
 */
export async function loadIdentities(options: FleetOptions, setTimer: SetTimer): Promise<Identities> {
  if (options.identity !== undefined || options.password !== undefined) {
    return { keys: await namedKeys(options), close: NOTHING_OPEN };
  }
  const agent = openAgent(options, setTimer);
  const held = agent ? await agentKeys(agent, options.agent !== undefined) : [];
  const known = new Set(held.map((key) => key.fingerprint));
  const keys = [...held, ...defaultKeys().filter((key) => !known.has(key.fingerprint))];
  if (keys.length > 0) return { keys, close: () => agent?.close() };
  agent?.close();
  throw new MyriadError(
    'usage',
    `no way to log in: no --identity, no password, no key in an SSH agent, and no usable key in ~/.ssh (looked for ${DEFAULT_FILES.join(', ')}, not encrypted)`,
  );
}

function openAgent(options: FleetOptions, setTimer: SetTimer): Agent | undefined {
  const socketPath = options.agent === false ? undefined : (options.agent ?? process.env.SSH_AUTH_SOCK);
  return socketPath ? new Agent({ socketPath, setTimer }) : undefined;
}

/** An agent that was named must answer; one that only stands in the environment may be gone. */
async function agentKeys(agent: Agent, named: boolean): Promise<AuthKey[]> {
  try {
    const identities = await agent.identities();
    return identities
      .filter((identity) => signatureAlgorithmsOf(identity.keyType).length > 0)
      .map((identity) => agentKey(agent, identity));
  } catch (cause) {
    if (!named) return [];
    throw new MyriadError('key', `the SSH agent cannot be used: ${(cause as Error).message}`, { cause });
  }
}

async function namedKeys(options: FleetOptions): Promise<AuthKey[]> {
  if (options.identity !== undefined) {
    const files = typeof options.identity === 'string' ? [options.identity] : options.identity;
    const keys: AuthKey[] = [];
    for (const file of files) {
      const path = expandHome(file);
      keys.push(...withCertificate(await loadKey(path, options.passphrase), path));
    }
    return keys;
  }
  return [];
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
