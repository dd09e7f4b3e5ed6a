/**
 * What the main thread and a thread say to each other. Messages of one direction keep their order.
 *
 *   main ─open─▶ thread ─answer─▶ main      a run begins in a thread, or is refused
 *   main ─tasks─▶ thread ─out─▶ main        tasks as the thread asks for them; starts, outputs and results in packs
 *   main ─recall─▶ thread ─returned─▶ main  tasks that have not started, for a thread that has nothing to do
 *   thread ─claims─▶ main ─claimed─▶ thread tasks that are about to begin, to be recorded before they do
 *   main ─end─▶ thread ─over─▶ main         every task has its result
 *   thread ─ask─▶ main ─answer─▶ thread     calls; `tell` needs no answer, `drop` takes an `ask` back
 */
import { type ErrorCode, MyriadError } from '../../contracts/errors.ts';
import type { Target } from '../../contracts/task.ts';
import { SshError, type SshErrorDetail, type SshErrorReason } from '../../ssh/errors.ts';
import type { ExecutorStatus, RunRequest } from '../executor.ts';

/** How a thread is made: code by its place, so that it can be loaded there. */
export interface ThreadSource {
  /** URL of the module. */
  readonly module: string;
  /** Name of a function in it, see MakeThread. */
  readonly export: string;
  /** What it is called with; plain data. */
  readonly data: unknown;
}

/** What a run is to a thread: its request without the plan, and its part of the limits. */
export interface ThreadRequest extends Omit<RunRequest, 'plan'> {
  /** Tasks and hosts of the whole plan. */
  readonly planned: number;
  readonly hosts: number;
  /** A bit per task of the plan: started in a thread. */
  readonly started: SharedArrayBuffer;
  /** A bit per task of the plan: may have begun on its host. */
  readonly begun: SharedArrayBuffer;
  /** Tasks that may wait in the thread. */
  readonly ahead: number;
  /** The caller has secrets for this run. */
  readonly secrets: boolean;
  /** The start of each task is recorded. */
  readonly claims: boolean;
  readonly redact: readonly RegExp[] | undefined;
}

/** Targets of one pack: three numbers and four texts each. */
export interface PackedTargets {
  /** Index, iteration, port (−1: none). */
  readonly numbers: Float64Array<ArrayBuffer>;
  /** Label, name (empty: as the label), user (a NUL: none), identity (empty: none). */
  readonly texts: readonly string[];
}

export type ToThread =
  | { readonly type: 'open'; readonly call: number; readonly run: number; readonly request: ThreadRequest }
  | { readonly type: 'tasks'; readonly run: number; readonly targets: PackedTargets }
  | { readonly type: 'recall' | 'pause' | 'unpause' | 'end' | 'drop-run'; readonly run: number }
  | { readonly type: 'cancel'; readonly run: number; readonly running: 'terminate' | 'leave' }
  | { readonly type: 'stop'; readonly run: number; readonly reason: string }
  /** Pairs of index and bytes that the consumer of output has taken. */
  | { readonly type: 'taken'; readonly run: number; readonly pairs: readonly number[] }
  | { readonly type: 'claimed'; readonly run: number; readonly group: number; readonly error: PlainError | undefined }
  | Answer
  | Told
  | { readonly type: 'close' };

export type FromThread =
  | { readonly type: 'ready' }
  | Answer
  | {
      readonly type: 'out';
      readonly run: number;
      readonly pack: ArrayBuffer | undefined;
      readonly length: number;
      /** Tasks started so far. */
      readonly started: number;
      /** Tasks that it would take now. */
      readonly want: number;
    }
  | { readonly type: 'status'; readonly run: number; readonly status: ExecutorStatus }
  | { readonly type: 'returned'; readonly run: number; readonly indices: readonly number[] }
  | { readonly type: 'claims'; readonly run: number; readonly group: number; readonly tasks: Float64Array<ArrayBuffer> }
  | { readonly type: 'over'; readonly run: number; readonly limitedBy: string }
  /** It stood still so long, in milliseconds of its own computing, in the job of this name. */
  | { readonly type: 'lag'; readonly run: number; readonly ms: number; readonly job: string }
  | { readonly type: 'ask'; readonly call: number; readonly service: string; readonly value: unknown }
  | { readonly type: 'drop'; readonly call: number }
  | Told
  | { readonly type: 'closed' };

interface Answer {
  readonly type: 'answer';
  readonly call: number;
  readonly value?: unknown;
  readonly error?: PlainError;
}

interface Told {
  readonly type: 'tell';
  readonly service: string;
  readonly value: unknown;
}

/** What was thrown, as data. */
export type PlainError =
  | { readonly of: 'myriad'; readonly code: ErrorCode; readonly message: string }
  | { readonly of: 'ssh'; readonly reason: SshErrorReason; readonly message: string; readonly detail: SshErrorDetail }
  | { readonly of: 'other'; readonly message: string };

export function plainError(error: unknown): PlainError {
  if (error instanceof MyriadError) return { of: 'myriad', code: error.code, message: error.message };
  if (error instanceof SshError) {
    return { of: 'ssh', reason: error.reason, message: error.message, detail: error.detail };
  }
  return { of: 'other', message: error instanceof Error ? error.message || error.name : String(error) };
}

export function errorOf(plain: PlainError): Error {
  if (plain.of === 'myriad') return new MyriadError(plain.code, plain.message);
  if (plain.of === 'ssh') return new SshError(plain.reason, plain.message, plain.detail);
  return new Error(plain.message);
}

const NO_PORT = -1;
const NO_USER = '\0';

export function packTargets(targets: readonly Target[]): PackedTargets {
  const numbers = new Float64Array(3 * targets.length);
  const texts: string[] = [];
  targets.forEach(({ index, iteration, port, label, name, user, identity }, place) => {
    numbers[3 * place] = index;
    numbers[3 * place + 1] = iteration;
    numbers[3 * place + 2] = port ?? NO_PORT;
    texts.push(label, name === label ? '' : name, user ?? NO_USER, identity ?? '');
  });
  return { numbers, texts };
}

export function unpackTargets({ numbers, texts }: PackedTargets): Target[] {
  const targets: Target[] = [];
  for (let place = 0; 3 * place < numbers.length; place++) {
    const [label, name, user, identity] = texts.slice(4 * place, 4 * place + 4) as [string, string, string, string];
    const port = numbers[3 * place + 2]!;
    targets.push({
      label,
      name: name === '' ? label : name,
      user: user === NO_USER ? undefined : user,
      port: port === NO_PORT ? undefined : port,
      identity: identity === '' ? undefined : identity,
      index: numbers[3 * place]!,
      iteration: numbers[3 * place + 1]!,
    });
  }
  return targets;
}
