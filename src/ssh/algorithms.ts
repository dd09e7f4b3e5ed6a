/** Algorithm names, our preferences, and the negotiation of RFC 4253 §7.1. */
import { CERTIFICATE_ALGORITHMS } from './certificate.ts';
import type { CipherSpec, MacSpec } from './cipher/packet.ts';
import { protocolError, SshError } from './errors.ts';
import { DEFAULT_KEX, LEGACY_KEX } from './kex.ts';
import { Reader, Writer } from './wire.ts';

const gcm = { mode: 'gcm', ivLength: 12, aead: true } as const;
const ctr = { mode: 'ctr', ivLength: 16, aead: false } as const;
const cbc = { mode: 'cbc', ivLength: 16, aead: false } as const;

/**
 * A cipher in counter mode lives as long as its keys, one of AES-GCM for a packet (node:crypto takes the nonce at its
 * creation only): with `-etm` the first costs a host 25 to 40 µs less. ChaCha20 needs two for a packet, and a Poly1305
 * in JavaScript.
 */
const DEFAULT_CIPHERS: readonly CipherSpec[] = [
  { name: 'aes128-ctr', algorithm: 'aes-128-ctr', keyLength: 16, ...ctr },
  { name: 'aes128-gcm@openssh.com', algorithm: 'aes-128-gcm', keyLength: 16, ...gcm },
  { name: 'aes256-gcm@openssh.com', algorithm: 'aes-256-gcm', keyLength: 32, ...gcm },
  { name: 'aes192-ctr', algorithm: 'aes-192-ctr', keyLength: 24, ...ctr },
  { name: 'aes256-ctr', algorithm: 'aes-256-ctr', keyLength: 32, ...ctr },
  {
    name: 'chacha20-poly1305@openssh.com',
    mode: 'chacha',
    algorithm: 'chacha20',
    keyLength: 64,
    ivLength: 0,
    aead: true,
  },
];

const DEFAULT_MACS: readonly MacSpec[] = [
  { name: 'hmac-sha2-256-etm@openssh.com', hash: 'sha256', keyLength: 32, etm: true },
  { name: 'hmac-sha2-512-etm@openssh.com', hash: 'sha512', keyLength: 64, etm: true },
  { name: 'hmac-sha2-256', hash: 'sha256', keyLength: 32, etm: false },
  { name: 'hmac-sha2-512', hash: 'sha512', keyLength: 64, etm: false },
];

/** Certificates come last: they are asked for first only where an authority is known for the host. */
const DEFAULT_HOST_KEYS: readonly string[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
  ...CERTIFICATE_ALGORITHMS,
];

/** All that can be used; those behind the defaults only where the user names them, for old network gear. */
export const CIPHERS: readonly CipherSpec[] = [
  ...DEFAULT_CIPHERS,
  { name: 'aes128-cbc', algorithm: 'aes-128-cbc', keyLength: 16, ...cbc },
  { name: 'aes192-cbc', algorithm: 'aes-192-cbc', keyLength: 24, ...cbc },
  { name: 'aes256-cbc', algorithm: 'aes-256-cbc', keyLength: 32, ...cbc },
];

export const MACS: readonly MacSpec[] = [
  ...DEFAULT_MACS,
  { name: 'hmac-sha1', hash: 'sha1', keyLength: 20, etm: false },
];

/** `ssh-rsa` is the signature of RSA keys with SHA-1. */
export const HOST_KEY_ALGORITHMS: readonly string[] = [...DEFAULT_HOST_KEYS, 'ssh-rsa'];

export const KEX_ALGORITHMS: readonly string[] = [...DEFAULT_KEX, ...LEGACY_KEX].map(({ name }) => name);

/** What one side offers, most wanted first. */
export interface Preferences {
  readonly kex: readonly string[];
  readonly hostKey: readonly string[];
  readonly ciphers: readonly string[];
  readonly macs: readonly string[];
}

