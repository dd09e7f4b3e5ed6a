import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SshError } from '../../src/ssh/errors.ts';
import { checkSignature, PublicKeyCache } from '../../src/ssh/public_key.ts';
import { mpint, seededRandom, str } from './bytes.ts';

const DATA = Buffer.from('what was signed');

interface Signer {
  readonly algorithm: string;
  readonly blob: Buffer;
  signature(data: Uint8Array): Buffer;
}

const jwk = (key: KeyObject) => key.export({ format: 'jwk' }) as Record<'x' | 'y' | 'e' | 'n', string>;
const number = (text: string) => Buffer.from(text, 'base64url');

function ed25519(): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    algorithm: 'ssh-ed25519',
    blob: Buffer.concat([str('ssh-ed25519'), str(number(jwk(publicKey).x))]),
    signature: (data) => Buffer.concat([str('ssh-ed25519'), str(sign(null, data, privateKey))]),
  };
}

function ecdsa(): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x, y } = jwk(publicKey);
  const algorithm = 'ecdsa-sha2-nistp256';
  const point = Buffer.concat([Buffer.of(4), number(x), number(y)]);
  return {
    algorithm,
    blob: Buffer.concat([str(algorithm), str('nistp256'), str(point)]),
    signature(data) {
      const raw = sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return Buffer.concat([str(algorithm), str(Buffer.concat([mpint(raw.subarray(0, 32)), mpint(raw.subarray(32))]))]);
    },
  };
}

const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 });

function rsa(bits: '256' | '512'): Signer {
  const { e, n } = jwk(RSA.publicKey);
  const algorithm = `rsa-sha2-${bits}`;
  return {
    algorithm,
    blob: Buffer.concat([str('ssh-rsa'), mpint(number(e)), mpint(number(n))]),
    signature: (data) => Buffer.concat([str(algorithm), str(sign(`sha${bits}`, data, RSA.privateKey))]),
  };
}

const SIGNERS = [ed25519(), ecdsa(), rsa('256'), rsa('512')];

function reasonOf(blob: Buffer, algorithm: string, data: Uint8Array, signature: Buffer): string {
  try {
    checkSignature(new PublicKeyCache().get(blob), algorithm, data, signature);
  } catch (error) {
    return error instanceof SshError ? error.reason : String(error);
  }
  return 'valid';
}

describe.each(SIGNERS)('$algorithm', ({ algorithm, blob, signature }) => {
  it('takes its own signatures', () => {
    for (let i = 0; i < 20; i++) {
      const data = Buffer.concat([DATA, Buffer.of(i)]);
      expect(reasonOf(blob, algorithm, data, signature(data))).toBe('valid');
    }
  });

  it('refuses other data, other keys, and signatures by another algorithm', () => {
    expect(reasonOf(blob, algorithm, Buffer.from('something else'), signature(DATA))).toBe('protocol');
    for (const other of SIGNERS.filter((candidate) => candidate.algorithm !== algorithm)) {
      // Both RSA algorithms share one key.
      if (!other.blob.equals(blob)) expect(reasonOf(other.blob, algorithm, DATA, signature(DATA))).toBe('protocol');
      expect(reasonOf(blob, other.algorithm, DATA, signature(DATA))).toBe('protocol');
      expect(reasonOf(blob, algorithm, DATA, other.signature(DATA))).toBe('protocol');
    }
  });

  it('every truncation of key and signature is `protocol`', () => {
    const whole = signature(DATA);
    for (let length = 0; length < blob.length; length++) {
      expect(reasonOf(blob.subarray(0, length), algorithm, DATA, whole)).toBe('protocol');
    }
    for (let length = 0; length < whole.length; length++) {
      expect(reasonOf(blob, algorithm, DATA, whole.subarray(0, length))).toBe('protocol');
    }
    expect(reasonOf(Buffer.concat([blob, Buffer.of(0)]), algorithm, DATA, whole)).toBe('protocol');
  });

  it('every change of a byte is `protocol`', () => {
    const random = seededRandom(5);
    const good = signature(DATA);
    for (let i = 0; i < 400; i++) {
      const [key, made] = [Buffer.from(blob), Buffer.from(good)];
      const target = random.chance(50) ? key : made;
      target[random.below(target.length)]! ^= 1 + random.below(255);
      expect(reasonOf(key, algorithm, DATA, made)).toBe('protocol');
    }
  });
});

