/**
 * The job `script`: a script of ours, run there by its interpreter, which never finds it on the host's disk.
 *
 * The interpreter reads it from a pipe, `/dev/fd/3`, and its stdin stays free: a program within the script that reads stdin must not
 * eat the rest of the script, as it does under `sh -s`. Nothing runs before the whole of it has arrived:
 *
 *   line   up to 64 KiB, more where stdin is given: a word of the program's line, which runs only with its end
 *   text   longer ones: into a variable of the shell, up to a random mark at their end
 *   file   with a NUL or bytes that are no UTF-8, which no variable holds: a file that only its user may read, whose length is checked,
 *          and whose name is gone before the interpreter starts, so that nothing is left behind whoever is killed
 */
import { isUtf8 } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { MyriadError } from '../contracts/errors.ts';
import type { Outcome } from '../contracts/outcome.ts';
import {
  checkExecution,
  type Execution,
  type ExecutionOptions,
  leaseOf,
  prepareExecution,
  surroundTask,
} from './execution.ts';
import type { JobKind, TaskContext } from './job.ts';
import { checkOkStatus, checkOptions, checkStdin, checkText, type OkStatus, shown } from './process_job.ts';
import { type Program, runProgram } from './program_run.ts';
import { lineQuote, NOT_STARTED } from './shell_program.ts';
import { shellQuote } from './template.ts';

export interface ScriptOptions {
  /** Its name here: for people, and for the log of sudo. */
  readonly name: string;
  /** At most 8 MiB. */
  readonly content: Uint8Array;
  /** One word each, as they are. @default [] */
  readonly args?: readonly string[];
  /** Program and options. @default as its first line says (`#!`), else sh */
  readonly interpreter?: readonly string[];
  /** Exit statuses that count as ok. @default [0] */
  readonly okStatus?: OkStatus;
  /** Sent to its stdin, then its end. @default stdin is empty */
  readonly stdin?: Uint8Array | undefined;
  /** The run lends a stdin, see TaskContext. @default false */
  readonly lentStdin?: boolean;
  readonly execution?: ExecutionOptions | undefined;
}

/** Of a script. */
export const MAX_SCRIPT = 8 * 1024 * 1024;
/** Of a script in the program's line, which the host reads byte by byte. */
const LINE = 64 * 1024;
const LINE_WITH_STDIN = 512 * 1024;

const KNOWN = ['name', 'content', 'args', 'interpreter', 'okStatus', 'stdin', 'lentStdin', 'execution'] as const;

function validate(options: unknown): ScriptOptions {
  const { name, content, args = [], interpreter, okStatus, stdin, ...rest } = checkOptions('script', options, KNOWN);
  if (!(content instanceof Uint8Array)) {
    throw new MyriadError(
      'usage',
      `job "script": option "content" must be bytes (a Uint8Array), not ${shown(content)}`,
    );
  }
  const title = checkText('script', 'name', name, 'refuse');
  const named = `script ${JSON.stringify(title)}`;
  if (content.length === 0) throw new MyriadError('usage', `${named} is empty`);
  if (content.length > MAX_SCRIPT)
    throw new MyriadError('usage', `${named} has ${content.length} bytes; 8 MiB is the most`);
  const checked = {
    name: title,
    content,
    args: checkWords('args', args),
    ...(interpreter === undefined ? {} : { interpreter: checkInterpreter(interpreter) }),
    okStatus: checkOkStatus('script', okStatus),
    stdin: stdin === undefined ? undefined : checkStdin('script', stdin),
    lentStdin: rest.lentStdin === true,
    execution: checkExecution('script', rest.execution),
  };
  checkWithStdin(named, checked);
  return checked;
}

/** Where stdin is given, its interpreter finds both. */
function checkWithStdin(named: string, checked: ScriptOptions): void {
  if (!hasStdin(checked)) return;
  if (wayOf(checked) !== 'line') {
    throw new MyriadError('usage', `${named}: with stdin a script must be UTF-8 text of at most 512 KiB`);
  }
  if (readsStdin(interpreterOf(checked))) {
    throw new MyriadError(
      'usage',
      `${named}: its interpreter takes the script from stdin, so that no other can be given`,
    );
  }
}

function hasStdin({ stdin, lentStdin }: Pick<ScriptOptions, 'stdin' | 'lentStdin'>): boolean {
  return stdin !== undefined || lentStdin === true;
}

function checkWords(name: string, value: unknown): string[] {
  if (!Array.isArray(value)) {
    throw new MyriadError('usage', `job "script": option "${name}" must be a list of strings, not ${shown(value)}`);
  }
  return value.map((word: unknown, i) => checkText('script', `${name}[${i}]`, word, 'allow'));
}

function checkInterpreter(value: unknown): string[] {
  const words = checkWords('interpreter', value);
  if (words.length === 0 || words[0]!.trim() === '') {
    throw new MyriadError('usage', 'job "script": option "interpreter" is empty: name a program, such as python3');
  }
  return words;
}

