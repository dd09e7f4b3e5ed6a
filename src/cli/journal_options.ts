/** The options of verbs that are recorded; what they come to for the library. */
import { dirname } from 'node:path';
import { type Command, Option } from 'commander';
import { type FleetOptions, openJournal, pruneDaily, type Run } from '../index.ts';
import { word } from './values.ts';

export interface RecordFlags {
  /** False with `--no-journal`. */
  readonly journal?: string | boolean;
  readonly journalOutput?: 'all' | 'head' | 'none';
}

/** Begins the group of options. */
export function addRecord(command: Command): Command {
  return command
    .optionsGroup('Journal:')
    .option('--journal <dir>', 'record the run there (default: ~/.local/state/myriad/runs)')
    .option('--no-journal', 'do not record it: it can then neither be shown nor resumed')
    .addOption(journalOutput());
}

export function journalOutput(): Option {
  return new Option('--journal-output <part>', 'of outputs: head (16KiB a host; default), all, none').argParser(
    word('--journal-output', ['head', 'all', 'none']),
  );
}

/** A run is recorded unless that is refused: whoever relies on it must not find out afterwards that it was not. */
export function recordOptions(flags: RecordFlags, argv: readonly string[]): Pick<FleetOptions, 'journal' | 'argv'> {
  return { journal: flags.journal ?? true, argv };
}

/** After a run: forgets old ones, once a day. A folder that was named is its owner's to look after. */
export function forgetOld(run: Run, flags: RecordFlags): void {
  if (run.journal === undefined || typeof flags.journal === 'string') return;
  try {
    pruneDaily(openJournal({ folder: dirname(run.journal) }));
  } catch {
    // The next day will do.
  }
}
