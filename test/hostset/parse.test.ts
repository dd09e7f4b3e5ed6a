import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HostSetError, MyriadError } from '../../src/contracts/errors.ts';
import { EMPTY, parseHostFile, parseHostSet } from '../../src/hostset/hostset.ts';
import { splitLabel } from '../../src/hostset/label.ts';

function labels(text: string): string[] {
  return Array.from(parseHostSet(text), (host) => host.label);
}

function errorOf(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('grammar', () => {
  test.each<[string, string]>([
    ['web1', 'web1'],
    ['web[1-3,7]', 'web1 web2 web3 web7'],
    ['web[7,1-3]', 'web7 web1 web2 web3'],
    ['web[1-3,2,3-4]', 'web1 web2 web3 web4'],
    ['web[008-011]', 'web008 web009 web010 web011'],
    ['web[08-11]', 'web08 web09 web10 web11'],
    ['web[9-11]', 'web9 web10 web11'],
    ['web[1,01,001]', 'web1 web01 web001'],
    ['web[0-10/5]', 'web0 web5 web10'],
    ['web[0-9/4]', 'web0 web4 web8'],
    ['web[08-14/3]', 'web08 web11 web14'],
    ['r[1-2]n[01-02]', 'r1n01 r1n02 r2n01 r2n02'],
    ['r[2,1]n[2,1]', 'r2n2 r2n1 r1n2 r1n1'],
    ['[1-2].example.org', '1.example.org 2.example.org'],
    ['a[1-2]b.c-d_e', 'a1b.c-d_e a2b.c-d_e'],
    ['web1[0-2]', 'web10 web11 web12'],
    ['web[1-3]0', 'web10 web20 web30'],
    ['web[1-2][3-4]', 'web13 web14 web23 web24'],
    ['web[1,11][1,11]', 'web11 web111 web1111'],
    ['a,b[1-2]', 'a b1 b2'],
    [' a\tb\r\nc , d,,', 'a b c d'],
    ['web[1-5],web[3-9]', 'web1 web2 web3 web4 web5 web6 web7 web8 web9'],
    ['web1,web[1-3]', 'web1 web2 web3'],
    ['web3,web[1-3]', 'web3 web1 web2'],
    ['web[1-2],web01', 'web1 web2 web01'],
    ['r1n[1-2],r[1-2]n1', 'r1n1 r1n2 r2n1'],
    ['web[1-4]!web3', 'web1 web2 web4'],
    ['web[1-4]!web3!web1', 'web2 web4'],
    ['web[1-4] ! web3 , b', 'web1 web2 web4 b'],
    ['a,web[1-3]!a', 'web1 web2 web3'],
    ['web[1-3]!web2,web2', 'web1 web3 web2'],
    ['web[1-3]!web[2-9],x', 'web1 x'],
    ['root@a,me@a:22!a', ''],
    ['root@a,me@a:22!root@a', 'me@a:22'],
    ['root@a:22,root@a:23!root@a:23', 'root@a:22'],
    ['root@a:22,a:22,a!a:22', 'a'],
    ['10.0.0.254-10.0.1.1', '10.0.0.254 10.0.0.255 10.0.1.0 10.0.1.1'],
    ['10.0.0.5-10.0.0.5', '10.0.0.5'],
    ['10.0.0.6/30', '10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7'],
    ['10.0.0.6/32', '10.0.0.6'],
    ['10.0.0.4/30!10.0.0.[5-6]', '10.0.0.4 10.0.0.7'],
    ['10.0.0.5,10.0.0.4/31', '10.0.0.5 10.0.0.4'],
    ['root@10.0.0.4/31:22', 'root@10.0.0.4:22 root@10.0.0.5:22'],
    ['me@10.0.0.1-10.0.0.2:7', 'me@10.0.0.1:7 me@10.0.0.2:7'],
    ['root@web[1-2]:2222', 'root@web1:2222 root@web2:2222'],
    ['a.b+c-d@web1', 'a.b+c-d@web1'],
    ['[::1]', '[::1]'],
    ['[::1]:22', '[::1]:22'],
    ['user@[fe80::1]:22', 'user@[fe80::1]:22'],
    ['::1 fe80::1%eth0 [fe80::1%eth0]:22', '::1 fe80::1%eth0 [fe80::1%eth0]:22'],
    ['me@::1', 'me@::1'],
    ['::1,[::1],[0:0::1],::2', '::1 ::2'],
    ['FE80::A,fe80:0::a!fe80::a,b', 'b'],
    ['node123456789012345678', 'node123456789012345678'],
    ['node[1-2]x123456789012345678', 'node1x123456789012345678 node2x123456789012345678'],
    ['web[999999999999998-999999999999999]', 'web999999999999998 web999999999999999'],
  ])('%j', (text, expected) => {
    expect(labels(text).join(' ')).toBe(expected);
  });

  test('hosts carry name, user and port', () => {
    expect([...parseHostSet('root@web[7]:2222,me@[::1]:22,::2,b,10.0.0.0/32:5')]).toEqual([
      { label: 'root@web7:2222', name: 'web7', user: 'root', port: 2222 },
      { label: 'me@[::1]:22', name: '::1', user: 'me', port: 22 },
      { label: '::2', name: '::2', user: undefined, port: undefined },
      { label: 'b', name: 'b', user: undefined, port: undefined },
      { label: '10.0.0.0:5', name: '10.0.0.0', user: undefined, port: 5 },
    ]);
  });

  test('an exclusion that matches nothing passes only where that is allowed', () => {
    expect(() => parseHostSet('web[1-3]!web4')).toThrow(HostSetError);
    expect(Array.from(parseHostSet('web[1-3]!web4', { unmatched: 'allow' })).length).toBe(3);
  });
});

const NAME_END = 'a letter, a digit, ".", "_", "-", ":" or "[", or "," before the next host';
const NEEDS_KNOWN = 'a host name; wildcards (* and ?) need hosts that are known: an inventory';
const USER = 'a letter, a digit, ".", "_", "-" or "+" in the user name, or "@"';

describe('errors', () => {
  test.each<[string, number, string]>([
    ['', 0, 'a host name'],
    [' ,, ', 4, 'a host name'],
    ['!web1', 0, 'a host name'],
    ['web1!', 5, 'a host name'],
    ['web1!,b', 5, 'a host name'],
    ['web1!!b', 5, 'a host name'],
    ['a,@group', 2, 'a host name; groups (@name) need an inventory'],
    ['^file', 0, 'a host name; host files (^file) are not supported inside a host set'],
    ['a *', 2, NEEDS_KNOWN],
    ['web*', 0, NEEDS_KNOWN],
    ['&b', 0, 'a host name, with "&" between two of them'],
    ['a,&b', 2, 'a host name, with "&" between two of them'],
    ['a,^b', 2, 'a host name; host files (^file) are not supported inside a host set'],
    ['a&', 2, 'a host name'],
    ['a^ ', 3, 'a host name'],
    ['-oProxyCommand', 0, 'a host name, which cannot begin with "-"'],
    ['a,-v', 2, 'a host name, which cannot begin with "-"'],
    ['root@-v', 5, 'a host name, which cannot begin with "-"'],
    ['-l@web1', 0, 'a user name, which cannot begin with "-"'],
    ['..', 0, 'a host name, which cannot begin with "."'],
    ['web1;reboot', 4, NAME_END],
    ['a,$HOME', 2, 'a host name'],
    ['web1"', 4, NAME_END],
    ["web'1", 3, NAME_END],
    ['web\u0000', 3, NAME_END],
    ['web\u001b[1m', 3, NAME_END],
    ['wéb', 1, NAME_END],
    ['web1\u00a0', 4, NAME_END],
    ['web/24', 3, NAME_END],
    ['web]', 3, NAME_END],
    ['ro ot@', 6, 'a host name'],
    ['ro;ot@web1', 2, USER],
    ['rö@web1', 1, USER],
    ['a@b@c', 3, NAME_END],
    ['web[1-2]@c', 8, NAME_END],
    ['web[]', 4, 'a number'],
    ['web[a]', 4, 'a number'],
    ['web[1-]', 6, 'a number'],
    ['web[1,]', 6, 'a number'],
    ['web[1, 2]', 6, 'a number'],
    ['web[-1]', 4, 'a number'],
    ['web[1-3', 7, '"," or "]"'],
    ['web[1:3]', 5, '"," or "]"'],
    ['web[1/2]', 5, '"," or "]"'],
    ['web[5-3]', 6, 'a number that is not below 5'],
    ['web[05-03]', 7, 'a number that is not below 05'],
    ['web[1-010]', 6, 'a number of 1 digit, as wide as "1"'],
    ['web[001-10]', 8, 'a number of 3 digits, as wide as "001"'],
    ['web[08-102]', 7, 'a number of 2 digits, as wide as "08"'],
    ['web[1-9/]', 8, 'a step'],
    ['web[1-9/0]', 8, 'a step of at least 1'],
    ['web[1000000000000000]', 4, 'a number of at most 15 digits'],
    ['web[1-1000000000000000]', 6, 'a number of at most 15 digits'],
    ['web12345678[1-10000000]', 11, 'a number of at most 15 digits, those next to the bracket included'],
    ['w[1-900000][1-3]', 11, 'text between two brackets, which together make more than 100000 ranges'],
    ['a,w[0-999999999]x[0-99999999]', 2, 'at most 9,007,199,254,740,991 hosts'],
    [`a,${'x'.repeat(256)}`, 2, 'a host name of at most 255 characters'],
    [`a,${'x'.repeat(254)}[8-10]`, 2, 'a host name of at most 255 characters'],
    ['10.0.0.300/8', 0, 'an IPv4 address'],
    ['a,10.0.0/8', 2, 'an IPv4 address'],
    ['010.0.0.0/8', 0, 'an IPv4 address'],
    ['10.0.0.0/33', 9, 'a prefix length from 0 to 32'],
    ['10.0.0.0/', 9, 'a prefix length from 0 to 32'],
    ['me@10.0.0.0/08', 12, 'a prefix length from 0 to 32'],
    ['10.0.0.0/8x', 10, NAME_END],
    ['10.0.0.[1-2]/24', 12, NAME_END],
    ['10.0.0.256-10.0.1.1', 0, 'an IPv4 address'],
    ['10.0.0.5-10.0.1.256', 9, 'an IPv4 address'],
    ['10.0.0.5-20', 9, 'an IPv4 address'],
    ['10.0.0.5-10.0.0.4', 9, 'an address that is not below 10.0.0.5'],
    ['web:', 4, 'a port from 1 to 65535'],
    ['web:0', 4, 'a port from 1 to 65535'],
    ['web:022', 4, 'a port from 1 to 65535'],
    ['web:65536', 4, 'a port from 1 to 65535'],
    ['web[1-2]:ssh', 9, 'a port from 1 to 65535'],
    ['web:22x', 6, '"," or a blank after the port'],
    ['[::1', 4, '"]" after the IPv6 address'],
    ['[::1]22', 5, NAME_END],
    ['[::g]', 1, 'an IPv6 address'],
    ['[1:2]', 1, 'an IPv6 address'],
    ['a:1:2', 0, 'an IPv6 address, or a host name with one ":" before its port'],
    ['fe80::1%eth0:22', 0, 'an IPv6 address, or a host name with one ":" before its port'],
    ['[fe80::1%eth0:22]', 1, 'an IPv6 address'],
    ['web[1-3],b!web[4-5]', 11, 'an exclusion that matches a host before it'],
  ])('%j', (text, position, expected) => {
    const error = errorOf(() => parseHostSet(text));
    expect(error).toBeInstanceOf(HostSetError);
    expect(error).toMatchObject({ code: 'host-set', text, position, expected });
  });

  test('a text is either a host set or a HostSetError with a position inside of it', () => {
    const text = fc.string({ unit: fc.constantFrom(...'ab01-.,[]/:@!%* \u00e9'), maxLength: 24 });
    fc.assert(
      fc.property(text, (one) => {
        let set = EMPTY;
        try {
          set = parseHostSet(one);
        } catch (error) {
          if (!(error instanceof HostSetError)) throw error;
          expect(error.position).toBeGreaterThanOrEqual(0);
          expect(error.position).toBeLessThanOrEqual(one.length);
        }
        for (let index = 0; index < Math.min(set.count, 50); index++) {
          const host = set.at(index);
          expect(splitLabel(host.label)).toEqual({ user: host.user, name: host.name, port: host.port });
        }
        const isOneHost = set.count === 1 && set.at(0).label === one;
        expect(splitLabel(one) !== undefined).toBe(isOneHost);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('host files', () => {
  test('lines, blank lines, comments, carriage returns and a byte order mark', () => {
    const text = '\uFEFF# fleet\nweb[1-2]\r\n\n  db1  # main\nroot@c:22, web2\nweb[5-7]!web6\n,\n::1';
    const set = parseHostFile(text, 'hosts.txt');
    const expected = 'web1 web2 db1 root@c:22 web5 web7 ::1';
    expect(Array.from(set, (host) => host.label).join(' ')).toBe(expected);
    expect(set.count).toBe(7);
  });

  test.each(['', '\n', '# nothing\n\n'])('%j has no hosts', (text) => {
    expect(parseHostFile(text, 'hosts.txt').count).toBe(0);
  });

  test('an exclusion reaches its own line only', () => {
    expect(() => parseHostFile('web1\nweb2!web1', 'hosts.txt')).toThrow('line 2, position 6');
  });

  test.each<[string, string]>([
    ['web1\n  web[1-2', 'lab/hosts, line 2, position 10: expected "," or "]" in "  web[1-2"'],
    ['a\r\n\r\n-v # x', 'lab/hosts, line 3, position 1: expected a host name, which cannot begin with "-" in "-v"'],
    [`${'a,'.repeat(100)};`, `lab/hosts, line 1, position 201: expected a host name in "…${',a'.repeat(39)},;"`],
  ])('%j names file, line and position', (text, message) => {
    const error = errorOf(() => parseHostFile(text, 'lab/hosts'));
    expect(error).toBeInstanceOf(MyriadError);
    expect(error).toMatchObject({ code: 'host-set', message });
  });
});
