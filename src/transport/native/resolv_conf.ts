/** resolv.conf(5): which servers are asked, how patiently, and which names a short name can stand for. */
import { familyOf } from './addresses.ts';

export interface ServerAddress {
  /** An address, with its zone where it is link-local. */
  readonly address: string;
  readonly port: number;
}

/** Bounds of glibc, so that a mistyped number cannot stop a run. */
const MAX = { servers: 3, ndots: 15, timeoutS: 30, attempts: 5, search: 32 } as const;

export interface ResolvConf {
  /** In the order in which they are asked; never empty. @default 127.0.0.1 */
  readonly servers: readonly ServerAddress[];
  /** Domains without dots at their ends. @default none */
  readonly search: readonly string[];
  /** From so many dots on, a name is tried as it stands before the search list. @default 1 */
  readonly ndots: number;
  /** How long one server is waited for before the next is asked, in milliseconds. @default 5000 */
  readonly timeoutMs: number;
  /** How often each server is gone to. @default 2 */
  readonly attempts: number;
  /** Names go to the servers by turns. @default false */
  readonly rotate: boolean;
  /** `options use-vc`: TCP from the start. @default false */
  readonly tcp: boolean;
  /** `options trust-ad`: the servers, and the way to them, are trusted to say what DNSSEC vouches for. @default false */
  readonly trustAd: boolean;
  /** `options no-aaaa`: IPv6 addresses are asked for only where nothing else is wanted. @default false */
  readonly noAaaa: boolean;
}

/** Reads what it knows of it; what it does not know, and values that are none, are passed over, as glibc does. */
export function parseResolvConf(text: string): ResolvConf {
  const servers: ServerAddress[] = [];
  let search: readonly string[] = [];
  const options = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (/^\s*[#;]/.test(line)) continue;
    const [word, ...values] = line.trim().split(/\s+/);
    const first = values[0];
    if (word === 'nameserver' && first !== undefined && familyOf(first) !== 0) {
      if (servers.length < MAX.servers) servers.push({ address: first, port: 53 });
    } else if (word === 'search' || word === 'domain') {
      // The last of these lines counts.
      const domains = word === 'domain' ? values.slice(0, 1) : values.slice(0, MAX.search);
      search = domains.map((domain) => domain.replace(/\.$/, '').toLowerCase()).filter((domain) => domain !== '');
    } else if (word === 'options') {
      for (const option of values) {
        const [name, value] = option.split(':', 2);
        options.set(name!, value ?? '');
      }
    }
  }
  return {
    servers: servers.length > 0 ? servers : [{ address: '127.0.0.1', port: 53 }],
    search,
    ndots: number(options.get('ndots'), 0, MAX.ndots, 1),
    timeoutMs: 1000 * number(options.get('timeout'), 1, MAX.timeoutS, 5),
    attempts: number(options.get('attempts'), 1, MAX.attempts, 2),
    rotate: options.has('rotate'),
    tcp: options.has('use-vc'),
    trustAd: options.has('trust-ad'),
    noAaaa: options.has('no-aaaa'),
  };
}

function number(text: string | undefined, min: number, max: number, otherwise: number): number {
  if (text === undefined || !/^\d+$/.test(text)) return otherwise;
  return Math.min(max, Math.max(min, Number(text)));
}

/** The full names that `name` can stand for, in the order in which they are asked for; a dot at its end says: only this. */
export function candidates(name: string, conf: Pick<ResolvConf, 'search' | 'ndots'>): readonly string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  if (conf.search.length === 0) return [name];
  const searched = conf.search.map((domain) => `${name}.${domain}`);
  const dots = name.split('.').length - 1;
  return dots >= conf.ndots ? [name, ...searched] : [...searched, name];
}
