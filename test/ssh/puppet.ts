/**
 * A peer that does what a script says: SSH's transport layer written a second time, as small as it can be, so that a
 * mistake of the code under test cannot cancel itself out, and with no opinion on what may be sent when. It wants exactly
 * one algorithm of each kind. (Sealers and openers are shared: cipher.test.ts checks those against node:crypto by hand.)
 */
import {
  createECDH,
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomFillSync,
  sign,
} from 'node:crypto';
import { CIPHERS, MACS } from '../../src/ssh/algorithms.ts';
import type { Opener, Sealer } from '../../src/ssh/cipher/packet.ts';
import { PlainCipher } from '../../src/ssh/cipher/plain.ts';
import { createOpener, createSealer } from '../../src/ssh/cipher.ts';
import { MSG } from '../../src/ssh/messages.ts';
import { Writer } from '../../src/ssh/wire.ts';
import { bool, mpint, msg, str, u32 } from './bytes.ts';

export interface PuppetOptions {
  readonly role: 'client' | 'server';
  /** @default SSH-2.0-Puppet_1 */
  readonly identification?: string;
  /** What is announced; it agrees by curve25519 and nistp256 only, and leaves others to the script. @default curve25519-sha256 */
  readonly kex?: string;
  /** @default aes128-gcm@openssh.com */
  readonly cipher?: string;
  /** @default hmac-sha2-256 */
  readonly mac?: string;
  /** @default true */
  readonly strict?: boolean;
}

/** The other side has hung up. */
export class PuppetAlone extends Error {}

const HOST_KEY = generateKeyPairSync('ed25519');

const raw = (key: KeyObject) => Buffer.from((key.export({ format: 'jwk' }) as { x: string }).x, 'base64url');

/** The wire form of the host key that puppets have. */
export const PUPPET_KEY = Buffer.concat([str('ssh-ed25519'), str(raw(HOST_KEY.publicKey))]);

const NOTHING = Buffer.alloc(0);

const fill = (target: Buffer, offset: number, count: number) => void randomFillSync(target, offset, count);

/** One public value, and the secret shared with another one. */
function keyAgreement(method: string): { value: Buffer; agree(peer: Buffer): Buffer } {
  if (method === 'ecdh-sha2-nistp256') {
    const ecdh = createECDH('prime256v1');
    return { value: ecdh.generateKeys(), agree: (peer) => ecdh.computeSecret(peer) };
  }
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const imported = (peer: Buffer) =>
    createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: peer.toString('base64url') }, format: 'jwk' });
  return {
    value: raw(publicKey),
    agree: (peer) => diffieHellman({ privateKey, publicKey: imported(peer) }),
  };
}

/** What a server's answer to KEX_ECDH_INIT may say instead of the truth. */
export interface ReplyLies {
  readonly hostKey?: Buffer;
  readonly value?: Buffer;
  /** Gets the true signature blob. */
  signature?(blob: Buffer): Buffer;
}

export class Puppet {
  readonly options: Required<PuppetOptions>;
  readonly #write: (bytes: Buffer) => void;
  #pending: Buffer = NOTHING;
  #over = false;
  #wake: (() => void) | undefined;
  #sealer: Sealer = new PlainCipher();
  #opener: Opener = new PlainCipher();
  #sent = 0;
  #received = 0;
  #peerIdentification = '';
  #ourInit: Buffer = NOTHING;
  #peerInit: Buffer = NOTHING;
  #secret: Buffer = NOTHING;
  #hash: Buffer = NOTHING;
  #agreement: ReturnType<typeof keyAgreement> | undefined;
  #sessionId: Buffer = NOTHING;

  constructor(write: (bytes: Buffer) => void, options: PuppetOptions) {
    this.#write = write;
    this.options = {
      identification: 'SSH-2.0-Puppet_1',
      kex: 'curve25519-sha256',
      cipher: 'aes128-gcm@openssh.com',
      mac: 'hmac-sha2-256',
      strict: true,
      ...options,
    };
  }

  /** Takes bytes of the peer. */
  receive(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    this.#wake?.();
  }

  /** The peer hung up. */
  ended(): void {
    this.#over = true;
    this.#wake?.();
  }

  /** The peer's next payload, opened; rejects with PuppetAlone. */
  async next(): Promise<Buffer> {
    for (;;) {
      const size = this.#opener.size(this.#pending, 0, this.#pending.length, this.#received);
      if (size > 0 && size <= this.#pending.length) {
        const { plain, start, end } = this.#opener.open(this.#pending, 0, size, this.#received);
        this.#received = (this.#received + 1) >>> 0;
        const payload = Buffer.from(plain.subarray(start, end));
        this.#pending = this.#pending.subarray(size);
        return payload;
      }
      await this.#more();
    }
  }

