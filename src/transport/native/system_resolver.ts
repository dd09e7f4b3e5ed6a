/**
 * `--resolver system`: names as this machine's nsswitch.conf has it (LDAP, mDNS, NIS), at the price of threads.
 *
 * libuv answers at most two lookups at once with its four threads, and file access shares them: four are under way, the
 * others wait here. A caller that has given up does not free its thread: that is why this is not the default.
 */
import { type LookupAddress, lookup } from 'node:dns';
import { byTurns, canBeHost, type Family, familyOf, MAX_ADDRESSES } from './addresses.ts';
import { type NameResolver, quiet, ResolveError, type ResolveFault, rejected } from './resolver.ts';

/** `dns.lookup` in the form that is used here; tests bring their own. */
export type SystemLookup = (
  name: string,
  options: { readonly all: true; readonly family: 0 | 4 | 6; readonly order: 'verbatim' },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

const AT_ONCE = 4;
/** Names that wait at most: beyond, the one that has waited longest is refused. */
const MAX_WAITING = 16_384;
/** Names remembered at most; beyond, all are forgotten. */
const REMEMBERED = 100_000;

interface Wanted {
  readonly name: string;
  readonly id: string;
  readonly family: Family;
  readonly promise: Promise<readonly string[]>;
  readonly resolve: (addresses: readonly string[]) => void;
  readonly reject: (error: ResolveError) => void;
}

export class SystemResolver implements NameResolver {
  readonly #lookup: SystemLookup;
  readonly #known = new Map<string, readonly string[]>();
  /** By id, in the order in which they came; those that wait follow those that are under way. */
  readonly #wanted = new Map<string, Wanted>();
  readonly #waiting = new Set<Wanted>();
  #underWay = 0;
  #closed = false;

  constructor(systemLookup: SystemLookup = lookup) {
    this.#lookup = systemLookup;
  }

  resolve(name: string, family: Family): readonly string[] | Promise<readonly string[]> {
    const literal = familyOf(name);
    if (literal !== 0 && (family === 'any' || family === literal)) return [name];
    const id = `${family} ${name.toLowerCase()}`;
    const known = this.#known.get(id) ?? this.#wanted.get(id)?.promise;
    if (known !== undefined) return known;
    if (this.#closed) return rejected(new ResolveError(name, 'closed', 'the resolver was closed'));
    const wanted: Wanted = { name, id, family, ...Promise.withResolvers<readonly string[]>() };
    this.#wanted.set(id, wanted);
    if (this.#underWay < AT_ONCE) this.#start(wanted);
    else {
      if (this.#waiting.size >= MAX_WAITING) this.#refuseOldest();
      this.#waiting.add(wanted);
    }
    return wanted.promise;
  }

  close(): void {
    this.#closed = true;
    this.#waiting.clear();
    for (const wanted of this.#wanted.values()) this.#miss(wanted, 'closed', 'the resolver was closed');
  }

  #start(wanted: Wanted): void {
    this.#underWay += 1;
    const family = wanted.family === 'any' ? 0 : wanted.family;
    this.#lookup(wanted.name, { all: true, family, order: 'verbatim' }, (error, found) => {
      this.#underWay -= 1;
      this.#ended(wanted, error, found);
      if (this.#underWay < AT_ONCE) this.#startNext();
    });
  }

  #startNext(): void {
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      this.#start(next);
      return;
    }
  }

  #ended(wanted: Wanted, error: NodeJS.ErrnoException | null, found: LookupAddress[]): void {
    if (this.#closed) return;
    if (error !== null) {
      const [fault, why] = EXPLAINED[error.code ?? ''] ?? ['server', error.code ?? error.message];
      this.#miss(wanted, fault, why, error);
      return;
    }
    const addresses = byFamilies(found.map(({ address }) => address).filter(canBeHost));
    if (addresses.length === 0) {
      this.#miss(wanted, 'no-address', "the name has no address that can be a host's");
      return;
    }
    this.#wanted.delete(wanted.id);
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.set(wanted.id, addresses);
    wanted.resolve(addresses);
  }

  #refuseOldest(): void {
    for (const oldest of this.#waiting) {
      this.#waiting.delete(oldest);
      this.#miss(oldest, 'local-limit', `the system's resolver is behind by more than ${MAX_WAITING} names`);
      return;
    }
  }

  #miss(wanted: Wanted, fault: ResolveFault, why: string, cause?: Error): void {
    this.#wanted.delete(wanted.id);
    quiet(wanted.promise);
    wanted.reject(new ResolveError(wanted.name, fault, why, cause === undefined ? {} : { cause }));
  }
}

/** What getaddrinfo(3) says. */
const EXPLAINED: Readonly<Record<string, readonly [ResolveFault, string]>> = {
  ENOTFOUND: ['no-name', 'no such name (ENOTFOUND)'],
  ENODATA: ['no-address', 'the name has no address (ENODATA)'],
  EAI_AGAIN: ['server', "the system's resolver could not say (EAI_AGAIN)"],
  EAI_FAIL: ['server', "the system's resolver failed (EAI_FAIL)"],
  EMFILE: ['local-limit', 'EMFILE'],
  EAI_MEMORY: ['local-limit', 'EAI_MEMORY'],
};

/** The system's own order within a family and for what comes first (gai.conf), the families by turns (RFC 8305 §4). */
function byFamilies(addresses: readonly string[]): readonly string[] {
  const first = addresses[0]?.includes(':');
  const same = addresses.filter((address) => address.includes(':') === first);
  const other = addresses.filter((address) => address.includes(':') !== first);
  return [...new Set(byTurns(same, other))].slice(0, MAX_ADDRESSES);
}
