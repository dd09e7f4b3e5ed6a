/**
 * known_hosts, parsed once per run into an index and asked once per host.
 *
 * The text of the files stays as it is; the index holds offsets into it: about 20 to 28 bytes for a name. Three kinds of lines are
 * kept apart because they cost differently: plain names (one table look-up), patterns (each tried in turn), hashed names (found
 * by the key that is presented: one HMAC per line with that key; only a miss costs one HMAC per hashed line, 4 µs each, and takes turns
 * with the connections that are alive: `ask`). @cert-authority lines are apart from all of these: they say nothing about plain keys.
 *
 * The answers are OpenSSH's: the name is `host` for port 22 and `[host]:port` otherwise, compared without regard to ASCII case; any
 * line with this very key makes the host known; any line with another key, of whatever type, makes it changed (so that a
 * forged host cannot get around the known key by offering another type); a port other than 22 without a line of its own is
 * known, too, if a line for the bare host has this very key. One thing is stricter: a @revoked line for the bare host counts
 * for all its ports.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MyriadError } from '../contracts/errors.ts';
import { hostForm, keyTypeOf, knownHostsLine } from './known_hosts_entry.ts';
import {
  decodeBase64,
  endsWord,
  fold,
  hostsMatch,
  isBlank,
  KEY_TYPES,
  keyAfterHosts,
  LineReader,
  lineEnd,
  MAX_NAME,
  typeAfterHosts,
} from './known_hosts_line.ts';
import { LineNumbers } from './line_numbers.ts';
import { hashBytes, OffsetIndex } from './offset_index.ts';

/**
 * `known`: a line for this host has this key · `changed`: lines for this host have other keys only · `revoked`: the key is marked
 * @revoked for this host · `unknown`: no line for this host.
 */
export interface HostKeyAnswer {
  readonly kind: 'known' | 'unknown' | 'changed' | 'revoked';
  /** Where the line is that decided; absent for `unknown` and for keys added in this run. */
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  /** `changed`: the types of the keys on this host's lines, in file order. */
  readonly knownTypes: readonly string[];
  /** `known` by a line for the bare name, where the port asked for has no line of its own. */
  readonly bare?: true;
}

/** An authority whose host certificates count for a host. */
export interface KnownAuthority {
  /** Its key. */
  readonly blob: Buffer;
  /** Where its line is. */
  readonly file: string;
  readonly line: number;
  /** Found by the bare name, where the port asked for has no such line of its own. */
  readonly bare: boolean;
}

/** A line that does not count. */
export interface KnownHostsProblem {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly reason: string;
}

const MAX_PROBLEMS = 1000;
const MAX_BYTES = 2 ** 30;
/** `keyTypesFor` computes at most this many HMACs: 4 ms. */
const MAX_TYPE_HMACS = 1000;
/** Hosts whose matching hashed lines are remembered between `keyTypesFor` and `check`. */
const MAX_REMEMBERED = 1000;
/** A presented key blob longer than this is on no line. */
const MAX_KEY_TEXT = 5464;

/** Hashed lines asked in one turn of the loop: 1 ms. */
const LINES_PER_TURN = 250;

const UNKNOWN: HostKeyAnswer = { kind: 'unknown', knownTypes: [] };
const NO_AUTHORITIES: readonly KnownAuthority[] = [];

export class KnownHosts {
  #text: Buffer;
  #length: number;
  readonly #lines = new LineNumbers();
  #problemCount = 0;
  #size = 0;
  readonly #problems: KnownHostsProblem[] = [];
  readonly #reader = new LineReader();

