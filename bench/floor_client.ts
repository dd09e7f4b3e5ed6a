/**
 * The least that Node can do: the exchange of one host and nothing else, as short as it can be written. Host keys are verified,
 * logins signed, answers collected and compared; there are no deadlines, no outcomes, no journal, no retries, no choice of algorithms,
 * and whatever is out of the usual ends the process. It shows what a client in Node costs before it does anything for its user.
 *
 * usage: node bench/floor_client.ts HOSTFILE KNOWN_HOSTS IDENTITY PORT USER FANOUT COMMAND ANSWER
 *
 * Both sides are taken to have curve25519, ed25519 keys, aes128-ctr and hmac-sha2-256-etm, and to send packets in their usual order.
 */
import {
  type Cipheriv,
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hash,
  type KeyObject,
  randomFillSync,
  verify,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { EARLY } from '../src/cli/optimize_early.ts';
import { parsePrivateKey } from '../src/ssh/private_key.ts';
import { Reader, Writer } from '../src/ssh/wire.ts';

const [hostFile, knownFile, identity, port, user, fanout, command, answer] = process.argv.slice(2) as [
  ...[string, string, string, string],
  ...[string, string, string, string],
];

const IDENTIFICATION = 'SSH-2.0-Floor_1';
const KEX = 'curve25519-sha256';
const CIPHER = 'aes128-ctr';
const MAC = 'hmac-sha2-256-etm@openssh.com';
const MAC_SIZE = 32;
const BLOCK = 16;

/** The KEXINIT but for its cookie. */
const KEXINIT = new Writer().byte(20);
randomFillSync(KEXINIT.buffer, 1, 16);
KEXINIT.length = 17;
for (const list of [KEX, 'ssh-ed25519', CIPHER, CIPHER, MAC, MAC, 'none', 'none', '', '']) KEXINIT.text(list);
KEXINIT.byte(0).uint32(0);
const OUR_INIT = Buffer.from(KEXINIT.view());

for (const flag of EARLY) setFlagsFromString(flag);

const known = new Map<string, string>();
for (const line of readFileSync(knownFile, 'latin1').split('\n')) {
  const [name, , blob] = line.split(' ');
  if (blob !== undefined) known.set(name!.replace(/^\[(.*)\]:\d+$/, '$1'), blob);
}
const hostKeys = new Map<string, KeyObject>();
const own = parsePrivateKey(readFileSync(identity, 'utf8'), { source: identity });

const raw = (key: KeyObject) => Buffer.from((key.export({ format: 'jwk' }) as { x: string }).x, 'base64url');
const imported = (crv: 'X25519' | 'Ed25519', bytes: Buffer) =>
  createPublicKey({ key: { kty: 'OKP', crv, x: bytes.toString('base64url') }, format: 'jwk' });

const scratch = new Writer(4096);
const packet = new Writer(4096);
const random = Buffer.alloc(4096);
randomFillSync(random);

/** HMAC-SHA256 of one-shot digests, as latin1. */
class Hmac {
  readonly #inner = Buffer.alloc(64, 0x36);
  readonly #outer = Buffer.alloc(64, 0x5c);

  constructor(key: Buffer) {
    for (let i = 0; i < key.length; i++) {
      this.#inner[i]! ^= key[i]!;
      this.#outer[i]! ^= key[i]!;
    }
  }

  of(sequence: number, buffer: Buffer, start: number, end: number): string {
    const text = scratch.reset().raw(this.#inner).uint32(sequence).raw(buffer.subarray(start, end)).view();
    const inner = hash('sha256', text, 'latin1');
    scratch.reset().raw(this.#outer);
    scratch.buffer.write(inner, 64, 'latin1');
    scratch.length = 96;
    return hash('sha256', scratch.view(), 'latin1');
  }
}

/** One host: identification → key exchange → login → command → end. Every step is the answer to the packet before it. */
class Conversation {
  readonly #host: string;
  readonly #done: () => void;
  readonly #socket: Socket;
  readonly #pair = generateKeyPairSync('x25519');
  readonly #public = raw(this.#pair.publicKey);
  readonly #out = new Writer(1280);
  #rest: Buffer | undefined;
  #theirs = '';
  #theirInit: Buffer | undefined;
  #sent = 0;
  #received = 0;
  #keys: { cipher: Cipheriv; mac: Hmac; decipher: Cipheriv; theirMac: Hmac } | undefined;
  #opens = false;
  #sessionId: Buffer | undefined;
  #channel = 0;
  #said = '';

  constructor(host: string, done: () => void) {
    this.#host = host;
    this.#done = done;
    const callback = (count: number, buffer: Uint8Array) => {
      this.#take((buffer as Buffer).subarray(0, count));
      return true;
    };
    const onread = { buffer: READ, callback };
    this.#socket = connect({ host, port: Number(port), noDelay: true, allowHalfOpen: true, onread });
    this.#socket.on('connect', () => {
      this.#out.raw(Buffer.from(`${IDENTIFICATION}\r\n`));
      this.#send(packet.reset().raw(OUR_INIT));
      this.#flush();
    });
    this.#socket.on('error', (error) => fail(host, error.message));
    this.#socket.on('end', () => {
      if (this.#said !== answer) fail(host, `it said ${JSON.stringify(this.#said)}`);
      this.#socket.destroy();
      this.#done();
    });
  }

  #flush(): void {
    this.#socket.write(this.#out.copy());
    this.#out.reset();
  }

  /** RFC 4253 §6, with \`-etm\` once there are keys. */
  #send(payload: Writer): void {
    const out = this.#out;
    const keys = this.#keys;
    const size = payload.length;
    const head = keys === undefined ? 5 : 1;
    let padding = BLOCK - ((head + size) % BLOCK);
    if (padding < 4) padding += BLOCK;
    const start = out.length;
    out.uint32(1 + size + padding);
    const plain = out.length;
    out.byte(padding).raw(payload.view()).raw(random.subarray(0, padding));
    if (keys !== undefined) {
      out.buffer.set(keys.cipher.update(out.buffer.subarray(plain, out.length)), plain);
      const mac = keys.mac.of(this.#sent, out.buffer, start, out.length);
      out.reserve(MAC_SIZE);
      out.buffer.write(mac, out.length, 'latin1');
      out.length += MAC_SIZE;
    }
    this.#sent++;
  }

  #take(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    if (this.#theirs === '') {
      const end = bytes.indexOf('\r\n');
      if (end >= 0) {
        this.#theirs = bytes.toString('latin1', 0, end);
        at = end + 2;
      }
    }
    while (this.#theirs !== '' && bytes.length - at >= 4) {
      const end = at + 4 + bytes.readUInt32BE(at);
      const next = end + (this.#opens ? MAC_SIZE : 0);
      if (next > bytes.length) break;
      const plain = this.#opens ? this.#open(bytes, at, end) : bytes.subarray(at + 4, end);
      this.#received++;
      this.#message(new Reader(plain, 2, plain.length - plain[0]!), plain[1]!, plain);
      at = next;
    }
    this.#rest = at < bytes.length ? Buffer.from(bytes.subarray(at)) : undefined;
    if (this.#out.length > 0) this.#flush();
  }

  #open(bytes: Buffer, at: number, end: number): Buffer {
    const { theirMac, decipher } = this.#keys!;
    if (theirMac.of(this.#received, bytes, at, end) !== bytes.toString('latin1', end, end + MAC_SIZE))
      fail(this.#host, 'MAC');
    return decipher.update(bytes.subarray(at + 4, end));
  }

  #message(reader: Reader, type: number, plain: Buffer): void {
    const text = packet.reset();
    if (type === 20) {
      this.#theirInit = Buffer.from(plain.subarray(1, plain.length - plain[0]!));
      this.#send(text.byte(30).string(this.#public));
    } else if (type === 31) this.#reply(reader);
    else if (type === 21) this.#opens = true;
    else if (type === 52) {
      this.#send(
        text
          .byte(90)
          .text('session')
          .uint32(0)
          .uint32(2 ** 21)
          .uint32(2 ** 15),
      );
    } else if (type === 91) {
      reader.uint32();
      this.#channel = reader.uint32();
      this.#send(text.byte(98).uint32(this.#channel).text('exec').boolean(true).text(command));
    } else if (type === 94) {
      reader.uint32();
      this.#said += reader.text();
    } else if (type === 97) {
      this.#send(text.byte(97).uint32(this.#channel));
      this.#send(packet.reset().byte(1).uint32(11).text('').text(''));
    } else if (type === 1 || type === 51 || type === 92 || type === 100) fail(this.#host, `message ${type}`);
  }

  /** Verifies the host, makes the keys, and says who we are in the same write. */
  #reply(reader: Reader): void {
    const blob = Buffer.from(reader.string());
    const theirValue = Buffer.from(reader.string());
    const signature = new Reader(reader.string());
    if (known.get(this.#host) !== blob.toString('base64')) fail(this.#host, 'another host key');
    const secret = diffieHellman({ privateKey: this.#pair.privateKey, publicKey: imported('X25519', theirValue) });
    const text = scratch.reset().text(IDENTIFICATION).text(this.#theirs).string(OUR_INIT).string(this.#theirInit!);
    text.string(blob).string(this.#public).string(theirValue).mpint(secret);
    const digest = hash('sha256', text.view(), 'buffer');
    signature.string();
    if (!verify(null, digest, hostKeyOf(blob), signature.string())) fail(this.#host, 'a wrong signature');
    this.#send(packet.reset().byte(21));
    this.#makeKeys(secret, digest);
    this.#send(packet.reset().byte(5).text('ssh-userauth'));
    this.#send(login(this.#sessionId!));
  }

  #makeKeys(secret: Buffer, digest: Buffer): void {
    this.#sessionId = digest;
    const key = (letter: string) =>
      hash('sha256', scratch.reset().mpint(secret).raw(digest).byte(letter.charCodeAt(0)).raw(digest).view(), 'buffer');
    this.#keys = {
      cipher: createCipheriv('aes-128-ctr', key('C').subarray(0, 16), key('A').subarray(0, 16)),
      mac: new Hmac(key('E')),
      decipher: createDecipheriv('aes-128-ctr', key('D').subarray(0, 16), key('B').subarray(0, 16)),
      theirMac: new Hmac(key('F')),
    };
  }
}

const READ = Buffer.alloc(64 * 1024);

function hostKeyOf(blob: Buffer): KeyObject {
  const name = blob.toString('latin1');
  const made = hostKeys.get(name) ?? imported('Ed25519', blob.subarray(-32));
  hostKeys.set(name, made);
  return made;
}

/** RFC 4252 §7. */
function login(sessionId: Buffer): Writer {
  const request = new Writer(512).byte(50).text(user).text('ssh-connection').text('publickey').boolean(true);
  request.text('ssh-ed25519').string(own.publicBlob);
  const signed = scratch.reset().string(sessionId).raw(request.view()).view();
  return request.string(own.sign(signed, 'ssh-ed25519'));
}

function fail(host: string, why: string): never {
  process.stderr.write(`${host}: ${why}\n`);
  process.exit(1);
}

const hosts = readFileSync(hostFile, 'latin1').trimEnd().split('\n');
let next = 0;
let over = 0;
function start(): void {
  const host = hosts[next++];
  if (host === undefined) return;
  new Conversation(host, () => {
    over++;
    start();
  });
}
for (let i = 0; i < Number(fanout); i++) start();
process.on('exit', () => process.stdout.write(`${over}\n`));
