/** `RUN[:SEL]`: which tasks of an earlier run. */
import { MyriadError } from '../contracts/errors.ts';
import { OUTCOME_KINDS, type Outcome } from '../contracts/outcome.ts';
import type { RunSelection } from './journal.ts';

export interface RunReference {
  /** An id, `last` or `-N`. */
  readonly run: string;
  readonly selection: RunSelection;
}

const WORDS = ['unreached', 'uncertain', 'bad'] as const;

/** Throws MyriadError `usage`, naming what would be taken. */
export function parseRunReference(text: string): RunReference {
  const colon = text.indexOf(':');
  const run = colon < 0 ? text : text.slice(0, colon);
  if (run === '') throw new MyriadError('usage', `"${text}" names no run: expected an id, "last" or "-N"`);
  return { run, selection: colon < 0 ? { by: 'all' } : parseSelection(text, text.slice(colon + 1)) };
}

function parseSelection(text: string, word: string): RunSelection {
  const by = WORDS.find((known) => known === word);
  if (by !== undefined) return { by };
  const kind = OUTCOME_KINDS.find((known) => known === word);
  if (kind !== undefined) return { by: 'outcome', kind };
  const status = /^rc=(\d{1,10})$/.exec(word)?.[1];
  if (status !== undefined) return { by: 'status', status: Number(status) };
  const words = [...WORDS, ...OUTCOME_KINDS].join(', ');
  throw new MyriadError('usage', `"${text}": "${word}" selects nothing; expected one of ${words}, rc=N`);
}

/** Whether a task that ended so is selected. */
export function isSelected(selection: RunSelection, outcome: Outcome): boolean {
  const { kind, began } = outcome;
  switch (selection.by) {
    case 'all':
      return true;
    case 'unreached':
      return began === 'no' && kind !== 'skipped';
    case 'uncertain':
      return began !== 'no' && kind !== 'ok' && kind !== 'failed' && kind !== 'signalled';
    case 'bad':
      return kind !== 'ok' && kind !== 'skipped';
    case 'outcome':
      return kind === selection.kind;
    case 'status':
      return (kind === 'ok' || kind === 'failed') && outcome.status === selection.status;
  }
}
