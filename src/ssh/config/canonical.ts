/** CanonicalizeHostname: the name of a host completed with a domain, and replaced by its canonical name where that is permitted. */
import { looksLikeAddress } from './addresses.ts';
import { matchHostList } from './pattern.ts';
import type { CanonicalSettings, HostSettings } from './settings.ts';

/**
 * Asks the resolver: false, there is no such name · true, there is · text, there is, and this is its canonical name. A name with a
 * dot at its end is complete; others may be completed by the resolver's own search list.
 */
export type CanonicalLookup = (name: string, family: HostSettings['addressFamily']) => Promise<boolean | string>;

/**
 * `off`: not asked for · `kept`: asked for, and the name stays · `renamed` · `not-found`: no domain has the name, and
 * CanonicalizeFallbackLocal forbids to use it as it is · `pending`: asked for, and nobody was asked.
 */
export type Canonicalization = 'off' | 'kept' | 'renamed' | 'not-found' | 'pending';

export interface CanonicalName {
  readonly name: string;
  readonly canonicalization: Canonicalization;
}

/** Whether the resolver must be asked for this name; `direct`: the host is not behind a ProxyCommand or ProxyJump. */
export function needsLookup(name: string, direct: boolean, settings: CanonicalSettings): boolean {
  if (settings.hostname === 'no' || looksLikeAddress(name)) return false;
  return direct || settings.hostname === 'always';
}

/** For a name for which `needsLookup` holds. */
export async function canonicalName(
  name: string,
  settings: HostSettings,
  lookup: CanonicalLookup,
): Promise<CanonicalName> {
  const { canonicalize, addressFamily } = settings;
  if (name.endsWith('.')) return findFirst(name, [name], settings, lookup);
  if (name.split('.').length - 1 <= canonicalize.maxDots) {
    const complete = canonicalize.domains.map((domain) => `${name}.${domain}.`);
    const found = await findFirst(name, complete, settings, lookup);
    if (found.canonicalization !== 'kept') return found;
  }
  if (canonicalize.permittedCnames.length === 0) return { name, canonicalization: 'kept' };
  const answer = await lookup(name, addressFamily);
  const alias = typeof answer === 'string' ? follow(name, answer, canonicalize) : name;
  return { name: alias, canonicalization: alias === name ? 'kept' : 'renamed' };
}

/** The first of the complete names that exists. */
async function findFirst(
  name: string,
  complete: readonly string[],
  settings: HostSettings,
  lookup: CanonicalLookup,
): Promise<CanonicalName> {
  for (const full of complete) {
    const answer = await lookup(full, settings.addressFamily);
    if (answer === false) continue;
    const bare = full.slice(0, -1);
    const found = typeof answer === 'string' ? follow(bare, answer, settings.canonicalize) : bare;
    return { name: found, canonicalization: found === name ? 'kept' : 'renamed' };
  }
  return { name, canonicalization: settings.canonicalize.fallbackLocal ? 'kept' : 'not-found' };
}

function follow(name: string, alias: string, settings: CanonicalSettings): string {
  const target = alias.toLowerCase().replace(/\.$/, '');
  if (target === '' || target === name) return name;
  const permitted = settings.permittedCnames.some(
    ({ from, to }) => matchHostList(name, from) && matchHostList(target, to),
  );
  return permitted ? target : name;
}
