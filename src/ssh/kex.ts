/** The key exchange methods that this Node can do, most wanted first. */
import { protocolError } from './errors.ts';
import { CURVES } from './kex/curves.ts';
import { GROUPS, LEGACY_GROUPS } from './kex/groups.ts';
import { HYBRIDS } from './kex/hybrid.ts';
import type { KexMethod } from './kex/method.ts';

const [X25519, X25519_LIBSSH, NISTP256, ...LARGE_CURVES] = CURVES;

/**
 * By what the client's half costs (Node 26, µs): curve25519 59, mlkem768x25519 134, nistp256 84; on the thread pool nistp384 1,200,
 * group14 650, nistp521 2,900, group16 2,800, groups of the server's 11,000 and a round trip. The first is all that a budget of
 * 500 µs a host has room for, so post-quantum keys are for those who put them first (`KexAlgorithms ^mlkem768x25519-sha256`).
 */
export const DEFAULT_KEX: readonly KexMethod[] = [
  X25519,
  X25519_LIBSSH,
  ...HYBRIDS,
  NISTP256,
  ...LARGE_CURVES,
  ...GROUPS,
];

/** Taken only where the user names them. */
export const LEGACY_KEX: readonly KexMethod[] = LEGACY_GROUPS;

const METHODS: ReadonlyMap<string, KexMethod> = new Map(
  [...DEFAULT_KEX, ...LEGACY_KEX].map((method) => [method.name, method]),
);

export function kexMethod(name: string): KexMethod {
  const method = METHODS.get(name);
  if (!method) throw protocolError(`expected a known key exchange method, got ${name}`);
  return method;
}
