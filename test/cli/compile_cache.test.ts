import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { cacheFolder } from '../../src/cli/compile_cache.ts';

const uid = process.geteuid?.();
let home: string;
let folder: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'myriad-compiled-'));
  folder = join(home, '.cache/myriad');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const found = (more: Readonly<Record<string, string>> = {}) => cacheFolder({ uid, env: { HOME: home, ...more } });

it('is made, for its user alone', () => {
  expect(found()).toBe(folder);
  expect(lstatSync(folder).mode & 0o777).toBe(0o700);
  expect(found()).toBe(folder);
});

it('is where XDG_CACHE_HOME says, when that is a path from the root', () => {
  expect(found({ XDG_CACHE_HOME: join(home, 'kept') })).toBe(join(home, 'kept/myriad'));
  expect(found({ XDG_CACHE_HOME: 'kept' })).toBe(folder);
});

/** Makes a folder somebody else's, and says who looks at it: root can give it away, others can be looked at as others. */
function foreign(path: string): number {
  if (uid !== 0) return uid! + 1;
  chownSync(path, 12345, 12345);
  return uid;
}

it('is never in the home of another user, as under sudo', () => {
  expect(cacheFolder({ uid: foreign(home), env: { HOME: home } })).toBeUndefined();
  expect(readdirSync(home)).toEqual([]);
});

it('is refused when another user made it first, where everybody may make one', () => {
  chmodSync(home, 0o1777);
  const env = { XDG_CACHE_HOME: home };
  expect(cacheFolder({ uid, env })).toBe(join(home, 'myriad'));
  expect(cacheFolder({ uid: foreign(join(home, 'myriad')), env })).toBeUndefined();
});

it('is refused when it is a link', () => {
  mkdirSync(join(home, 'elsewhere'), { mode: 0o700 });
  mkdirSync(join(home, '.cache'), { mode: 0o700 });
  symlinkSync(join(home, 'elsewhere'), folder);
  expect(found()).toBeUndefined();
});

it.each([
  ['itself can be read by others', '.cache/myriad', 0o755],
  ['others can rename it', '.cache', 0o777],
  ['others can rename what it is in', '.', 0o777],
])('is refused when %s', (_why, path, mode) => {
  expect(found()).toBe(folder);
  chmodSync(join(home, path), mode);
  expect(found()).toBeUndefined();
});

it('is done without where there is no home, or none to write to', () => {
  expect(cacheFolder({ uid, env: {} })).toBeUndefined();
  expect(cacheFolder({ uid: undefined, env: { HOME: home } })).toBeUndefined();
  expect(found({ HOME: join(home, 'gone') })).toBeUndefined();
  writeFileSync(join(home, 'file'), '');
  expect(found({ HOME: join(home, 'file') })).toBeUndefined();
});

it('is emptied once too much is in it', () => {
  mkdirSync(join(found()!, 'v99'));
  for (let at = 0; at < 600; at += 1) writeFileSync(join(folder, 'v99', `${at}`), '');
  expect(found()).toBe(folder);
  expect(readdirSync(folder)).toEqual([]);
});