  /** Offsets of names, by name. */
  readonly #plain = new OffsetIndex((offset, name, length) => this.#nameIs(offset, name, length));
  /** Offsets of host fields, in file order. */
  readonly #patterns: number[] = [];
  /** Offsets of keys, by key. */
  readonly #hashed = new OffsetIndex((offset, key, length) => this.#keyIs(offset, key, length));
  /** How many hashed lines there are of each of KEY_TYPES. */
  readonly #hashedOfType = new Uint32Array(KEY_TYPES.length);
  /** Offsets of keys, by key: @revoked lines of every kind. */
  readonly #revoked = new OffsetIndex((offset, key, length) => this.#keyIs(offset, key, length));
  /** @cert-authority lines: those with plain names by name, the others as offsets of their host fields. */
  readonly #authorityNames = new OffsetIndex((offset, name, length) => this.#nameIs(offset, name, length));
  readonly #authorityPatterns: number[] = [];
  #authorities = 0;

  /** Hashed lines that are not of the most frequent type, as host field offsets; found on first use. */
  #rareHashed: number[] | undefined;
  readonly #remembered = new Map<string, readonly number[]>();
  /** The last scan of all hashed lines; the next one starts after it. */
  #scanning: Promise<void> = Promise.resolve();

  readonly #name = Buffer.allocUnsafeSlow(4 * MAX_NAME);
  #nameLength = 0;
  #nameHash = 0;
  readonly #key = Buffer.allocUnsafeSlow(MAX_KEY_TEXT);

  private constructor(text: Buffer) {
    this.#text = text;
    this.#length = text.length;
  }

  /**
   * Indexes the files in the order given; the buffers are kept and must not change. Never throws for what a file contains:
   * lines that do not count are in `problems`. Throws `known-hosts` above 1 GiB in all.
   */
  static parse(files: readonly { readonly file: string; readonly text: Buffer }[]): KnownHosts {
    const total = files.reduce((sum, { text }) => sum + text.length + 1, 0);
    if (total > MAX_BYTES) {
      throw new MyriadError(
        'known-hosts',
        `the known_hosts files have ${total} bytes; at most ${MAX_BYTES} can be used`,
      );
    }
    const only = files.length === 1 ? files[0] : undefined;
    // A file whose last line is open gets a line break, and no other does, or the lines after it would be miscounted.
    const gaps = files.map(({ text }) => Buffer.from(text.at(-1) === 10 ? '' : '\n'));
    const pieces = files.flatMap(({ text }, index) => [text, gaps[index]!]);
    const known = new KnownHosts(only?.text ?? Buffer.concat(pieces));
    let start = 0;
    for (const [index, { file, text }] of files.entries()) {
      known.#readFile(file, start, start + text.length);
      start += text.length + gaps[index]!.length;
    }
    known.#plain.trim();
    known.#hashed.trim();
    known.#authorityNames.trim();
    known.#lines.startFile(undefined, known.#length);
    return known;
  }

  /** The first 1,000 lines that do not count; the others do, as in OpenSSH. */
  get problems(): readonly KnownHostsProblem[] {
    return this.#problems;
  }

  /** All lines that do not count. */
  get problemCount(): number {
    return this.#problemCount;
  }

  /** Lines that count, with those added in this run. */
  get size(): number {
    return this.#size;
  }

  /** @cert-authority lines. */
  get authorities(): number {
    return this.#authorities;
  }

