/** Addresses: which can be a host's, in what order they are tried, and how their bytes are written. Pure. */
import { isIPv4, SocketAddress } from 'node:net';

/** What is wanted: both, IPv4 only (`-4`), IPv6 only (`-6`). */
export type Family = 'any' | 4 | 6;

/** Addresses kept of one name: a run dials a host, it does not scan what its name server lists. */
export const MAX_ADDRESSES = 16;

/** Four bytes as `192.0.2.1`. */
export function ipv4Text(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** Sixteen bytes in the form of RFC 5952: lower case, no leading zeros, the first longest run of zeros as `::`. */
export function ipv6Text(bytes: Uint8Array, at: number): string {
  let runStart = -1;
  let runLength = 1;
  const groups: number[] = [];
  for (let i = 0, zeros = 0; i < 8; i++) {
    const group = (bytes[at + 2 * i]! << 8) | bytes[at + 2 * i + 1]!;
    groups.push(group);
    zeros = group === 0 ? zeros + 1 : 0;
    if (zeros > runLength) {
      runLength = zeros;
      runStart = i + 1 - zeros;
    }
  }
  if (runStart === 0 && (runLength === 6 || (runLength === 5 && groups[5] === 0xffff))) {
    // IPv4-compatible and IPv4-mapped addresses end in dotted form.
    return `${runLength === 6 ? '::' : '::ffff:'}${ipv4Text(bytes, at + 12)}`;
  }
  const hex = groups.map((group) => group.toString(16));
  if (runStart < 0) return hex.join(':');
  return `${hex.slice(0, runStart).join(':')}::${hex.slice(runStart + runLength).join(':')}`;
}

/**
 * 4 or 6 where `text` is an address, with or without a zone; 0 where it is none. Node's `isIPv6` would do, but its regular
 * expression takes 8 ms to compile: as much as a run's first hundred names.
 */
export function familyOf(text: string): 0 | 4 | 6 {
  if (!text.includes(':')) return isIPv4(text) ? 4 : 0;
  const bare = WITH_ZONE.exec(text)?.[1];
  return bare === undefined || parseIpv6(bare) === undefined ? 0 : 6;
}

/** The characters of an IPv6 address, and its zone. */
const WITH_ZONE = /^([0-9a-fA-F:.]+)(?:%[0-9a-zA-Z.:-]+)?$/;

/** The canonical form; undefined where it is not an IPv6 address. */
function parseIpv6(text: string): string | undefined {
  try {
    return new SocketAddress({ address: text, family: 'ipv6' }).address;
  } catch {
    return undefined;
  }
}

/** An IPv6 address as `ipv6Text` writes it, its zone kept; an IPv4 address as it is. `address` must be an address. */
export function canonical(address: string): string {
  if (!address.includes(':')) return address;
  const zone = address.indexOf('%');
  if (zone < 0) return parseIpv6(address) ?? address;
  return `${parseIpv6(address.slice(0, zone))}${address.slice(zone)}`;
}

/**
 * Whether a canonical address that a name stands for can be dialled. Not: `0.0.0.0` and `::`, with which filters answer
 * for blocked names and which the kernel takes for this very machine (the job would run here, under the host's name);
 * multicast and broadcast; IPv4 in IPv6 clothes; link-local addresses that do not say on which link.
 */
export function canBeHost(address: string): boolean {
  if (!address.includes(':')) {
    const first = Number.parseInt(address, 10);
    return first !== 0 && first < 224;
  }
  if (address === '::' || address.startsWith('::ffff:')) return false;
  const first = Number.parseInt(address, 16);
  if (first >= 0xff00) return false;
  return !(first >= 0xfe80 && first <= 0xfebf) || address.includes('%');
}

/** Whether a canonical IPv6 address of this machine lets it reach others: not itself, and not on a link that is not named. */
export function leadsOut(address: string): boolean {
  if (address === '::1') return false;
  const first = Number.parseInt(address, 16);
  return !(first >= 0xfe80 && first <= 0xfebf);
}

/** 6to4 and Teredo: tunnels that RFC 6724 puts behind IPv4. */
function isTunnel(address: string): boolean {
  return address.startsWith('2002:') || address.startsWith('2001::') || address.startsWith('2001:0:');
}

/**
 * The order in which they are tried (RFC 8305 §4, RFC 6724 as far as it needs no routing table): IPv6 and IPv4 by turns
 * with IPv6 first, tunnels last, each once, those that cannot be a host's left out.
 */
export function inOrder(v6: readonly string[], v4: readonly string[]): readonly string[] {
  // Most names have one address.
  if (v6.length === 0 && v4.length === 1) return canBeHost(v4[0]!) ? v4 : [];
  const native = v6.filter((address) => canBeHost(address) && !isTunnel(address));
  const tunnels = v6.filter((address) => canBeHost(address) && isTunnel(address));
  const old = v4.filter(canBeHost);
  return [...new Set([...byTurns(native, old), ...tunnels])].slice(0, MAX_ADDRESSES);
}

/** One of each as long as both have some, `first` first. */
export function byTurns(first: readonly string[], second: readonly string[]): string[] {
  const all: string[] = [];
  for (let i = 0; i < Math.max(first.length, second.length); i++) {
    if (i < first.length) all.push(first[i]!);
    if (i < second.length) all.push(second[i]!);
  }
  return all;
}
