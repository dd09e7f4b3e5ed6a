/** known_hosts as text: one line's fields, its key, and the three ways in which its host field can match a name. */
import { createHmac } from 'node:crypto';

/** The key types a known_hosts line may carry. A line of another type is a problem of that line, as in OpenSSH. */
export const KEY_TYPES: readonly string[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
  'ssh-dss',
];
const TYPE_BYTES = KEY_TYPES.map((type) => Buffer.from(type, 'latin1'));

/** The longest host name or pattern that counts; OpenSSH's own limit is 1,023 bytes. */
export const MAX_NAME = 1000;
/** The largest public key blob: RSA with 16,384 bits takes 2,071 bytes. */
const MAX_BLOB = 4096;

const NEWLINE = 10;
const COMMA = 44;
const BANG = 33;
const STAR = 42;
const QUESTION = 63;
const BAR = 124;
const HASHED_PREFIX = '|1|';
const SHA1_BYTES = 20;
const SHA1_BASE64 = 28;

/** `plain`: a list of names · `pattern`: at least one of `* ? !`, so the list counts as a whole · `hashed`: one name. */
export type HostsKind = 'plain' | 'pattern' | 'hashed';
export type Marker = 'none' | 'revoked' | 'cert-authority';

export function isBlank(byte: number | undefined): boolean {
  return byte === 32 || byte === 9;
}

/** Whether a word (a key, say) ends before this byte. */
export function endsWord(byte: number | undefined): boolean {
  return byte === undefined || byte <= 32;
}

/** A-Z to a-z; all other bytes stay, as in the C locale. */
export function fold(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
}

/** The fields of one line, as offsets into the text. One reader serves all lines: an index of 100,000 makes no garbage. */
export class LineReader {
  marker: Marker = 'none';
  kind: HostsKind = 'plain';
  hosts = 0;
  hostsEnd = 0;
  /** Index into KEY_TYPES. */
  type = 0;
  key = 0;
  keyEnd = 0;
  readonly #blob = Buffer.allocUnsafeSlow(MAX_BLOB);

  /** Reads the line in [start, end). Returns undefined for an entry, '' for a blank line or comment, else what is wrong. */
  read(text: Buffer, start: number, end: number): string | undefined {
    let at = skipBlanks(text, start, end);
    if (at === end || text[at] === 35) return '';
    this.marker = 'none';
    if (text[at] === 64) {
      const stop = wordEnd(text, at, end);
      const marker = text.toString('latin1', at, Math.min(stop, at + 20));
      if (marker === '@revoked') this.marker = 'revoked';
      else if (marker === '@cert-authority') this.marker = 'cert-authority';
      else return 'the marker is neither @revoked nor @cert-authority';
      at = skipBlanks(text, stop, end);
      if (text[at] === 64) return 'a line has one marker at most';
    }
    this.hosts = at;
    this.hostsEnd = wordEnd(text, at, end);
    const problem = this.#readHosts(text);
    if (problem !== undefined) return problem;
    const type = skipBlanks(text, this.hostsEnd, end);
    const typeEnd = wordEnd(text, type, end);
    if (type === typeEnd) return 'the key is missing';
    this.type = typeIndex(text, type, typeEnd);
    if (this.type < 0) return 'the key type is not known';
    this.key = skipBlanks(text, typeEnd, end);
    this.keyEnd = wordEnd(text, this.key, end);
    return this.#readKey(text);
  }

  #readHosts(text: Buffer): string | undefined {
    this.kind = text[this.hosts] === BAR ? 'hashed' : 'plain';
    if (this.kind === 'hashed') {
      return this.#hashedIsWhole(text) ? undefined : 'the hashed host name is damaged';
    }
    let nameStart = this.hosts;
    for (let at = this.hosts; at < this.hostsEnd; at++) {
      const byte = text[at]!;
      if (byte === STAR || byte === QUESTION || byte === BANG) this.kind = 'pattern';
      if (byte === COMMA) nameStart = at + 1;
      else if (at - nameStart >= MAX_NAME) return `a host name is longer than ${MAX_NAME} bytes`;
    }
    return undefined;
  }

  #hashedIsWhole(text: Buffer): boolean {
    const { hosts, hostsEnd } = this;
    if (hostsEnd - hosts !== HASHED_PREFIX.length + 2 * SHA1_BASE64 + 1) return false;
    if (text.toString('latin1', hosts, hosts + 3) !== HASHED_PREFIX || text[hosts + 3 + SHA1_BASE64] !== BAR)
      return false;
    return (
      decodeBase64(text, hosts + 3, hosts + 3 + SHA1_BASE64, this.#blob) === SHA1_BYTES &&
      decodeBase64(text, hosts + 4 + SHA1_BASE64, hostsEnd, this.#blob) === SHA1_BYTES
    );
  }

  /** The blob must be canonical base64 of whole RFC 4251 strings, the first of them the type. */
  #readKey(text: Buffer): string | undefined {
    if (this.key === this.keyEnd) return 'the key is missing';
    if (this.keyEnd - this.key > (MAX_BLOB / 3) * 4) return 'the key is too long';
    const blob = this.#blob;
    const length = decodeBase64(text, this.key, this.keyEnd, blob);
    if (length < 0) return 'the key is not base64';
    const type = TYPE_BYTES[this.type]!;
    if (length < 4 + type.length || blob.compare(type, 0, type.length, 4, 4 + type.length) !== 0) {
      return 'the key is not of the type the line names';
    }
    let at = 0;
    let strings = 0;
    for (; at + 4 <= length; strings++) at += 4 + blob.readUInt32BE(at);
    return at === length && strings > 1 && blob.readUInt32BE(0) === type.length ? undefined : 'the key is damaged';
  }
}