  /** Bytes of the index, the text apart. */
  get indexBytes(): number {
    const indexes = [this.#plain, this.#hashed, this.#revoked, this.#authorityNames];
    const tables = indexes.reduce((sum, { byteLength }) => sum + byteLength, this.#lines.byteLength);
    return tables + 8 * (this.#patterns.length + this.#authorityPatterns.length + (this.#rareHashed?.length ?? 0));
  }

  /** What is known about this key for this host: `name` as the user wrote it, `keyBlob` as the server sent it. */
  check(name: string, port: number, keyBlob: Uint8Array): HostKeyAnswer {
    return this.#decide(name, port, keyBlob, true) ?? UNKNOWN;
  }

  /** The answer of `check`; a promise where all of many hashed lines have to be asked, which takes turns of 1 ms. */
  ask(name: string, port: number, keyBlob: Uint8Array): HostKeyAnswer | Promise<HostKeyAnswer> {
    const scan = this.#hashed.count <= LINES_PER_TURN;
    const answer = this.#decide(name, port, keyBlob, scan);
    if (answer !== undefined) return answer;
    // What was added meanwhile counts, too: everything is asked again.
    return this.#scanInTurns(hostForm(name, port)).then(() => this.check(name, port, keyBlob));
  }

  /** Undefined where all hashed lines have to be asked and `scan` forbids it. */
  #decide(name: string, port: number, keyBlob: Uint8Array, scan: boolean): HostKeyAnswer | undefined {
    const keyLength = this.#encodeKey(keyBlob);
    const keyHash = this.#hashed.count + this.#revoked.count > 0 ? hashBytes(this.#key, keyLength) : 0;
    if (this.#revoked.count > 0) {
      const offset = this.#findRevoked(name, port, keyHash, keyLength);
      if (offset >= 0) return this.#answer('revoked', offset, []);
    }
    const form = hostForm(name, port);
    if (!this.#fold(form)) return UNKNOWN;
    const known = this.#findKnown(keyHash, keyLength);
    if (known >= 0) return this.#answer('known', known, []);
    const others = this.#linesOf(form, scan);
    if (others === undefined) return undefined;
    if (others.length > 0) return this.#changed(others, keyLength);
    if (port === 22 || !this.#fold(name)) return UNKNOWN;
    const bare = this.#findKnown(keyHash, keyLength);
    return bare >= 0 ? { ...this.#answer('known', bare, []), bare: true } : UNKNOWN;
  }

  /** The @revoked line for this host and key, or undefined; the key may be an authority's. */
  revoked(name: string, port: number, keyBlob: Uint8Array): HostKeyAnswer | undefined {
    if (this.#revoked.count === 0) return undefined;
    const keyLength = this.#encodeKey(keyBlob);
    const offset = this.#findRevoked(name, port, hashBytes(this.#key, keyLength), keyLength);
    return offset < 0 ? undefined : this.#answer('revoked', offset, []);
  }

  /** The authorities whose certificates count for a host: those of its name with the port where there are any, else of the bare name. */
  authoritiesFor(name: string, port: number): readonly KnownAuthority[] {
    if (this.#authorities === 0) return NO_AUTHORITIES;
    for (const form of port === 22 ? [name] : [hostForm(name, port), name]) {
      if (!this.#fold(form)) continue;
      const lines = this.#linesIn(this.#authorityNames, this.#authorityPatterns);
      if (lines.length > 0) return lines.map((line) => this.#authority(line, form === name && port !== 22));
    }
    return NO_AUTHORITIES;
  }

  #authority(hosts: number, bare: boolean): KnownAuthority {
    const key = keyAfterHosts(this.#text, hosts);
    let end = key;
    while (end < this.#length && !endsWord(this.#text[end])) end++;
    const { file, line } = this.#lines.place(this.#text, hosts)!;
    return { blob: Buffer.from(this.#text.toString('latin1', key, end), 'base64'), file, line, bare };
  }

  /**
   * The types of the keys known for a host, in file order, so that the client asks for these first. Above 1,000 hashed lines the
   * most frequent type among them is taken for granted, because asking each line would cost more than the connection.
   */
  keyTypesFor(name: string, port: number): readonly string[] {
    const forms = port === 22 ? [name] : [hostForm(name, port), name];
    for (const form of forms) {
      if (!this.#fold(form)) continue;
      const lines = this.#linesIn(this.#plain, this.#patterns);
      if (lines.length > 0) return this.#typesOf(lines);
      if (this.#hashed.count === 0 || this.#hashed.count > MAX_TYPE_HMACS) continue;
      const hashed = this.#hashedLines(form);
      if (hashed.length > 0) return this.#typesOf(hashed);
    }
    return this.#hashed.count > MAX_TYPE_HMACS ? this.#likelyTypes(forms) : [];
  }

  /** Remembers a key in memory, for this run. Throws `known-hosts` for a name that cannot stand in a known_hosts file. */
  add(name: string, port: number, keyType: string, keyBlob: Uint8Array): void {
    // A file's last line may lack its line break.
    const open = this.#length > 0 && this.#text[this.#length - 1] !== 10;
    const line = Buffer.from(`${open ? '\n' : ''}${knownHostsLine(name, port, keyBlob)}`);
    const start = this.#length;
    if (start + line.length > MAX_BYTES)
      throw new MyriadError('known-hosts', 'too many host keys were added in this run');
    if (start + line.length > this.#text.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(4096, this.#text.length * 2, start + line.length));
      this.#text.copy(grown, 0, 0, start);
      this.#text = grown;
    }
    line.copy(this.#text, start);
    this.#length += line.length;
    const problem = this.#reader.read(this.#text, open ? start + 1 : start, this.#length - 1);
    if (problem !== undefined || KEY_TYPES[this.#reader.type] !== keyType) {
      this.#length = start;
      throw new MyriadError('known-hosts', `the host key of "${name}" is not a key of type "${keyType}"`);
    }
    this.#index();
  }

  #readFile(file: string, start: number, limit: number): void {
    this.#lines.startFile(file, start);
    for (let at = start; at <= limit; ) {
      // A file that ends with a line break has no further line.
      if (at === limit && at > start && this.#text[at - 1] === 10) break;
      const line = this.#lines.startLine(at);
      const { end, next } = lineEnd(this.#text, at, limit);
      const problem = this.#reader.read(this.#text, at, end);
      if (problem === undefined) this.#index();
      else if (problem !== '') this.#report({ file, line, reason: problem });
      at = next;
    }
  }

  #report(problem: KnownHostsProblem): void {
    this.#problemCount++;
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(problem);
  }

  /** Files the line that the reader has just read. */
  #index(): void {
    const reader = this.#reader;
    this.#size++;
    if (reader.marker === 'cert-authority') {
      this.#authorities++;
      if (reader.kind === 'plain') this.#indexNames(this.#authorityNames);
      else this.#authorityPatterns.push(reader.hosts);
    } else if (reader.marker === 'revoked') {
      this.#indexKey(this.#revoked);
    } else if (reader.kind === 'hashed') {
      this.#indexKey(this.#hashed);
      this.#hashedOfType[reader.type]!++;
    } else if (reader.kind === 'pattern') {
      this.#patterns.push(reader.hosts);
    } else {
      this.#indexNames(this.#plain);
    }
  }

  #indexKey(index: OffsetIndex): void {
    const { key, keyEnd } = this.#reader;
    this.#text.copy(this.#key, 0, key, keyEnd);
    index.add(hashBytes(this.#key, keyEnd - key), key, this.#key, keyEnd - key);
  }

  #indexNames(index: OffsetIndex): void {
    const { hosts, hostsEnd } = this.#reader;
    const name = this.#name;
    let start = hosts;
    for (let at = hosts; at <= hostsEnd; at++) {
      const byte = this.#text[at]!;
      if (at < hostsEnd && byte !== 44) {
        name[at - start] = fold(byte);
        continue;
      }
      if (at > start) index.add(hashBytes(name, at - start), start, name, at - start);
      start = at + 1;
    }
  }

  #nameIs(offset: number, name: Buffer, length: number): boolean {
    const text = this.#text;
    for (let i = 0; i < length; i++) if (fold(text[offset + i]!) !== name[i]) return false;
    const after = text[offset + length];
    return after === 44 || isBlank(after);
  }

  #keyIs(offset: number, key: Buffer, length: number): boolean {
    const text = this.#text;
    for (let i = 0; i < length; i++) if (text[offset + i] !== key[i]) return false;
    return offset + length >= this.#length || endsWord(text[offset + length]);
  }

  /** Puts the blob's base64 into `#key`, which costs less than decoding what it is compared with. */
  #encodeKey(blob: Uint8Array): number {
    const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
    return bytes.length > (MAX_KEY_TEXT / 4) * 3 ? 0 : this.#key.write(bytes.toString('base64'), 0, 'latin1');
  }

  /** Puts the folded name into `#name`; false when no line can have it. */
  #fold(form: string): boolean {
    if (form === '' || form.length > MAX_NAME) return false;
    const length = this.#name.write(form, 'utf8');
    if (length > MAX_NAME) return false;
    for (let i = 0; i < length; i++) this.#name[i] = fold(this.#name[i]!);
    this.#nameLength = length;
    this.#nameHash = hashBytes(this.#name, length);
    return true;
  }

  #matches(hosts: number): boolean {
    return hostsMatch(this.#text, hosts, this.#name, this.#nameLength);
  }

  #findRevoked(name: string, port: number, keyHash: number, keyLength: number): number {
    for (let at = this.#revoked.first(keyHash, this.#key, keyLength); at >= 0; at = this.#revoked.after(at)) {
      const hosts = this.#hostsBefore(this.#revoked.offset(at));
      if (this.#fold(hostForm(name, port)) && this.#matches(hosts)) return hosts;
      if (port !== 22 && this.#fold(name) && this.#matches(hosts)) return hosts;
    }
    return -1;
  }

  /** A line for the folded name that has the encoded key: its offset, or -1. */
  #findKnown(keyHash: number, keyLength: number): number {
    const { plain, hashed } = { plain: this.#plain, hashed: this.#hashed };
    for (let at = plain.first(this.#nameHash, this.#name, this.#nameLength); at >= 0; at = plain.after(at)) {
      const offset = plain.offset(at);
      if (this.#keyIs(keyAfterHosts(this.#text, offset), this.#key, keyLength)) return offset;
    }
    for (const hosts of this.#patterns) {
      if (this.#keyIs(keyAfterHosts(this.#text, hosts), this.#key, keyLength) && this.#matches(hosts)) return hosts;
    }
    if (hashed.count === 0) return -1;
    for (let at = hashed.first(keyHash, this.#key, keyLength); at >= 0; at = hashed.after(at)) {
      const hosts = this.#hostsBefore(hashed.offset(at));
      if (this.#matches(hosts)) return hosts;
    }
    return -1;
  }

  /** The lines of the folded name: the open ones if there are any, else the hashed ones; undefined where `scan` forbids to ask these. */
  #linesOf(form: string, scan: boolean): readonly number[] | undefined {
    const open = this.#linesIn(this.#plain, this.#patterns);
    if (open.length > 0 || this.#hashed.count === 0) return open;
    return scan ? this.#hashedLines(form) : this.#remembered.get(form);
  }

  /** The lines of the folded name out of an index by name and host fields that are tried in turn, in file order. */
  #linesIn(names: OffsetIndex, patterns: readonly number[]): number[] {
    const lines: number[] = [];
    for (let at = names.first(this.#nameHash, this.#name, this.#nameLength); at >= 0; at = names.after(at)) {
      lines.push(names.offset(at));
    }
    const before = lines.length;
    for (const hosts of patterns) if (this.#matches(hosts)) lines.push(hosts);
    return before > 0 && lines.length > before ? lines.sort((a, b) => a - b) : lines;
  }

  /** The hashed lines of the folded name: one HMAC for each hashed line there is. */
  #hashedLines(form: string): readonly number[] {
    const remembered = this.#remembered.get(form);
    if (remembered !== undefined) return remembered;
    const lines: number[] = [];
    this.#scan(0, this.#hashed.count, lines);
    this.#remember(form, lines);
    return lines;
  }

  /** Fills `lines` with those of the folded name among some hashed lines. */
  #scan(from: number, to: number, lines: number[]): void {
    for (let record = from; record < to; record++) {
      const hosts = this.#hostsBefore(this.#hashed.offset(record));
      if (this.#matches(hosts)) lines.push(hosts);
    }
  }

  #remember(form: string, lines: readonly number[]): void {
    if (this.#remembered.size >= MAX_REMEMBERED) {
      for (const oldest of this.#remembered.keys()) {
        this.#remembered.delete(oldest);
        break;
      }
    }
    this.#remembered.set(form, lines);
  }

  /** Remembers the hashed lines of a name. One scan at a time, so that many unknown hosts together hold the loop no longer than one. */
  #scanInTurns(form: string): Promise<void> {
    const before = this.#scanning;
    const scan = async (): Promise<void> => {
      await before;
      if (this.#remembered.has(form)) return;
      const lines: number[] = [];
      for (let from = 0; from < this.#hashed.count; from += LINES_PER_TURN) {
        await nextTurn();
        // Others have used the buffer of the name since.
        this.#fold(form);
        this.#scan(from, Math.min(from + LINES_PER_TURN, this.#hashed.count), lines);
      }
      this.#remember(form, lines);
    };
    this.#scanning = scan();
    return this.#scanning;
  }

  /**
   * For many hashed lines: the most frequent type without asking any of them, after the rare types that this very name has. So
   * the first type is known for this host if any is, unless the rare lines, too, are too many to ask.
   */
  #likelyTypes(forms: readonly string[]): readonly string[] {
    const most = this.#hashedOfType.indexOf(Math.max(...this.#hashedOfType));
    this.#rareHashed ??= this.#hashedLinesNotOf(most);
    if (this.#rareHashed.length > MAX_TYPE_HMACS) {
      const types = KEY_TYPES.map((type, index) => ({ type, count: this.#hashedOfType[index]! }));
      return types
        .filter(({ count }) => count > 0)
        .sort((a, b) => b.count - a.count)
        .map(({ type }) => type);
    }
    for (const form of forms) {
      if (!this.#fold(form)) continue;
      const rare = this.#rareHashed.filter((hosts) => this.#matches(hosts));
      if (rare.length > 0) return [...this.#typesOf(rare), KEY_TYPES[most]!];
    }
    return [KEY_TYPES[most]!];
  }

  #hashedLinesNotOf(type: number): number[] {
    const lines: number[] = [];
    for (let record = 0; record < this.#hashed.count; record++) {
      const hosts = this.#hostsBefore(this.#hashed.offset(record));
      if (typeAfterHosts(this.#text, hosts) !== type) lines.push(hosts);
    }
    return lines;
  }

  #typesOf(lines: readonly number[]): readonly string[] {
    const types: string[] = [];
    for (const line of lines) {
      const type = KEY_TYPES[typeAfterHosts(this.#text, line)]!;
      if (!types.includes(type)) types.push(type);
    }
    return types;
  }

  /** The answer for a host that has other keys: the line to look at is the first one of the type presented, else the first. */
  #changed(lines: readonly number[], keyLength: number): HostKeyAnswer {
    const blob = Buffer.allocUnsafe(MAX_KEY_TEXT);
    const presented = keyTypeOf(blob.subarray(0, Math.max(0, decodeBase64(this.#key, 0, keyLength, blob))));
    const line = lines.find((offset) => KEY_TYPES[typeAfterHosts(this.#text, offset)] === presented) ?? lines[0]!;
    return this.#answer('changed', line, this.#typesOf(lines));
  }

  #answer(kind: HostKeyAnswer['kind'], offset: number, knownTypes: readonly string[]): HostKeyAnswer {
    const place = this.#lines.place(this.#text, offset);
    return place === undefined ? { kind, knownTypes } : { kind, file: place.file, line: place.line, knownTypes };
  }

  /** The host field of the entry whose key is at `key`: back over key type and blanks. */
  #hostsBefore(key: number): number {
    const text = this.#text;
    let at = key - 1;
    for (let field = 0; field < 2; field++) {
      while (isBlank(text[at])) at--;
      while (at >= 0 && !isBlank(text[at]) && text[at] !== 10) at--;
    }
    return at + 1;
  }
}
