/**
 * DNS messages (RFC 1035 §4) as far as a stub needs them: one question out, the addresses of its answer in. Pure.
 *
 * Nothing of an answer is trusted: every length is checked against the message, names are followed backwards only, and
 * what does not answer our very question is no answer at all.
 */
import { ipv4Text, ipv6Text, MAX_ADDRESSES } from './addresses.ts';

export const A = 1;
export const AAAA = 28;
const CNAME = 5;
const IN = 1;

export type RecordType = typeof A | typeof AAAA;

/** Aliases followed in one answer. Real chains have two or three; longer ones are loops. */
const MAX_ALIASES = 8;
/** Records looked at in one answer, so that a large one cannot hold the loop. */
const MAX_RECORDS = 256;

const HEADER = 12;
/** Characters of a name as text. */
export const MAX_NAME = 253;
/** Where the name of the question stands: nearly every record points there. */
const POINTER_TO_QUESTION = 0xc000 | HEADER;

/**
 * What a server said: `addresses` (at least one) · `no-name`: NXDOMAIN · `no-address`: the name has none of this type ·
 * `truncated`: too long for UDP · `failed`: the server cannot say, or says nonsense; `why` has its words.
 */
export type Answer =
  /** `alias`: the name at the end of the chain, where the name of the question is an alias. */
  | { readonly kind: 'addresses'; readonly addresses: readonly string[]; readonly alias?: string }
  | { readonly kind: 'no-name' | 'no-address' | 'truncated' }
  | { readonly kind: 'failed'; readonly why: string };

const NO_NAME: Answer = { kind: 'no-name' };
const NO_ADDRESS: Answer = { kind: 'no-address' };
const TRUNCATED: Answer = { kind: 'truncated' };
const UNREADABLE: Answer = { kind: 'failed', why: 'an answer that cannot be read' };

const CODES: Readonly<Record<number, string>> = {
  1: 'FORMERR',
  2: 'SERVFAIL',
  4: 'NOTIMP',
  5: 'REFUSED',
  9: 'NOTAUTH',
};

/** Why `name` (ASCII, no dot at its end) cannot be asked for; undefined where it can. */
export function nameFault(name: string): string | undefined {
  if (name.length > MAX_NAME) return `it is longer than ${MAX_NAME} characters`;
  let label = 0;
  for (let i = 0; i <= name.length; i++) {
    const char = name.charCodeAt(i);
    if (i === name.length || char === 0x2e) {
      if (label === 0) return 'a part of it is empty';
      if (label > 63) return 'a part of it is longer than 63 characters';
      label = 0;
    } else if (isNameChar(char)) label += 1;
    else return 'it has a character that names do not have';
  }
  return undefined;
}

/** Letters, digits, `-` and `_`: the last is in use, whatever the standard says of hosts. */
function isNameChar(char: number): boolean {
  return (
    (char >= 0x61 && char <= 0x7a) ||
    (char >= 0x30 && char <= 0x39) ||
    char === 0x2d ||
    (char >= 0x41 && char <= 0x5a) ||
    char === 0x5f
  );
}

/** Makes `query` one for `type`, under `id`. */
export function readdress(query: Buffer, type: RecordType, id: number): void {
  query[0] = id >>> 8;
  query[1] = id & 0xff;
  query[query.length - 3] = type;
}

/** A query for one type, its id still 0: one question, recursion desired, no extensions. `name` has no fault. */
export function encodeQuery(name: string, type: number): Buffer {
  const packet = Buffer.allocUnsafe(HEADER + name.length + 6);
  packet[0] = packet[1] = 0;
  packet[2] = 1;
  packet[3] = packet[4] = 0;
  packet[5] = 1;
  packet[6] = packet[7] = packet[8] = packet[9] = packet[10] = packet[11] = 0;
  let length = HEADER;
  let at = HEADER + 1;
  for (let i = 0; i < name.length; i++, at++) {
    const char = name.charCodeAt(i);
    if (char === 0x2e) {
      packet[length] = at - length - 1;
      length = at;
    } else packet[at] = char;
  }
  packet[length] = at - length - 1;
  packet[at] = packet[at + 1] = 0;
  packet[at + 2] = type;
  packet[at + 3] = 0;
  packet[at + 4] = IN;
  return packet;
}

