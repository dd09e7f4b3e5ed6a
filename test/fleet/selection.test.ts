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
    [{ groups: 'web', exclude: 'db*' }, 'a wildcard that fits a known host; "db*" fits none'],
    [{ groups: 'web', limit: '0' }, 'limit: expected a number of hosts or N%, above 0, got "0"'],
    [{ groups: 'web', pick: '101%' }, 'pick: expected a number of hosts or N%'],
    [{ groups: 'web', pick: 1.5 }, 'pick: expected a number of hosts or N%'],
    [{ groups: 'web', seed: 'x' }, 'seed: it says which hosts "pick" takes'],
    [{ inventory: '/nowhere', groups: 'web' }, 'inventory "/nowhere": there is no such file or folder'],
  ])('%j is refused', (options, message) => {
    expect(() => selectHosts({ inventory: ini(), ...options })).toThrow(message);
  });
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
