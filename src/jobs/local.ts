/** The job `local`: a program here, once per host, without a shell. */
import { MyriadError } from '../contracts/errors.ts';
import type { Outcome } from '../contracts/outcome.ts';
import type { JobKind, TaskContext } from './job.ts';
import { checkOkStatus, checkOptions, checkText, type OkStatus, runProcess, shown } from './process_job.ts';
import { shellQuote, Template } from './template.ts';

export interface LocalOptions {
  /** A path, or a name that is looked for in PATH. Places are replaced as in the arguments. */
  readonly program: string;
  /** One word each: `{host} {name} {user} {port} {rank} {count} {i}` are replaced, nothing is quoted or split. @default [] */
  readonly args?: readonly string[];
  /** Exit statuses that count as ok. @default [0] */
  readonly okStatus?: OkStatus;
}

interface PreparedLocal {
  readonly words: readonly Template[];
  readonly okStatus: OkStatus;
}

const KNOWN = ['program', 'args', 'okStatus'] as const;

function validate(options: unknown): LocalOptions {
  const { program: given, args = [], okStatus } = checkOptions('local', options, KNOWN);
  const program = checkText('local', 'program', given, 'refuse');
  if (!Array.isArray(args)) {
    throw new MyriadError('usage', `job "local": option "args" must be a list of strings, not ${shown(args)}`);
  }
  const words = args.map((arg: unknown, i) => checkText('local', `args[${i}]`, arg, 'allow'));
  const resolved = { program, args: words, okStatus: checkOkStatus('local', okStatus) };
  compile(resolved);
  return resolved;
}

function compile(options: LocalOptions): Template[] {
  const { program, args = [] } = options;
  return [
    Template.compile(program, 'none', 'program'),
    ...args.map((arg, i) => Template.compile(arg, 'none', `args[${i}]`)),
  ];
}

function prepare(options: LocalOptions): PreparedLocal {
  return { words: compile(options), okStatus: options.okStatus ?? [0] };
}

function perform(prepared: PreparedLocal, task: TaskContext): Promise<Outcome> {
  const words = prepared.words.map((word) => word.render(task.target, task.count));
  return runProcess(task, words, prepared.okStatus, undefined);
}

export const localKind: JobKind<LocalOptions, PreparedLocal> = {
  kind: 'local',
  version: 1,
  transport: 'local',
  session: true,
  validate,
  prepare,
  title: ({ program, args = [] }) => [program, ...args].map(shellQuote).join(' '),
  perform,
};
