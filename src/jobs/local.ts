/** The job `local`: a program here, once per host, without a shell. */
import { MyriadError } from '../contracts/errors.ts';
import type { Outcome } from '../contracts/outcome.ts';
import type { JobKind, TaskContext } from './job.ts';
import {
  checkNames,
  checkOkStatus,
  checkOptions,
  checkStdin,
  checkText,
  type OkStatus,
  runProcess,
  shown,
} from './process_job.ts';
import { shellQuote, Template } from './template.ts';

export interface LocalOptions {
  /** A path, or a name that is looked for in PATH. Places are replaced as in the arguments. */
  readonly program: string;
  /** One word each: `{host} {name} {user} {port} {rank} {count} {i}` are replaced, nothing is quoted or split. @default [] */
  readonly args?: readonly string[];
  /** Exit statuses that count as ok. @default [0] */
  readonly okStatus?: OkStatus;
  /** Variables of all hosts. @default none */
  readonly variables?: Readonly<Record<string, string>> | undefined;
  /** Other names are variables that each host must have. @default false: they are refused */
  readonly hostVariables?: boolean | undefined;
  /** Sent to stdin, then its end; without it stdin ends at once. */
  readonly stdin?: Uint8Array | undefined;
}

interface PreparedLocal {
  readonly words: readonly Template[];
  readonly okStatus: OkStatus;
  readonly stdin: Uint8Array | undefined;
}

const KNOWN = ['program', 'args', 'okStatus', 'variables', 'hostVariables', 'stdin'] as const;

function validate(options: unknown): LocalOptions {
  const { program: given, args = [], okStatus, stdin, ...rest } = checkOptions('local', options, KNOWN);
  const program = checkText('local', 'program', given, 'refuse');
  if (!Array.isArray(args)) {
    throw new MyriadError('usage', `job "local": option "args" must be a list of strings, not ${shown(args)}`);
  }
  const words = args.map((arg: unknown, i) => checkText('local', `args[${i}]`, arg, 'allow'));
  const { variables, perHost } = checkNames('local', rest);
  const resolved: LocalOptions = {
    program,
    args: words,
    okStatus: checkOkStatus('local', okStatus),
    ...(variables && { variables }),
    ...(perHost && { hostVariables: perHost }),
    ...(stdin !== undefined && { stdin: checkStdin('local', stdin) }),
  };
  compile(resolved);
  return resolved;
}

function compile(options: LocalOptions): Template[] {
  const { program, args = [], variables, hostVariables } = options;
  const names = { variables, perHost: hostVariables };
  return [
    Template.compile(program, 'none', 'program', names),
    ...args.map((arg, i) => Template.compile(arg, 'none', `args[${i}]`, names)),
  ];
}

function prepare(options: LocalOptions): PreparedLocal {
  return { words: compile(options), okStatus: options.okStatus ?? [0], stdin: options.stdin };
}

function perform(prepared: PreparedLocal, task: TaskContext): Promise<Outcome> {
  const { words: templates, okStatus, stdin = task.lent.stdin } = prepared;
  const words = templates.map((word) => word.render(task.target, task.count, task.lent.values));
  return runProcess(task, words, okStatus, stdin);
}

export const localKind: JobKind<LocalOptions, PreparedLocal> = {
  kind: 'local',
  version: 1,
  transport: 'local',
  session: true,
  validate,
  prepare,
  title: ({ program, args = [] }) => [program, ...args].map(shellQuote).join(' '),
  line(options) {
    const words = compile(options);
    return (...task) => words.map((word) => shellQuote(word.render(...task))).join(' ');
  },
  hostNames: (options) => new Set(compile(options).flatMap(({ hostNames }) => [...hostNames])),
  perform,
};
