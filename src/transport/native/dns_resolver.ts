/**
 * Names to addresses without threads: literals, /etc/hosts in memory, then queries to the name servers, answers kept for
 * the run. `dns.lookup` is not used (four threads: 40 names against a silent server take it 20 s); nor is Node's c-ares,
 * which cannot be told how to ask again: 1,000 names at 1 % loss take it 450 ms longer, `DnsClient` 70.
 *
 * CPU a name in µs, on two busy cores with Node 26, of the whole process (`bench/dns.ts`):
 *
 *                                      first 1,000   next 1,000   once compiled
 *   A and AAAA                              50            25            26
 *     bare datagrams (`--floor`)            21            20            15
 *   A alone                                 40            19            16
 *     bare datagrams                        14            10             8
 *
 * The floor is two datagrams there and back, for which node:dgram has no call that takes several; c-ares, whose queries are
 * native code, takes 18 for A alone and 38 for both. What the first names take more is code that V8 compiles meanwhile, some 70
 * functions: hence few and large ones here, and no class for a query. Pipelined over TCP (`options
 * use-vc`) it is 15, but servers are known that answer a connection's questions one after the other, and networks that have no
 * port 53 but UDP's.
 */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { domainToASCII } from 'node:url';
import type { SshfpAnswer } from '../../ssh/sshfp.ts';
import type { TimerSource } from '../../util/timer_wheel.ts';
import { type Family, familyOf, inOrder, leadsOut } from './addresses.ts';
import { type Asker, DnsClient, type LookupFault, type LookupResult } from './dns_client.ts';
import { MAX_NAME, nameFault } from './dns_message.ts';
import { SshfpLookup } from './dns_sshfp.ts';
import { type HostAddresses, parseHosts } from './hosts_file.ts';
import { candidates, parseResolvConf, type ResolvConf, type ServerAddress } from './resolv_conf.ts';
import { type NameResolver, quiet, ResolveError, type ResolveFault, rejected } from './resolver.ts';

/** Names remembered at most, in two generations: where the younger is full, the older is forgotten. */
const REMEMBERED = 100_000;
/** How long a name that does not exist is remembered: it may be created while a run goes on. */
const REFUSED_MS = 5_000;

export interface DnsResolverOptions {
  readonly clock: TimerSource;
  /** Instead of the servers of resolv.conf. */
  readonly servers?: readonly ServerAddress[];
  /** @default '/etc/resolv.conf' */
  readonly resolvConf?: string;
  /** @default '/etc/hosts' */
  readonly hostsFile?: string;
  /** Whether this machine can reach others over IPv6. @default it has an address other than `::1` and link-local ones */
  readonly ipv6?: () => boolean;
}

/** A name that does not exist, on the clock. */
class Refused {
  readonly error: ResolveError;
  readonly until: number;

  constructor(error: ResolveError, until: number) {
    this.error = error;
    this.until = until;
  }
}

/** The files are read at the first name that is not a literal, and not again. */
export class DnsResolver implements NameResolver {
  readonly #options: DnsResolverOptions;
  #hosts: ReadonlyMap<string, HostAddresses> | undefined;
  #conf: ResolvConf | undefined;
  #client: DnsClient | undefined;
  #ipv6: boolean | undefined;
  #sshfp: SshfpLookup | undefined;
  #closed = false;
  /** What was answered, is being asked for, or does not exist. What is being asked for is bounded by the client. */
  readonly #known = new Remembered<readonly string[] | Promise<readonly string[]> | Refused>(REMEMBERED);

  constructor(options: DnsResolverOptions) {
    this.#options = options;
  }

  resolve(name: string, family: Family): readonly string[] | Promise<readonly string[]> {
    const literal = mayBeLiteral(name) ? familyOf(name) : 0;
    if (literal !== 0) return literalOf(name, literal, family);
    const lower = name.toLowerCase();
    const id = family === 'any' ? lower : `${family} ${lower}`;
    const known = this.#known.get(id);
    if (known === undefined) return this.#find(name, lower, id, family);
    if (!(known instanceof Refused)) return known;
    return known.until > this.#options.clock.now() ? rejected(known.error) : this.#find(name, lower, id, family);
  }

