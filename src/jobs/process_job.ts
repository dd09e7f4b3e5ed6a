/** What jobs share that run one process: options, its end as an outcome, its stop. */
import { MyriadError } from '../contracts/errors.ts';
import type { Outcome } from '../contracts/outcome.ts';
import type { ProcessEnd, RemoteProcess } from '../transport/transport.ts';
import { StoppedError, type TaskContext } from './job.ts';

/** Statuses that count as ok; `none`: an end without a status does too. */
export type OkStatus = readonly (number | 'none')[];

const DEFAULT_OK_STATUS: OkStatus = [0];

/** Pieces in which stdin is handed over, so that a full channel holds the rest back. */
const STDIN_PIECE = 64 * 1024;

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

export function checkOkStatus(kind: string, value: unknown): OkStatus {
  if (value === undefined) return DEFAULT_OK_STATUS;
  if (Array.isArray(value) && value.length > 0 && value.every(isOkStatus)) return [...value];
  throw new MyriadError(
    'usage',
    `job "${kind}": option "okStatus" must be a list of whole numbers from 0 to 4294967295 or "none", not ${shown(value)}`,
  );
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

/** Runs one process to its end: output into the task's sink, stdin fed and ended, stopped with all its children. */
export function runProcess(
  task: TaskContext,
  command: string | readonly string[],
  okStatus: OkStatus,
  stdin: Uint8Array | undefined,
): Promise<Outcome> {
  return new Promise<Outcome>((resolve, reject) => {
    let stopping = false;
    const process = task.connection.exec(command, {
      sink: task.sink,
      lingerMs: task.lingerMs,
      begin: () => task.begin(),
      started: () => task.started(),
    });
    task.resume = () => process.resume();
    task.stop = () => {
      stopping = true;
      process.terminate(task.graceMs).then((fate) => reject(new StoppedError(fate)), reject);
    };
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
    if (stdin === undefined) process.end();
    else feed(process, stdin).catch(reject);
  });
}

function endOutcome(end: ProcessEnd, process: RemoteProcess, okStatus: OkStatus): Outcome {
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

/** Sends `bytes` as the process takes them, then ends its stdin. A process that ends first is no error. */
async function feed(process: RemoteProcess, bytes: Uint8Array): Promise<void> {
  let over = false;
  const ended = (): void => {
    over = true;
  };
  process.ended.then(ended, ended);
  for (let at = 0; at < bytes.length && !over; at += STDIN_PIECE) {
    if (!process.write(bytes.subarray(at, at + STDIN_PIECE))) await process.drained();
  }
  if (!over) process.end();
}
