/**
 * The index of known_hosts: for each line that counts, where it is in the text, found by name, by pattern or by key. It knows the
 * lines apart and finds them; what they mean for a host is decided in `known_hosts.ts`.
 *
 * Names and keys that are looked up stand in two buffers (`fold`, `encodeKey`), so that a look-up allocates nothing.
 */
import { inSharedMemory } from '../util/shared_memory.ts';
import { hostForm } from './known_hosts_entry.ts';
import {
  endsWord,
  fold,
  hostsMatch,
  isBlank,
  KEY_TYPES,
  keyAfterHosts,
  LineReader,
  MAX_NAME,
} from './known_hosts_line.ts';
import { hashBytes, OffsetIndex, type SharedOffsets } from './offset_index.ts';

/** A presented key blob longer than this is on no line. */
export const MAX_KEY_TEXT = 5464;

/** An index in memory that threads share; crosses as it is. */
export interface SharedIndex {
  readonly text: Uint8Array<ArrayBufferLike>;
  readonly plain: SharedOffsets;
  readonly hashed: SharedOffsets;
  readonly revoked: SharedOffsets;
  readonly authorityNames: SharedOffsets;
  readonly patterns: readonly number[];
  readonly authorityPatterns: readonly number[];
  readonly hashedOfType: Uint32Array;
  readonly size: number;
  readonly authorities: number;
}

export class KnownHostsIndex {
  /** All files, one after the other; grows as keys are added. */
  text: Buffer;
  /** How much of `text` is in use. */
  length: number;

  /** Offsets of names, by name. */
  readonly plain = new OffsetIndex((offset, name, length) => this.#nameIs(offset, name, length));
  /** Offsets of host fields, in file order. */
  readonly patterns: number[] = [];
  /** Offsets of keys, by key. */
  readonly hashed = new OffsetIndex((offset, key, length) => this.#keyIs(offset, key, length));
  /** How many hashed lines there are of each of KEY_TYPES. */
  readonly hashedOfType = new Uint32Array(KEY_TYPES.length);
  /** Offsets of keys, by key: @revoked lines of every kind. */
  readonly revoked = new OffsetIndex((offset, key, length) => this.#keyIs(offset, key, length));
  /** @cert-authority lines: those with plain names by name, the others as offsets of their host fields. */
  readonly authorityNames = new OffsetIndex((offset, name, length) => this.#nameIs(offset, name, length));
  readonly authorityPatterns: number[] = [];
  /** Lines that count. */
  size = 0;
  /** @cert-authority lines. */
  authorities = 0;
  readonly reader = new LineReader();

  readonly #name = Buffer.allocUnsafeSlow(4 * MAX_NAME);
  #nameLength = 0;
  #nameHash = 0;
  /** The key that is looked up, in base64. */
  readonly key = Buffer.allocUnsafeSlow(MAX_KEY_TEXT);

  constructor(text: Buffer) {
    this.text = text;
    this.length = text.length;
  }

  /** Moves text and tables to where other threads can read them. */
  share(): SharedIndex {
    const bytes = inSharedMemory(new Uint8Array(this.text.buffer, this.text.byteOffset, this.length));
    this.text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    return {
      text: bytes,
      plain: this.plain.share(),
      hashed: this.hashed.share(),
      revoked: this.revoked.share(),
      authorityNames: this.authorityNames.share(),
      patterns: this.patterns,
      authorityPatterns: this.authorityPatterns,
      hashedOfType: this.hashedOfType,
      size: this.size,
      authorities: this.authorities,
    };
  }

  /** The index that another thread shares. */
  static from(shared: SharedIndex): KnownHostsIndex {
    const { text, size, authorities } = shared;
    const index = new KnownHostsIndex(Buffer.from(text.buffer, text.byteOffset, text.length));
    for (const name of ['plain', 'hashed', 'revoked', 'authorityNames'] as const) index[name].take(shared[name]);
    for (const offset of shared.patterns) index.patterns.push(offset);
    for (const offset of shared.authorityPatterns) index.authorityPatterns.push(offset);
    index.hashedOfType.set(shared.hashedOfType);
    index.size = size;
    index.authorities = authorities;
    return index;
  }

  /** Gives back what the tables have too much once all files are read. */
  trim(): void {
    this.plain.trim();
    this.hashed.trim();
    this.authorityNames.trim();
  }

  /** Bytes of the tables, the text apart. */
  get byteLength(): number {
    const tables = [this.plain, this.hashed, this.revoked, this.authorityNames];
    const offsets = this.patterns.length + this.authorityPatterns.length;
    return tables.reduce((sum, { byteLength }) => sum + byteLength, 8 * offsets);
  }

  /** Files the line that the reader has just read. */
  add(): void {
    const reader = this.reader;
    this.size++;
    if (reader.marker === 'cert-authority') {
      this.authorities++;
      if (reader.kind === 'plain') this.#indexNames(this.authorityNames);
      else this.authorityPatterns.push(reader.hosts);
    } else if (reader.marker === 'revoked') {
      this.#indexKey(this.revoked);
    } else if (reader.kind === 'hashed') {
      this.#indexKey(this.hashed);
      this.hashedOfType[reader.type]!++;
    } else if (reader.kind === 'pattern') {
      this.patterns.push(reader.hosts);
    } else {
      this.#indexNames(this.plain);
    }
  }

  #indexKey(index: OffsetIndex): void {
    const { key, keyEnd } = this.reader;
    this.text.copy(this.key, 0, key, keyEnd);
    index.add(hashBytes(this.key, keyEnd - key), key, this.key, keyEnd - key);
  }

  #indexNames(index: OffsetIndex): void {
    const { hosts, hostsEnd } = this.reader;
    const name = this.#name;
    let start = hosts;
    for (let at = hosts; at <= hostsEnd; at++) {
      const byte = this.text[at]!;
      if (at < hostsEnd && byte !== 44) {
        name[at - start] = fold(byte);
        continue;
      }
      if (at > start) index.add(hashBytes(name, at - start), start, name, at - start);
      start = at + 1;
    }
  }

  #nameIs(offset: number, name: Buffer, length: number): boolean {
    const text = this.text;
    for (let i = 0; i < length; i++) if (fold(text[offset + i]!) !== name[i]) return false;
    const after = text[offset + length];
    return after === 44 || isBlank(after);
  }

  #keyIs(offset: number, key: Buffer, length: number): boolean {
    const text = this.text;
    for (let i = 0; i < length; i++) if (text[offset + i] !== key[i]) return false;
    return offset + length >= this.length || endsWord(text[offset + length]);
  }