export const DEFAULT_PREFERENCES: Preferences = {
  kex: DEFAULT_KEX.map(({ name }) => name),
  hostKey: DEFAULT_HOST_KEYS,
  ciphers: DEFAULT_CIPHERS.map(({ name }) => name),
  macs: DEFAULT_MACS.map(({ name }) => name),
};

/** What both agreed on, for both directions. */
export interface Negotiated {
  readonly kex: string;
  readonly hostKey: string;
  readonly clientCipher: CipherSpec;
  readonly serverCipher: CipherSpec;
  readonly clientMac: MacSpec | undefined;
  readonly serverMac: MacSpec | undefined;
  /** Both sides announced strict KEX (OpenSSH PROTOCOL §1.10). */
  readonly strict: boolean;
  /** The peer takes EXT_INFO (RFC 8308). */
  readonly extInfo: boolean;
  /** The peer's guessed packet follows and is of no use. */
  readonly ignoreGuess: boolean;
  /** All host key algorithms that the server has keys for. */
  readonly serverHostKeys: readonly string[];
}

export type Role = 'client' | 'server';

const MARKS = {
  client: { extInfo: 'ext-info-c', strict: 'kex-strict-c-v00@openssh.com' },
  server: { extInfo: 'ext-info-s', strict: 'kex-strict-s-v00@openssh.com' },
} as const;

/** The KEXINIT payload after type and cookie: the same for every connection with the same preferences. */
function kexInitTail(role: Role, preferences: Preferences): Buffer {
  const writer = new Writer(2048);
  writer.text([...preferences.kex, MARKS[role].extInfo, MARKS[role].strict].join(','));
  writer.text(preferences.hostKey.join(','));
  for (const list of [preferences.ciphers, preferences.ciphers, preferences.macs, preferences.macs]) {
    writer.text(list.join(','));
  }
  writer.text('none').text('none').text('').text('');
  writer.boolean(false).uint32(0);
  return writer.copy();
}

interface KexInit {
  readonly lists: readonly string[][];
  readonly follows: boolean;
}

/** Parses what follows the cookie. At most 10 lists of names; sizes are bounded by the packet. */
function parseTail(tail: Buffer): KexInit {
  const reader = new Reader(tail);
  const lists: string[][] = [];
  for (let i = 0; i < 10; i++) lists.push(reader.nameList());
  const follows = reader.boolean();
  reader.uint32();
  return { lists, follows };
}

/** Characters of a list in a message. */
const SHOWN = 800;

function choose(what: string, client: readonly string[], server: readonly string[], option?: UserChoice): string {
  for (const name of client) if (server.includes(name)) return name;
  // What the user does not know comes first: summaries cut long reasons.
  const lists = `server: ${shown(server)}; client: ${shown(client)}`;
  const allowed = option?.known.find((name) => server.includes(name));
  const advice = allowed === undefined ? '' : `${option!.keyword}=+${allowed} would allow one that both have; `;
  throw new SshError('algorithm', `no common ${what}; ${advice}${lists}`);
}

/** What a client's user can say of a list. */
interface UserChoice {
  /** Of ssh_config. */
  readonly keyword: string;
  /** All that we could do. */
  readonly known: readonly string[];
}

const CHOICES = {
  kex: { keyword: 'KexAlgorithms', known: KEX_ALGORITHMS },
  hostKey: { keyword: 'HostKeyAlgorithms', known: HOST_KEY_ALGORITHMS },
  cipher: { keyword: 'Ciphers', known: CIPHERS.map(({ name }) => name) },
  mac: { keyword: 'MACs', known: MACS.map(({ name }) => name) },
} as const;

/** A list for people: printable, and cut where a peer sends more than anybody reads. */
function shown(names: readonly string[]): string {
  const text = names.slice(0, 100).join(',').slice(0, SHOWN);
  const all = names.length <= 100 && text.length < SHOWN;
  return `${text.replace(/[^\x20-\x7e]/g, '?')}${all ? '' : '…'}`;
}

