import { isIP, SocketAddress } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canBeHost,
  canonical,
  familyOf,
  inOrder,
  ipv4Text,
  ipv6Text,
  leadsOut,
} from '../../../src/transport/native/addresses.ts';

const bytes16 = fc.oneof(
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  // Many zeros: what `::` stands for must be the first longest run.
  fc.array(fc.constantFrom(0, 0, 0, 1, 0xff), { minLength: 16, maxLength: 16 }).map((list) => Uint8Array.from(list)),
);

describe('bytes as text', () => {
  test('IPv4', () => expect(ipv4Text(Uint8Array.of(9, 192, 0, 2, 255), 1)).toBe('192.0.2.255'));

  test('IPv6 is written as inet_ntop writes it', () => {
    fc.assert(
      fc.property(bytes16, (bytes) => {
        const hex = Buffer.from(bytes).toString('hex').match(/.{4}/g)!.join(':');
        const theirs = new SocketAddress({ address: hex, family: 'ipv6' }).address;
        expect(ipv6Text(bytes, 0)).toBe(theirs);
      }),
      { examples: [[new Uint8Array(16)]] },
    );
  });

  test.each([
    ['0:0:0:0:0:0:0:1', '::1'],
    ['2001:DB8::0:5', '2001:db8::5'],
    ['FE80::1%eth0', 'fe80::1%eth0'],
    ['192.0.2.1', '192.0.2.1'],
  ])('%s is %s', (written, expected) => expect(canonical(written)).toBe(expected));
});

describe('familyOf', () => {
  test.each([
    '192.0.2.1',
    '192.0.2.256',
    '192.0.2',
    '1.2.3.04',
    '::1',
    '::',
    ':',
    '1::2::3',
    'fe80::1%eth0',
    'fe80::1%',
    '%eth0',
    'host',
    '',
    'a:b',
    '::ffff:192.0.2.1',
    '1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    '[::1]',
    '::1 ',
  ])('%j as Node has it', (text) => expect(familyOf(text)).toBe(isIP(text)));

  test('anything as Node has it', () => {
    const text = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string(), fc.stringMatching(/^[0-9a-f:.]{0,20}$/));
    fc.assert(
      fc.property(text, (it) => {
        expect(familyOf(it)).toBe(isIP(it));
      }),
      { examples: [['::1\0'], ['::1%a b'], ['::1%%'], ['::%x%y']] },
    );
  });
});

describe('canBeHost', () => {
  test.each([
    ['192.0.2.1', true],
    ['127.0.0.2', true],
    ['0.0.0.0', false],
    ['0.1.2.3', false],
    ['224.0.0.1', false],
    ['255.255.255.255', false],
    ['::', false],
    ['::1', true],
    ['2001:db8::1', true],
    ['fd00::1', true],
    ['::ffff:192.0.2.1', false],
    ['fe80::1', false],
    ['febf::1', false],
    ['fec0::1', true],
    ['fe80::1%eth0', true],
    ['ff02::1', false],
  ])('%s: %s', (address, expected) => expect(canBeHost(address)).toBe(expected));
});

describe('leadsOut', () => {
  test.each([
    ['::1', false],
    ['fe80::1', false],
    ['febf::1', false],
    ['fd00::2', true],
    ['2001:db8::1', true],
    ['2002:c000:201::1', true],
  ])('%s: %s', (address, expected) => expect(leadsOut(address)).toBe(expected));
});

describe('inOrder', () => {
  test.each<[string, string[], string[], string[]]>([
    ['nothing', [], [], []],
    ['one', [], ['192.0.2.1'], ['192.0.2.1']],
    ['one that cannot be', [], ['0.0.0.0'], []],
    [
      'by turns, IPv6 first',
      ['2001:db8::1', '2001:db8::2'],
      ['192.0.2.1', '192.0.2.2'],
      ['2001:db8::1', '192.0.2.1', '2001:db8::2', '192.0.2.2'],
    ],
    [
      'the rest of the longer',
      ['2001:db8::1'],
      ['192.0.2.1', '192.0.2.2', '192.0.2.3'],
      ['2001:db8::1', '192.0.2.1', '192.0.2.2', '192.0.2.3'],
    ],
    [
      'tunnels last',
      ['2002:c000:201::1', '2001::1', '2001:0:1::1', '2001:db8::1'],
      ['192.0.2.1'],
      ['2001:db8::1', '192.0.2.1', '2002:c000:201::1', '2001::1', '2001:0:1::1'],
    ],
    ['each once', ['2001:db8::1', '2001:db8::1'], ['192.0.2.1', '192.0.2.1'], ['2001:db8::1', '192.0.2.1']],
    ['mapped ones not', ['::ffff:192.0.2.1', '::'], ['192.0.2.1', '0.0.0.0'], ['192.0.2.1']],
  ])('%s', (_what, v6, v4, expected) => expect(inOrder(v6, v4)).toEqual(expected));

  test('sixteen at most', () => {
    const many = Array.from({ length: 40 }, (_, i) => `192.0.2.${i}`);
    expect(
      inOrder(
        many.map((_, i) => `2001:db8::${i + 1}`),
        many,
      ),
    ).toHaveLength(16);
  });
});
