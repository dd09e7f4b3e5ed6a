/** Where settings are: the user's file, the project's, or one that was named; and whether they may be trusted at all. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const FILE_NAME = 'myriad.yaml';
const MAX_BYTES = 1 << 20;

/** `named`: given by --settings or MYRIAD_SETTINGS, instead of both others. */
export type Layer = 'user' | 'project' | 'named';

export interface SettingsFile {
  readonly layer: Layer;
  readonly file: string;
}

/** What is around the process; for tests another one. */
export interface Surroundings {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  readonly home: string;
}

export function surroundings(): Surroundings {
  return { cwd: process.cwd(), env: process.env, uid: process.getuid?.() ?? 0, home: homedir() };
}

export function userFile({ env, home }: Surroundings): string {
  const base = env.XDG_CONFIG_HOME?.startsWith('/') ? env.XDG_CONFIG_HOME : join(home, '.config');
  return join(base, 'myriad', FILE_NAME);
}

/** The files that there are, the weakest first. A named one is taken as it is: whether it is there is seen when it is read. */
export function findFiles(around: Surroundings, named: string | undefined): SettingsFile[] {
  if (named === 'none') return [];
  if (named !== undefined) return [{ layer: 'named', file: resolve(around.cwd, named) }];
  const user = userFile(around);
  const files: SettingsFile[] = isThere(user) ? [{ layer: 'user', file: user }] : [];
  const project = projectFile(around);
  if (project !== undefined && project !== user) files.push({ layer: 'project', file: project });
  return files;
}

/**
 * From the working directory up to the root of its repository, or to the home where that is above. Elsewhere the working
 * directory alone: above it there may be folders of anybody.
 */
function projectFile({ cwd, home }: Surroundings): string | undefined {
  const folders: string[] = [];
  for (let folder = cwd; ; folder = dirname(folder)) {
    folders.push(folder);
    if (folder === home || isThere(join(folder, '.git'))) break;
    if (folder === dirname(folder)) {
      folders.length = 1;
      break;
    }
  }
  return folders.map((folder) => join(folder, FILE_NAME)).find(isThere);
}

function isThere(path: string): boolean {
  try {
    // A link that leads nowhere is there, too: it is said when it is read.
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

/** The text, or why it is not taken: one sentence without the file's name. */
export function readSettings(file: string, uid: number): { readonly text: string } | { readonly problem: string } {
  let descriptor: number;
  try {
    // Not waiting for whoever might write to a pipe of that name.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    return { problem: `it cannot be read: ${(cause as NodeJS.ErrnoException).code}` };
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) return { problem: 'it is not a regular file' };
    const problem = unsafe(stat, uid) ?? unsafeFolder(dirname(file), uid);
    if (problem !== undefined) return { problem };
    if (stat.size > MAX_BYTES) return { problem: 'it is larger than 1 MiB' };
    const bytes = Buffer.alloc(MAX_BYTES);
    let length = 0;
    for (let read = 1; read > 0 && length < MAX_BYTES; length += read) {
      read = readSync(descriptor, bytes, length, MAX_BYTES - length, null);
    }
    return { text: bytes.toString('utf8', 0, length) };
  } finally {
    closeSync(descriptor);
  }
}

interface Owned {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** Settings say what runs, and as whom: whoever can write them is one of those who decide. */
function unsafe(stat: Owned, uid: number): string | undefined {
  if (stat.uid !== uid && stat.uid !== 0) return `its owner is uid ${stat.uid}; it must be yours, or root's`;
  // As for ssh_config: the user's own group, of the same number, is nobody else.
  const ownGroup = stat.uid === uid && stat.gid === uid && uid !== 0;
  if ((stat.mode & (ownGroup ? 0o002 : 0o022)) !== 0) return 'others may write to it; chmod go-w it';
  return undefined;
}

const STICKY = 0o1000;

function unsafeFolder(folder: string, uid: number): string | undefined {
  const { mode, uid: owner } = statSync(folder);
  if (owner !== uid && owner !== 0) return `its folder belongs to uid ${owner}; it must be yours, or root's`;
  // In /tmp and its like only the owner of a file can put another in its place.
  if ((mode & 0o002) !== 0 && (mode & STICKY) === 0) return 'everybody may write to its folder; chmod o-w that';
  return undefined;
}
