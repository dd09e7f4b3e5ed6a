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
import { KnownHostsIndex, MAX_KEY_TEXT, type SharedIndex } from './known_hosts_index.ts';
import { decodeBase64, endsWord, KEY_TYPES, keyAfterHosts, lineEnd, typeAfterHosts } from './known_hosts_line.ts';
import { LineNumbers, type SharedLines } from './line_numbers.ts';
import { hashBytes } from './offset_index.ts';

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

/** What `KnownHosts.share` gives for other threads; crosses as it is. */
export interface SharedKnownHosts {
  readonly index: SharedIndex;
  readonly lines: SharedLines;
  readonly problems: readonly KnownHostsProblem[];
  readonly problemCount: number;
}

const MAX_PROBLEMS = 1000;
const MAX_BYTES = 2 ** 30;
/** `keyTypesFor` computes at most this many HMACs: 4 ms. */
const MAX_TYPE_HMACS = 1000;
/** Hosts whose matching hashed lines are remembered between `keyTypesFor` and `check`. */
const MAX_REMEMBERED = 1000;

/** Hashed lines asked in one turn of the loop: 1 ms. */
const LINES_PER_TURN = 250;

const UNKNOWN: HostKeyAnswer = { kind: 'unknown', knownTypes: [] };
/** On no line. */
const NO_KEY = Buffer.alloc(0);
const NO_AUTHORITIES: readonly KnownAuthority[] = [];

export class KnownHosts {
  readonly #index: KnownHostsIndex;
  readonly #lines = new LineNumbers();
  #problemCount = 0;
  readonly #problems: KnownHostsProblem[] = [];

  /** Hashed lines that are not of the most frequent type, as host field offsets; found on first use. */
  #rareHashed: number[] | undefined;
  readonly #remembered = new Map<string, readonly number[]>();
  /** The last scan of all hashed lines; the next one starts after it. */
  #scanning: Promise<void> = Promise.resolve();

  private constructor(index: KnownHostsIndex) {
    this.#index = index;
  }

  /** What another thread shares, without a copy of it. */
  static from({ index, lines, problems, problemCount }: SharedKnownHosts): KnownHosts {
    const known = new KnownHosts(KnownHostsIndex.from(index));
    known.#lines.take(lines);
    known.#problems.push(...problems);
    known.#problemCount = problemCount;
    return known;
  }

