/**
 * ML-KEM and X25519 at once: against a second way of writing it, and against what russh 0.63.3 (a client in Rust) said to our
 * server half on 2026-11-21, with the secrets that our half had then. Debian's servers came before the method.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  hash,
  type KeyObject,
} from 'node:crypto';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { CIPHERS, KEX_ALGORITHMS, MACS, type Negotiated } from '../../src/ssh/algorithms.ts';
import { Arena } from '../../src/ssh/arena.ts';
import { SshError } from '../../src/ssh/errors.ts';
import type { ExchangeContext, ExchangeResult } from '../../src/ssh/exchange.ts';
import { startExchange } from '../../src/ssh/exchange_start.ts';
import type { DirectKex } from '../../src/ssh/kex/method.ts';
import { kexMethod } from '../../src/ssh/kex.ts';
import { Reader } from '../../src/ssh/wire.ts';
import { str } from './bytes.ts';
import recorded from './kex_hybrid.json' with { type: 'json' };

interface Given {
  /** The private half of the next X25519 key, base64url. */
  x25519: string | undefined;
  encapsulated: { sharedKey: Buffer; ciphertext: Buffer } | undefined;
}
const given = vi.hoisted((): Given => ({ x25519: undefined, encapsulated: undefined }));

vi.mock('node:crypto', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:crypto')>();
  return {
    ...real,
    generateKeyPairSync(type: 'x25519') {
      if (type !== 'x25519' || given.x25519 === undefined) return real.generateKeyPairSync(type);
      const head = Buffer.from('302e020100300506032b656e04220420', 'hex');
      const der = Buffer.concat([head, Buffer.from(given.x25519, 'base64url')]);
      const privateKey = real.createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
      return { privateKey, publicKey: real.createPublicKey(privateKey) };
    },
    encapsulate: (key: KeyObject) => given.encapsulated ?? real.encapsulate(key),
  };
});

const NAME = 'mlkem768x25519-sha256';
const hybrid = () => kexMethod(NAME) as DirectKex;
const raw = (key: KeyObject) => Buffer.from((key.export({ format: 'jwk' }) as { x: string }).x, 'base64url');
const x25519 = (bytes: Buffer) =>
  createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: bytes.toString('base64url') }, format: 'jwk' });

function reasonOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return error instanceof SshError ? error.reason : String(error);
  }
  return 'agreed';
}

beforeEach(() => {
  given.x25519 = undefined;
  given.encapsulated = undefined;
});

describe('by hand', () => {
  it('a client agrees with a server written a second time', () => {
    const half = hybrid().client();
    expect(half.init.length).toBe(1184 + 32);
    const jwk = { kty: 'AKP', alg: 'ML-KEM-768', pub: half.init.toString('base64url', 0, 1184) };
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const { sharedKey, ciphertext } = encapsulate(key);
    const { publicKey, privateKey } = generateKeyPairSync('x25519');
    const shared = diffieHellman({ privateKey, publicKey: x25519(half.init.subarray(1184)) });
    const secret = createHash('sha256').update(sharedKey).update(shared).digest();
    expect(half.finish(Buffer.concat([ciphertext, raw(publicKey)]))).toEqual(secret);
  });

  it('both halves agree, with fresh keys each time', () => {
    const half = hybrid().client();
    const { reply, secret } = hybrid().server(half.init);
    expect(half.finish(reply)).toEqual(secret);
    const again = hybrid().client();
    expect(again.init.subarray(0, 1184)).not.toEqual(half.init.subarray(0, 1184));
    expect(again.init.subarray(1184)).not.toEqual(half.init.subarray(1184));
  });
});

