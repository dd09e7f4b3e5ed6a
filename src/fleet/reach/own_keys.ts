/**
 * Private keys that inventories name for single hosts: each file read and parsed once, before anything connects. A host with a key
 * of its own is logged in to with that one and no other; what `identity` names counts before it, for all hosts.
 */
import { resolve } from 'node:path';
import { MyriadError } from '../../contracts/errors.ts';
import type { Host } from '../../contracts/task.ts';
import type { AuthKey } from '../../ssh/client_auth.ts';
import type { FleetOptions } from '../options.ts';
import type { ConfiguredKeys } from './configured_keys.ts';
import { expandHome, keysIn } from './named_keys.ts';

/** Of a file: the first host that wants it, and how many do. */
export interface Wanted {
  readonly label: string;
  count: number;
}

/** By file. Plain data, so that it goes to threads. */
export type WantedKeys = ReadonlyMap<string, Wanted>;

/** Files that are read in one turn of the loop: to parse one takes about 0.1 ms. */
const FILES_PER_TURN = 100;

/** The key files of hosts. */
export function wantedKeys(hosts: Iterable<Host>): WantedKeys {
  const wanted = new Map<string, Wanted>();
  for (const { label, identity } of hosts) {
    if (identity === undefined) continue;
    const known = wanted.get(identity);
    if (known) known.count += 1;
    else wanted.set(identity, { label, count: 1 });
  }
  return wanted;
}

/** A path as an inventory has it, for whoever stands elsewhere later. `~` is the home folder, as for ssh. */
export function keyPath(file: string): string {
  return resolve(expandHome(file));
}

/** The keys of each file. Rejects with `inventory` for the first that cannot be used, naming a host that wants it. */
export async function loadOwnKeys(
  wanted: WantedKeys,
  options: FleetOptions,
  configured: ConfiguredKeys,
): Promise<ReadonlyMap<string, readonly AuthKey[]>> {
  const loaded = new Map<string, readonly AuthKey[]>();
  for (const [file, { label, count }] of wanted) {
    try {
      loaded.set(file, await load(file, options, configured));
    } catch (cause) {
      if (!(cause instanceof MyriadError)) throw cause;
      const more = count === 1 ? '' : ` and ${count - 1} more`;
      const key = `the private key ${JSON.stringify(file)} that the inventory names for "${label}"${more}`;
      throw new MyriadError('inventory', `${key} cannot be used: ${cause.message}`, { cause });
    }
    if (loaded.size % FILES_PER_TURN === 0) await new Promise((next) => setImmediate(next));
  }
  return loaded;
}

/** What is encrypted, or lives in a security key, may be held by the agent: then nobody has to be asked. */
async function load(file: string, options: FleetOptions, configured: ConfiguredKeys): Promise<readonly AuthKey[]> {
  const { agent: asked, passphrase } = options;
  try {
    return await keysIn(file, undefined);
  } catch (error) {
    if (!(error instanceof MyriadError) || (error.code !== 'passphrase' && error.code !== 'key')) throw error;
    const agent = asked === false ? undefined : (asked ?? process.env.SSH_AUTH_SOCK);
    const held = await configured.find({
      agent,
      agentNamed: false,
      files: [file],
      filesAreDefaults: true,
      certificateFiles: [],
      identitiesOnly: true,
    });
    if (held.length > 0) return held;
    if (error.code === 'key' || passphrase === undefined) throw error;
    return await keysIn(file, passphrase);
  }
}
