/** Values of any format as variables: text, as templates and selections take them. */
import type { Connection } from './inventory.ts';
import { problem, shown } from './problem.ts';

/** Most parts of one value: a few lines of YAML may stand for a billion. */
const MOST_PARTS = 10_000;
const MOST_CHARACTERS = 64 * 1024;

/** A value that is no text becomes JSON; undefined for what is larger than a variable should be. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return '';
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  let parts = 0;
  try {
    const text = JSON.stringify(value, (_key, part: unknown) => {
      if (++parts > MOST_PARTS) throw new RangeError('too many parts');
      return part instanceof Map ? Object.fromEntries(part) : part;
    });
    return text.length > MOST_CHARACTERS ? undefined : text;
  } catch {
    return undefined;
  }
}

/** Members of a map or a plain object; undefined: it is neither. */
export function entriesOf(value: unknown): Iterable<readonly [string, unknown]> | undefined {
  if (value instanceof Map) return [...value].map(([key, part]) => [String(key), part]);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.entries(value);
}

/** Names that say how a host is reached: Ansible's, its older ones, and plain ones of other formats. */
const ADDRESS = ['ansible_host', 'ansible_ssh_host'];
const PORT = ['ansible_port', 'ansible_ssh_port'];
const USER = ['ansible_user', 'ansible_ssh_user'];
export const IDENTITY: readonly string[] = ['ansible_ssh_private_key_file', 'ansible_private_key_file'];

/** How a host is reached by its variables. Throws `inventory` for a port that is none and an address or user that cannot be. */
export function connectionOf(variables: Readonly<Record<string, string>>, host: string, title: string): Connection {
  const first = (names: readonly string[]): string | undefined => {
    return names.map((name) => variables[name]).find((value) => value !== undefined && value !== '');
  };
  const [address, port, user, identity] = [first(ADDRESS), first(PORT), first(USER), first(IDENTITY)];
  const of = (what: string, value: string): string => `host ${shown(host)}: ${what} ${shown(value)}`;
  if (port !== undefined && !(/^[1-9][0-9]{0,4}$/.test(port) && Number(port) <= 65_535)) {
    throw problem(title, `${of('port', port)} is none; expected 1 to 65535`);
  }
  if (address !== undefined && !/^[A-Za-z0-9_:][A-Za-z0-9._:%-]*$/.test(address)) {
    throw problem(title, `${of('address', address)} is no name or address`);
  }
  if (user !== undefined && !/^[A-Za-z0-9._+][^\s,!@[\]:/]*$/.test(user)) {
    throw problem(title, `${of('user', user)} is no user name`);
  }
  return { address, user, port: port === undefined ? undefined : Number(port), identity };
}
