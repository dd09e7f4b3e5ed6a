/** What jobs share that run one process: options, its end as an outcome, its stop. */
import { MyriadError } from '../contracts/errors.ts';
import type { Outcome } from '../contracts/outcome.ts';
import type { ExecOptions, ProcessEnd, RemoteProcess } from '../transport/transport.ts';
import { StoppedError, type TaskContext } from './job.ts';
import { type StdinInput, sourceOf } from './stdin_source.ts';
import { checkVariables, type Names } from './template.ts';

/** Statuses that count as ok; `none`: an end without a status does too. */
export type OkStatus = readonly (number | 'none')[];

const DEFAULT_OK_STATUS: OkStatus = [0];

/** The options of a spec as an object with no other keys than `known`. */
export function checkOptions(kind: string, options: unknown, known: readonly string[]): Record<string, unknown> {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new MyriadError('usage', `job "${kind}": options must be an object, not ${shown(options)}`);
  }
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    throw new MyriadError('usage', `job "${kind}": there is no option "${key}"; there are: ${known.join(', ')}`);
  }
  return { ...options };
}

/** A text without NUL that is not empty, unless it may be. */
export function checkText(kind: string, name: string, value: unknown, empty: 'refuse' | 'allow'): string {
  if (typeof value !== 'string') {
    throw new MyriadError('usage', `job "${kind}": option "${name}" must be a string, not ${shown(value)}`);
  }
  if (empty === 'refuse' && value.trim() === '') {
    throw new MyriadError('usage', `job "${kind}": option "${name}" is empty: say what to run`);
  }
  if (value.includes('\0')) {
    throw new MyriadError(
      'usage',
      `job "${kind}": option "${name}" contains a NUL at position ${value.indexOf('\0') + 1}, which no command line can carry: ${shown(value)}`,
    );
  }
  return value;
}

/** The options of a spec that say which names templates may use. */
export function checkNames(kind: string, options: Readonly<Record<string, unknown>>): Names {
  const { variables, hostVariables } = options;
  if (variables !== undefined && (typeof variables !== 'object' || variables === null || Array.isArray(variables))) {
    throw new MyriadError('usage', `job "${kind}": option "variables" must be an object, not ${shown(variables)}`);
  }
  if (hostVariables !== undefined && typeof hostVariables !== 'boolean') {
    throw new MyriadError(
      'usage',
      `job "${kind}": option "hostVariables" must be true or false, not ${shown(hostVariables)}`,
    );
  }
  return {
    variables: variables && { ...checkVariables({ ...variables }) },
    perHost: hostVariables,
  };
}

export function checkOkStatus(kind: string, value: unknown): OkStatus {
  if (value === undefined) return DEFAULT_OK_STATUS;
  if (Array.isArray(value) && value.length > 0 && value.every(isOkStatus)) return [...value];
  throw new MyriadError(
    'usage',
    `job "${kind}": option "okStatus" must be a list of whole numbers from 0 to 4294967295 or "none", not ${shown(value)}`,
  );
}

export function checkStdin(kind: string, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new MyriadError('usage', `job "${kind}": option "stdin" must be bytes (a Uint8Array), not ${shown(value)}`);
}

function isOkStatus(value: unknown): value is number | 'none' {
  // RFC 4254 §6.10: a uint32.
  return value === 'none' || (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 0xffffffff);
}

/** A value in a message: short, on one line. */
export function shown(value: unknown): string {
  const text = value === undefined ? 'undefined' : (JSON.stringify(value) ?? typeof value);
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
}

/** What is not as on a host with a POSIX shell. */
export interface ProcessOptions {
  /** Sent before stdin. */
  readonly ahead?: Uint8Array | undefined;
  readonly ending?: ExecOptions['ending'];
}

/** Runs one process to its end: output into the task's sink, stdin fed and ended, stopped with all its children. */
export function runProcess(
  task: TaskContext,
  command: string | readonly string[],
  okStatus: OkStatus,
  stdin: StdinInput | undefined,
  { ahead, ending }: ProcessOptions = {},
): Promise<Outcome> {
  return new Promise<Outcome>((resolve, reject) => {
    let stopping = false;
    const { terminal } = task.lent;
    const process = task.connection.exec(command, {
      sink: task.sink,
      lingerMs: task.lingerMs,
      begin: () => task.begin(),
      started: () => task.started(),
      ...(terminal && { pty: terminal.now }),
      ...(ending && { ending }),
    });
    terminal?.follow(process);
    const resume = () => process.resume();
    const halt = () => {
      stopping = true;
      process.terminate(task.graceMs).then((fate) => reject(new StoppedError(fate)), reject);
    };
    task.resume = resume;
    task.stop = halt;
    process.ended.then(
      (end) => {
        // After a stop its end is our doing: the fate says what became of it.
        if (stopping) return;
        if (end.outputLeftOpen) task.note('output left open');
        if (end.outputCut) task.note('output cut');
        resolve(endOutcome(end, process, okStatus));
      },
      (error: unknown) => {
        if (!stopping) reject(error);
      },
    );
    const stop = (error: unknown): void => {
      // A command that took what it has for all of its input would do harm: it is ended before its stdin is.
      if (stopping) return;
      stopping = true;
      process.terminate(task.graceMs).then(() => reject(error), reject);
    };
    if (ahead !== undefined) process.write(ahead);
    feed(process, stdin, terminal ? 'terminal' : 'pipe').catch(stop);
  });
}

/** What an end comes to. */
export function endOutcome(end: ProcessEnd, process: RemoteProcess, okStatus: OkStatus): Outcome {
  if (end.signal !== null) {
    return { kind: 'signalled', began: 'yes', signal: end.signal.name, coreDumped: end.signal.coreDumped };
  }
  if (end.status !== null) {
    const kind = okStatus.includes(end.status) ? 'ok' : 'failed';
    return { kind, began: 'yes', status: end.status };
  }
  if (okStatus.includes('none')) return { kind: 'ok', began: 'yes', status: null };
  return { kind: 'no-status', began: process.began };
}

/** What a terminal takes for the end of input at the start of a line; elsewhere it only hands over the line so far. */
const END_OF_INPUT = 0x04;
const LINE_END = 0x0a;

/**
 * Sends stdin as the process takes it, then ends it; without one it ends at once. A terminal knows no end of a stream, so it is
 * typed there. Rejects where the source does, and leaves stdin open then. A process that ends first is no error.
 */
export async function feed(
  process: RemoteProcess,
  stdin: StdinInput | undefined,
  into: 'pipe' | 'terminal' = 'pipe',
): Promise<void> {
  if (stdin === undefined && into === 'pipe') {
    process.end();
    return;
  }
  let over = false;
  const ended = (): void => {
    over = true;
  };
  process.ended.then(ended, ended);
  let last = LINE_END;
  if (stdin !== undefined) {
    const source = sourceOf(stdin);
    for (let at = 0; !over; ) {
      const got = source.read(at);
      const piece = got instanceof Promise ? await got : got;
      if (piece === undefined || over) break;
      at += piece.length;
      last = piece.at(-1) ?? last;
      if (!process.write(piece)) await process.drained();
    }
  }
  if (over) return;
  if (into === 'pipe') process.end();
  else process.write(Uint8Array.from(last === LINE_END ? [END_OF_INPUT] : [END_OF_INPUT, END_OF_INPUT]));
}
