/** Ansible's inventories, with `ansible-inventory --list` (Debian package ansible-core) as the oracle. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { HostSet } from '../../src/hostset/hostset.ts';
import type { Inventory } from '../../src/inventory/inventory.ts';
import { openInventory } from '../../src/inventory/open.ts';
import { find, folderOf, select } from './kit.ts';

const ORACLE = '/usr/bin/ansible-inventory';
const missing = !existsSync(ORACLE);
if (missing) console.warn(`skipped: ${ORACLE} (Debian package ansible-core) is not installed`);

interface Listed {
  readonly hosts?: string[];
  readonly children?: string[];
}
type List = Readonly<Record<string, Listed>> & {
  readonly _meta: { readonly hostvars: Readonly<Record<string, Readonly<Record<string, unknown>>>> };
};

const INI = `
# before any section
lonely ansible_host=192.0.2.9
[web]
web[01:03].example.org ansible_port=2222 rack=a1   # a comment
web[04:10:3].example.org ansible_user=deploy note='two words' quoted="it's"
db-[a:c]:2200
[web:vars]
tier=front
os = debian
text="quoted text"
[db]
db-[a:b]
[db:vars]
tier=back
[site:children]
web
db
[site:vars]
tier=site
ntp=ntp.example.org
[all:vars]
ansible_user=root
os=any
`;

const YAML = `
all:
  vars: { os: any, ansible_user: root }
  children:
    web:
      hosts:
        web[1:3]: { rack: a1, ansible_port: 2222 }
        web4:
          ansible_host: 192.0.2.4
          list: [1, two]
      vars: &common
        tier: front
      children:
        edge:
          hosts: { edge1: , web1: }
          vars: { <<: *common, tier: edge }
    ungrouped:
      hosts:
        lonely:
other:
  hosts: { web2: { rack: b2 } }
  vars: { ansible_group_priority: 10, rack: never, zone: z }
`;

const PROGRAM = `#!/bin/sh
[ "$1" = --list ] || exit 3
cat <<'END'
{"web": {"hosts": ["web1", "web2"], "vars": {"tier": "front", "port": 80}, "children": ["edge"]},
 "edge": ["edge1"], "empty": {"hosts": []}, "all": {"vars": {"os": "any"}},
 "_meta": {"hostvars": {"web1": {"ansible_host": "192.0.2.1", "nested": {"a": [1, 2]}}, "stray": {"x": 1}}}}
END
`;

const CASES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'hosts.ini': {
    'hosts.ini': INI,
    'group_vars/all.yml': 'os: from-file\nfile: yes-it-is\n',
    'group_vars/db/one.yml': 'tier: filed\n',
    'group_vars/db/two.yml': 'tier: filed-later\n',
    'host_vars/db-a.yaml': 'os: own\n',
    'group_vars/nobody.yml': 'a: b\n',
  },
  'site.yml': { 'site.yml': YAML },
  program: { program: PROGRAM },
};

/** `ansible-inventory --list`; no settings of this machine take part. */
async function list(path: string): Promise<List> {
  const env = { PATH: '/usr/bin:/bin', HOME: join(path, '..'), LC_ALL: 'C.UTF-8' };
  const { stdout } = await promisify(execFile)(ORACLE, ['-i', path, '--list'], { env });
  return JSON.parse(stdout) as List;
}

