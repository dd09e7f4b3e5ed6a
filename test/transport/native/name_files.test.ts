/** /etc/hosts and resolv.conf as tables. */
import { describe, expect, test } from 'vitest';
import { parseHosts } from '../../../src/transport/native/hosts_file.ts';
import { candidates, parseResolvConf } from '../../../src/transport/native/resolv_conf.ts';

describe('hosts', () => {
  test.each<[string, string, Record<string, { v6: string[]; v4: string[] }>]>([
    ['nothing', '', {}],
    [
      'aliases',
      '192.0.2.1 web1.example.org web1',
      {
        'web1.example.org': { v6: [], v4: ['192.0.2.1'] },
        web1: { v6: [], v4: ['192.0.2.1'] },
      },
    ],
    [
      'comments, tabs, CRLF, blank lines',
      '# all\n\n\t192.0.2.1\t web1 # the first\r\n#192.0.2.2 web2\n',
      { web1: { v6: [], v4: ['192.0.2.1'] } },
    ],
    ['capitals and a dot at the end', '192.0.2.1 Web1.Example.', { 'web1.example': { v6: [], v4: ['192.0.2.1'] } }],
    [
      'several lines are one',
      '192.0.2.1 a\n192.0.2.2 a\n::1 a\n192.0.2.1 a',
      { a: { v6: ['::1'], v4: ['192.0.2.1', '192.0.2.2'] } },
    ],
    [
      'IPv6 in long form',
      '0:0:0:0:0:0:0:1 a\nFE80::1%lo0 b',
      { a: { v6: ['::1'], v4: [] }, b: { v6: ['fe80::1%lo0'], v4: [] } },
    ],
    ['what is no address', 'web1 192.0.2.1\n192.0.2.256 web2\n192.0.2.3\n:: \n192.0.2 x', {}],
    ['no line end', '192.0.2.1 a', { a: { v6: [], v4: ['192.0.2.1'] } }],
  ])('%s', (_what, text, expected) => expect(Object.fromEntries(parseHosts(text))).toEqual(expected));
});

describe('resolv.conf', () => {
  const plain = {
    servers: [{ address: '127.0.0.1', port: 53 }],
    search: [],
    ndots: 1,
    timeoutMs: 5000,
    attempts: 2,
    rotate: false,
    tcp: false,
    noAaaa: false,
    trustAd: false,
  };

  test.each<[string, string, Partial<ReturnType<typeof parseResolvConf>>]>([
    ['nothing', '', {}],
    [
      'servers, three at most',
      'nameserver 192.0.2.1\nnameserver ::1\nnameserver fe80::1%eth0\nnameserver 192.0.2.4',
      { servers: ['192.0.2.1', '::1', 'fe80::1%eth0'].map((address) => ({ address, port: 53 })) },
    ],
    [
      'what is no server',
      'nameserver dns.example.org\nnameserver\nnameserver 192.0.2.1 # first',
      { servers: [{ address: '192.0.2.1', port: 53 }] },
    ],
    ['comments', '; nameserver 192.0.2.1\n# search a', {}],
    ['search', 'search A.example b.example. .', { search: ['a.example', 'b.example'] }],
    [
      'the last of search and domain',
      'search a.example b.example\ndomain c.example d.example',
      { search: ['c.example'] },
    ],
    [
      'options',
      'options ndots:3 timeout:2 attempts:4 rotate use-vc no-aaaa edns0 trust-ad',
      { ndots: 3, timeoutMs: 2000, attempts: 4, rotate: true, tcp: true, noAaaa: true, trustAd: true },
    ],
    [
      'options out of bounds',
      'options ndots:99 timeout:999\noptions attempts:0',
      { ndots: 15, timeoutMs: 30_000, attempts: 1 },
    ],
    ['options that are no numbers', 'options ndots:x timeout: attempts:-1', {}],
    ['the last value', 'options ndots:2\noptions ndots:4', { ndots: 4 }],
  ])('%s', (_what, text, expected) => expect(parseResolvConf(text)).toEqual({ ...plain, ...expected }));
});

describe('what a name can stand for', () => {
  const search = ['a.example', 'b.example'];
  test.each<[string, number, string[]]>([
    ['web1', 1, ['web1.a.example', 'web1.b.example', 'web1']],
    ['web1.x', 1, ['web1.x', 'web1.x.a.example', 'web1.x.b.example']],
    ['web1.x', 2, ['web1.x.a.example', 'web1.x.b.example', 'web1.x']],
    ['web1', 0, ['web1', 'web1.a.example', 'web1.b.example']],
    ['web1.', 1, ['web1']],
    ['web1.x.', 5, ['web1.x']],
  ])('%s with ndots %i', (name, ndots, expected) => expect(candidates(name, { search, ndots })).toEqual(expected));

  test('without a search list: the name', () => expect(candidates('web1', { search: [], ndots: 1 })).toEqual(['web1']));
});
