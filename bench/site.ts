/** The hosts of a benchmark: keys, and for every number of hosts a host list and a known_hosts of that length. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Site } from './clients.ts';

/** Most hosts a fleet may have: 127.16.0.0/12. */
const MOST_HOSTS = 2 ** 20;

/** The first host of every fleet; the others follow it. */
export const FIRST_HOST = '127.16.0.0';

/** The smallest CIDR from the first host on that has so many hosts. */
export function cidrOf(hosts: number): string {
  if (!Number.isInteger(hosts) || hosts < 1 || hosts > MOST_HOSTS) {
    throw new Error(`${hosts} hosts: take a whole number from 1 to ${MOST_HOSTS}`);
  }
  return `${FIRST_HOST}/${32 - Math.ceil(Math.log2(hosts))}`;
}

/** The first so many addresses. */
function addresses(count: number): string[] {
  const [a, b] = FIRST_HOST.split('.').map(Number) as [number, number];
  const first = a * 2 ** 24 + b * 2 ** 16;
  return Array.from({ length: count }, (_, i) => {
    const address = first + i;
    return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
  });
}

/** Makes an ed25519 key pair without a passphrase; the public half is at `path`.pub. */
export async function makeKey(path: string): Promise<void> {
  await promisify(execFile)('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'bench', '-f', path]);
}

export interface SiteOptions {
  readonly directory: string;
  readonly identity: string;
  readonly knownHosts: string;
  readonly port: number;
  readonly command: string;
}

/** Gives out sites by number of hosts; each is written once. */
export class Sites {
  readonly #options: SiteOptions;
  readonly #made = new Map<number, Promise<Site>>();

  constructor(options: SiteOptions) {
    this.#options = options;
  }

  get(count: number): Promise<Site> {
    const made = this.#made.get(count) ?? this.#make(count);
    this.#made.set(count, made);
    return made;
  }

  async #make(count: number): Promise<Site> {
    const { directory, identity, port, command } = this.#options;
    const hosts = addresses(count);
    const set = `${hosts[0]}-${hosts.at(-1)}`;
    const hostFile = join(directory, `hosts.${count}`);
    const knownHosts = join(directory, `known_hosts.${count}`);
    // The fleet wrote a line per host in order of address: a smaller site is the head of it.
    const known = (await readFile(this.#options.knownHosts, 'latin1')).split('\n', count);
    await writeFile(hostFile, `${hosts.join('\n')}\n`);
    await writeFile(knownHosts, `${known.join('\n')}\n`);
    return { set, cidr: cidrOf(count), hosts, hostFile, knownHosts, identity, user: 'bench', port, command };
  }
}