/** The words before the script: as asked for, as `#!` says, else sh. */
export function interpreterOf({ content, interpreter }: Pick<ScriptOptions, 'content' | 'interpreter'>): string[] {
  if (interpreter !== undefined) return [...interpreter];
  const start = Buffer.from(content.buffer, content.byteOffset, Math.min(content.length, 1024)).toString('latin1');
  // A script that was written on Windows ends its lines with CR LF; the kernel would look for "sh\r".
  const [, program, rest = ''] = /^#![ \t]*(\S+)[ \t]*([^\r\n]*)/.exec(start) ?? [];
  if (program === undefined) return ['/bin/sh'];
  // The kernel makes one word of the rest; `env -S` exists to split it again.
  const words = rest.trim();
  if (words === '') return [program];
  if (/(^|\/)env$/.test(program)) return [program, ...words.replace(/^(-S|--split-string=?)\s*/, '').split(/\s+/)];
  return [program, words];
}

/** Node looks for the file behind `/dev/fd/3`, where there is none; it takes a script from stdin. */
function readsStdin(interpreter: readonly string[]): boolean {
  return interpreter.some((word) => /(^|\/)node(js)?$/.test(word));
}

function wayOf(options: Pick<ScriptOptions, 'content' | 'stdin' | 'lentStdin'>): 'line' | 'text' | 'file' {
  const { content } = options;
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  if (bytes.includes(0) || !isUtf8(bytes)) return 'file';
  return bytes.length <= (hasStdin(options) ? LINE_WITH_STDIN : LINE) ? 'line' : 'text';
}

/** What all tasks share: the statements after the surroundings, and what is sent after the program's line. */
interface PreparedScript {
  readonly rest: Uint8Array;
  readonly payload: Uint8Array | undefined;
  readonly stdin: Uint8Array | undefined;
  readonly words: readonly string[];
  readonly okStatus: OkStatus;
  readonly execution: Execution;
}

const PRINT = 'printf %s';
const NOT_WHOLE = `{ printf '%s\\n' 'myriad: the script did not arrive whole, and was not started' >&2;exit ${NOT_STARTED};}`;
const NO_PLACE = `{ printf '%s\\n' 'myriad: there is no directory here that the script can be put into' >&2;exit ${NOT_STARTED};}`;

function prepare(options: ScriptOptions): PreparedScript {
  const { content, args = [], okStatus = [0], stdin, execution = {} } = options;
  const interpreter = interpreterOf(options);
  const fromStdin = readsStdin(interpreter);
  const words = [...interpreter, fromStdin ? '-' : '/dev/fd/3', ...args].map(lineQuote).join(' ');
  const way = wayOf(options);
  const shared = {
    stdin,
    words: [lineQuote(title(options))],
    okStatus,
    execution: prepareExecution(execution),
  };
  if (way === 'file') {
    const start = fromStdin ? `exec ${words} <&3 3<&-` : `exec ${words} </dev/null`;
    return { ...shared, rest: lineEnd(`${fileOf(content.length)}${start}`), payload: content };
  }
  // 4 is stdin as the script is to find it.
  const reader = fromStdin ? `exec ${words} 4<&-` : `exec ${words} 3<&0 <&4 4<&-`;
  if (way === 'line') {
    const text = lineQuote(Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('utf8'));
    return { ...shared, rest: lineEnd(`{ ${PRINT} ${text}|{ ${reader};};} 4<&0`), payload: undefined };
  }
  const mark = randomBytes(16).toString('hex');
  const take = `_myriad_s=$(cat);case $_myriad_s in *${mark});;*) ${NOT_WHOLE};;esac;`;
  const rest = lineEnd(`${take}{ ${PRINT} "\${_myriad_s%${mark}}"|{ ${reader};};} 4</dev/null`);
  return { ...shared, rest, payload: Buffer.concat([content, Buffer.from(mark)]) };
}

function lineEnd(statements: string): Uint8Array {
  return Buffer.from(`${statements}\n`);
}

/** Puts what comes on stdin into a file without a name, on descriptor 3. The first place that takes it: /tmp may be full or read-only. */
function fileOf(length: number): string {
  return [
    '_myriad_u=$(umask)',
    'umask 077',
    '_myriad_d=',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
    'for _myriad_t in "${TMPDIR:-/tmp}" /tmp /var/tmp "$HOME" /dev/shm;do _myriad_d=$(mktemp -d "$_myriad_t/myriad.XXXXXXXXXX" 2>/dev/null)&&break;done',
    `[ "$_myriad_d" ]||${NO_PLACE}`,
    `trap 'rm -rf "$_myriad_d"' EXIT`,
    "trap 'exit 129' HUP",
    "trap 'exit 130' INT",
    "trap 'exit 143' TERM",
    'cat >"$_myriad_d/script"',
    `[ "$(wc -c <"$_myriad_d/script")" -eq ${length} ]||${NOT_WHOLE}`,
    'exec 3<"$_myriad_d/script"',
    'rm -rf "$_myriad_d"',
    'trap - EXIT HUP INT TERM',
    'umask "$_myriad_u"',
    '',
  ].join(';');
}

function title({ name, args = [] }: ScriptOptions): string {
  return ['script', name, ...args].map(shellQuote).join(' ');
}

function perform(prepared: PreparedScript, task: TaskContext): Promise<Outcome> {
  const { rest, payload, words, okStatus, execution, stdin = task.lent.stdin } = prepared;
  const lease = leaseOf(execution, task);
  const program: Program = { text: surroundTask(execution, task), rest, payload, stdin, words, lease };
  return runProgram(task, program, execution.elevation, okStatus);
}

export const scriptKind: JobKind<ScriptOptions, PreparedScript> = {
  kind: 'script',
  version: 1,
  transport: 'native',
  session: true,
  validate,
  prepare,
  title,
  perform,
};
