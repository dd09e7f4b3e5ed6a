/**
 * One host as text: `[user@]name[:port]`, and the keys by which hosts are the same. Two labels are the same host where user,
 * port and name are; IPv6 names are compared as addresses, so `::1` and `[0:0::1]` are one.
 */
import { isIPv6 } from 'node:net';
import type { Host } from '../contracts/task.ts';
import { MAX_DIGITS } from './segment.ts';

/** Most characters of a host name: what DNS allows, with room for a dot. It also bounds the depth of a tree. */
export const MAX_NAME = 255;

export interface HostParts {
  readonly user: string | undefined;
  readonly name: string;
  readonly port: number | undefined;
}

/** What stays of a name when its numbers are taken out (`web01.x` is `web%.x`), and the numbers: width, value, … */
export interface NumberedName {
  readonly pattern: string;
  readonly path: number[];
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
const USER = /^[A-Za-z0-9._+][A-Za-z0-9._+-]*$/;

/** Whether a name would be read as a range of IPv4 addresses: dots and digits around one dash. */
export function looksLikeIPv4Range(name: string): boolean {
  return name.includes('-') && /^[0-9]+\.[0-9.]*-[0-9]/.test(name) && /^[0-9.]+-[0-9.]+$/.test(name);
}

/** An IPv6 address, with a zone that holds no colon (`fe80::1%eth0:22` would be two things). */
export function isAddress6(text: string): boolean {
  return isIPv6(text) && !/%.*:/.test(text);
}

/** A port from 1 to 65535 as it is written without padding; undefined where it is none. */
export function parsePort(text: string): number | undefined {
  return /^[1-9][0-9]{0,4}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
}

/** Whether the label is a name and nothing else, without looking at it further. */
export function isBare(label: string): boolean {
  return !label.includes(':') && !label.includes('@');
}

/** The parts of one host's label, or of a bare name; undefined where the text is not exactly one host. */
export function splitLabel(label: string): HostParts | undefined {
  const at = label.indexOf('@');
  const user = at < 0 ? undefined : label.slice(0, at);
  if (user !== undefined && !USER.test(user)) return undefined;
  const rest = at < 0 ? label : label.slice(at + 1);
  if (rest.startsWith('[')) {
    const close = rest.indexOf(']');
    const name = rest.slice(1, close);
    return close > 0 && isAddress6(name) ? withPort(user, name, rest.slice(close + 1)) : undefined;
  }
  const colon = rest.indexOf(':');
  if (colon >= 0 && rest.includes(':', colon + 1)) {
    return isAddress6(rest) ? { user, name: rest, port: undefined } : undefined;
  }
  const name = colon < 0 ? rest : rest.slice(0, colon);
  return isName(name) ? withPort(user, name, colon < 0 ? '' : rest.slice(colon)) : undefined;
}

function withPort(user: string | undefined, name: string, suffix: string): HostParts | undefined {
  if (suffix === '') return { user, name, port: undefined };
  const port = suffix.startsWith(':') ? parsePort(suffix.slice(1)) : undefined;
  return port === undefined ? undefined : { user, name, port };
}

/** Whether the text is one host name: no user, port or bracket. */
function isName(text: string): boolean {
  return NAME.test(text) && text.length <= MAX_NAME && !looksLikeIPv4Range(text);
}

/** The host of a label; a label that does not split is its own name. */
export function hostOf(label: string, parts: HostParts | undefined = splitLabel(label)): Host {
  return { label, name: parts?.name ?? label, user: parts?.user, port: parts?.port };
}

/** `[user@]name[:port]`, as a label is written. `name` may be a pattern. */
export function labelOf(user: string | undefined, name: string, port: number | undefined): string {
  if (user === undefined && port === undefined) return name;
  const address = name.includes(':') ? `[${name}]` : name;
  return `${user === undefined ? '' : `${user}@`}${address}${port === undefined ? '' : `:${port}`}`;
}

/** The name by which two hosts are compared: that of an IPv6 address is its shortest form, any other is the name itself. */
export function comparedName(name: string): string {
  if (!name.includes(':')) return name;
  const [address, zone] = name.split('%');
  const url = URL.parse(`http://[${address}]/`);
  return (url ? url.hostname.slice(1, -1) : name) + (zone === undefined ? '' : `%${zone}`);
}

/** Takes the numbers out of a name. Runs of more than 15 digits stay text; what is no host name of ours is all text. */
export function takeNumbers(name: string): NumberedName {
  if (name.includes(':') || name.includes('%')) return { pattern: name, path: [] };
  const path: number[] = [];
  const pattern = name.replace(/[0-9]+/g, (run) => {
    if (run.length > MAX_DIGITS) return run;
    path.push(run.length, Number(run));
    return '%';
  });
  return { pattern, path };
}
