import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configFiles, isTrusted, nodeFileSystem } from '../../../src/ssh/config/files.ts';
import { expandGlob } from '../../../src/ssh/config/glob.ts';

const FILES = ['/etc/a/1.conf', '/etc/a/2.conf', '/etc/a/.3.conf', '/etc/a/x', '/etc/b/1.conf', '/etc/b/[z].conf'];
const tree = {
  list: (directory: string) => {
    const start = directory === '/' ? '/' : `${directory}/`;
    const below = FILES.filter((path) => path.startsWith(start)).map((path) => path.slice(start.length).split('/')[0]!);
    return [...new Set(below)].reverse();
  },
  exists: (path: string) => FILES.some((file) => file === path || file.startsWith(`${path}/`)),
};

describe('wildcards in paths', () => {
  test.each<[string, string[]]>([
    ['/etc/a/1.conf', ['/etc/a/1.conf']],
    ['/etc/a/none', []],
    ['/etc/a/*.conf', ['/etc/a/1.conf', '/etc/a/2.conf']],
    ['/etc/a/.*.conf', ['/etc/a/.3.conf']],
    ['/etc/*/1.conf', ['/etc/a/1.conf', '/etc/b/1.conf']],
    ['/*/*/?.conf', ['/etc/a/1.conf', '/etc/a/2.conf', '/etc/b/1.conf']],
    ['/etc/a/[13-9].conf', ['/etc/a/1.conf']],
    ['/etc/a/[!1].conf', ['/etc/a/2.conf']],
    ['/etc/b/\\[z\\].conf', ['/etc/b/[z].conf']],
    ['/etc/b/[[]*', ['/etc/b/[z].conf']],
    ['/etc/none/*', []],
    ['/etc/a/(x|y)', []],
  ])('%j', (pattern, expected) => {
    expect(expandGlob(pattern, tree)).toEqual(expected);
  });
});

test('the file system itself', () => {
  const dir = mkdtempSync(join(tmpdir(), 'myriad-config-'));
  try {
    mkdirSync(join(dir, 'sub'));
    writeFileSync(join(dir, 'b.conf'), 'User b');
    writeFileSync(join(dir, 'a.conf'), 'User a');
    expect(nodeFileSystem.glob(join(dir, '*.conf'))).toEqual([join(dir, 'a.conf'), join(dir, 'b.conf')]);
    expect(nodeFileSystem.readFile(join(dir, 'a.conf'))).toBe('User a');
    expect(nodeFileSystem.readFile(join(dir, 'c.conf'))).toBeUndefined();
    expect(nodeFileSystem.readFile(join(dir, 'sub'))).toBe('');
    expect(nodeFileSystem.mode(join(dir, 'a.conf'))?.uid).toBe(process.getuid?.());
    expect(nodeFileSystem.mode(join(dir, 'c.conf'))).toBeUndefined();
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test.each<[number, number, number, boolean]>([
  [1000, 1000, 0o100600, true],
  [0, 0, 0o100644, true],
  [1000, 1000, 0o100664, true],
  [1000, 50, 0o100664, false],
  [0, 0, 0o100664, false],
  [1000, 1000, 0o100666, false],
  [1001, 1001, 0o100600, false],
])('owner %i, group %i, mode %o is trusted: %j', (uid, gid, mode, expected) => {
  expect(isTrusted({ uid, gid, mode }, 1000)).toBe(expected);
});

test('-F replaces both files, and none reads none', () => {
  const usual = { userFile: '/h/.ssh/config', systemFile: '/etc/ssh/ssh_config', userFileNamed: false };
  expect(configFiles(undefined, '/h')).toEqual(usual);
  expect(configFiles('x', '/h')).toEqual({ userFile: 'x', systemFile: undefined, userFileNamed: true });
  expect(configFiles('NONE', '/h')).toEqual({ userFile: undefined, systemFile: undefined, userFileNamed: false });
});
