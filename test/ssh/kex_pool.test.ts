/** Methods on the thread pool, against a second way of doing the same: numbers of any size for groups, ECDH objects for curves. */
import { createECDH, getDiffieHellman } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SshError } from '../../src/ssh/errors.ts';
import { checkGroup, chooseGroup, GROUP_BOUNDS, type Group, halvesOf } from '../../src/ssh/kex/groups.ts';
import type { PoolKex } from '../../src/ssh/kex/method.ts';
import { poolBusy } from '../../src/ssh/kex/pool.ts';
import { kexMethod } from '../../src/ssh/kex.ts';
import { seededRandom } from './bytes.ts';

const pool = (name: string) => kexMethod(name) as PoolKex;

async function reasonOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return error instanceof SshError ? error.reason : String(error);
  }
  return 'agreed';
}

const numberOf = (bytes: Buffer) => BigInt(`0x${bytes.toString('hex')}`);

/** As an mpint has it. */
function mpintOf(number: bigint): Buffer {
  const hex = number.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 1 ? `0${hex}` : hex, 'hex');
  return bytes[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let [square, rest] = [base % modulus, exponent]; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

const FIXED = [
  ['diffie-hellman-group14-sha256', 'modp14', 'sha256'],
  ['diffie-hellman-group16-sha512', 'modp16', 'sha512'],
  ['diffie-hellman-group14-sha1', 'modp14', 'sha1'],
  ['diffie-hellman-group1-sha1', 'modp2', 'sha1'],
] as const;

describe.each(FIXED)('%s', (name, group, hash) => {
  const p = numberOf(getDiffieHellman(group).getPrime());

  it('agrees as by hand, on either side', async () => {
    const method = pool(name);
    expect([method.hash, method.secretAs]).toEqual([hash, 'mpint']);
    const exponent = 0x1234_5678_9abc_def0_1234_5678_9abc_def0n;
    const value = power(2n, exponent, p);
    const half = await method.client();
    // What travels is an mpint as RFC 4251 wants it.
    expect(half.init).toEqual(mpintOf(numberOf(half.init)));
    const secret = await half.finish(mpintOf(value));
    expect(numberOf(secret)).toBe(power(numberOf(half.init), exponent, p));
    const server = await method.server(mpintOf(value));
    expect(numberOf(server.secret)).toBe(power(numberOf(server.reply), exponent, p));
    expect((await method.client()).init).not.toEqual(half.init);
    expect(poolBusy()).toBe(0);
  });

  it('refuses public values that give the secret away, or are no numbers of the group', async () => {
    const method = pool(name);
    const wrong = [
      ...[0n, 1n, p - 1n, p, p + 1n, 2n * p].map(mpintOf),
      Buffer.alloc(0),
      Buffer.of(0x80),
      Buffer.of(0xff, 0xff),
      // More zeros than an mpint has.
      Buffer.concat([Buffer.of(0), mpintOf(5n)]),
      Buffer.alloc(100_000, 0x7f),
    ];
    const half = await method.client();
    for (const value of wrong) {
      const shown = value.toString('hex').slice(0, 20);
      expect([shown, await reasonOf(half.finish(value))]).toEqual([shown, 'protocol']);
      expect([shown, await reasonOf(method.server(value))]).toEqual([shown, 'protocol']);
    }
  });
});

const CURVES = [
  ['ecdh-sha2-nistp384', 'secp384r1', 'sha384', 97],
  ['ecdh-sha2-nistp521', 'secp521r1', 'sha512', 133],
] as const;

describe.each(CURVES)('%s', (name, curve, hash, size) => {
  it('agrees with an ECDH object, on either side', async () => {
    const method = pool(name);
    expect([method.hash, method.secretAs]).toEqual([hash, 'mpint']);
    const ecdh = createECDH(curve);
    const value = ecdh.generateKeys();
    const half = await method.client();
    expect(half.init.length).toBe(size);
    expect(await half.finish(value)).toEqual(ecdh.computeSecret(half.init));
    const { reply, secret } = await method.server(value);
    expect(secret).toEqual(ecdh.computeSecret(reply));
    expect((await method.client()).init).not.toEqual(half.init);
  });

  it('refuses what is no uncompressed point of the curve', async () => {
    const method = pool(name);
    const value = createECDH(curve).generateKeys();
    const off = Buffer.from(value);
    off[size - 1]! ^= 1;
    const compressed = createECDH(curve);
    compressed.generateKeys();
    const lengths = [0, 1, 32, size - 1, size + 1].map((length) => Buffer.concat([value, value]).subarray(0, length));
    const wrong = [off, Buffer.of(0), Buffer.concat([Buffer.of(4), Buffer.alloc(size - 1)]), ...lengths];
    for (const point of [...wrong, compressed.getPublicKey(undefined, 'compressed') as Buffer]) {
      const half = await method.client();
      expect([point.length, await reasonOf(half.finish(point))]).toEqual([point.length, 'protocol']);
      expect([point.length, await reasonOf(method.server(point))]).toEqual([point.length, 'protocol']);
    }
  });
});

describe('groups that a server brings along', () => {
  const p = (group: string) => numberOf(getDiffieHellman(group).getPrime());
  const group = (prime: bigint, generator = 2n): Group => ({ prime: mpintOf(prime), generator: mpintOf(generator) });
  const check = (candidate: Group) => reasonOf((async () => checkGroup(candidate, GROUP_BOUNDS))());

  it.each(['modp14', 'modp15', 'modp16'])('takes %s', async (name) => {
    expect(await check(group(p(name)))).toBe('agreed');
  });

  it('takes all of what sshd has, of 2048 to 4096 bits, and nothing else of it', async () => {
    const lines = readFileSync('/etc/ssh/moduli', 'utf8').split('\n');
    const fields = lines.filter((line) => /^\d/.test(line)).map((line) => line.split(' '));
    expect(fields.length).toBeGreaterThan(100);
    for (const [, , , , bits, generator, hex] of fields) {
      const verdict = await check(group(BigInt(`0x${hex}`), BigInt(`0x${generator}`)));
      expect([bits, verdict]).toEqual([bits, Number(bits) + 1 > 4096 ? 'protocol' : 'agreed']);
    }
  });

  it.each([
    ['a prime that is too small', p('modp5')],
    ['a prime that is too large', p('modp17')],
    ['no prime: even', p('modp14') - 1n],
    ['no prime: a multiple of 3', (p('modp14') / 3n / 4n) * 12n + 3n],
    ['no safe prime: 1 modulo 4', p('modp14') - 2n],
    ['nothing', 0n],
    ['a number of 100,000 bits', 2n ** 100_000n + 1n],
    ['the square of a prime of 1024 bits', p('modp2') * p('modp2')],
  ])('refuses %s', async (_name, prime) => {
    expect(await check(group(prime))).toBe('protocol');
  });

  it('refuses numbers at random, but for one in fifty at most', async () => {
    const random = seededRandom(1);
    let taken = 0;
    for (let i = 0; i < 2000; i++) {
      const odd = numberOf(random.bytes(256)) | 1n | (1n << 2047n);
      if ((await check(group(odd))) === 'agreed') taken++;
    }
    expect(taken).toBeLessThan(40);
  });

  it.each([0n, 1n, 2n ** 31n, 2n ** 40n, 2n ** 2047n])('refuses the generator %d', async (generator) => {
    expect(await check(group(p('modp14'), generator))).toBe('protocol');
  });

  it('refuses negative numbers', async () => {
    const prime = mpintOf(p('modp14')).subarray(1);
    expect(await check({ prime, generator: Buffer.of(2) })).toBe('protocol');
    expect(await check({ prime: mpintOf(p('modp14')), generator: Buffer.of(0x82) })).toBe('protocol');
  });

  it('agrees in one of sshd’s groups as by hand', async () => {
    const line = readFileSync('/etc/ssh/moduli', 'utf8')
      .split('\n')
      .find((text) => / 2047 \d /.test(text))!;
    const [, , , , , generator, hex] = line.split(' ');
    const prime = BigInt(`0x${hex}`);
    const halves = halvesOf(group(prime, BigInt(`0x${generator}`)));
    const half = await halves.client();
    const { reply, secret } = await halves.server(half.init);
    expect(numberOf(await half.finish(reply))).toBe(numberOf(secret));
    const value = power(BigInt(`0x${generator}`), 987_654_321n, prime);
    expect(numberOf(await half.finish(mpintOf(value)))).toBe(power(numberOf(half.init), 987_654_321n, prime));
  });
});

describe('groups that our server half chooses', () => {
  it.each([
    [2048, 2048, 8192, 2048],
    [1024, 1024, 8192, 2048],
    [2048, 3072, 4096, 3072],
    [2048, 2500, 4096, 3072],
    [2048, 8192, 8192, 4096],
    [2048, 4096, 3500, 3072],
  ])('for %d, %d, %d: %d bits', (least, wanted, most, bits) => {
    expect(numberOf(chooseGroup({ least, wanted, most }).prime).toString(2).length).toBe(bits);
  });

  it.each([
    [4097, 8192, 8192],
    [1024, 1024, 1024],
    [3000, 2048, 2048],
  ])('refuses %d, %d, %d', (least, wanted, most) => {
    expect(() => chooseGroup({ least, wanted, most })).toThrow('2048 to 4096');
  });
});
