/** Names that are addresses, in the form in which the system would write them. */
import { isIP, SocketAddress } from 'node:net';

/**
 * The canonical address, or the address as it is when only its case differs; undefined for a name, for what looks like an
 * address and is none, and for an address of another family.
 */
export function canonicalAddress(name: string, family: 'any' | 'inet' | 'inet6'): string | undefined {
  const canonical = canonicalForm(name);
  if (canonical !== undefined && family !== 'any' && canonical.includes(':') !== (family === 'inet6')) return undefined;
  return canonical?.toLowerCase() === name.toLowerCase() ? name : canonical;
}

function canonicalForm(name: string): string | undefined {
  if (!/^\d|:/.test(name)) return undefined;
  const [address, scope] = name.split('%', 2);
  if (isIP(address!) === 6) {
    const canonical = new SocketAddress({ address: address!, family: 'ipv6' }).address;
    return scope === undefined ? canonical : `${canonical}%${scope}`;
  }
  return scope === undefined ? ipv4(name) : undefined;
}

/** Whether a name can only be an address: it is never lowercased, looked up or completed. */
export function looksLikeAddress(name: string): boolean {
  return name.includes('%') || name.includes(':') || /^[\d.]*$/.test(name);
}

/** Four decimal numbers as everyone writes them: what all but a few addresses are. */
const PLAIN = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?=\d)|$)){4}$/;

/** As inet_aton: one to four numbers, decimal, octal or hexadecimal, of which the last fills the bytes that are left. */
function ipv4(text: string): string | undefined {
  if (PLAIN.test(text)) return text;
  const parts = text.split('.');
  if (parts.length > 4 || !parts.every((part) => /^(0x[\da-f]+|0[0-7]*|[1-9]\d*)$/i.test(part))) return undefined;
  const numbers = parts.map((part) => (/^0[0-7]+$/.test(part) ? parseInt(part, 8) : Number(part)));
  const last = numbers.pop()!;
  if (numbers.some((number) => number > 255) || last >= 256 ** (4 - numbers.length)) return undefined;
  const value = numbers.reduce((sum, number, index) => sum + number * 256 ** (3 - index), last);
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}
