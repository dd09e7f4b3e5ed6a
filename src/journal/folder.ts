/**
 * Where journals live: `$XDG_STATE_HOME/myriad/runs/`, on a network file system `/var/tmp/myriad-UID/` instead, since the
 * shared memory of SQLite's write-ahead log does not reach other machines.
 *
 * A run's files: `TIME-ID.db` (and what SQLite keeps beside it), `TIME-ID.lock`, `TIME-ID.outputs/` for large outputs. The
 * time in front sorts them without opening any. None of them may be opened but through SQLite while it is in use: closing
 * any other descriptor of it would drop the locks of this process.
 */
import { chmodSync, lstatSync, readdirSync, readFileSync, type Stats, statfsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { MyriadError } from '../contracts/errors.ts';
import { makeFolder } from '../util/make_folder.ts';

/** Of statfs(2): file systems of other machines, or shared with them. */
const NETWORK_TYPES: ReadonlyMap<number, string> = new Map([
  [0x6969, 'nfs'],
  [0x517b, 'smb'],
  [0xfe534d42, 'smb'],
  [0xff534d42, 'cifs'],
  [0x01021997, '9p'],
  [0x00c36400, 'ceph'],
  [0x5346414f, 'afs'],
  [0x6b414653, 'afs'],
  [0x73757245, 'coda'],
  [0x564c, 'ncp'],
  [0x0bd00bd0, 'lustre'],
  [0x47504653, 'gpfs'],
  [0x19830326, 'beegfs'],
  [0x01161970, 'gfs2'],
  [0x7461636f, 'ocfs2'],
  [0x786f4256, 'vboxsf'],
]);

/** sshfs and its like; which one is only in the table of mounts. */
const FUSE = 0x65735546;

/** FUSE file systems over a disk of this machine. */
const LOCAL_FUSE = new Set(['fuseblk', 'fuse.fuse-overlayfs']);

export interface FolderOptions {
  /** The user's own choice, used whatever it is on. */
  readonly folder?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  /** Hears, in one sentence, that the journal lies elsewhere. */
  readonly tell: (sentence: string) => void;
  /** The name of a network file system, undefined for any other. @default by statfs(2) */
  readonly networkType?: ((folder: string) => string | undefined) | undefined;
  /** @default '/var/tmp' */
  readonly varTmp?: string | undefined;
}

/** The folder, which is there afterwards. Throws MyriadError `journal` where it cannot be or is not safe. */
export function journalFolder(options: FolderOptions): string {
  const { env, uid } = options;
  if (options.folder !== undefined) return made(resolve(options.folder));
  const state = env.XDG_STATE_HOME;
  // The specification says: a path that is not absolute is to be ignored.
  const base = state !== undefined && isAbsolute(state) ? state : join(env.HOME || homedir(), '.local/state');
  const usual = privateFolder(join(base, 'myriad/runs'), uid);
  const network = (options.networkType ?? networkType)(usual);
  if (network === undefined) return usual;
  const local = privateFolder(join(options.varTmp ?? '/var/tmp', `myriad-${uid}`), uid);
  options.tell(`the journal is kept in ${local}, because ${usual} is on a network file system (${network})`);
  return local;
}

/** A folder that is there already, for those who only look. Throws MyriadError `journal`. */
export function findFolder(folder: string): string {
  const path = resolve(folder);
  let found: Stats | undefined;
  try {
    found = statSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw unusable(path, (cause as Error).message, cause);
  }
  if (found === undefined) throw new MyriadError('journal', `journal folder ${path} is not there`);
  if (!found.isDirectory()) throw new MyriadError('journal', `journal folder ${path} is not a directory`);
  return path;
}

function made(folder: string): string {
  try {
    makeFolder(folder, 0o700);
  } catch (cause) {
    throw unusable(folder, (cause as Error).message, cause);
  }
  return folder;
}

/** A folder of this user alone: others must neither read it nor have put it there. */
function privateFolder(folder: string, uid: number): string {
  made(folder);
  const found = lstatSync(folder);
  if (found.isSymbolicLink()) throw unusable(folder, 'it is a symbolic link');
  if (!found.isDirectory()) throw unusable(folder, 'it is not a directory');
  if (found.uid !== uid) throw unusable(folder, `it belongs to user ${found.uid}`);
  if ((found.mode & 0o077) === 0) return folder;
  try {
    chmodSync(folder, 0o700);
  } catch (cause) {
    throw unusable(folder, 'others may read it', cause);
  }
  return folder;
}

function unusable(folder: string, why: string, cause?: unknown): MyriadError {
  const advice = 'choose another with --journal, or run with --no-journal';
  return new MyriadError('journal', `journal folder ${folder} cannot be used: ${why}; ${advice}`, { cause });
}

/** The network file system that a folder is on; undefined where it is none. */
export function networkType(folder: string): string | undefined {
  const { type } = statfsSync(folder);
  // statfs gives a signed number on some platforms.
  const magic = type >>> 0;
  if (magic !== FUSE) return NETWORK_TYPES.get(magic);
  const name = mountType(folder, mounts());
  return name !== undefined && LOCAL_FUSE.has(name) ? undefined : (name ?? 'fuse');
}

function mounts(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return '';
  }
}

