/** The job `command`: a line for the shell of each host. */
import { MyriadError } from '../contracts/errors.ts';
import type { Outcome } from '../contracts/outcome.ts';
import {
  checkExecution,
  checkShell,
  type Execution,
  type ExecutionOptions,
  leaseOf,
  prepareExecution,
  surroundTask,
  windowsTask,
} from './execution.ts';
import type { JobKind, TaskContext } from './job.ts';
import { checkNames, checkOkStatus, checkOptions, checkText, type OkStatus, runProcess, shown } from './process_job.ts';
import { runProgram } from './program_run.ts';
import { lineQuote } from './shell_program.ts';
import { type Quoting, Template } from './template.ts';
import { type Shell, WINDOWS_BOOTSTRAP, type WindowsShell, windowsQuote } from './windows.ts';

export interface CommandOptions {
  /** Given to the login shell of the host as it is. Not empty, without NUL. */
  readonly command: string;
  /** Exit statuses that count as ok; `none`: also an end without a status. @default [0] */
  readonly okStatus?: OkStatus;
  /** Replace `{host} {name} {user} {port} {rank} {count} {i}` and variables per task, see `template.ts`. @default false */
  readonly template?: boolean;
  /** Variables of all hosts. @default none */
  readonly variables?: Readonly<Record<string, string>> | undefined;
  /** Other names are variables that each host must have. @default false: they are refused */
  readonly hostVariables?: boolean | undefined;
  /** Sent to stdin, then its end; without it stdin ends at once. */
  readonly stdin?: Uint8Array | undefined;
  /** The login shell of the hosts, which values in templates are quoted for; `sh` stands for all that POSIX knows. @default 'sh' */
  readonly shell?: Shell | undefined;
  /** Around the command, which a /bin/sh runs then instead of the login shell. @default as the login finds it */
  readonly execution?: ExecutionOptions | undefined;
}

interface PreparedCommand {
  readonly command: string | Template;
  readonly okStatus: OkStatus;
  readonly stdin: Uint8Array | undefined;
  readonly execution: Execution | undefined;
  readonly shell: Shell;
}

const KNOWN = ['command', 'okStatus', 'template', 'variables', 'hostVariables', 'stdin', 'shell', 'execution'] as const;

function validate(options: unknown): CommandOptions {
  const { command, okStatus, template, stdin, execution, ...rest } = checkOptions('command', options, KNOWN);
  const text = checkText('command', 'command', command, 'refuse');
  if (template !== undefined && typeof template !== 'boolean') {
    throw new MyriadError('usage', `job "command": option "template" must be true or false, not ${shown(template)}`);
  }
  const names = checkNames('command', rest);
  const checkedExecution = checkExecution('command', execution);
  const shell = checkShell('command', rest.shell, checkedExecution);
  if (template) Template.compile(text, quoting(shell), 'command', names);
  if (stdin !== undefined && !(stdin instanceof Uint8Array)) {
    throw new MyriadError('usage', `job "command": option "stdin" must be bytes (a Uint8Array), not ${shown(stdin)}`);
  }
  return {
    command: text,
    okStatus: checkOkStatus('command', okStatus),
    template: template ?? false,
    variables: names.variables,
    hostVariables: names.perHost,
    stdin,
    shell,
    execution: checkedExecution,
  };
}

function prepare(options: CommandOptions): PreparedCommand {
  const { command, okStatus = [0], template = false, stdin, shell = 'sh', execution } = options;
  return {
    command: template ? compile(options) : command,
    okStatus,
    stdin,
    execution: execution && prepareExecution(execution),
    shell,
  };
}

function compile({ command, variables, hostVariables, shell }: CommandOptions): Template {
  return Template.compile(command, quoting(shell), 'command', { variables, perHost: hostVariables });
}

function quoting(shell: Shell = 'sh'): Quoting {
  return shell === 'sh' ? 'shell' : windowsQuote(shell);
}

function perform(prepared: PreparedCommand, task: TaskContext): Promise<Outcome> {
  const { command, okStatus, execution, shell, stdin = task.lent.stdin } = prepared;
  const line = typeof command === 'string' ? command : command.render(task.target, task.count, task.lent.values);
  if (shell !== 'sh') return performOnWindows(prepared, shell, line, task);
  if (execution === undefined) return runProcess(task, line, okStatus, stdin);
  const surroundings = surroundTask(execution, task);
  const lease = leaseOf(execution, task);
  // Sudo's log names the command, so that it stands there as an argument; the program has it from there.
  if (execution.elevation !== undefined) {
    const program = { text: `${surroundings}exec /bin/sh -c "$0"`, words: [lineQuote(line)], stdin, lease };
    return runProgram(task, program, execution.elevation, okStatus);
  }
  const program = { text: `${surroundings}exec /bin/sh -c ${lineQuote(line)}`, words: [], stdin, lease };
  return runProgram(task, program, undefined, okStatus);
}

/** Nothing there can run the program that ends what a command has started. */
function performOnWindows(
  { okStatus, execution, stdin }: PreparedCommand,
  shell: WindowsShell,
  line: string,
  task: TaskContext,
): Promise<Outcome> {
  const { stdin: lent } = task.lent;
  if (execution === undefined) return runProcess(task, line, okStatus, stdin ?? lent, { ending: 'signal' });
  const ahead = windowsTask(shell, execution, task, line);
  return runProcess(task, WINDOWS_BOOTSTRAP, okStatus, stdin ?? lent, { ahead, ending: 'signal' });
}

export const commandKind: JobKind<CommandOptions, PreparedCommand> = {
  kind: 'command',
  version: 1,
  transport: 'native',
  session: true,
  validate,
  prepare,
  title: (options) => options.command,
  line(options) {
    if (!options.template) return undefined;
    const template = compile(options);
    return (...task) => template.render(...task);
  },
  hostNames: (options) => (options.template ? compile(options).hostNames : new Set()),
  refusal(options) {
    if (!options.template || options.shell !== 'cmd') return undefined;
    const template = compile(options);
    return (host, values) => template.refusal(host, values);
  },
  perform,
};