describe('keys that cannot be', () => {
  const big = Buffer.alloc(256, 0xff);
  const rsaKey = (e: Uint8Array, n: Uint8Array) => Buffer.concat([str('ssh-rsa'), mpint(e), mpint(n)]);
  const even = Buffer.concat([big.subarray(0, 255), Buffer.of(0xfe)]);
  const p256 = (point: Uint8Array) => Buffer.concat([str('ecdsa-sha2-nistp256'), str('nistp256'), str(point)]);

  it.each<[string, string, Buffer]>([
    ['RSA with an even modulus', 'rsa-sha2-512', rsaKey(Buffer.of(3), even)],
    ['RSA with exponent 0', 'rsa-sha2-512', rsaKey(Buffer.of(0), big)],
    ['RSA with exponent 1', 'rsa-sha2-512', rsaKey(Buffer.of(1), big)],
    ['RSA with an even exponent', 'rsa-sha2-512', rsaKey(Buffer.of(4), big)],
    ['RSA with an exponent of 9 bytes', 'rsa-sha2-512', rsaKey(Buffer.alloc(9, 1), big)],
    ['RSA of 512 bits', 'rsa-sha2-512', rsaKey(Buffer.of(1, 0, 1), Buffer.alloc(64, 0xff))],
    ['RSA of 16,392 bits', 'rsa-sha2-512', rsaKey(Buffer.of(1, 0, 1), Buffer.alloc(2049, 0xff))],
    ['RSA with a modulus of nothing', 'rsa-sha2-512', rsaKey(Buffer.of(3), Buffer.alloc(0))],
    ['a point off the curve', 'ecdsa-sha2-nistp256', p256(Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)]))],
    ['a compressed point', 'ecdsa-sha2-nistp256', p256(Buffer.concat([Buffer.of(2), Buffer.alloc(32, 1)]))],
    ['the point at infinity', 'ecdsa-sha2-nistp256', p256(Buffer.of(0))],
    ['an ed25519 key of 31 bytes', 'ssh-ed25519', Buffer.concat([str('ssh-ed25519'), str(Buffer.alloc(31))])],
    ['an ed25519 key of zeros', 'ssh-ed25519', Buffer.concat([str('ssh-ed25519'), str(Buffer.alloc(32))])],
    ['a type that nobody knows', 'ssh-ed25519', Buffer.concat([str('ssh-dss'), str('x')])],
    ['nothing', 'ssh-ed25519', Buffer.alloc(0)],
  ])('%s', (_what, algorithm, blob) => {
    const lengths: Readonly<Record<string, number>> = { 'ssh-ed25519': 64, 'rsa-sha2-512': 256 };
    const inner = algorithm.startsWith('ecdsa')
      ? Buffer.concat([mpint(Buffer.of(1)), mpint(Buffer.of(1))])
      : Buffer.alloc(lengths[algorithm]!, 1);
    expect(reasonOf(blob, algorithm, DATA, Buffer.concat([str(algorithm), str(inner)]))).toBe('protocol');
  });

  it('signatures that cannot be', () => {
    const [plain, curve, modulus] = SIGNERS;
    for (const length of [0, 1, 63, 65, 1000]) {
      const made = Buffer.concat([str('ssh-ed25519'), str(Buffer.alloc(length))]);
      expect(reasonOf(plain!.blob, 'ssh-ed25519', DATA, made)).toBe('protocol');
    }
    for (const [r, s] of [
      [Buffer.alloc(0), Buffer.alloc(0)],
      [Buffer.alloc(32, 0xff), Buffer.alloc(32, 0xff)],
      [Buffer.alloc(33, 1), Buffer.of(1)],
    ] as const) {
      const made = Buffer.concat([str(curve!.algorithm), str(Buffer.concat([mpint(r), mpint(s)]))]);
      expect(reasonOf(curve!.blob, curve!.algorithm, DATA, made)).toBe('protocol');
    }
    for (const length of [0, 1, 255, 257, 5000]) {
      const made = Buffer.concat([str(modulus!.algorithm), str(Buffer.alloc(length, 1))]);
      expect(reasonOf(modulus!.blob, modulus!.algorithm, DATA, made)).toBe('protocol');
    }
  });
});

describe('the cache', () => {
  it('gives the same key again, and keeps no more than its capacity', () => {
    const cache = new PublicKeyCache(2);
    const [a, b, c] = [ed25519().blob, ed25519().blob, ed25519().blob];
    const first = cache.get(a);
    expect(cache.get(Buffer.from(a))).toBe(first);
    cache.get(b);
    cache.get(c);
    const again = cache.get(a);
    expect(again).not.toBe(first);
    expect(again.fingerprint).toBe(first.fingerprint);
  });

  it('keeps bytes of its own', () => {
    const cache = new PublicKeyCache();
    const shared = Buffer.from(ed25519().blob);
    const wanted = Buffer.from(shared);
    const { blob } = cache.get(shared);
    shared.fill(0);
    expect(blob).toEqual(wanted);
  });
});
