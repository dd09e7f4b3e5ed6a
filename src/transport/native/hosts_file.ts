/** /etc/hosts: read once, kept in memory. */
import { canonical, familyOf } from './addresses.ts';

export interface HostAddresses {
  readonly v6: string[];
  readonly v4: string[];
}

/**
 * Names, in lower case, to all their addresses in the order of the lines, as glibc merges them. What is not an address,
 * and a line without a name, says nothing.
 */
export function parseHosts(text: string): ReadonlyMap<string, HostAddresses> {
  const names = new Map<string, HostAddresses>();
  for (const line of text.split('\n')) {
    const comment = line.indexOf('#');
    const [written, ...aliases] = (comment < 0 ? line : line.slice(0, comment)).trim().split(/\s+/);
    const family = familyOf(written ?? '');
    if (family === 0) continue;
    const address = canonical(written!);
    for (const alias of aliases) {
      const id = alias.toLowerCase().replace(/\.$/, '');
      let known = names.get(id);
      if (known === undefined) {
        known = { v6: [], v4: [] };
        names.set(id, known);
      }
      const list = family === 6 ? known.v6 : known.v4;
      if (!list.includes(address)) list.push(address);
    }
  }
  return names;
}
