/** What the verbs share that read the journal: where it is, and how a run is named. */
import type { Command } from 'commander';
import { openJournal, type RunJournal } from '../index.ts';
import { escapeText } from '../output/escape.ts';
import { quote } from '../output/obstacles.ts';
import { columns } from './follow.ts';

export interface JournalFlags {
  readonly journal?: string;
}

export function addJournal(command: Command): Command {
  return command.option('--journal <dir>', "the journal's folder (default: ~/.local/state/myriad/runs)");
}

/** Opens the journal for reading; where it does not lie where one would look is said on stderr. */
export function journalOf({ journal }: JournalFlags): RunJournal {
  const tell = (sentence: string) => void process.stderr.write(`myriad: ${escapeText(sentence)}\n`);
  return openJournal({ folder: journal, tell });
}

/**
 * The words without the run's name, which comes first: `-1` is a run there and no option. Undefined where another word
 * comes first.
 */
export function takeRun(argv: readonly string[]): {
  readonly run: string | undefined;
  readonly rest: readonly string[];
} {
  const [first = '', ...rest] = argv;
  return /^-\d/.test(first) || /^[^-]/.test(first) ? { run: first, rest } : { run: undefined, rest: argv };
}

/** The width of a terminal, where the stream is one. */
export function widthOf(stream: { readonly isTTY?: boolean }): { readonly columns?: number } {
  return stream.isTTY === true ? { columns: columns() } : {};
}

/** The words that name a run to `myriad resume`. */
export function resumeWords(id: string, journal: string | boolean | undefined): string {
  return typeof journal === 'string' ? `${id} --journal ${quote(journal)}` : id;
}
