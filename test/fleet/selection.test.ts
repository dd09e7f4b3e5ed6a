/** Which hosts the options of a fleet mean, and what is known of them; nothing connects. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { FleetOptions } from '../../src/fleet/options.ts';
import { selectHosts } from '../../src/fleet/selection.ts';
import { folderOf } from '../inventory/kit.ts';

const INI = `
[web]
web[1:9] os=debian
web1 ansible_host=192.0.2.1 ansible_port=2222 ansible_user=deploy cores=8
web2 cores=2
[db]
db[1:3] os=suse cores=16
[site:children]
web
db
`;

function labels(options: FleetOptions): string[] {
  return Array.from(selectHosts(options).hosts, ({ label }) => label);
}

function ini(): string {
  return join(folderOf({ 'hosts.ini': INI }), 'hosts.ini');
}

describe('with an inventory', () => {
  test.each<[FleetOptions, string]>([
    [{ groups: 'db' }, 'db1 db2 db3'],
    [{ groups: ['db', 'ansible:web'], exclude: '*[2-9]' }, 'db1 web1'],
    [{ groups: 'db,web', excludeGroups: 'web' }, 'db1 db2 db3'],
    [{ allHosts: true, exclude: 'web*' }, 'db1 db2 db3'],
    [{ hosts: 'web3,@db&db2' }, 'db2'],
    [{ hosts: 'web?', exclude: 'web[2-9]' }, 'web1'],
    [{ hosts: ['web1', '+new1'] }, 'web1 new1'],
    [{ hosts: 'root@web2:22' }, 'root@web2:22'],
    [{ allHosts: true, where: 'os=suse | cores=8' }, 'web1 db1 db2 db3'],
    [{ allHosts: true, where: 'cores>4 & !@web' }, 'db1 db2 db3'],
    [{ allHosts: true, where: 'name=web*', limit: 2 }, 'web1 web2'],
    [{ groups: 'site', where: 'user=deploy' }, 'web1'],
    [{ groups: 'web', limit: '20%' }, 'web1 web2'],
  ])('%j', (options, expected) => {
    expect(labels({ inventory: ini(), ...options })).toEqual(expected.split(' '));
  });

  test('hosts keep their names as labels, and are reached as the inventory says', () => {
    const { hosts, variables } = selectHosts({ inventory: ini(), hosts: 'web1,me@web1:22,web2' });
    expect([...hosts]).toEqual([
      { label: 'web1', name: '192.0.2.1', user: 'deploy', port: 2222 },
      { label: 'me@web1:22', name: '192.0.2.1', user: 'me', port: 22 },
      { label: 'web2', name: 'web2', user: undefined, port: undefined },
    ]);
    expect(hosts.at(0)).toEqual([...hosts][0]);
    expect(variables?.(hosts.at(1))).toMatchObject({ os: 'debian', cores: '8' });
  });

  test("the caller's variables win, and count in where", () => {
    const variables = ({ label }: { label: string }) => (label === 'web3' ? { os: 'suse', rack: 'r1' } : undefined);
    const options = { inventory: ini(), groups: 'web', variables };
    expect(labels({ ...options, where: 'os=suse' })).toEqual(['web3']);
    expect(labels({ ...options, where: 'rack' })).toEqual(['web3']);
    const { hosts, variables: all } = selectHosts(options);
    expect({ ...all?.(hosts.at(2)) }).toEqual({ os: 'suse', rack: 'r1' });
  });

  test.each<[FleetOptions, string]>([
    [{}, 'no hosts were given; name them with -w, -g, or -a for all of the inventory'],
    [{ hosts: 'web1,wbe2' }, '"web1,wbe2": the inventory does not know wbe2; nearest are "web2", "web1" and "web3"'],
    [{ hosts: 'x[1-500]' }, 'does not know x[1-100] and more; +NAME is taken anyway'],
    [{ groups: 'wbe' }, 'nearest is "web"'],
    [{ allHosts: true, where: 'so=debian' }, 'where "so=debian": no host has a variable "so"; nearest is "os"'],
    [{ allHosts: true, where: 'os=bsd' }, 'where "os=bsd": it holds for no host'],
    [{ groups: 'web', excludeGroups: 'db' }, 'exclusion "@db" matches none of the selected hosts'],
    [{ groups: 'web', exclude: 'wbe2' }, 'matches none of the selected hosts; nearest are "web2", "web1" and "web3"'],
    [{ groups: 'web', exclude: 'db*' }, 'a wildcard that fits a known host; "db*" fits none'],
    [{ groups: 'web', exclude: 'web3,wbe2' }, 'exclusion "wbe2" matches none of the selected hosts'],
    [{ groups: 'web', exclude: ['web3 db[1-3]', 'web1'] }, 'exclusion "db[1-3]" matches none of the selected hosts'],
    [{ groups: 'web', excludeGroups: 'web' }, 'exclusion "@web" leaves no host'],
    [{ groups: 'web,empty' }, 'a group that is known; "@empty" is not'],
    [{ hosts: '@web&@db' }, 'hosts "@web&@db": there is no host in it'],
    [{ hosts: ['web1', '@web&@db'] }, 'hosts "@web&@db": there is no host in it'],
    [
      { allHosts: true, where: '!@wbe' },
      'where "!@wbe": expected a group that is known; "@wbe" is not; nearest is "web"',
    ],
    [{ allHosts: true, where: 'os=suse & @w*x' }, 'a wildcard that fits a group; "@w*x" fits none'],
    [{ groups: 'web', limit: '0' }, 'limit: expected a number of hosts or N%, above 0, got "0"'],
    [{ groups: 'web', pick: '101%' }, 'pick: expected a number of hosts or N%'],
    [{ groups: 'web', pick: 1.5 }, 'pick: expected a number of hosts or N%'],
    [{ groups: 'web', seed: 'x' }, 'seed: it says which hosts "pick" takes'],
    [{ inventory: '/nowhere', groups: 'web' }, 'inventory "/nowhere": there is no such file or folder'],
  ])('%j is refused', (options, message) => {
    expect(() => selectHosts({ inventory: ini(), ...options })).toThrow(message);
  });
});

describe('what matches nothing, allowed', () => {
  test.each<[FleetOptions, string, readonly string[]]>([
    [{ groups: 'db,wbe' }, 'db1 db2 db3', ['"@wbe" is not; nearest is "web"']],
    [{ hosts: 'web1,wbe2,db*' }, 'web1 db1 db2 db3', ['the inventory does not know wbe2; nearest are']],
    [{ hosts: ['db1', 'x*'] }, 'db1', ['"x*" fits none', 'hosts "x*": there is no host in it']],
    [
      { groups: 'db', exclude: ['db2,web1', 'wbe*'] },
      'db1 db3',
      ['"web1" matches none', '"wbe*" fits none', '"wbe*" matches none'],
    ],
    [{ groups: 'db', excludeGroups: 'web' }, 'db1 db2 db3', ['exclusion "@web" matches none of the selected hosts']],
    [{ groups: 'db', where: 'so!=debian & !@wbe' }, 'db1 db2 db3', ['"@wbe" is not', 'no host has a variable "so"']],
    [{ hosts: 'db[1-2]!web1' }, 'db1 db2', ['an exclusion that matches a host before it']],
  ])('%j', (options, expected, told) => {
    const { hosts, warnings } = selectHosts({ inventory: ini(), allowUnmatched: true, ...options });
    expect(Array.from(hosts, ({ label }) => label)).toEqual(expected.split(' '));
    expect(warnings).toEqual(told.map((text) => expect.stringContaining(text)));
  });

  test.each<[FleetOptions, string]>([
    [{ groups: 'wbe' }, 'group "wbe": there is no host in it'],
    [{ hosts: 'x1' }, 'hosts "x1": there is no host in it'],
    [{ allHosts: true, where: 'so=debian' }, 'where "so=debian": it holds for no host'],
    [{ allHosts: true, exclude: '*' }, 'exclusion "*" leaves no host'],
  ])('%j comes to no host all the same', (options, message) => {
    expect(() => selectHosts({ inventory: ini(), allowUnmatched: true, ...options })).toThrow(message);
  });
});

test('groups of where are those of any inventory, of any source', () => {
  const folder = folderOf({ 'groups.yaml': 'roles:\n  web: w[1-3]\n  db: d[1-2]\nracks:\n  r1: w1,d1\n' });
  const of = (where: string) =>
    labels({ inventory: `clustershell:${join(folder, 'groups.yaml')}`, allHosts: true, where });
  expect(of('@web')).toEqual(['w1', 'w2', 'w3']);
  expect(of('!@web & @racks:r1')).toEqual(['d1']);
  expect(() => of('@a:b:c')).toThrow('where "@a:b:c": "@a:b:c": expected a letter, a digit');
  expect(of('@racks:r? | name=d2')).toEqual(['w1', 'd1', 'd2']);
});

test('hosts that stand twice are taken once, and said; those of several groups are no mistake', () => {
  const folder = folderOf({ list: 'w1\nw2 w1\n# w2\nw[1-3]\n', 'hosts.ini': INI });
  const file = join(folder, 'list');
  const of = (options: FleetOptions) => {
    const { hosts, warnings } = selectHosts(options);
    return [hosts.count, warnings];
  };
  const said = (where: string) => `${where}: hosts that stand there more than once are taken once: `;
  expect(of({ hostFiles: file })).toEqual([3, [`${said(`hosts file "${file}"`)}3 left out (w[1-2])`]]);
  expect(of({ hosts: 'a,b,a@a,a' })).toEqual([3, [`${said('hosts "a,b,a@a,a"')}1 left out (a)`]]);
  const inventory = join(folder, 'hosts.ini');
  expect(of({ inventory, hosts: '@web,@site,web1' })).toEqual([12, []]);
  expect(of({ inventory, groups: ['web', 'site'], hosts: 'web1' })).toEqual([12, []]);
});

test('a group "all" is there in Ansible\'s inventories, named or not', () => {
  expect(labels({ inventory: ini(), groups: 'all', exclude: 'web*' })).toEqual(['db1', 'db2', 'db3']);
});

describe('sampling', () => {
  test('the same seed picks the same hosts, in order, each once', () => {
    const pick = (seed: string) => labels({ hosts: '10.0.0.0/8', pick: 50, seed });
    const first = pick('a');
    expect(new Set(first).size).toBe(50);
    expect(pick('a')).toEqual(first);
    expect(pick('b')).not.toEqual(first);
    const places = first.map((label) => label.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  });

  test('every host is as likely as any other', () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 3000; seed++) {
      for (const label of labels({ hosts: 'web[1-10]', pick: 3, seed: `${seed}` })) {
        counts.set(label, (counts.get(label) ?? 0) + 1);
      }
    }
    // 900 each; five standard deviations are 125.
    for (const count of counts.values()) expect(Math.abs(count - 900)).toBeLessThan(125);
    expect(counts.size).toBe(10);
  });

  test('a part of very many is not a list', () => {
    const { hosts } = selectHosts({ hosts: '0.0.0.0/0', limit: '50%' });
    expect(hosts.count).toBe(2 ** 31);
    expect(hosts.at(2 ** 31 - 1).name).toBe('127.255.255.255');
    expect(() => hosts.at(2 ** 31)).toThrow('there is no host');
  });
});
