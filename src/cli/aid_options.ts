/** The options that say what commands are given beyond their words: variables, stdin, a terminal; and what is taken out of output. */
import { setFlagsFromString } from 'node:v8';
import type { Command } from 'commander';
import { MyriadError, type RunOptions } from '../index.ts';
import { type StdinFlags, stdinOption } from './stdin.ts';
import { ttyOption } from './terminal_size.ts';

export interface AidFlags extends StdinFlags {
  readonly var?: Record<string, string>;
  readonly template?: boolean;
  readonly tty?: boolean;
  readonly redact?: RegExp[];
}

/** Into the group of execution. */
export function addAids(command: Command): Command {
  return command
    .option('-e, --var <name=value>', 'replace {name} in the command; {host} and its like too', variable)
    .option('--template', 'replace {host} {name} {user} {port} {rank} {count} {i} in the command')
    .option('--stdin <file>', 'sent to the stdin of every host; - is stdin')
    .option('--tty', 'a terminal for every command; stderr comes on stdout then');
}

/** Into the group of output. */
export function addRedact(command: Command): Command {
  return command.option('--redact <re>', 'matches become [redacted]; may stand several times', pattern);
}

export function aidOptions(flags: AidFlags): Pick<RunOptions, 'variables' | 'stdin' | 'tty' | 'redact'> {
  const stdin = stdinOption(flags);
  const tty = ttyOption(flags.tty);
  return {
    ...(flags.var && { variables: flags.var }),
    ...(stdin && { stdin }),
    ...(tty && { tty }),
    ...(flags.redact && { redact: flags.redact }),
  };
}

function variable(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new MyriadError('usage', `--var (-e): expected NAME=VALUE, got "${text}"`);
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

function pattern(text: string, before: readonly RegExp[] = []): RegExp[] {
  if (text === '') throw new MyriadError('usage', '--redact: expected a regular expression, got ""');
  // What hosts say must not be able to make a search take for ever: V8 changes to its linear engine after 50,000 steps back.
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
  try {
    return [...before, new RegExp(text)];
  } catch (cause) {
    const [, why = ''] = /^Invalid regular expression: .*: (.*)$/s.exec((cause as Error).message) ?? [];
    throw new MyriadError('usage', `--redact "${text}": not a regular expression: ${why}`, { cause });
  }
}
