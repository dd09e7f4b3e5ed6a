/** Every format but Ansible's and ClusterShell's own, and how they are told apart. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { merge } from '../../src/inventory/merged.ts';
import { openInventory } from '../../src/inventory/open.ts';
import { find, folderOf, select } from './kit.ts';

const NODEATTR = '/usr/bin/nodeattr';
if (!existsSync(NODEATTR)) console.warn(`skipped: ${NODEATTR} (Debian package genders) is not installed`);

function open(name: string, text: string, prefix = ''): ReturnType<typeof openInventory> {
  return openInventory(`${prefix}${join(folderOf({ [name]: text }), name)}`);
}

describe('hosts files', () => {
  test('a host set a line; users and ports are found by name', () => {
    const inventory = open('fleet.txt', '# all\nweb[1-3] web7\nroot@db1:2222 # main\n');
    expect(select(inventory, '*')).toEqual(['web1', 'web2', 'web3', 'web7', 'root@db1:2222']);
    expect(find(inventory, 'db1').connection).toEqual({ user: 'root', port: 2222 });
    expect(inventory.find({ label: 'web1', name: 'web1' })).toBeUndefined();
  });

  test('a block of addresses is never listed', () => {
    expect(open('net', '10.0.0.0/8\n').all.count).toBe(2 ** 24);
  });

  test('hosts that stand twice are taken once, and said', () => {
    const inventory = open('fleet.txt', 'web[1-3] web7\nweb2,db1\nweb7\n');
    expect(inventory.all.count).toBe(5);
    expect(inventory.warnings).toEqual([expect.stringMatching(/taken once: 2 left out \(web\[2,7\]\)$/)]);
  });

  test('a mistake says where', () => {
    expect(() => open('fleet.txt', 'web1\nweb[\n')).toThrow(/fleet.txt.*line 2, position 5: expected a number/);
  });
});

test('ssh_config: aliases without wildcards, includes followed', () => {
  const folder = folderOf({
    config:
      'Host web1 "web2" !no *.lan\n  HostName 192.0.2.1\nInclude more/*.conf\nhost=db1 # comment\nMatch host x\nHost bad/name\n',
    'more/a.conf': 'Host inner\n',
  });
  const inventory = openInventory(join(folder, 'config'));
  expect(select(inventory, '*')).toEqual(['web1', 'web2', 'inner', 'db1']);
  expect(inventory.warnings).toEqual([expect.stringContaining('"bad/name" cannot be a host here')]);
});

describe('genders', () => {
  const TEXT = `# comment
web[1,3] web,rack=r1,name=%n-x
web2     web,rack=r2,pct=100%%
web2     name=%n-x
db1,db2  db
lone
`;

  test.skipIf(!existsSync(NODEATTR))('as nodeattr has it', () => {
    const folder = folderOf({ genders: TEXT });
    const path = join(folder, 'genders');
    const inventory = openInventory(path);
    const nodes = (query: string): string[] => {
      const args = ['-f', path, '-n', query];
      return execFileSync(NODEATTR, args, { encoding: 'utf8' })
        .split('\n')
        .filter((line) => line !== '');
    };
    for (const query of ['web', 'rack', 'rack=r1', 'rack=r2', 'db']) {
      expect(select(inventory, `@${query}`).sort(), query).toEqual(nodes(query).sort());
    }
    for (const node of ['web1', 'web2', 'db1', 'lone']) {
      const lines = execFileSync(NODEATTR, ['-f', path, '-l', node], { encoding: 'utf8' }).split('\n');
      const values = lines.filter((line) => line !== '').map((line) => line.split('='));
      expect({ ...find(inventory, node).variables }, node).toEqual(
        Object.fromEntries(values.map(([name, ...value]) => [name, value.join('=')])),
      );
    }
  });

  test('hosts and attributes', () => {
    const inventory = open('genders', TEXT);
    expect(select(inventory, '*')).toEqual(['web1', 'web3', 'web2', 'db1', 'db2', 'lone']);
    expect(() => open('genders', `${TEXT}db[1-9] db\n`)).toThrow('line 7: "db1" has "db" already');
    expect({ ...find(inventory, 'web2').variables }).toEqual({ web: '', rack: 'r2', name: 'web2-x', pct: '100%' });
  });
});

test('cdist: a file per host, tags as groups', () => {
  const inventory = openInventory(folderOf({ web1: 'web\n# c\nprod\n', web2: 'web\n', db1: '' }));
  expect(select(inventory, '@cdist:web')).toEqual(['web1', 'web2']);
  expect(select(inventory, '*')).toEqual(['db1', 'web1', 'web2']);
  expect(find(inventory, 'web1').groups).toEqual(['prod', 'web']);
});

describe('JSON', () => {
  test('a list of hosts', () => {
    const hosts = [
      'web1',
      { host: 'root@db1:2222', groups: ['db'], variables: { os: 'debian', size: 3 }, zone: 'a' },
      { name: 'web2', address: '192.0.2.7', user: 'deploy', port: 2200, identity: '/k' },
    ];
    const inventory = open('hosts.json', JSON.stringify(hosts));
    expect(select(inventory, '*')).toEqual(['web1', 'root@db1:2222', 'web2']);
    expect(find(inventory, 'db1')).toMatchObject({
      host: { label: 'root@db1:2222' },
      connection: { user: 'root', port: 2222 },
      variables: { os: 'debian', size: '3', zone: 'a' },
      groups: ['db'],
    });
    const { connection } = find(inventory, 'web2');
    expect(connection).toEqual({ address: '192.0.2.7', user: 'deploy', port: 2200, identity: '/k' });
  });

  test('a host a line', () => {
    const inventory = open('hosts.ndjson', '"web1"\n{"host":"web2","rack":"r1"}\n\n');
    expect(select(inventory, '*')).toEqual(['web1', 'web2']);
    expect(find(inventory, 'web2').variables.rack).toBe('r1');
    expect(() => open('hosts.ndjson', '"web1"\n{"rack":1}\n')).toThrow(
      'line 2: expected a host\'s name, or an object with "host"',
    );
    expect(() => open('hosts.ndjson', '"web1"\nweb2\n')).toThrow('line 2: expected JSON, got "web2"');
  });

  test('groups', () => {
    const inventory = open('groups.json', '{"web":{"hosts":["web1"],"vars":{"a":1}},"_meta":{"hostvars":{}}}');
    expect(select(inventory, '@web')).toEqual(['web1']);
  });
});

describe('programs', () => {
  test('a command prints hosts, JSON, or a JSON value a line; no shell has part in it', () => {
    expect(select(openInventory('command:echo "web[1-3]" \'$HOME\'x'.replace(" '$HOME'x", ' db1')), '*')).toHaveLength(
      4,
    );
    expect(() => openInventory("command:echo '$HOME'")).toThrow('expected a host name');
    expect(select(openInventory(`command:printf '%s\\n' '{"host":"a"}' '"b"'`), '*')).toEqual(['a', 'b']);
  });

  test('a program without _meta is asked about each host', () => {
    const inventory = open(
      'dynamic',
      '#!/bin/sh\nif [ "$1" = --list ]; then echo \'{"web":["web1","web2"]}\'; else echo "{\\"ansible_port\\": 22$(echo $2 | tail -c 2)}"; fi\n',
    );
    expect(find(inventory, 'web2').connection.port).toBe(222);
  });

  test.each([
    ['#!/bin/sh\necho secret stuff >&2; exit 4\n', 'it failed with exit status 4: "secret stuff"'],
    ['#!/bin/sh\nkill -9 $$\n', 'it failed with SIGKILL'],
    ['#!/nowhere/sh\n', 'it cannot be run'],
    ['#!/bin/sh\necho \'{"web": [}\'\n', 'expected JSON'],
  ])('%j is refused', (text, message) => {
    expect(() => open('dynamic', text)).toThrow(message);
  });
});

test('a program that takes too long is killed, and what it left behind is not waited for', () => {
  const path = join(folderOf({ slow: '#!/bin/sh\nsleep 600 &\necho $! > "$0.pid"\nwait\n' }), 'slow');
  expect(() => openInventory(path, { programMs: 300 })).toThrow('it took too long and was killed');
  process.kill(Number(readFileSync(`${path}.pid`, 'utf8')));
});

describe('what it is', () => {
  test('a private key is no inventory', () => {
    expect(() => open('id', '-----BEGIN OPENSSH PRIVATE KEY-----\n')).toThrow('private keys are named with --identity');
  });

  test.each([
    ['web1 rack=r1\n', 'name=value behind a host is for Ansible or genders; write ansible:'],
    ['', 'there is no such file'],
  ])('%j is refused', (text, message) => {
    const path = join(folderOf(text === '' ? {} : { list: text }), 'list');
    expect(() => openInventory(path)).toThrow(message);
  });

  test('a type that is said is not guessed', () => {
    const path = join(folderOf({ list: 'web1 rack=r1\n' }), 'list');
    expect(find(openInventory(`ansible:${path}`), 'web1').variables.rack).toBe('r1');
    expect(select(openInventory(`genders:${path}`), '@rack=r1')).toEqual(['web1']);
    expect(() => openInventory(`cdist:${path}`)).toThrow('it is a file; cdist inventories are folders');
  });

  test.each([
    ['web1 a,b=c\n', 'genders'],
    ['[web]\nweb1\n', 'ansible'],
    ['web1 ansible_host=192.0.2.1\n', 'ansible'],
    ['web1\n[2001:db8::1]:22\n', 'hosts'],
    ['{"web": {"hosts": ["web1"]}}', 'json'],
    ['["web1"]', 'json'],
    ['---\nweb:\n  hosts:\n    web1:\n', 'ansible'],
    ['Host web1\n  HostName 192.0.2.1\n', 'ssh-config'],
  ])('%j is %s', (text, source) => {
    expect(open('list', text).groups.sources).toEqual([source]);
  });

  test('a folder that may be anything', () => {
    const folder = folderOf({ 'a b': '' });
    expect(() => openInventory(folder)).toThrow('it is not plain what the folder holds; write ansible:');
    mkdirSync(join(folder, 'group_vars'));
    writeFileSync(join(folder, 'hosts'), '[web]\nweb1\n');
    expect(() => openInventory(folder)).not.toThrow();
  });
});

test('several as one: hosts once, groups together, the later one wins', () => {
  const folder = folderOf({
    'a.ini': '[web]\nweb1 rack=a ansible_user=root\nweb2\n',
    'b.ini': '[web]\nweb1 rack=b\nweb3\n[db]\ndb1\n',
    'c.txt': 'web1 new9\n',
  });
  const all = merge(['a.ini', 'b.ini', 'c.txt'].map((name) => openInventory(join(folder, name))));
  expect(select(all, '@web')).toEqual(['web1', 'web2', 'web3']);
  expect(select(all, '@ansible:db')).toEqual(['db1']);
  expect(select(all, '@*')).toEqual(['web1', 'web2', 'web3', 'db1', 'new9']);
  expect(select(all, '@hosts:*')).toEqual(['web1', 'new9']);
  expect(find(all, 'web1')).toMatchObject({
    connection: { user: 'root' },
    variables: { rack: 'b' },
    groups: expect.arrayContaining(['web']),
  });
  expect(Array.from(all.hosts(), ({ host }) => host.label)).toEqual(['web1', 'web2', 'web3', 'db1', 'new9']);
  expect(() => select(all, '@wbe')).toThrow('nearest is "web"');
});

test('hosts that come again in JSON are one, with what is said of them together; it is told', () => {
  const again = '"web1"\n{"host":"web1","os":"a"}\n{"host":"web2"}\n{"host":"web1","os":"b","role":"c"}\n';
  for (const [name, text] of [
    ['hosts.ndjson', again],
    ['hosts.json', `[${again.trim().replaceAll('\n', ',')}]`],
  ] as const) {
    const inventory = open(name, text);
    expect(inventory.all.count).toBe(2);
    expect({ ...find(inventory, 'web1').variables }).toEqual({ os: 'b', role: 'c' });
    expect(inventory.warnings).toEqual([expect.stringMatching(/taken once: 2 left out \(web1\)$/)]);
  }
});