function membersOf(all: List, group: string): Set<string> {
  const { hosts = [], children = [] } = all[group] ?? {};
  return new Set([...hosts, ...children.flatMap((child) => [...membersOf(all, child)])]);
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Variables by host: scalars in lists stay text for us. */
function variablesOf(inventory: Inventory): Record<string, Record<string, string>> {
  return Object.fromEntries(Array.from(inventory.hosts(), ({ host, variables }) => [host.label, { ...variables }]));
}

describe.skipIf(missing)('as ansible-inventory has it', () => {
  test.each(Object.entries(CASES))('%s', { timeout: 30_000 }, async (name, files) => {
    const path = join(folderOf(files), name);
    const theirs = await list(path);
    const ours = openInventory(path);
    const { _meta, ...groups } = theirs;
    const hosts = membersOf(theirs, 'all');
    expect(hosts.size).toBeGreaterThanOrEqual(3);
    expect(select(ours, '@*').sort()).toEqual([...hosts].sort());
    for (const group of Object.keys(groups)) {
      const members = ours.groups.members(undefined, group);
      expect(Array.from(members as HostSet, ({ label }) => label).sort(), group).toEqual(
        [...membersOf(theirs, group)].sort(),
      );
    }
    const variables = variablesOf(ours);
    for (const host of hosts) {
      const expected = Object.entries(_meta.hostvars[host] ?? {}).map(([key, value]) => [key, textOf(value)]);
      const { list: _list, ...rest } = variables[host]!;
      expect(rest, host).toEqual(Object.fromEntries(expected.filter(([key]) => key !== 'list')));
    }
  });
});

test('what comes of the variables that say how a host is reached', () => {
  const text =
    'web1 ansible_host=2001:db8::1 ansible_port=2222 ansible_user=me ansible_ssh_private_key_file=/k\nweb2:2200\n';
  const inventory = openInventory(join(folderOf({ 'h.ini': text }), 'h.ini'));
  expect(find(inventory, 'web1').connection).toEqual({
    address: '2001:db8::1',
    port: 2222,
    user: 'me',
    identity: '/k',
  });
  expect(find(inventory, 'web2').connection.port).toBe(2200);
  expect(inventory.warnings).toEqual([]);
  expect(inventory.hasKeys).toBe(true);
});

test('encrypted values are left out, and said', () => {
  const folder = folderOf({
    'site.yml': 'web:\n  hosts:\n    web1: { secret: !vault "abc", plain: x }\n',
    'group_vars/web/vault.yml': '$ANSIBLE_VAULT;1.1;AES256\n6162\n',
  });
  const inventory = openInventory(join(folder, 'site.yml'));
  expect({ ...find(inventory, 'web1').variables }).toEqual({ plain: 'x' });
  expect(inventory.warnings).toEqual([
    expect.stringContaining('variable "secret" of host "web1" is encrypted and left out'),
    expect.stringContaining('vault.yml" is encrypted and left out'),
  ]);
});

test('a few lines of YAML that stand for a billion are no variable', () => {
  const layers = Array.from(
    { length: 9 },
    (_, index) => `  v${index + 1}: &v${index + 1} [${Array(10).fill(`*v${index}`).join(', ')}]\n`,
  );
  const text = `web:\n hosts: { web1: }\n vars:\n  v0: &v0 [x]\n${layers.join('')}`;
  const inventory = openInventory(join(folderOf({ 'site.yml': text }), 'site.yml'));
  expect(Object.keys(find(inventory, 'web1').variables)).toEqual(['v0', 'v1', 'v2', 'v3']);
  expect(inventory.warnings[0]).toContain('variable "v4" of group "web" is too large');
});

test.each([
  ['h.ini', 'web[1:3\n', 'line 1: "web[1:3": a bracket is not closed'],
  ['h.ini', '[web]\nweb[3:1]\n', 'line 2: "web[3:1]": "[3:1]" is no range'],
  ['h.ini', '[web]\nweb[1:99999999]\n', 'is no range'],
  ['h.ini', '[web]\nweb1 rack\n', 'line 2: expected name=value, got "rack"'],
  ['h.ini', "[web]\nweb1 a='b\n", 'line 2: a quote is not closed'],
  ['h.ini', '[web:host]\n', 'line 1: sections are [group], [group:children] and [group:vars]'],
  ['h.ini', '[web:vars]\na=b\n', '[web:vars] is for a group that no section makes'],
  ['h.ini', '[a:children]\nb\n[b:children]\na\n', 'groups go round in a circle: a > b > a'],
  ['h.ini', '[web]\nweb1 ansible_port=70000\n', 'host "web1": port "70000" is none'],
  ['h.ini', '[web]\nweb1 ansible_host=-oProxyCommand=x\n', 'is no name or address'],
  ['h.yml', 'web: [1\n', 'line 2, column 1'],
  ['h.yml', 'web: { hosts: 5 }\n---\na: 1\n', 'it has 2 YAML documents'],
  ['h.yml', 'web: { hosts: [[1]] }\n', 'group "web": expected names'],
  ['h.yml', '- web1\n', 'it is not plain whose groups these are'],
])('%s: %j is refused', (name, text, message) => {
  const path = join(folderOf({ [name]: text }), name);
  expect(() => [...openInventory(path).hosts()]).toThrow(message);
});
