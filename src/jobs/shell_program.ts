/**
 * Programs for the host's /bin/sh that travel on stdin, so that nothing of them stands in an argument list there.
 *
 * The command line is a constant that sh, bash, csh, fish and rbash read alike. It takes the program as one line with `read`,
 * byte by byte, so that what follows on stdin belongs to the command: dash before 0.5.13 and busybox read a program of `sh -s` in
 * blocks, and would swallow it.
 */
import { MyriadError } from '../contracts/errors.ts';
import { shellQuote } from './template.ts';

/** Reads the program's line and becomes it. The variable's name is ours alone: one of the host's would be exported anew. */
const READ_AND_RUN = 'IFS= read -r _myriad && eval "$_myriad"';

/**
 * For any login shell, which leaves: a signal that ends the command is told as that, and the parent of the program is the server. A
 * restricted bash complains of `exec`, on stderr, and then does the same by itself.
 */
export const BOOTSTRAP = `exec sh -c '${READ_AND_RUN}' || sh -c '${READ_AND_RUN}'`;

/** A status for what went wrong before the command, as env and timeout have it. */
export const NOT_STARTED = 125;

/** A line break within quotes, so that the program stays one line. */
const BREAK = '\'"$_myriad_n"\'';
const BREAK_SET = `_myriad_n=$(printf '\\n.');_myriad_n=\${_myriad_n%.};`;

/** `value` as one word on one line; a program that has such words goes through `oneLine`. */
export function lineQuote(value: string): string {
  return shellQuote(value).replaceAll('\n', BREAK);
}

/** The program as it is sent. */
export function oneLine(program: string): string {
  return `${program.includes('$_myriad_n') ? BREAK_SET : ''}${program}\n`;
}

/** The start of a program's line, of which more is sent. */
export function lineStart(program: string): string {
  return `${BREAK_SET}${program}`;
}

/** What is set around a command. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  readonly umask: string | undefined;
}

/** Statements that make the surroundings, each ended; `exports` in front of the others, which are the user's own. */
export function surround({ env, cwd, umask }: Surroundings, exports: Readonly<Record<string, string>> = {}): string {
  const said = `printf '%s\\n' 'myriad: the command was not started' >&2;exit ${NOT_STARTED};`;
  let program = '';
  if (umask !== undefined) program += `umask ${umask};`;
  // Where HOME or CDPATH are set here, they are not what `cd` goes by; what it says of the directory goes to stderr.
  if (cwd !== undefined) program += `CDPATH= cd -- ${lineQuote(cwd)} >/dev/null||{ ${said}};`;
  for (const [name, value] of Object.entries({ ...exports, ...env })) program += `export ${name}=${lineQuote(value)};`;
  return program;
}

/** Names that no shell lets a program set, and names of ours. */
const TAKEN = new Set(['UID', 'EUID', 'PPID', 'BASHOPTS', 'SHELLOPTS', 'BASH_VERSINFO', '_myriad', '_myriad_n']);
/** The kernel's bound for one string of an environment, with name and end. */
const MAX_STRING = 128 * 1024;
/** Of all values: a host reads the program byte by byte. */
const MAX_TOTAL = 512 * 1024;

/** Throws MyriadError `usage` for names and values that no environment can hold; values are never told. */
export function checkEnvironment(env: Readonly<Record<string, unknown>>, what = 'env'): Record<string, string> {
  const checked: Record<string, string> = {};
  let total = 0;
  for (const [name, value] of Object.entries(env)) {
    const of = `${what} ${JSON.stringify(name)}`;
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw usage(`${of}: a name is letters, digits and _, and begins with no digit`);
    }
    if (TAKEN.has(name)) throw usage(`${of}: shells do not let this be set`);
    if (typeof value !== 'string') throw usage(`${of}: the value must be a string`);
    if (value.includes('\0')) throw usage(`${of}: the value contains a NUL, which no environment can hold`);
    const size = Buffer.byteLength(value) + name.length + 2;
    if (size > MAX_STRING) throw usage(`${of}: the value has ${size} bytes with its name; 128 KiB is the most`);
    total += size;
    checked[name] = value;
  }
  if (total > MAX_TOTAL) throw usage(`${what}: all values have ${total} bytes; 512 KiB is the most`);
  return checked;
}

function usage(message: string): MyriadError {
  return new MyriadError('usage', message);
}

/**
 * What sudo or doas runs as the other user: says that it is there, then reads its program. The marker stands there in two parts, for a
 * sudo that refuses says what it refuses.
 */
export function elevatedBootstrap(marker: string): string {
  return `printf %s%s ${marker.slice(0, 16)} ${marker.slice(16)} >&2;${READ_AND_RUN}`;
}