  /** Puts the blob's base64 into `key`, which costs less than decoding what it is compared with. */
  encodeKey(blob: Uint8Array): number {
    const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
    return bytes.length > (MAX_KEY_TEXT / 4) * 3 ? 0 : this.key.write(bytes.toString('base64'), 0, 'latin1');
  }

  /** Puts the folded name into `#name`; false when no line can have it. */
  fold(form: string): boolean {
    if (form === '' || form.length > MAX_NAME) return false;
    const length = this.#name.write(form, 'utf8');
    if (length > MAX_NAME) return false;
    for (let i = 0; i < length; i++) this.#name[i] = fold(this.#name[i]!);
    this.#nameLength = length;
    this.#nameHash = hashBytes(this.#name, length);
    return true;
  }

  matches(hosts: number): boolean {
    return hostsMatch(this.text, hosts, this.#name, this.#nameLength);
  }

  findRevoked(name: string, port: number, keyHash: number, keyLength: number): number {
    for (let at = this.revoked.first(keyHash, this.key, keyLength); at >= 0; at = this.revoked.after(at)) {
      const hosts = this.hostsBefore(this.revoked.offset(at));
      if (this.fold(hostForm(name, port)) && this.matches(hosts)) return hosts;
      if (port !== 22 && this.fold(name) && this.matches(hosts)) return hosts;
    }
    return -1;
  }

  /** A line for the folded name that has the encoded key: its offset, or -1. */
  findKnown(keyHash: number, keyLength: number): number {
    const { plain, hashed } = { plain: this.plain, hashed: this.hashed };
    for (let at = plain.first(this.#nameHash, this.#name, this.#nameLength); at >= 0; at = plain.after(at)) {
      const offset = plain.offset(at);
      if (this.#keyIs(keyAfterHosts(this.text, offset), this.key, keyLength)) return offset;
    }
    for (const hosts of this.patterns) {
      if (this.#keyIs(keyAfterHosts(this.text, hosts), this.key, keyLength) && this.matches(hosts)) return hosts;
    }
    if (hashed.count === 0) return -1;
    for (let at = hashed.first(keyHash, this.key, keyLength); at >= 0; at = hashed.after(at)) {
      const hosts = this.hostsBefore(hashed.offset(at));
      if (this.matches(hosts)) return hosts;
    }
    return -1;
  }

  /** The lines of the folded name out of an index by name and host fields that are tried in turn, in file order. */
  linesIn(names: OffsetIndex, patterns: readonly number[]): number[] {
    const lines: number[] = [];
    for (let at = names.first(this.#nameHash, this.#name, this.#nameLength); at >= 0; at = names.after(at)) {
      lines.push(names.offset(at));
    }
    const before = lines.length;
    for (const hosts of patterns) if (this.matches(hosts)) lines.push(hosts);
    return before > 0 && lines.length > before ? lines.sort((a, b) => a - b) : lines;
  }

  /** Fills `lines` with those of the folded name among some hashed lines. */
  scan(from: number, to: number, lines: number[]): void {
    for (let record = from; record < to; record++) {
      const hosts = this.hostsBefore(this.hashed.offset(record));
      if (this.matches(hosts)) lines.push(hosts);
    }
  }

  /** The host field of the entry whose key is at `key`: back over key type and blanks. */
  hostsBefore(key: number): number {
    const text = this.text;
    let at = key - 1;
    for (let field = 0; field < 2; field++) {
      while (isBlank(text[at])) at--;
      while (at >= 0 && !isBlank(text[at]) && text[at] !== 10) at--;
    }
    return at + 1;
  }
}
