/** Numbers, times and sizes as OpenSSH reads them. Each function returns undefined for text that is none. */

const MAX_INT = 2 ** 31 - 1;
const SECONDS: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** A whole number from 0 to 2^31-1. */
export function parseCount(text: string): number | undefined {
  return parseWhole(text, MAX_INT);
}

function parseWhole(text: string, max: number): number | undefined {
  if (!/^\s*[+-]?\d+$/.test(text)) return undefined;
  const value = Number(text);
  return value >= 0 && value <= max ? Math.abs(value) : undefined;
}

/** Seconds, or parts with units: `90`, `1h30m`, `2d`. */
export function parseSeconds(text: string): number | undefined {
  const part = /\s*([+-]?\d+)([smhdw]?)/iy;
  let total = 0;
  while (part.lastIndex < text.length) {
    const found = part.exec(text);
    if (found === null) return undefined;
    const unit = found[2]!.toLowerCase();
    if (unit === '' && part.lastIndex < text.length) return undefined;
    const seconds = Number(found[1]) * SECONDS[unit]!;
    total += seconds;
    if (seconds < 0 || total > MAX_INT) return undefined;
  }
  return text === '' ? undefined : total;
}

/** Bytes, perhaps with a fraction and one of B K M G T P E. */
export function parseBytes(text: string): bigint | undefined {
  const found = /^\s*([+-]?)(\d*)(?:\.(\d*))?([bkmgtpe]?)$/i.exec(text);
  if (found === null || (found[2] === '' && (found[3] ?? '') === '')) return undefined;
  const exponent = 'bkmgtpe'.indexOf(found[4]!.toLowerCase());
  const scale = 1024n ** BigInt(found[4] === '' ? 0 : exponent);
  // Fifteen digits after the point: more cannot matter below 2^53 and would only cost.
  const fraction = (found[3] ?? '').slice(0, 15);
  const whole = BigInt(found[2] === '' ? 0 : found[2]!) * scale;
  const value = whole + (fraction === '' ? 0n : (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length));
  if (value >= 2n ** 63n) return undefined;
  return found[1] === '-' ? -value : value;
}

/** A port from 0 to 65535, or a service name that `service` knows. */
export function parsePort(text: string, service: (name: string) => number | undefined): number | undefined {
  return parseWhole(text, 65_535) ?? service(text);
}

/** The TCP port of a service by name or alias in the text of /etc/services. */
export function findService(services: string, name: string): number | undefined {
  for (const line of services.split('\n')) {
    const words = line.replace(/#.*/, '').trim().split(/\s+/);
    const port = /^(\d+)\/tcp$/.exec(words[1] ?? '');
    if (port !== null && (words[0] === name || words.includes(name, 2))) return Number(port[1]);
  }
  return undefined;
}

/** A domain name in lower case without the final dot, or the reason why it is none. */
export function checkDomain(text: string): { readonly domain: string } | { readonly reason: string } {
  if (text === '') return { reason: 'empty domain name' };
  if (!/^[a-z0-9]/i.test(text)) return { reason: `domain name "${text}" starts with an invalid character` };
  if (text.includes('..')) return { reason: `domain name "${text}" contains consecutive separators` };
  if (!/^[\w.-]+$/.test(text)) return { reason: `domain name "${text}" contains invalid characters` };
  return { domain: text.toLowerCase().replace(/\.$/, '') };
}

/** Names that would mean something to a shell in ProxyCommand or Match exec are refused, as OpenSSH does since 9.6. */
export function isSafeHostName(name: string): boolean {
  return name !== '' && !/^-|["'`$\\;&<>|(){}\s]|[\x00-\x1f\x7f]/.test(name);
}

export function isSafeUser(user: string): boolean {
  return !/^-|["'`;&<>|(){}]|\s-|\\$|[\x00-\x1f\x7f]/.test(user);
}