/** The data of all records of `type` in an answer that may have others, for types that are no addresses; at most 256 records are looked at. */
export function recordData(message: Buffer, query: Buffer, type: number): readonly Buffer[] {
  const data: Buffer[] = [];
  const records = Math.min(message.readUInt16BE(6), MAX_RECORDS);
  for (let i = 0, at = query.length; i < records; i++) {
    const record = recordAt(message, at);
    if (record === undefined) break;
    at = record.end;
    if (record.type === type) data.push(message.subarray(record.data, record.end));
  }
  return data;
}

/** Whether a message answers this question; `truncated`: ask again over TCP. */
export function answerTo(message: Buffer, query: Buffer): 'no' | 'yes' | 'truncated' {
  if (message.length < HEADER || (message[2]! & 0xf8) !== 0x80 || message.readUInt16BE(4) !== 1) return 'no';
  if (!sameQuestion(message, query, query[query.length - 3]!)) return 'no';
  return (message[2]! & 0x02) === 0 ? 'yes' : 'truncated';
}

/**
 * Reads what came back with the query's id from the server's address; `query` asked for the same name, for `type` or another
 * one. Undefined: it does not answer this question, and the true answer may still come.
 */
export function decodeAnswer(message: Buffer, query: Buffer, type: RecordType): Answer | undefined {
  // A response to a plain query.
  if (message.length < HEADER || (message[2]! & 0xf8) !== 0x80) return undefined;
  const code = message[3]! & 0x0f;
  const questions = (message[4]! << 8) | message[5]!;
  // Servers that cannot read a question, or do not want to, may leave it out.
  if (questions === 0 && code !== 0 && code !== 3) return failure(code);
  if (questions !== 1 || !sameQuestion(message, query, type)) return undefined;
  if ((message[2]! & 0x02) !== 0) return TRUNCATED;
  if (code === 3) return NO_NAME;
  if (code !== 0) return failure(code);
  return plainAnswer(message, query.length, type) ?? readRecords(message, query.length, type);
}

/**
 * What nearly all answers are: without a record, or with one, an address of the question's own name. Undefined: another one, which
 * `readRecords` reads, as it would read these. It is a third of the work over a run's first thousand names.
 */
function plainAnswer(message: Buffer, at: number, type: RecordType): Answer | undefined {
  const records = (message[6]! << 8) | message[7]!;
  if (records === 0) return NO_ADDRESS;
  const data = at + 12;
  const size = type === A ? 4 : 16;
  const plain =
    records === 1 &&
    message.length >= data + size &&
    message[at] === 0xc0 &&
    message[at + 1] === HEADER &&
    message[at + 2] === 0 &&
    message[at + 3] === type &&
    message[at + 4] === 0 &&
    message[at + 5] === IN &&
    message[at + 10] === 0 &&
    message[at + 11] === size;
  if (!plain) return undefined;
  return { kind: 'addresses', addresses: [type === A ? ipv4Text(message, data) : ipv6Text(message, data)] };
}

function failure(code: number): Answer {
  return { kind: 'failed', why: CODES[code] ?? `code ${code}` };
}

