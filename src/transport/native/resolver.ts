/**
 * Names to addresses without threads: literals, /etc/hosts in memory, then asynchronous queries, cached per run.
 * `dns.lookup` is never used: it has four threads, and 40 names against a silent server take it 20 s.
 */
import { promises as dns } from 'node:dns';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

/** A name that has no address, or could not be asked about. */
export class ResolveError extends Error {
  constructor(name: string, why: string, options?: ErrorOptions) {
    super(`name "${name}" does not resolve: ${why}`, options);
    this.name = 'ResolveError';
  }
}

/** Names remembered at most; beyond, the oldest half is forgotten. */
const REMEMBERED = 100_000;

export class Resolver {
  readonly #hosts: ReadonlyMap<string, string>;
  readonly #queries = new dns.Resolver({ timeout: 2000, tries: 2 });
  readonly #answers = new Map<string, string | Promise<string>>();

  constructor(hostsFile = '/etc/hosts') {
    this.#hosts = readHosts(hostsFile);
  }

  /** The address, at once where it is known. Rejects with ResolveError. */
  resolve(name: string): string | Promise<string> {
    if (isIP(name.split('%')[0]!) !== 0) return name;
    const id = name.toLowerCase();
    const known = this.#hosts.get(id) ?? this.#answers.get(id);
    if (known !== undefined) return known;
    if (this.#answers.size >= REMEMBERED) this.#forget();
    const asked = this.#ask(name).then(
      (address) => {
        this.#answers.set(id, address);
        return address;
      },
      (error) => {
        this.#answers.delete(id);
        throw error;
      },
    );
    this.#answers.set(id, asked);
    return asked;
  }

  async #ask(name: string): Promise<string> {
    const settled = await Promise.allSettled([this.#queries.resolve4(name), this.#queries.resolve6(name)]);
    for (const answer of settled) {
      if (answer.status === 'fulfilled' && answer.value[0] !== undefined) return answer.value[0];
    }
    const first = settled.find((answer) => answer.status === 'rejected');
    const code = (first?.reason as NodeJS.ErrnoException | undefined)?.code ?? 'no address';
    throw new ResolveError(name, EXPLAINED[code] ?? code, { cause: first?.reason });
  }

  #forget(): void {
    let count = this.#answers.size / 2;
    for (const name of this.#answers.keys()) {
      if (count-- <= 0) return;
      this.#answers.delete(name);
    }
  }
}

const EXPLAINED: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such name',
  ENODATA: 'the name has no address',
  ETIMEOUT: 'the name server does not answer',
  ECONNREFUSED: 'no name server can be reached',
  ESERVFAIL: 'the name server failed',
  EREFUSED: 'the name server refused the query',
  EBADNAME: 'not a valid name',
};

function readHosts(file: string): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    // A machine without /etc/hosts still has a name server.
  }
  for (const line of text.split('\n')) {
    const [address, ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (!address || isIP(address) === 0) continue;
    for (const alias of aliases) {
      const id = alias.toLowerCase();
      // The first line wins, but an IPv4 address wins over IPv6: it is what the server side listens on most often.
      const known = names.get(id);
      if (known === undefined || (isIP(known) === 6 && isIP(address) === 4)) names.set(id, address);
    }
  }
  return names;
}
