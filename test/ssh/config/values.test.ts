import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalAddress, looksLikeAddress } from '../../../src/ssh/config/addresses.ts';
import {
  checkDomain,
  findService,
  isSafeHostName,
  isSafeUser,
  parseBytes,
  parseCount,
  parsePort,
  parseSeconds,
} from '../../../src/ssh/config/values.ts';

describe('times', () => {
  test.each<[string, number | undefined]>([
    ['0', 0],
    ['90', 90],
    ['1h30m', 5400],
    ['1h30', 3630],
    ['2D', 172_800],
    ['1w', 604_800],
    ['5s5', 10],
    ['+5', 5],
    ['2147483647', 2_147_483_647],
    ['2147483648', undefined],
    ['3551w', undefined],
    ['-1', undefined],
    ['5x', undefined],
    ['m', undefined],
    ['', undefined],
    ['1.5h', undefined],
  ])('%j', (text, seconds) => {
    expect(parseSeconds(text)).toBe(seconds);
  });
});

describe('numbers', () => {
  test.each<[string, number | undefined]>([
    ['0', 0],
    ['010', 10],
    ['+3', 3],
    ['-1', undefined],
    ['0x10', undefined],
    ['2147483648', undefined],
    ['', undefined],
    ['1 ', undefined],
  ])('%j', (text, value) => {
    expect(parseCount(text)).toBe(value);
  });

  test.each<[string, bigint | undefined]>([
    ['16', 16n],
    ['1K', 1024n],
    ['1.5m', 1_572_864n],
    ['.5G', 536_870_912n],
    ['1G', 1_073_741_824n],
    ['8E', undefined],
    ['-1', -1n],
    ['1KB', undefined],
    ['.', undefined],
    ['x', undefined],
  ])('bytes %j', (text, value) => {
    expect(parseBytes(text)).toBe(value);
  });

  test('ports are numbers or services', () => {
    const services = 'ftp 21/tcp\nssh\t\t22/tcp  secsh # a comment\nntp 123/udp\n';
    const service = (name: string) => findService(services, name);
    expect(parsePort('2222', service)).toBe(2222);
    expect(parsePort('ssh', service)).toBe(22);
    expect(parsePort('secsh', service)).toBe(22);
    expect(parsePort('comment', service)).toBeUndefined();
    expect(parsePort('22/tcp', service)).toBeUndefined();
    expect(parsePort('ntp', service)).toBeUndefined();
    expect(parsePort('65536', service)).toBeUndefined();
  });

  test('what is written is read back', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (n) => parseSeconds(`${n}s`) === n));
  });
});

test.each<[string, unknown]>([
  ['Example.COM.', { domain: 'example.com' }],
  ['a_b-c', { domain: 'a_b-c' }],
  ['-x', { reason: 'domain name "-x" starts with an invalid character' }],
  ['a..b', { reason: 'domain name "a..b" contains consecutive separators' }],
  ['a/b', { reason: 'domain name "a/b" contains invalid characters' }],
  ['', { reason: 'empty domain name' }],
])('domain %j', (text, expected) => {
  expect(checkDomain(text)).toEqual(expected);
});

describe('addresses', () => {
  test.each<[string, string | undefined]>([
    ['127.0.0.1', '127.0.0.1'],
    ['127.1', '127.0.0.1'],
    ['0x7f.1', '127.0.0.1'],
    ['010.1', '8.0.0.1'],
    ['3000000000', '178.208.94.0'],
    ['1.2.3.256', undefined],
    ['1.2.3.4.5', undefined],
    ['08.1', undefined],
    ['4294967296', undefined],
    ['::0001', '::1'],
    ['FE80::1%eth0', 'FE80::1%eth0'],
    ['FE80::0001%eth0', 'fe80::1%eth0'],
    ['1:2::FFff', '1:2::FFff'],
    ['web1', undefined],
    ['1.example', undefined],
  ])('%j', (text, address) => {
    expect(canonicalAddress(text, 'any')).toBe(address);
  });

  test('of a family that is not wanted', () => {
    expect(canonicalAddress('127.1', 'inet')).toBe('127.0.0.1');
    expect(canonicalAddress('127.1', 'inet6')).toBeUndefined();
    expect(canonicalAddress('::0001', 'inet6')).toBe('::1');
    expect(canonicalAddress('::0001', 'inet')).toBeUndefined();
  });

  test.each([
    ['1.2.3.256', true],
    ['a%b', true],
    ['a:b', true],
    ['web1', false],
  ])('%j looks like an address: %j', (text, expected) => {
    expect(looksLikeAddress(text)).toBe(expected);
  });
});

describe('names that mean something to a shell', () => {
  test.each(['a;b', 'a b', '$(x)', '-oProxyCommand=x', 'a|b', 'a`b', 'a\nb', '', "a'b"])('host %j', (name) => {
    expect(isSafeHostName(name)).toBe(false);
  });
  test.each(['-x', 'a;b', 'a\\', 'a -b', 'a"b'])('user %j', (name) => {
    expect(isSafeUser(name)).toBe(false);
  });
  test('usual names pass', () => {
    for (const name of ['web1', 'a_b.example.com', '::1', 'fe80::1%eth0', 'Ünï'])
      expect(isSafeHostName(name)).toBe(true);
    for (const user of ['root', 'DOMAIN\\ann', 'ann@corp', 'a b']) expect(isSafeUser(user)).toBe(true);
  });
});