  /** The peer's next message of this type; those of transport and rekey that may always come are passed over. */
  async expect(type: number): Promise<Buffer> {
    for (;;) {
      const payload = await this.next();
      if (payload[0] === type) return payload;
      if (payload[0] === MSG.DISCONNECT) throw new PuppetAlone(`expected message ${type}, got DISCONNECT`);
      const passing = [MSG.IGNORE, MSG.DEBUG, MSG.EXT_INFO, MSG.GLOBAL_REQUEST, MSG.CHANNEL_WINDOW_ADJUST];
      if (!passing.includes(payload[0] as 2)) throw new Error(`expected message ${type}, got ${payload[0]}`);
    }
  }

  async #more(): Promise<void> {
    if (this.#over) throw new PuppetAlone('the peer hung up');
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Bytes as they are. */
  sendRaw(bytes: Uint8Array): void {
    this.#write(Buffer.from(bytes));
  }

  /** Payloads under the keys of the moment, in one write. */
  send(...payloads: readonly Uint8Array[]): void {
    this.#write(this.sealed(...payloads));
  }

  /** As `send`, but gives the bytes. */
  sealed(...payloads: readonly Uint8Array[]): Buffer {
    const out = new Writer(256);
    for (const payload of payloads) {
      const packet = new Writer(payload.length + 64);
      packet.length = 5;
      packet.raw(payload);
      this.#sealer.seal(packet, this.#sent, out);
      this.#sent = (this.#sent + 1) >>> 0;
    }
    return out.copy();
  }

  /** Sends our identification and reads the peer's. */
  async greet(): Promise<void> {
    this.sendRaw(Buffer.from(`${this.options.identification}\r\n`));
    for (;;) {
      const end = this.#pending.indexOf('\r\n');
      if (end >= 0) {
        this.#peerIdentification = this.#pending.toString('latin1', 0, end);
        this.#pending = this.#pending.subarray(end + 2);
        return;
      }
      await this.#more();
    }
  }

  /** Our KEXINIT; `lists` replaces what stands at these places of the ten. */
  kexInit(lists: Readonly<Record<number, string>> = {}): Buffer {
    const { role, kex, cipher, mac, strict } = this.options;
    const mark = strict ? `,kex-strict-${role[0]}-v00@openssh.com` : '';
    const names = [`${kex}${mark}`, 'ssh-ed25519', cipher, cipher, mac, mac, 'none', 'none', '', ''];
    const chosen = names.map((name, i) => str(lists[i] ?? name));
    return msg(MSG.KEXINIT, Buffer.alloc(16, 7), ...chosen, bool(false), u32(0));
  }

  /** KEXINIT both ways. */
  async exchangeInits(ours = this.kexInit()): Promise<void> {
    this.#ourInit = ours;
    this.send(this.#ourInit);
    this.#peerInit = await this.expect(MSG.KEXINIT);
  }

  /** As a server, once the client's INIT is here: our REPLY, with lies in it where some are given. */
  async reply(lies: ReplyLies = {}): Promise<Buffer> {
    const init = await this.expect(MSG.KEX_ECDH_INIT);
    const clientValue = init.subarray(5);
    const { value, agree } = keyAgreement(this.options.kex);
    this.#settle(agree(clientValue), lies.hostKey ?? PUPPET_KEY, clientValue, value);
    const signature = Buffer.concat([str('ssh-ed25519'), str(sign(null, this.#hash, HOST_KEY.privateKey))]);
    const shown = lies.signature?.(signature) ?? signature;
    return msg(MSG.KEX_ECDH_REPLY, str(lies.hostKey ?? PUPPET_KEY), str(lies.value ?? value), str(shown));
  }

  /** As a client: sends INIT and takes the server's REPLY, without a look at its signature. */
  async agree(): Promise<void> {
    this.#agreement = keyAgreement(this.options.kex);
    const { value, agree } = this.#agreement;
    this.send(msg(MSG.KEX_ECDH_INIT, str(value)));
    const reply = await this.expect(MSG.KEX_ECDH_REPLY);
    const hostKey = reply.subarray(5, 5 + reply.readUInt32BE(1));
    const at = 5 + hostKey.length;
    const serverValue = reply.subarray(at + 4, at + 4 + reply.readUInt32BE(at));
    this.#settle(agree(serverValue), hostKey, value, serverValue);
  }

  /** RFC 5656 §4. */
  #settle(secret: Buffer, hostKey: Buffer, clientValue: Buffer, serverValue: Buffer): void {
    const { role, identification } = this.options;
    const pair = (ours: Buffer | string, peers: Buffer | string) =>
      role === 'client' ? [str(ours), str(peers)] : [str(peers), str(ours)];
    this.#secret = mpint(secret);
    const parts = [
      ...pair(identification, this.#peerIdentification),
      ...pair(this.#ourInit, this.#peerInit),
      ...[hostKey, clientValue, serverValue].map(str),
      this.#secret,
    ];
    this.#hash = createHash('sha256').update(Buffer.concat(parts)).digest();
    if (this.#sessionId.length === 0) this.#sessionId = this.#hash;
  }

  /** RFC 4253 §7.2. */
  #derive(letter: string, length: number): Buffer {
    const digest = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
    let key = digest(this.#secret, this.#hash, Buffer.from(letter), this.#sessionId);
    while (key.length < length) key = Buffer.concat([key, digest(this.#secret, this.#hash, key)]);
    return key.subarray(0, length);
  }

  #keys(iv: string, key: string, macKey: string) {
    const cipher = CIPHERS.find((spec) => spec.name === this.options.cipher)!;
    const mac = cipher.aead ? undefined : MACS.find((spec) => spec.name === this.options.mac)!;
    return {
      cipher,
      mac,
      iv: this.#derive(iv, cipher.ivLength),
      key: this.#derive(key, cipher.keyLength),
      macKey: this.#derive(macKey, mac?.keyLength ?? 0),
    };
  }

  /** Our NEWKEYS; what is sent afterwards is under the new keys. */
  sendNewKeys(): void {
    this.send(msg(MSG.NEWKEYS));
    this.useNewKeys();
  }

  /** What is sent from now on is under the new keys, whether NEWKEYS was sent or not. */
  useNewKeys(): void {
    this.#sealer = createSealer(
      this.options.role === 'client' ? this.#keys('A', 'C', 'E') : this.#keys('B', 'D', 'F'),
      fill,
    );
    if (this.options.strict) this.#sent = 0;
  }

  /** The peer's NEWKEYS; what is read afterwards is under the new keys. */
  async takeNewKeys(): Promise<void> {
    await this.expect(MSG.NEWKEYS);
    this.#opener = createOpener(this.options.role === 'client' ? this.#keys('B', 'D', 'F') : this.#keys('A', 'C', 'E'));
    if (this.options.strict) this.#received = 0;
  }

  /** All of a key exchange after both KEXINITs. */
  async exchangeKeys(lies: ReplyLies = {}): Promise<void> {
    if (this.options.role === 'client') await this.agree();
    else this.send(await this.reply(lies));
    this.sendNewKeys();
    await this.takeNewKeys();
  }

  /** Identification and the first key exchange. */
  async handshake(): Promise<void> {
    await this.greet();
    await this.exchangeInits();
    await this.exchangeKeys();
  }

  /** A key exchange of ours in mid-connection. */
  async rekey(lies: ReplyLies = {}): Promise<void> {
    await this.exchangeInits();
    await this.exchangeKeys(lies);
  }

  /** As a server: lets the client in. */
  async login(): Promise<void> {
    await this.handshake();
    await this.expect(MSG.SERVICE_REQUEST);
    this.send(msg(MSG.SERVICE_ACCEPT, str('ssh-userauth')));
    await this.expect(MSG.USERAUTH_REQUEST);
    this.send(msg(MSG.USERAUTH_SUCCESS));
  }

  /** As a server: takes the login and the client's CHANNEL_OPEN, unanswered; gives the client's number of the channel. */
  async opening(): Promise<number> {
    await this.login();
    const open = await this.expect(MSG.CHANNEL_OPEN);
    return open.readUInt32BE(5 + open.readUInt32BE(1));
  }

  /** As `opening`, and confirms it. */
  async open(window = 0x20_0000): Promise<number> {
    const channel = await this.opening();
    this.send(confirmation(channel, window));
    return channel;
  }

  /** As `open`, takes the exec request and says yes. */
  async started(window?: number): Promise<number> {
    const channel = await this.open(window);
    await this.expect(MSG.CHANNEL_REQUEST);
    this.send(msg(MSG.CHANNEL_SUCCESS, u32(channel)));
    return channel;
  }
}

/** CHANNEL_OPEN_CONFIRMATION for the peer's channel; ours is number 9. */
export function confirmation(channel: number, window = 0x20_0000, most = 0x8000): Buffer {
  return msg(MSG.CHANNEL_OPEN_CONFIRMATION, u32(channel), u32(9), u32(window), u32(most));
}

/** `exit-status` with this status. */
export function exitStatus(channel: number, status: number): Buffer {
  return msg(MSG.CHANNEL_REQUEST, u32(channel), str('exit-status'), bool(false), u32(status));
}
