/** Reading configuration files: what is asked of the file system, and where the files are. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { MyriadError } from '../../contracts/errors.ts';
import { expandGlob } from './glob.ts';

export interface FileMode {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

export interface ConfigFileSystem {
  /** The text; undefined when there is no such file. Throws when it cannot be read. */
  readonly readFile: (path: string) => string | undefined;
  /** Existing files for an absolute path with wildcards, in order. */
  readonly glob: (pattern: string) => readonly string[];
  /** Owner and permissions; undefined: they are not checked. */
  readonly mode: (path: string) => FileMode | undefined;
}

/** A configuration larger than this is none. */
const MAX_FILE = 16 * 2 ** 20;

export const nodeFileSystem: ConfigFileSystem = {
  readFile: (path) => {
    try {
      const { size } = statSync(path);
      if (size > MAX_FILE) throw new MyriadError('file', `ssh_config "${path}" is larger than ${MAX_FILE} bytes`);
      return readFileSync(path, 'utf8');
    } catch (error) {
      if (error instanceof MyriadError) throw error;
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      // fopen takes a directory, and reading it gives nothing.
      if (code === 'EISDIR') return '';
      throw new MyriadError('file', `ssh_config "${path}" cannot be read (${code})`, { cause: error });
    }
  },
  glob: (pattern) => expandGlob(pattern, { list: listDirectory, exists: existsSync }),
  mode: (path) => statSync(path, { throwIfNoEntry: false }),
};

function listDirectory(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/**
 * Whether a file may be trusted: owned by root or by this user, and writable by nobody else. As Debian does, writable by the
 * group passes for the user's own group of the same number.
 */
export function isTrusted(mode: FileMode, uid: number): boolean {
  if (mode.uid !== 0 && mode.uid !== uid) return false;
  return (
    (mode.mode & 0o002) === 0 && ((mode.mode & 0o020) === 0 || (mode.uid === uid && mode.gid === uid && uid !== 0))
  );
}

/** Which files are read: `-F FILE` replaces both, `-F none` reads none. */
export interface ConfigFiles {
  readonly userFile: string | undefined;
  readonly systemFile: string | undefined;
  /** The user named the file: it must exist, and its permissions are the user's own affair. */
  readonly userFileNamed: boolean;
}

/** The files for the value of `-F`; undefined: the usual ones. */
export function configFiles(flag: string | undefined, home: string): ConfigFiles {
  if (flag === undefined) {
    return { userFile: `${home}/.ssh/config`, systemFile: '/etc/ssh/ssh_config', userFileNamed: false };
  }
  const none = flag.toLowerCase() === 'none';
  return { userFile: none ? undefined : flag, systemFile: undefined, userFileNamed: !none };
}
