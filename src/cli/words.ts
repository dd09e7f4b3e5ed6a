/** What all verbs share of the command line: how words are parsed, and how a mistake in them is said. */
import { type Command, CommanderError } from 'commander';
import { MyriadError } from '../index.ts';
import { NO_LIMIT } from './values.ts';

/** Columns of help: what the smallest usual terminal shows. */
export const HELP_WIDTH = 80;

/**
 * The last word of a line that asks a verb for its options instead of its work (completion, settings, the manual): no
 * command line can hold a NUL.
 */
export const DESCRIBE = '-\0';

/** What `DESCRIBE` comes to. */
export class Described extends Error {
  readonly command: Command;

  constructor(command: Command) {
    super('described');
    this.command = command;
  }
}

/** Parses the words after a verb; false where help was printed. Throws `usage`, one sentence. */
export function parseWords(command: Command, argv: readonly string[]): boolean {
  if (argv.at(-1) === DESCRIBE) throw new Described(command);
  command.exitOverride().configureOutput({ writeErr() {} });
  try {
    command.parse([...argv], { from: 'user' });
    for (const [name, value] of Object.entries(command.opts())) {
      if (value === NO_LIMIT) command.setOptionValueWithSource(name, null, command.getOptionValueSource(name));
    }
    return true;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.helpDisplayed') return false;
    throw new MyriadError('usage', oneSentence(error.message), { cause: error });
  }
}

/** Commander's words as one sentence on one line: `unknown option '--fanot' (Did you mean --fanout?)`. */
function oneSentence(message: string): string {
  return message
    .replace(/^error: /, '')
    .replaceAll('\n', ' ')
    .replace('. Expected', '; expected')
    .replace(/\.$/, '');
}
