/** Reads known_hosts once per fleet and makes the verifier that every connection asks. */
import { readFileSync } from 'node:fs';
import { MyriadError } from '../contracts/errors.ts';
import { createHostKeyVerifier, type HostKeyPolicy, type HostKeyVerifier } from '../ssh/host_key_policy.ts';
import { KnownHosts } from '../ssh/known_hosts.ts';
import { expandHome } from './identities.ts';
import type { FleetOptions } from './options.ts';

const DEFAULT_FILES = ['~/.ssh/known_hosts', '/etc/ssh/ssh_known_hosts'];

/** Throws `known-hosts` for a file that was named and cannot be read; one that `accept-new` will make may be missing. */
export function loadHostKeys(options: FleetOptions, policy: HostKeyPolicy): HostKeyVerifier {
  const named = options.knownHosts !== undefined;
  const wanted = options.knownHosts ?? DEFAULT_FILES;
  const files = (typeof wanted === 'string' ? [wanted] : wanted).map(expandHome);
  const texts: { file: string; text: Buffer }[] = [];
  for (const [place, file] of files.entries()) {
    const text = read(file, named && !(policy === 'accept-new' && place === 0));
    if (text) texts.push({ file, text });
  }
  return createHostKeyVerifier({ policy, known: KnownHosts.parse(texts), file: files[0] });
}

function read(file: string, needed: boolean): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch (cause) {
    if (!needed && (cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MyriadError('known-hosts', `known hosts file "${file}" cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}