  /**
   * For CanonicalizeHostname: false, there is no such name · true, there is · text, there is, and it is an alias of this. A name with a
   * dot at its end is complete. Rejects with ResolveError where nobody can say.
   */
  async canonical(name: string, family: Family): Promise<boolean | string> {
    const bare = asciiOf(name).replace(/\.$/, '');
    if (whyNoName(bare) !== undefined) return false;
    if (this.#hostsFile().has(bare)) return true;
    const result = await new Promise<LookupResult>((told) => this.ask(bare, family, { told }));
    if (result.kind === 'addresses') return result.alias ?? true;
    if (result.fault === 'no-name' || result.fault === 'no-address') return false;
    throw new ResolveError(name, result.fault, result.why);
  }

  /** For VerifyHostKeyDNS: the SSHFP records of a name. Never rejects. */
  sshfp(name: string): Promise<SshfpAnswer> {
    this.#sshfp ??= new SshfpLookup(this.#settings());
    return this.#sshfp.resolve(asciiOf(name));
  }

  close(): void {
    this.#closed = true;
    this.#client?.close();
  }

  #find(name: string, lower: string, id: string, family: Family): readonly string[] | Promise<readonly string[]> {
    const usual = lower.length <= MAX_NAME && USUAL.test(lower);
    const ascii = usual ? lower : asciiOf(name);
    const bare = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii;
    const fault = this.#closed ? 'the resolver was closed' : usual ? undefined : whyNoName(bare);
    if (fault !== undefined) {
      return rejected(new ResolveError(name, this.#closed ? 'closed' : 'name', fault));
    }
    const here =
      this.#hostsFile().get(bare) ?? (bare.endsWith('localhost') && LOCALHOST.test(bare) ? LOOPBACK : undefined);
    if (here !== undefined) {
      const addresses = ordered(here, family);
      if (addresses.length > 0) {
        this.#known.set(id, addresses);
        return addresses;
      }
    }
    const search = new Search(this, name, id, family, candidates(ascii, this.#settings()));
    this.#known.set(id, search.promise);
    search.next();
    return search.promise;
  }

  /** For `Search`. */
  ask(name: string, family: Family, asker: Asker): void {
    this.#client ??= new DnsClient(this.#settings(), this.#options.clock);
    this.#client.ask(name, family, asker);
  }

  /** For `Search`: whether an IPv6 address would be of any use. */
  get ipv6(): boolean {
    this.#ipv6 ??= (this.#options.ipv6 ?? hasIpv6)();
    return this.#ipv6;
  }

  /** For `Search`, before it tells others. */
  found(id: string, addresses: readonly string[]): void {
    this.#known.set(id, addresses);
  }

  /** For `Search`, before it tells others. */
  missed(id: string, error: ResolveError): void {
    if (error.fault === 'no-name' || error.fault === 'no-address') {
      this.#known.set(id, new Refused(error, this.#options.clock.now() + REFUSED_MS));
    } else this.#known.delete(id);
  }

  #hostsFile(): ReadonlyMap<string, HostAddresses> {
    this.#hosts ??= parseHosts(textOf(this.#options.hostsFile ?? '/etc/hosts'));
    return this.#hosts;
  }

  #settings(): ResolvConf {
    if (this.#conf === undefined) {
      const conf = parseResolvConf(textOf(this.#options.resolvConf ?? '/etc/resolv.conf'));
      const { servers } = this.#options;
      this.#conf = servers === undefined ? conf : { ...conf, servers };
    }
    return this.#conf;
  }
}

/**
 * One name on its way through the search list. It goes on only where the servers say for certain that there is nothing
 * under a full name: after a failure, going on could end at another host with the same short name.
 *
 * A machine without IPv6 asks for A alone, which is half of the work. For AAAA it asks where there is no A: what a name is
 * said to be does not depend on who asks.
 */
class Search implements Asker {
  readonly #resolver: DnsResolver;
  readonly #name: string;
  readonly #id: string;
  readonly #family: Family;
  readonly #candidates: readonly string[];
  readonly promise: Promise<readonly string[]>;
  #resolve!: (addresses: readonly string[]) => void;
  #reject!: (error: ResolveError) => void;
  #next = 0;
  /** One of the full names exists, though without an address. */
  #exists: string | undefined;
  /** What is asked for first, and what is being asked for. */
  readonly #first: Family;
  #asking: Family;

  constructor(resolver: DnsResolver, name: string, id: string, family: Family, candidates: readonly string[]) {
    this.#resolver = resolver;
    this.#name = name;
    this.#id = id;
    this.#family = family;
    // A domain of the search list may make it too long.
    this.#candidates = candidates.length === 1 ? candidates : candidates.filter((it) => nameFault(it) === undefined);
    // A fifth of what `Promise.withResolvers` takes.
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#first = family === 'any' && !resolver.ipv6 ? 4 : family;
    this.#asking = this.#first;
  }

  next(): void {
    this.#asking = this.#first;
    this.#resolver.ask(this.#candidates[this.#next++]!, this.#asking, this);
  }

  told(result: LookupResult): void {
    if (result.kind === 'addresses') {
      const addresses = ordered(result, this.#family);
      if (addresses.length > 0) {
        this.#resolver.found(this.#id, addresses);
        this.#resolve(addresses);
      } else this.#miss('no-address', `${[...result.v6, ...result.v4].join(', ')} cannot be a host's address`);
      return;
    }
    const { fault, why } = result;
    if (fault !== 'no-name' && fault !== 'no-address') {
      this.#miss(fault, why);
      return;
    }
    if (fault === 'no-address') this.#exists ??= FAMILY_WORDS[this.#family];
    if (this.#family === 'any' && this.#asking === 4) {
      this.#asking = 6;
      this.#resolver.ask(this.#candidates[this.#next - 1]!, 6, this);
    } else if (this.#next < this.#candidates.length) this.next();
    else if (this.#exists !== undefined) this.#miss('no-address', this.#exists);
    else this.#miss('no-name', `${why}${this.#asked()}`);
  }

  /** What was asked for, where that is more than the name itself. */
  #asked(): string {
    if (this.#candidates.length < 2) return '';
    return `; asked for ${this.#candidates.map((candidate) => `"${candidate}"`).join(', ')}`;
  }

  #miss(fault: LookupFault & ResolveFault, why: string): void {
    const error = new ResolveError(this.#name, fault, why);
    this.#resolver.missed(this.#id, error);
    quiet(this.promise);
    this.#reject(error);
  }
}

/** A map that forgets: the older half of what it keeps, at once, whenever it is full. */
class Remembered<Value> {
  readonly #half: number;
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  constructor(size: number) {
    this.#half = size / 2;
  }

  get(id: string): Value | undefined {
    return this.#young.get(id) ?? this.#old.get(id);
  }

  set(id: string, value: Value): void {
    if (this.#young.size >= this.#half && !this.#young.has(id)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(id, value);
  }

  delete(id: string): void {
    this.#young.delete(id);
    this.#old.delete(id);
  }
}

const FAMILY_WORDS: Readonly<Record<Family, string>> = {
  any: 'the name has no address',
  4: 'the name has no IPv4 address',
  6: 'the name has no IPv6 address',
};

/** RFC 6761 §6.3, for machines whose hosts file does not say so. */
const LOCALHOST = /^(.+\.)?localhost$/;
const LOOPBACK: HostAddresses = { v6: ['::1'], v4: ['127.0.0.1'] };

/** Whether it is worth a closer look: addresses have a colon, or a digit at the end. */
function mayBeLiteral(name: string): boolean {
  const last = name.charCodeAt(name.length - 1);
  return (last >= 0x30 && last <= 0x39) || name.includes(':');
}

function literalOf(name: string, literal: 4 | 6, family: Family): readonly string[] | Promise<never> {
  if (family === 'any' || family === literal) return [name];
  const why = `it is an IPv${literal} address, and only IPv${family} is wanted`;
  return rejected(new ResolveError(name, 'no-address', why));
}

function ordered(addresses: { readonly v6: readonly string[]; readonly v4: readonly string[] }, family: Family) {
  return inOrder(family === 4 ? [] : addresses.v6, family === 6 ? [] : addresses.v4);
}

/** Names as they nearly all are, in lower case: nothing is to be converted, and nothing is wrong with them but perhaps their length. */
const USUAL = /^(?:[a-z0-9_-]{1,63}\.)*[a-z][a-z0-9_-]{0,62}$/;

/** In lower case, and as it stands in the DNS where it is not ASCII; as it is where it cannot stand there. */
function asciiOf(name: string): string {
  if (!BEYOND_ASCII.test(name)) return name.toLowerCase();
  return domainToASCII(name) || name;
}

/** Nothing but letters, digits, `-`, `_` and dots, some of them beyond ASCII: the conversion would drop or decode others. */
const BEYOND_ASCII = /^(?=.*[^\x00-\x7f])[\w.\x80-\uffff-]+$/;

function whyNoName(bare: string): string | undefined {
  if (/^\d+(\.\d+){3}$/.test(bare)) return 'neither an address nor a name';
  const fault = nameFault(bare);
  return fault === undefined ? undefined : `not a name: ${fault}`;
}

/** Link-local addresses do not count: with nothing else, there is no way to an address that a name stands for. */
function hasIpv6(): boolean {
  try {
    const all = Object.values(networkInterfaces()).flat();
    return all.some((own) => own?.family === 'IPv6' && leadsOut(own.address));
  } catch {
    // A machine that does not say what it has is asked to do all.
    return true;
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // A machine without the file has its defaults: no hosts, a name server on 127.0.0.1.
    return '';
  }
}