/** Where the base64 key starts, from any offset inside the host field of an entry that was read before. */
export function keyAfterHosts(text: Buffer, offset: number): number {
  let at = offset;
  while (!isBlank(text[at])) at++;
  while (isBlank(text[at])) at++;
  while (!isBlank(text[at])) at++;
  while (isBlank(text[at])) at++;
  return at;
}

/** The key type of an entry that was read before, from any offset inside its host field. */
export function typeAfterHosts(text: Buffer, offset: number): number {
  let at = offset;
  while (!isBlank(text[at])) at++;
  while (isBlank(text[at])) at++;
  return typeIndex(text, at, wordEnd(text, at, text.length));
}

function typeIndex(text: Buffer, start: number, end: number): number {
  for (let index = 0; index < TYPE_BYTES.length; index++) {
    const type = TYPE_BYTES[index]!;
    if (type.length === end - start && text.compare(type, 0, type.length, start, end) === 0) return index;
  }
  return -1;
}

function skipBlanks(text: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && isBlank(text[at])) at++;
  return at;
}

function wordEnd(text: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && !isBlank(text[at])) at++;
  return at;
}

/**
 * Whether the host field at `start` matches `name` (folded, `length` bytes). `hashed` entries hash the name; in lists each
 * pattern is tried in turn and a matching `!pattern` refuses the whole line.
 */
export function hostsMatch(text: Buffer, start: number, name: Buffer, length: number): boolean {
  if (text[start] === BAR) return hashedMatches(text, start, name, length);
  let matched = false;
  for (let at = start; ; ) {
    const negated = text[at] === BANG;
    const from = negated ? at + 1 : at;
    let end = from;
    while (text[end] !== COMMA && !isBlank(text[end])) end++;
    if (end > from && globMatches(text, from, end, name, length)) {
      if (negated) return false;
      matched = true;
    }
    if (text[end] !== COMMA) return matched;
    at = end + 1;
  }
}

function hashedMatches(text: Buffer, start: number, name: Buffer, length: number): boolean {
  const salt = Buffer.from(text.toString('latin1', start + 3, start + 3 + SHA1_BASE64), 'base64');
  const digest = createHmac('sha1', salt).update(name.subarray(0, length)).digest('base64');
  const from = start + 4 + SHA1_BASE64;
  for (let i = 0; i < SHA1_BASE64; i++) if (digest.charCodeAt(i) !== text[from + i]) return false;
  return true;
}

/** `*` any run, `?` any one byte; on a mismatch only the last star is widened, so the cost is at most |pattern| × |name|. */
function globMatches(text: Buffer, start: number, end: number, name: Buffer, length: number): boolean {
  let pattern = start;
  let at = 0;
  let star = -1;
  let starAt = 0;
  while (at < length) {
    const byte = pattern < end ? text[pattern]! : -1;
    if (byte === STAR) {
      star = ++pattern;
      starAt = at;
    } else if (byte === QUESTION || (byte >= 0 && fold(byte) === name[at])) {
      pattern++;
      at++;
    } else if (star >= 0) {
      pattern = star;
      at = ++starAt;
    } else {
      return false;
    }
  }
  while (pattern < end && text[pattern] === STAR) pattern++;
  return pattern === end;
}

const BASE64_VALUES = Buffer.alloc(256, 64);
for (const [value, char] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries()) {
  BASE64_VALUES[char.charCodeAt(0)] = value;
}

/** Strict base64 (padded, no stray bits) straight from the text, where Buffer.from would skip what it does not know; -1 if it is not. */
export function decodeBase64(text: Buffer, start: number, end: number, into: Buffer): number {
  const length = end - start;
  if (length === 0 || length % 4 !== 0 || (length / 4) * 3 > into.length) return -1;
  const pad = text[end - 1] !== 61 ? 0 : text[end - 2] === 61 ? 2 : 1;
  let out = 0;
  for (let at = start; at < end; at += 4) {
    const last = at + 4 === end ? pad : 0;
    const a = BASE64_VALUES[text[at]!]!;
    const b = BASE64_VALUES[text[at + 1]!]!;
    const c = last === 2 ? 0 : BASE64_VALUES[text[at + 2]!]!;
    const d = last >= 1 ? 0 : BASE64_VALUES[text[at + 3]!]!;
    if ((a | b | c | d) >= 64) return -1;
    if ((last === 2 && (b & 15) !== 0) || (last === 1 && (c & 3) !== 0)) return -1;
    into[out] = (a << 2) | (b >> 4);
    into[out + 1] = ((b & 15) << 4) | (c >> 2);
    into[out + 2] = ((c & 3) << 6) | d;
    out += 3;
  }
  return out - pad;
}

/** The end of the line that starts at `start`, without its line break, and where the next one starts. */
export function lineEnd(text: Buffer, start: number, limit: number): { end: number; next: number } {
  const found = text.indexOf(NEWLINE, start);
  const stop = found < 0 || found >= limit ? limit : found;
  return { end: stop > start && text[stop - 1] === 13 ? stop - 1 : stop, next: stop + 1 };
}