describe('public values that lie', () => {
  it('of any other length', () => {
    const half = hybrid().client();
    const { reply } = hybrid().server(half.init);
    for (const by of [-1120, -1088, -32, -1, 1, 32, 96]) {
      const other = (value: Buffer) => Buffer.concat([value, Buffer.alloc(96)]).subarray(0, value.length + by);
      expect([by, reasonOf(() => half.finish(other(reply)))]).toEqual([by, 'protocol']);
      expect([by, reasonOf(() => hybrid().server(other(half.init)))]).toEqual([by, 'protocol']);
    }
  });

  it('an encapsulation key that is none: coefficients above the modulus', () => {
    const init = hybrid().client().init;
    init.fill(0xff, 0, 1152);
    expect(reasonOf(() => hybrid().server(init))).toBe('protocol');
  });

  it('an X25519 value of small order, in either half', () => {
    const half = hybrid().client();
    const { reply } = hybrid().server(half.init);
    reply.fill(0, 1088);
    expect(reasonOf(() => half.finish(reply))).toBe('protocol');
    half.init.fill(0, 1184);
    expect(reasonOf(() => hybrid().server(half.init))).toBe('protocol');
  });

  it('a ciphertext that was changed on its way gives another secret', () => {
    const half = hybrid().client();
    const { reply, secret } = hybrid().server(half.init);
    reply[7]! ^= 1;
    expect(half.finish(reply)).not.toEqual(secret);
  });
});

const bytes = (base64: string) => Buffer.from(base64, 'base64');

/** Our server half, with what it had on that day, takes the client's public value. */
function replayed(): { result: ExchangeResult; arena: Arena } {
  given.x25519 = recorded.x25519;
  given.encapsulated = { sharedKey: Buffer.from(recorded.sharedKey, 'hex'), ciphertext: bytes(recorded.ciphertext) };
  const arena = new Arena();
  const cipher = CIPHERS.find(({ name }) => name === 'aes128-ctr')!;
  const mac = MACS.find(({ name }) => name === 'hmac-sha2-256-etm@openssh.com')!;
  const negotiated: Negotiated = {
    kex: NAME,
    hostKey: 'ssh-ed25519',
    clientCipher: cipher,
    serverCipher: cipher,
    clientMac: mac,
    serverMac: mac,
    strict: true,
    extInfo: true,
    ignoreGuess: false,
    serverHostKeys: ['ssh-ed25519'],
  };
  const ours = bytes(recorded.kexInits.server);
  const context: ExchangeContext = {
    arena,
    negotiated,
    identifications: { ours: recorded.identifications.server, peers: recorded.identifications.client },
    kexInits: { cookie: ours.subarray(1, 17), tail: ours.subarray(17), peers: bytes(recorded.kexInits.client) },
  };
  const hostKey = { blob: bytes(recorded.hostKey), sign: () => Buffer.from('a signature') };
  const exchange = startExchange(context, { hostKeys: new Map([['ssh-ed25519', hostKey]]), userSignatures: [] });
  const init = bytes(recorded.init);
  const result = exchange.message(init[0]!, new Reader(init, 1));
  if (result instanceof Promise) throw new Error('expected a result at once');
  return { result, arena };
}

describe('what russh said', () => {
  it('opens with the keys of the same exchange hash and secret', () => {
    const { result, arena } = replayed();
    const { opener } = result.deriveKeys(result.hash, arena.fillRandom);
    const packet = bytes(recorded.packet);
    expect(opener.size(packet, 0, packet.length, 0)).toBe(packet.length);
    const { plain, start, end } = opener.open(packet, 0, packet.length, 0);
    // SERVICE_REQUEST.
    expect(plain.subarray(start, end)).toEqual(Buffer.concat([Buffer.of(5), str('ssh-userauth')]));
  });

  it('with a secret that would be another one as an mpint', () => {
    const { sharedKey } = recorded;
    expect(hash('sha256', Buffer.concat([Buffer.from(sharedKey, 'hex'), sharedX()]), 'buffer')[0]).toBeGreaterThan(127);
  });

  it('our answer then is our answer now, up to the signature', () => {
    const { reply } = replayed().result;
    const then = bytes(recorded.reply);
    const signed = 1 + 4 + bytes(recorded.hostKey).length + 4 + 1088 + 32;
    expect(Buffer.concat([Buffer.of(reply!.type), reply!.body]).subarray(0, signed)).toEqual(then.subarray(0, signed));
  });
});

/** The X25519 half of the recorded secret. */
function sharedX(): Buffer {
  const head = Buffer.from('302e020100300506032b656e04220420', 'hex');
  const der = Buffer.concat([head, Buffer.from(recorded.x25519, 'base64url')]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const init = bytes(recorded.init);
  return diffieHellman({ privateKey, publicKey: x25519(init.subarray(init.length - 32)) });
}

it('is offered behind curve25519 by whoever has it', () => {
  expect(KEX_ALGORITHMS.indexOf(NAME)).toBe(2);
});
