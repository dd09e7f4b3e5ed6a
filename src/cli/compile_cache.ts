/**
 * V8's compiled code, kept from one start to the next in `$XDG_CACHE_HOME/myriad`. Whoever can write there decides what is
 * executed; so it is used only where nobody but its user and root can, and is never another user's, as under sudo.
 */
import { lstatSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import nodeModule from 'node:module';
import { dirname, isAbsolute, join } from 'node:path';
import { makeFolder } from '../util/make_folder.ts';

/** A version of Myriad leaves about 60 files, 1.5 MB, for each version of Node and each place that it is installed at. */
const MOST_FILES = 600;

const STICKY = 0o1000;

export interface CacheUser {
  /** undefined: a system without users, where nothing is kept. */
  readonly uid: number | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** From here on what is loaded is compiled once for many starts. Where that cannot be, a start takes 30 ms more. */
export function keepCompiled(): void {
  // NODE_COMPILE_CACHE named a folder: Node has seen to it.
  if (nodeModule.getCompileCacheDir() !== undefined) return;
  const folder = cacheFolder({ uid: process.geteuid?.(), env: process.env });
  if (folder !== undefined) nodeModule.enableCompileCache(folder);
}

/** The folder, made where there is none. Undefined: there is none that is safe. */
export function cacheFolder({ uid, env }: CacheUser): string | undefined {
  const { XDG_CACHE_HOME: named = '', HOME: home = '' } = env;
  const base = isAbsolute(named) ? named : isAbsolute(home) ? join(home, '.cache') : undefined;
  if (uid === undefined || base === undefined) return undefined;
  const folder = join(base, 'myriad');
  try {
    if (!makeIn(base, uid) || !makeIn(folder, uid) || !isPrivate(folder, uid)) return undefined;
    bound(folder);
    return folder;
  } catch {
    // Nothing of it is needed: a home that is not there, or cannot be written to.
    return undefined;
  }
}

/** Makes a folder that is not there yet, unless it would stand where others can put another in its place. */
function makeIn(folder: string, uid: number): boolean {
  const safe = isSafe(realpathSync(dirname(folder)), uid);
  if (safe) makeFolder(folder, 0o700);
  return safe;
}

/** Whether nobody but its user and root can rename what is in it, nor itself. */
function isSafe(folder: string, uid: number): boolean {
  const { uid: owner, gid, mode } = lstatSync(folder);
  // A group of its user's own, as many systems have it, is nobody else.
  const others = owner === uid && gid === uid ? 0o002 : 0o022;
  const held = (mode & others) === 0 || (mode & STICKY) !== 0;
  const above = dirname(folder);
  return held && (owner === uid || owner === 0) && (above === folder || isSafe(above, uid));
}

/** Not a link: that would lead to a folder of which only this name was looked at. */
function isPrivate(folder: string, uid: number): boolean {
  const found = lstatSync(folder);
  return found.isDirectory() && found.uid === uid && (found.mode & 0o077) === 0;
}

/** What was compiled for versions that are gone stays, until there is too much of it. */
function bound(folder: string): void {
  if (readdirSync(folder, { recursive: true }).length <= MOST_FILES) return;
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
}
