/** Key agreement against published vectors: the private keys of the RFCs are handed to it in place of fresh ones. */
import { createECDH, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { SshError } from '../../src/ssh/errors.ts';
import type { DirectKex } from '../../src/ssh/kex/method.ts';
import { kexMethod } from '../../src/ssh/kex.ts';

/** A method whose work is done on the loop. */
function direct(name: string): DirectKex {
  const method = kexMethod(name);
  if (method.kind !== 'direct') throw new Error(`${name} is not direct`);
  return method;
}

const given = vi.hoisted(() => ({ privateKey: '' }));

vi.mock('node:crypto', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:crypto')>();
  return {
    ...real,
    generateKeyPairSync(type: 'x25519') {
      if (given.privateKey === '') return real.generateKeyPairSync(type);
      const der = Buffer.from(`302e020100300506032b656e04220420${given.privateKey}`, 'hex');
      const privateKey = real.createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
      return { privateKey, publicKey: real.createPublicKey(privateKey) };
    },
    createECDH(curve: string) {
      const ecdh = real.createECDH(curve);
      if (given.privateKey === '') return ecdh;
      ecdh.setPrivateKey(Buffer.from(given.privateKey, 'hex'));
      ecdh.generateKeys = (() => ecdh.getPublicKey()) as typeof ecdh.generateKeys;
      return ecdh;
    },
  };
});

interface Vector {
  readonly method: string;
  readonly ours: { readonly private: string; readonly public: string };
  readonly theirs: { readonly private: string; readonly public: string };
  readonly secret: string;
}

/** RFC 7748 §6.1. */
const X25519 = {
  ours: {
    private: '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a',
    public: '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
  },
  theirs: {
    private: '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb',
    public: 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
  },
  secret: '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742',
};

const VECTORS: readonly Vector[] = [
  { method: 'curve25519-sha256', ...X25519 },
  { method: 'curve25519-sha256@libssh.org', ...X25519 },
  {
    // RFC 5903 §8.1.
    method: 'ecdh-sha2-nistp256',
    ours: {
      private: 'c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433',
      public:
        '04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180' +
        '5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3',
    },
    theirs: {
      private: 'c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53',
      public:
        '04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63' +
        '56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab',
    },
    secret: 'd6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de',
  },
];

function reasonOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return error instanceof SshError ? error.reason : String(error);
  }
  return 'agreed';
}

beforeEach(() => {
  given.privateKey = '';
});

describe.each(VECTORS)('$method', ({ method, ours, theirs, secret }) => {
  it('agrees as the RFC says, on either side', () => {
    given.privateKey = ours.private;
    const half = direct(method).client();
    expect(half.init.toString('hex')).toBe(ours.public);
    expect(half.finish(Buffer.from(theirs.public, 'hex')).toString('hex')).toBe(secret);
    given.privateKey = theirs.private;
    const server = direct(method).server(Buffer.from(ours.public, 'hex'));
    expect(server.reply.toString('hex')).toBe(theirs.public);
    expect(server.secret.toString('hex')).toBe(secret);
  });

  it('agrees with itself, with a fresh key each time', () => {
    const half = direct(method).client();
    const { reply, secret: shared } = direct(method).server(half.init);
    expect(half.finish(reply)).toEqual(shared);
    expect(direct(method).client().init).not.toEqual(half.init);
  });

  it('refuses public values of any other length', () => {
    const value = Buffer.from(theirs.public, 'hex');
    for (let length = 0; length <= value.length + 1; length++) {
      if (length === value.length) continue;
      const wrong = Buffer.concat([value, Buffer.of(1)]).subarray(0, length);
      // The 33 bytes of a compressed point are a point of nistp256; RFC 5656 §4 lets us take it.
      if (method === 'ecdh-sha2-nistp256' && length === 33) continue;
      expect([length, reasonOf(() => direct(method).client().finish(wrong))]).toEqual([length, 'protocol']);
      expect([length, reasonOf(() => direct(method).server(wrong))]).toEqual([length, 'protocol']);
    }
  });
});

describe('public values that give the secret away', () => {
  // RFC 7748 §6.1: points of small order, which make the secret all zeros. 0, 1, two of order 8, p-1, p, p+1.
  it.each([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ])('X25519: %s', (value) => {
    expect(reasonOf(() => direct('curve25519-sha256').client().finish(Buffer.from(value, 'hex')))).toBe('protocol');
    expect(reasonOf(() => direct('curve25519-sha256').server(Buffer.from(value, 'hex')))).toBe('protocol');
  });

  it('nistp256: not on the curve, the point at infinity', () => {
    const off = Buffer.from(VECTORS[2]!.theirs.public, 'hex');
    off[64]! ^= 1;
    for (const value of [off, Buffer.of(0), Buffer.concat([Buffer.of(4), Buffer.alloc(64)])]) {
      expect(reasonOf(() => direct('ecdh-sha2-nistp256').client().finish(value))).toBe('protocol');
    }
  });
});

it('the vectors are what node:crypto says of the private keys', () => {
  const publicOf = (key: KeyObject) =>
    Buffer.from((createPublicKey(key).export({ format: 'jwk' }) as { x: string }).x, 'base64url').toString('hex');
  const der = Buffer.from(`302e020100300506032b656e04220420${X25519.theirs.private}`, 'hex');
  expect(publicOf(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }))).toBe(X25519.theirs.public);
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(VECTORS[2]!.theirs.private, 'hex');
  expect(ecdh.getPublicKey('hex')).toBe(VECTORS[2]!.theirs.public);
});

it('a method that nobody knows is refused', () => {
  expect(reasonOf(() => kexMethod('diffie-hellman-group18-sha512'))).toBe('protocol');
});