function named<T extends { readonly name: string }>(specs: readonly T[], name: string): T {
  const spec = specs.find((candidate) => candidate.name === name);
  if (!spec) throw protocolError(`expected a known algorithm, got ${name}`);
  return spec;
}

/** Negotiates between our KEXINIT and the peer's. Throws `algorithm` with both lists when nothing is in common. */
function negotiate(role: Role, ourTail: Buffer, theirTail: Buffer): Negotiated {
  const ours = parseTail(ourTail);
  const theirs = parseTail(theirTail);
  const [client, server] = role === 'client' ? [ours.lists, theirs.lists] : [theirs.lists, ours.lists];
  const peerMarks = MARKS[role === 'client' ? 'server' : 'client'];
  const isAlgorithm = (name: string) => !name.startsWith('ext-info-') && !name.startsWith('kex-strict-');
  const choices: Partial<typeof CHOICES> = role === 'client' ? CHOICES : {};
  const [clientKex, serverKex] = [client[0]!.filter(isAlgorithm), server[0]!.filter(isAlgorithm)];
  const kex = choose('key exchange', clientKex, serverKex, choices.kex);
  const hostKey = choose('host key algorithm', client[1]!, server[1]!, choices.hostKey);
  const cipher = (list: number, way: string) =>
    named(CIPHERS, choose(`cipher ${way} the server`, client[list]!, server[list]!, choices.cipher));
  const [clientCipher, serverCipher] = [cipher(2, 'to'), cipher(3, 'from')];
  const mac = ({ aead }: CipherSpec, list: number, way: string) =>
    aead ? undefined : named(MACS, choose(`MAC ${way} the server`, client[list]!, server[list]!, choices.mac));
  choose('compression to the server', client[6]!, server[6]!);
  choose('compression from the server', client[7]!, server[7]!);
  // RFC 4253 §7: a guess is right only where both sides want the same most, not where that was agreed on.
  const firstKex = (lists: readonly string[][]) => lists[0]!.find(isAlgorithm);
  const guessed = firstKex(client) === firstKex(server) && client[1]![0] === server[1]![0];
  return {
    kex,
    hostKey,
    clientCipher,
    serverCipher,
    clientMac: mac(clientCipher, 4, 'to'),
    serverMac: mac(serverCipher, 5, 'from'),
    strict: theirs.lists[0]!.includes(peerMarks.strict),
    extInfo: theirs.lists[0]!.includes(peerMarks.extInfo),
    ignoreGuess: theirs.follows && !guessed,
    serverHostKeys: server[1]!,
  };
}

/** The servers of a fleet mostly send the same KEXINIT: what was negotiated is remembered by its bytes. */
const REMEMBERED = 64;
/** A longer one (OpenSSH's has 1,100 bytes) is worked out again each time, so that peers cannot fill the memory. */
const REMEMBERED_BYTES = 8 * 1024;

/** Our side of every negotiation with one set of preferences; made once per run, not per connection. */
export class Offer {
  readonly role: Role;
  /** The KEXINIT payload after type and cookie. */
  readonly tail: Buffer;
  readonly #remembered = new Map<string, Negotiated>();

  constructor(role: Role, preferences: Preferences = DEFAULT_PREFERENCES) {
    this.role = role;
    this.tail = kexInitTail(role, preferences);
  }

  /** Negotiates with the peer's KEXINIT after type and cookie. Throws `algorithm` or `protocol`. */
  negotiate(theirTail: Buffer): Negotiated {
    const id = theirTail.toString('latin1');
    const known = this.#remembered.get(id);
    if (known) return known;
    const negotiated = negotiate(this.role, this.tail, theirTail);
    if (theirTail.length > REMEMBERED_BYTES) return negotiated;
    if (this.#remembered.size >= REMEMBERED) this.#remembered.clear();
    this.#remembered.set(id, negotiated);
    return negotiated;
  }
}
