/** ClusterShell's groups, with ClusterShell (Debian package clustershell) as the oracle. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openInventory } from '../../src/inventory/open.ts';
import { ask, missing } from '../hostset/oracle.ts';
import { folderOf, select } from './kit.ts';

const CONF = `[Main]
default: local
confdir: $CFGDIR/groups.conf.d "$CFGDIR/with blank"
autodir: $CFGDIR/groups.d $CFGDIR/missing

[local]
# a flat file by upcalls
map: sed -n 's/^$GROUP:\\(.*\\)/\\1/p' $CFGDIR/groups.d/local.cfg
all: sed -n 's/^all:\\(.*\\)/\\1/p' $CFGDIR/groups.d/local.cfg
list: sed -n 's/^\\([0-9A-Za-z_-]*\\):.*/\\1/p' $CFGDIR/groups.d/local.cfg
`;

const FILES = {
  'groups.conf': CONF,
  'groups.conf.d/more.conf': '[one,two]\nmap: [ $GROUP = x ] && echo "$SOURCE[1-3]"; true\nlist = echo x\n',
  'with blank/odd.conf': '[odd]\nmap: echo odd1\n  odd2\n',
  'groups.d/local.cfg':
    'adm: example0\nio: example[4-6]\ncompute: example[32-159]\ngpu: example[156-159]\nall: example[4-6,32-159]\n',
  'groups.d/cluster.yaml': `roles:
    adm: 'example0'
    io: '@racks:rack2,example2'
    compute: '@racks:rack[3-4]'
    gpu: '@racks:rack4'
    all: '@io,@compute'
racks:
    rack1: 'example[0,2]'
    rack2: 'example[4-5]'
    rack3: 'example[32-159]'
    rack4: 'example[156-159]'
    old: '@rack[1,3]'
    new: '@rack[2,4]'
    rack5:
        - 'example[200-205]'  # some
        - 'example245'
        - 'example300,example[401-406]'
cpu:
    ivy: 'example[32-63]'
    hsw: '@roles:compute!@ivy'
`,
};

const TEXTS = [
  '@adm',
  '@local:io',
  '@compute!@gpu',
  '@compute&@cpu:ivy',
  '@cpu:hsw',
  '@cpu:hsw^@compute',
  '@roles:*',
  '@racks:*',
  '@racks:rack[1-3],example7',
  '@racks:old!@racks:new',
  '@racks:rack5',
  '@one:x,@two:x',
  '@*',
  '@cpu:*',
  'example3?',
  'example*&example15[6-9]',
  '*!@gpu',
  '@io,example[1-3],example*5&@compute',
  '@@',
  '@@racks',
  '@@roles,@@cpu',
  '@@racks!rack[1-3]',
  '@@racks&rack[1-9],@adm',
];

describe.skipIf(missing)('as ClusterShell has it', () => {
  test('groups.conf, its folders, YAML files and commands', () => {
    const conf = join(folderOf(FILES), 'groups.conf');
    const inventory = openInventory(conf);
    for (const [index, answer] of ask(TEXTS, conf).entries()) {
      const text = TEXTS[index]!;
      if (typeof answer === 'string') throw new Error(`${text}: ${answer}`);
      expect(answer.count, text).toBeGreaterThan(0);
      expect(select(inventory, text).sort(), text).toEqual([...answer.hosts].sort());
    }
  });
});

test('the first source is the default one; a folder is found by its groups.conf', () => {
  const inventory = openInventory(folderOf(FILES));
  expect(inventory.groups.sources[0]).toBe('local');
  expect([...inventory.groups.sources].sort()).toEqual(['cpu', 'local', 'odd', 'one', 'racks', 'roles', 'two']);
});

test('a YAML file and a flat file alone', () => {
  const folder = folderOf(FILES);
  expect(select(openInventory(join(folder, 'groups.d/cluster.yaml')), '@racks:new')).toHaveLength(6);
  const flat = openInventory(join(folder, 'groups.d/local.cfg'));
  expect(select(flat, '@compute')).toHaveLength(128);
  expect(flat.all.count).toBe(131);
});

test('commands run only when a group of theirs is asked for', () => {
  const folder = folderOf({ 'groups.conf': '[a]\nmap: echo $GROUP >> log; echo web1\nlist: exit 1\n' });
  const inventory = openInventory(join(folder, 'groups.conf'));
  expect(select(inventory, 'web9')).toEqual(['web9']);
  expect(select(inventory, '@x,@x')).toEqual(['web1']);
  expect(select(openInventory(`hosts:${join(folder, 'log')}`), '*')).toEqual(['x']);
});

test.each([
  ['[a]\nmap: exit 3\n', '@x', 'map: it failed with exit status 3'],
  ['[a]\nmap: echo oh no >&2; exit 3\n', '@x', 'it failed with exit status 3: "oh no"'],
  ['[a]\nmap: true\nlist: echo web db\n', '@wbe', '"@wbe" is not; nearest is "web"'],
  ['[a]\nmap: true\n', '@*', 'a source that can tell all its hosts'],
  ['[a]\nmap: echo 1 > out\n', '@~x', 'cannot go into a command line'],
  ['[a]\nmap: echo web[\n', '@x', 'expected a group of hosts: "@x": host set "web["'],
])('%j: %s', (conf, text, message) => {
  const inventory = openInventory(join(folderOf({ 'groups.conf': conf }), 'groups.conf'));
  expect(() => select(inventory, text)).toThrow(message);
});

test.each([
  ['map: x\n', 'line 1: expected [section] or name: value, got "map: x"'],
  ['[a]\nall: x\n', 'source "a" has no "map"'],
  ['[Main]\ndefault: b\n[a]\nmap: x\n', 'default source "b" is not defined'],
  ['[a]\nmap: x\n[b,a]\nmap: x\n', 'source "a" is defined twice'],
])('%j is refused', (conf, message) => {
  expect(() => openInventory(join(folderOf({ 'groups.conf': conf }), 'groups.conf'))).toThrow(message);
});
