/** Host keys that were looked at, and how they become known: lines of known_hosts, appended in one write under the file's lock. */
import { randomBytes } from 'node:crypto';
import { MyriadError } from '../contracts/errors.ts';
import type { Host, TaskResult } from '../contracts/task.ts';
import { KnownHosts } from '../ssh/known_hosts.ts';
import { knownHostsLine } from '../ssh/known_hosts_entry.ts';
import { appendLocked } from '../ssh/known_hosts_writer.ts';
import { fingerprintOf } from '../ssh/public_key.ts';
import type { ShownKeys } from '../transport/transport.ts';
import type { RunOptions } from './options.ts';
import type { PollOptions } from './polling/options.ts';
import type { HostKeyStore } from './reach/host_keys.ts';

/** A key that a host has proven to hold. */
export interface HostKey {
  /** `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`… */
  readonly type: string;
  /** Its wire form in base64, as it stands in known_hosts. */
  readonly blob: string;
  /** `SHA256:…`, as ssh-keygen -l prints it. */
  readonly fingerprint: string;
}

/** What one host showed. */
export interface HostKeys {
  readonly host: Host;
  /** Under what its keys are known: HostKeyAlias, else name and port. */
  readonly name: string;
  readonly port: number;
  /** `known`: it has the key that is known · `certificate`: an authority that is known vouches for it · `no`: see `keys`. */
  readonly trusted: 'no' | 'known' | 'certificate';
  /** Keys that are not known, one of each type; none where the host is trusted. */
  readonly keys: readonly HostKey[];
  /** Whether its SSHFP records in DNS have one of these keys; `secure`: validated by DNSSEC. */
  readonly sshfp: 'match' | 'secure' | 'none';
}

/** A run that starts nothing on its hosts: there is no output to gather, and no command to end. */
export type LookOptions = Pick<RunOptions, 'runMs' | 'signal' | 'listener'>;

/** Throws `usage` for options that are of a run only; `more`: those that this one has besides. */
export function lookOptions(options: LookOptions & PollOptions, more: readonly string[] = []): RunOptions {
  const { runMs, signal, listener, ...others } = options;
  const unknown = Object.keys(others).find((name) => !more.includes(name));
  if (unknown === undefined) return options;
  const known = ['runMs', 'signal', 'listener', ...more].join(', ');
  throw new MyriadError('usage', `unknown option "${unknown}"; known are ${known}`);
}

/** How keys are learnt. */
export interface LearnOptions {
  /** The known_hosts file. @default each host's own: the first that its configuration, or the fleet's `knownHosts`, names */
  readonly file?: string;
}

/** What was added to one file. */
export interface Learnt {
  readonly file: string;
  readonly hosts: number;
  readonly keys: number;
  /** Hosts of which the file had learnt another key meanwhile: nothing of theirs was added. */
  readonly changed: readonly Host[];
}

/** Finds what is known of a host's keys. */
export type FindStore = (host: Host) => Promise<HostKeyStore>;

interface Batch {
  readonly file: string;
  readonly entries: { readonly found: HostKeys; readonly store: HostKeyStore }[];
}

const SALT_BYTES = 20;

/**
 * The keys in a result of `Fleet.hostKeys`; undefined where the host showed none that counts. What hosts print themselves, in results of
 * other runs, says nothing of their keys: do not give it those.
 */
export function hostKeysOf(result: TaskResult): HostKeys | undefined {
  if (result.outcome.kind !== 'ok' || result.outcome.status !== null) return undefined;
  const { name, port, trusted, keys, sshfp } = JSON.parse(result.stdout.text()) as ShownKeys;
  const read = keys.map(({ type, blob }) => ({ type, blob, fingerprint: fingerprintOf(Buffer.from(blob, 'base64')) }));
  return { host: result.host, name, port, trusted, keys: read, sshfp };
}

/** Its lines for a known_hosts file, each with its line break; `hashNames`: as HashKnownHosts has them. */
export function knownHostsLines({ name, port, keys }: HostKeys, hashNames = false): string {
  const line = ({ blob }: HostKey) => {
    const salt = hashNames ? randomBytes(SALT_BYTES) : undefined;
    return knownHostsLine(name, port, Buffer.from(blob, 'base64'), salt);
  };
  return keys.map(line).join('');
}

/** Adds these keys to their files, each in one write. Rejects with `file` or the system's error; what is written by then stays. */
export async function learn(
  found: Iterable<HostKeys>,
  { file }: LearnOptions,
  findStore: FindStore,
): Promise<readonly Learnt[]> {
  const batches = new Map<string, Batch>();
  for (const keys of found) {
    if (keys.keys.length === 0) continue;
    const store = await findStore(keys.host);
    const to = file ?? store.file;
    if (to === undefined) {
      throw new MyriadError('known-hosts', `"${keys.host.label}" has no known_hosts file: name one with --known-hosts`);
    }
    const batch = batches.get(to) ?? { file: to, entries: [] };
    batches.set(to, batch);
    batch.entries.push({ found: keys, store });
  }
  const learnt: Learnt[] = [];
  for (const batch of batches.values()) learnt.push(await learnBatch(batch));
  return learnt;
}

/** What the file has got since it was read counts: it is looked at again under the lock. */
async function learnBatch({ file, entries }: Batch): Promise<Learnt> {
  const changed: Host[] = [];
  /** By name, port and type. */
  const added = new Map<string, string>();
  const learnt: { readonly found: HostKeys; readonly store: HostKeyStore; readonly keys: readonly HostKey[] }[] = [];
  await appendLocked(file, (text) => {
    const since = KnownHosts.parse([{ file, text: linesSince(text, entries[0]!.store, file) }]);
    const lines: string[] = [];
    for (const { found, store } of entries) {
      const { name, port } = found;
      const id = ({ type }: HostKey) => `${name}:${port} ${type}`;
      const answers = found.keys.map((key) => since.check(name, port, Buffer.from(key.blob, 'base64')).kind);
      const others = found.keys.some((key) => (added.get(id(key)) ?? key.blob) !== key.blob);
      if (others || answers.includes('revoked') || (answers.includes('changed') && !answers.includes('known'))) {
        changed.push(found.host);
        continue;
      }
      const keys = found.keys.filter((key, at) => answers[at] !== 'known' && !added.has(id(key)));
      for (const key of keys) added.set(id(key), key.blob);
      if (keys.length === 0) continue;
      lines.push(knownHostsLines({ ...found, keys }, store.hashNames));
      learnt.push({ found, store, keys });
    }
    return lines.join('');
  });
  for (const { found, store, keys } of learnt) remember(found, store, keys);
  const keys = learnt.reduce((sum, { keys }) => sum + keys.length, 0);
  return { file, hosts: learnt.length, keys, changed };
}

/** The bytes that came to the file since the store read it; all of them where it is another file by now. */
function linesSince(text: Buffer, store: HostKeyStore, file: string): Buffer {
  const before = store.file === file ? store.text : undefined;
  if (before === undefined || before.length > text.length) return text;
  return text.subarray(0, before.length).equals(before) ? text.subarray(before.length) : text;
}

/** For the runs of this fleet that follow. */
function remember({ name, port }: HostKeys, { known }: HostKeyStore, keys: readonly HostKey[]): void {
  for (const { type, blob } of keys) known.add(name, port, type, Buffer.from(blob, 'base64'));
}