  /**
   * Moves all that is known to where other threads can read it: a million lines are there once, however many threads there are.
   * What anybody adds from here on only he knows.
   */
  share(): SharedKnownHosts {
    const [problems, problemCount] = [this.#problems, this.#problemCount];
    return { index: this.#index.share(), lines: this.#lines.share(), problems, problemCount };
  }

  /** All files, one after the other, with what was added in this run. */
  get text(): Buffer {
    return this.#index.text.subarray(0, this.#index.length);
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
    const known = new KnownHosts(new KnownHostsIndex(only?.text ?? Buffer.concat(pieces)));
    let start = 0;
    for (const [index, { file, text }] of files.entries()) {
      known.#readFile(file, start, start + text.length);
      start += text.length + gaps[index]!.length;
    }
    known.#index.trim();
    known.#lines.startFile(undefined, known.#index.length);
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
    return this.#index.size;
  }

  /** @cert-authority lines. */
  get authorities(): number {
    return this.#index.authorities;
  }

  /** Bytes of the index, the text apart. */
  get indexBytes(): number {
    return this.#index.byteLength + this.#lines.byteLength + 8 * (this.#rareHashed?.length ?? 0);
  }

  /** What is known about this key for this host: `name` as the user wrote it, `keyBlob` as the server sent it. */
  check(name: string, port: number, keyBlob: Uint8Array): HostKeyAnswer {
    return this.#decide(name, port, keyBlob, true) ?? UNKNOWN;
  }

  /** The answer of `check`; a promise where all of many hashed lines have to be asked, which takes turns of 1 ms. */
  ask(name: string, port: number, keyBlob: Uint8Array): HostKeyAnswer | Promise<HostKeyAnswer> {
    const scan = this.#index.hashed.count <= LINES_PER_TURN;
    const answer = this.#decide(name, port, keyBlob, scan);
    if (answer !== undefined) return answer;
    // What was added meanwhile counts, too: everything is asked again.
    return this.#scanInTurns(hostForm(name, port)).then(() => this.check(name, port, keyBlob));
  }

  /** Whether there are lines for a host; undefined where all of many hashed lines would have to be asked. */
  has(name: string, port: number): boolean | undefined {
    const answer = this.#decide(name, port, NO_KEY, this.#index.hashed.count <= LINES_PER_TURN);
    return answer && answer.kind !== 'unknown';
  }

  /** Undefined where all hashed lines have to be asked and `scan` forbids it. */
  #decide(name: string, port: number, keyBlob: Uint8Array, scan: boolean): HostKeyAnswer | undefined {
    const keyLength = this.#index.encodeKey(keyBlob);
    const keyHash =
      this.#index.hashed.count + this.#index.revoked.count > 0 ? hashBytes(this.#index.key, keyLength) : 0;
    if (this.#index.revoked.count > 0) {
      const offset = this.#index.findRevoked(name, port, keyHash, keyLength);
      if (offset >= 0) return this.#answer('revoked', offset, []);
    }
    const form = hostForm(name, port);
    if (!this.#index.fold(form)) return UNKNOWN;
    const known = this.#index.findKnown(keyHash, keyLength);
    if (known >= 0) return this.#answer('known', known, []);
    const others = this.#linesOf(form, scan);
    if (others === undefined) return undefined;
    if (others.length > 0) return this.#changed(others, keyLength);
    if (port === 22 || !this.#index.fold(name)) return UNKNOWN;
    const bare = this.#index.findKnown(keyHash, keyLength);
    return bare >= 0 ? { ...this.#answer('known', bare, []), bare: true } : UNKNOWN;
  }

  /** The @revoked line for this host and key, or undefined; the key may be an authority's. */
  revoked(name: string, port: number, keyBlob: Uint8Array): HostKeyAnswer | undefined {
    if (this.#index.revoked.count === 0) return undefined;
    const keyLength = this.#index.encodeKey(keyBlob);
    const offset = this.#index.findRevoked(name, port, hashBytes(this.#index.key, keyLength), keyLength);
    return offset < 0 ? undefined : this.#answer('revoked', offset, []);
  }

  /** The authorities whose certificates count for a host: those of its name with the port where there are any, else of the bare name. */
  authoritiesFor(name: string, port: number): readonly KnownAuthority[] {
    if (this.#index.authorities === 0) return NO_AUTHORITIES;
    for (const form of port === 22 ? [name] : [hostForm(name, port), name]) {
      if (!this.#index.fold(form)) continue;
      const lines = this.#index.linesIn(this.#index.authorityNames, this.#index.authorityPatterns);
      if (lines.length > 0) return lines.map((line) => this.#authority(line, form === name && port !== 22));
    }
    return NO_AUTHORITIES;
  }

  #authority(hosts: number, bare: boolean): KnownAuthority {
    const key = keyAfterHosts(this.#index.text, hosts);
    let end = key;
    while (end < this.#index.length && !endsWord(this.#index.text[end])) end++;
    const { file, line } = this.#lines.place(this.#index.text, hosts)!;
    return { blob: Buffer.from(this.#index.text.toString('latin1', key, end), 'base64'), file, line, bare };
  }

  /**
   * The types of the keys known for a host, in file order, so that the client asks for these first. Above 1,000 hashed lines the
   * most frequent type among them is taken for granted, because asking each line would cost more than the connection.
   */
  keyTypesFor(name: string, port: number): readonly string[] {
    const forms = port === 22 ? [name] : [hostForm(name, port), name];
    for (const form of forms) {
      if (!this.#index.fold(form)) continue;
      const lines = this.#index.linesIn(this.#index.plain, this.#index.patterns);
      if (lines.length > 0) return this.#typesOf(lines);
      if (this.#index.hashed.count === 0 || this.#index.hashed.count > MAX_TYPE_HMACS) continue;
      const hashed = this.#hashedLines(form);
      if (hashed.length > 0) return this.#typesOf(hashed);
    }
    return this.#index.hashed.count > MAX_TYPE_HMACS ? this.#likelyTypes(forms) : [];
  }

  /** Remembers a key in memory, for this run. Throws `known-hosts` for a name that cannot stand in a known_hosts file. */
  add(name: string, port: number, keyType: string, keyBlob: Uint8Array): void {
    // A file's last line may lack its line break.
    const open = this.#index.length > 0 && this.#index.text[this.#index.length - 1] !== 10;
    const line = Buffer.from(`${open ? '\n' : ''}${knownHostsLine(name, port, keyBlob)}`);
    const start = this.#index.length;
    if (start + line.length > MAX_BYTES)
      throw new MyriadError('known-hosts', 'too many host keys were added in this run');
    if (start + line.length > this.#index.text.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(4096, start + line.length + Math.floor(start / 8)));
      this.#index.text.copy(grown, 0, 0, start);
      this.#index.text = grown;
    }
    line.copy(this.#index.text, start);
    this.#index.length += line.length;
    const problem = this.#index.reader.read(this.#index.text, open ? start + 1 : start, this.#index.length - 1);
    if (problem !== undefined || KEY_TYPES[this.#index.reader.type] !== keyType) {
      this.#index.length = start;
      throw new MyriadError('known-hosts', `the host key of "${name}" is not a key of type "${keyType}"`);
    }
    this.#index.add();
  }

  #readFile(file: string, start: number, limit: number): void {
    this.#lines.startFile(file, start);
    for (let at = start; at <= limit; ) {
      // A file that ends with a line break has no further line.
      if (at === limit && at > start && this.#index.text[at - 1] === 10) break;
      const line = this.#lines.startLine(at);
      const { end, next } = lineEnd(this.#index.text, at, limit);
      const problem = this.#index.reader.read(this.#index.text, at, end);
      if (problem === undefined) this.#index.add();
      else if (problem !== '') this.#report({ file, line, reason: problem });
      at = next;
    }
  }

  #report(problem: KnownHostsProblem): void {
    this.#problemCount++;
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(problem);
  }

  /** The lines of the folded name: the open ones if there are any, else the hashed ones; undefined where `scan` forbids to ask these. */
  #linesOf(form: string, scan: boolean): readonly number[] | undefined {
    const open = this.#index.linesIn(this.#index.plain, this.#index.patterns);
    if (open.length > 0 || this.#index.hashed.count === 0) return open;
    return scan ? this.#hashedLines(form) : this.#remembered.get(form);
  }

  /** The hashed lines of the folded name: one HMAC for each hashed line there is. */
  #hashedLines(form: string): readonly number[] {
    const remembered = this.#remembered.get(form);
    if (remembered !== undefined) return remembered;
    const lines: number[] = [];
    this.#index.scan(0, this.#index.hashed.count, lines);
    this.#remember(form, lines);
    return lines;
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
      for (let from = 0; from < this.#index.hashed.count; from += LINES_PER_TURN) {
        await nextTurn();
        // Others have used the buffer of the name since.
        this.#index.fold(form);
        this.#index.scan(from, Math.min(from + LINES_PER_TURN, this.#index.hashed.count), lines);
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
    const most = this.#index.hashedOfType.indexOf(Math.max(...this.#index.hashedOfType));
    this.#rareHashed ??= this.#hashedLinesNotOf(most);
    if (this.#rareHashed.length > MAX_TYPE_HMACS) {
      const types = KEY_TYPES.map((type, index) => ({ type, count: this.#index.hashedOfType[index]! }));
      return types
        .filter(({ count }) => count > 0)
        .sort((a, b) => b.count - a.count)
        .map(({ type }) => type);
    }
    for (const form of forms) {
      if (!this.#index.fold(form)) continue;
      const rare = this.#rareHashed.filter((hosts) => this.#index.matches(hosts));
      if (rare.length > 0) return [...this.#typesOf(rare), KEY_TYPES[most]!];
    }
    return [KEY_TYPES[most]!];
  }

  #hashedLinesNotOf(type: number): number[] {
    const lines: number[] = [];
    for (let record = 0; record < this.#index.hashed.count; record++) {
      const hosts = this.#index.hostsBefore(this.#index.hashed.offset(record));
      if (typeAfterHosts(this.#index.text, hosts) !== type) lines.push(hosts);
    }
    return lines;
  }

  #typesOf(lines: readonly number[]): readonly string[] {
    const types: string[] = [];
    for (const line of lines) {
      const type = KEY_TYPES[typeAfterHosts(this.#index.text, line)]!;
      if (!types.includes(type)) types.push(type);
    }
    return types;
  }

  /** The answer for a host that has other keys: the line to look at is the first one of the type presented, else the first. */
  #changed(lines: readonly number[], keyLength: number): HostKeyAnswer {
    const blob = Buffer.allocUnsafe(MAX_KEY_TEXT);
    const presented = keyTypeOf(blob.subarray(0, Math.max(0, decodeBase64(this.#index.key, 0, keyLength, blob))));
    const line = lines.find((offset) => KEY_TYPES[typeAfterHosts(this.#index.text, offset)] === presented) ?? lines[0]!;
    return this.#answer('changed', line, this.#typesOf(lines));
  }

  #answer(kind: HostKeyAnswer['kind'], offset: number, knownTypes: readonly string[]): HostKeyAnswer {
    const place = this.#lines.place(this.#index.text, offset);
    return place === undefined ? { kind, knownTypes } : { kind, file: place.file, line: place.line, knownTypes };
  }
}