/** The type of the file system that holds a path, by the table of mounts: the longest mount point over it. */
export function mountType(path: string, table: string): string | undefined {
  let best = '';
  let type: string | undefined;
  for (const line of table.split('\n')) {
    const [before, after] = line.split(' - ');
    const point = before
      ?.split(' ')[4]
      ?.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
    if (point === undefined || after === undefined) continue;
    const holds = path === point || path.startsWith(point.endsWith('/') ? point : `${point}/`);
    if (!holds || point.length < best.length) continue;
    best = point;
    type = after.split(' ')[0];
  }
  return type;
}

const ID = /^[0-9A-Za-z][0-9A-Za-z-]{0,63}$/;
const FILE = /^(\d{8}T\d{9})-([0-9A-Za-z][0-9A-Za-z-]{0,63})\.db$/;

/** The files of one run. */
export interface RunFiles {
  readonly id: string;
  readonly db: string;
  readonly lock: string;
  readonly outputs: string;
}

/** Throws MyriadError `journal` for an id that is no file name. */
export function newRunFiles(folder: string, id: string, startedAt: number): RunFiles {
  if (!ID.test(id)) throw new MyriadError('journal', `"${id}" is no id of a run: letters, digits and "-", at most 64`);
  const time = new Date(startedAt).toISOString().replace(/[-:.Z]/g, '');
  return runFiles(folder, `${time}-${id}.db`, id);
}

/** When a run began, by the name of its file: milliseconds since the epoch. */
export function startedAt({ db }: RunFiles): number {
  const [, year, month, day, hour, minute, second, ms] = /(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})-[^/]*$/
    .exec(db)!
    .map(Number);
  return Date.UTC(year!, month! - 1, day!, hour!, minute!, second!, ms!);
}

function runFiles(folder: string, file: string, id: string): RunFiles {
  const stem = join(folder, file.slice(0, -3));
  return { id, db: `${stem}.db`, lock: `${stem}.lock`, outputs: `${stem}.outputs` };
}

/** The runs of a folder, newest first, by the names of their files alone. */
export function listRunFiles(folder: string): RunFiles[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw unusable(folder, (cause as Error).message, cause);
  }
  const runs: RunFiles[] = [];
  for (const name of names.sort().reverse()) {
    const [, , id] = FILE.exec(name) ?? [];
    if (id !== undefined) runs.push(runFiles(folder, name, id));
  }
  return runs;
}

/** The run that is meant by an id, `last` or `-N`. Throws MyriadError `journal` where there is none. */
export function findRun(folder: string, ref: string): RunFiles {
  const runs = listRunFiles(folder);
  const back = ref === 'last' ? 1 : /^-\d{1,9}$/.test(ref) ? Number(ref.slice(1)) : undefined;
  const found = back === undefined ? runs.find((run) => run.id === ref) : runs[back - 1];
  if (found !== undefined) return found;
  if (runs.length === 0) throw new MyriadError('journal', `no run is recorded in ${folder}`);
  const near = back === undefined ? nearest(ref, runs) : [];
  const known = `it holds ${runs.length}, ${near.length > 0 ? `the nearest ${near.length > 1 ? 'are' : 'is'} ${near.join(', ')}` : `the last is ${runs[0]!.id}`}`;
  throw new MyriadError('journal', `run "${ref}" is not in the journal ${folder}: ${known}`);
}

/** Ids that begin or end as `ref` does: what a copy that lacks a piece, or has a typing mistake in one, still has. */
function nearest(ref: string, runs: readonly RunFiles[]): string[] {
  const least = Math.max(3, Math.ceil(ref.length / 2));
  return runs
    .map(({ id }) => ({ id, shared: Math.max(shared(id, ref), shared(reversed(id), reversed(ref))) }))
    .filter(({ shared }) => shared >= least)
    .sort((a, b) => b.shared - a.shared)
    .slice(0, 3)
    .map(({ id }) => id);
}

/** Characters that two texts have in common from their start. */
function shared(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

function reversed(text: string): string {
  return [...text].reverse().join('');
}
