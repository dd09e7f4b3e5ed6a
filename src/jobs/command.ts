/** The job `command`: a line for the shell of each host. */
import { MyriadError } from '../contracts/errors.ts';
import type { Outcome } from '../contracts/outcome.ts';
import type { JobKind, TaskContext } from './job.ts';
import { checkOkStatus, checkOptions, checkText, type OkStatus, runProcess, shown } from './process_job.ts';
import { Template } from './template.ts';

export interface CommandOptions {
  /** Given to the login shell of the host as it is. Not empty, without NUL. */
  readonly command: string;
  /** Exit statuses that count as ok; `none`: also an end without a status. @default [0] */
  readonly okStatus?: OkStatus;
  /** Replace `{host} {name} {user} {port} {rank} {count} {i}` per task, see `template.ts`. @default false */
  readonly template?: boolean;
  /** Sent to stdin, then its end; without it stdin ends at once. */
  readonly stdin?: Uint8Array | undefined;
}

interface PreparedCommand {
  readonly command: string | Template;
  readonly okStatus: OkStatus;
  readonly stdin: Uint8Array | undefined;
}

const KNOWN = ['command', 'okStatus', 'template', 'stdin'] as const;

function validate(options: unknown): CommandOptions {
  const { command, okStatus, template, stdin } = checkOptions('command', options, KNOWN);
  const text = checkText('command', 'command', command, 'refuse');
  if (template !== undefined && typeof template !== 'boolean') {
    throw new MyriadError('usage', `job "command": option "template" must be true or false, not ${shown(template)}`);
  }
  if (template) Template.compile(text, 'shell', 'command');
  if (stdin !== undefined && !(stdin instanceof Uint8Array)) {
    throw new MyriadError('usage', `job "command": option "stdin" must be bytes (a Uint8Array), not ${shown(stdin)}`);
  }
  return { command: text, okStatus: checkOkStatus('command', okStatus), template: template ?? false, stdin };
}

function prepare(options: CommandOptions): PreparedCommand {
  const { command, okStatus = [0], template = false, stdin } = options;
  return { command: template ? Template.compile(command, 'shell', 'command') : command, okStatus, stdin };
}

function perform(prepared: PreparedCommand, task: TaskContext): Promise<Outcome> {
  const { command, okStatus, stdin } = prepared;
  const line = typeof command === 'string' ? command : command.render(task.target, task.count);
  return runProcess(task, line, okStatus, stdin);
}

export const commandKind: JobKind<CommandOptions, PreparedCommand> = {
  kind: 'command',
  version: 1,
  transport: 'native',
  session: true,
  validate,
  prepare,
  title: (options) => options.command,
  perform,
};
