/** SSHFP records (RFC 4255, 6594, 7479): fingerprints of host keys in DNS. Who asks for them, and whether DNSSEC vouches, is given. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { keyTypeOf } from './known_hosts_entry.ts';

export interface SshfpRecord {
  /** Of the key: 1 RSA, 2 DSA, 3 ECDSA, 4 Ed25519. */
  readonly algorithm: number;
  /** Of the fingerprint: 1 SHA-1, 2 SHA-256. */
  readonly type: number;
  readonly fingerprint: Uint8Array;
}

export interface SshfpAnswer {
  readonly records: readonly SshfpRecord[];
  /** Validated by DNSSEC on the way from a resolver that is trusted: its AD bit. */
  readonly secure: boolean;
}

/** Asks for the SSHFP records of a name; no records where there are none. A rejection counts as none. */
export type SshfpResolver = (name: string) => Promise<SshfpAnswer>;

/**
 * `match`: a record has this key's fingerprint · `mismatch`: there are records that count and none is of this key · `none`: no record
 * counts.
 */
export type SshfpVerdict = 'match' | 'mismatch' | 'none';

const ALGORITHMS: Readonly<Record<string, number | undefined>> = {
  'ssh-rsa': 1,
  'ssh-dss': 2,
  'ecdsa-sha2-nistp256': 3,
  'ecdsa-sha2-nistp384': 3,
  'ecdsa-sha2-nistp521': 3,
  'ssh-ed25519': 4,
};
const HASHES: Readonly<Record<number, { readonly name: string; readonly bytes: number } | undefined>> = {
  1: { name: 'sha1', bytes: 20 },
  2: { name: 'sha256', bytes: 32 },
};
/** More are not looked at: a host has a handful of keys. */
const MAX_RECORDS = 100;

/** A record's data as DNS carries it; undefined where it is damaged or its fingerprint has not the length of its type. */
export function readSshfp(data: Uint8Array): SshfpRecord | undefined {
  const [algorithm, type] = data;
  if (algorithm === undefined || type === undefined) return undefined;
  const fingerprint = Uint8Array.from(data.subarray(2));
  const hash = HASHES[type];
  if (fingerprint.length === 0 || (hash !== undefined && fingerprint.length !== hash.bytes)) return undefined;
  return { algorithm, type, fingerprint };
}

/** Compares a plain key with the records of its host. SHA-1 fingerprints count only where `sha1` is set. */
export function compareSshfp(records: readonly SshfpRecord[], keyBlob: Uint8Array, sha1 = false): SshfpVerdict {
  const algorithm = ALGORITHMS[keyTypeOf(keyBlob)];
  let verdict: SshfpVerdict = 'none';
  for (const record of records.slice(0, MAX_RECORDS)) {
    const hash = HASHES[record.type];
    if (hash === undefined || record.fingerprint.length !== hash.bytes || (record.type === 1 && !sha1)) continue;
    if (record.algorithm === algorithm) {
      const own = createHash(hash.name).update(keyBlob).digest();
      if (timingSafeEqual(own, record.fingerprint)) return 'match';
    }
    verdict = 'mismatch';
  }
  return verdict;
}
