import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeFolder } from '../../src/util/make_folder.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'make-folder-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('making a folder', () => {
  test('makes those above it, too, for its owner only where that is asked for', () => {
    const folder = join(dir, 'a/b/c');
    makeFolder(folder, 0o700);
    for (const made of ['a', 'a/b', 'a/b/c']) expect(statSync(join(dir, made)).mode & 0o777).toBe(0o700);
  });

  test('leaves one that is there as it is', () => {
    mkdirSync(join(dir, 'a'), { mode: 0o750 });
    makeFolder(join(dir, 'a'), 0o700);
    expect(statSync(join(dir, 'a')).mode & 0o777).toBe(0o750);
  });

  // With `recursive`, mkdirSync never came back from the last two.
  test.each([
    ['a file in its place', () => join(dir, 'file'), 'EEXIST'],
    ['a file above it', () => join(dir, 'file/a/b'), 'ENOTDIR'],
    ['/proc', () => '/proc/myriad/runs', 'ENOENT'],
    ['/proc/self', () => '/proc/self/myriad/a/b/c', 'ENOENT'],
  ])('says what stands in the way: %s', (_name, folder, code) => {
    writeFileSync(join(dir, 'file'), '');
    expect(() => makeFolder(folder())).toThrow(expect.objectContaining({ code }));
  });
});