/** Byte by byte, letters in either case: some servers write the name their own way. */
function sameQuestion(message: Buffer, query: Buffer, type: number): boolean {
  const name = query.length - 4;
  if (message.length < query.length) return false;
  for (let i = HEADER; i < name; i++) {
    if (message[i] !== query[i] && lower(message[i]!) !== lower(query[i]!)) return false;
  }
  return message[name] === 0 && message[name + 1] === type && message[name + 2] === 0 && message[name + 3] === IN;
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

/** The addresses at the end of the alias chain, in whatever order the records come. */
function readRecords(message: Buffer, from: number, type: RecordType): Answer {
  /** The name whose records are looked for; undefined: the one of the question. */
  let owner: string | undefined;
  for (let links = 0; links <= MAX_ALIASES; links++) {
    const found = recordsOf(message, from, type, owner);
    if (found === undefined) return UNREADABLE;
    if (typeof found !== 'string') {
      if (found.length === 0) return NO_ADDRESS;
      const alias = owner === undefined ? undefined : dotted(owner);
      return alias === undefined
        ? { kind: 'addresses', addresses: found }
        : { kind: 'addresses', addresses: found, alias };
    }
    owner = found;
  }
  return { kind: 'failed', why: `more than ${MAX_ALIASES} aliases` };
}

/** The addresses of `owner`, or else the name it is an alias of; undefined where the records cannot be read. */
function recordsOf(message: Buffer, from: number, type: RecordType, owner?: string): string[] | string | undefined {
  let addresses: string[] | undefined;
  let alias: string | undefined;
  const records = Math.min(message.readUInt16BE(6), MAX_RECORDS);
  for (let i = 0, at = from; i < records; i++) {
    const record = recordAt(message, at);
    if (record === undefined) return undefined;
    at = record.end;
    const ofAlias = record.type === CNAME;
    if ((!ofAlias && record.type !== type) || !belongsTo(message, record.start, owner)) continue;
    const value = ofAlias ? readName(message, record.data) : addressAt(message, record, type);
    if (value === undefined) return undefined;
    if (ofAlias) alias ??= value;
    else if (addresses === undefined) addresses = [value];
    else if (addresses.length < MAX_ADDRESSES) addresses.push(value);
  }
  return addresses ?? alias ?? [];
}

function addressAt(message: Buffer, { data, end }: ResourceRecord, type: RecordType): string | undefined {
  if (end - data !== (type === A ? 4 : 16)) return undefined;
  return type === A ? ipv4Text(message, data) : ipv6Text(message, data);
}

/** Offsets of one record; its type is 0 where it is not of the class IN. */
interface ResourceRecord {
  readonly start: number;
  readonly type: number;
  readonly data: number;
  readonly end: number;
}

function recordAt(message: Buffer, start: number): ResourceRecord | undefined {
  const at = skipName(message, start);
  if (at < 0 || at + 10 > message.length) return undefined;
  const type = message.readUInt16BE(at + 2) === IN ? message.readUInt16BE(at) : 0;
  const data = at + 10;
  const end = data + message.readUInt16BE(at + 8);
  return end > message.length ? undefined : { start, type, data, end };
}

/** Whether the name at `at` is `owner`; undefined: the name of the question. */
function belongsTo(message: Buffer, at: number, owner: string | undefined): boolean {
  if (owner !== undefined) return readName(message, at) === owner;
  return message.readUInt16BE(at) === POINTER_TO_QUESTION || readName(message, at) === readName(message, HEADER);
}

/** Where what follows the name at `at` begins; -1 where there is no name. */
function skipName(message: Buffer, at: number): number {
  let next = at;
  while (next < message.length) {
    const length = message[next]!;
    if (length === 0) return next + 1;
    if (length >= 0xc0) return next + 2 <= message.length ? next + 2 : -1;
    if (length > 63) return -1;
    next += 1 + length;
  }
  return -1;
}

/**
 * The name at `at` as it would stand there uncompressed, in lower case: to be compared, not to be shown. Undefined where
 * there is none. Pointers lead backwards, each further than the one before, so that this ends.
 */
function readName(message: Buffer, at: number): string | undefined {
  let name = '';
  let next = at;
  let limit = at;
  while (next < message.length && name.length <= MAX_NAME + 1) {
    const length = message[next]!;
    if (length === 0) return name.toLowerCase();
    if (length >= 0xc0) {
      if (next + 1 >= message.length) return undefined;
      next = ((length & 0x3f) << 8) | message[next + 1]!;
      if (next >= limit) return undefined;
      limit = next;
    } else {
      if (length > 63 || next + 1 + length > message.length) return undefined;
      name += message.toString('latin1', next, next + 1 + length);
      next += 1 + length;
    }
  }
  return undefined;
}

/** A name of `readName` as it is written; undefined where it cannot be one of a host. */
function dotted(name: string): string | undefined {
  const labels: string[] = [];
  for (let at = 0; at < name.length; at += 1 + name.charCodeAt(at)) {
    labels.push(name.slice(at + 1, at + 1 + name.charCodeAt(at)));
  }
  // A dot within a label would pass for two of them.
  if (labels.some((label) => label.includes('.'))) return undefined;
  const text = labels.join('.');
  return nameFault(text) === undefined ? text : undefined;
}
