/** The guard: how large a run may be before someone has to say that it is meant. */
import { MyriadError } from '../index.ts';
import { confirm } from './prompt.ts';
import type { Expected } from './values.ts';

/** On a terminal, above this many hosts the count is asked back. */
const ASK_ABOVE = 100;
/** Off a terminal, above this many hosts `--expect` or `--yes` is needed. */
const REFUSE_ABOVE = 1000;

export interface Guard {
  readonly expect: Expected | undefined;
  readonly yes: boolean;
  readonly terminal: boolean;
}

/** Throws `guard` when the count is not what was expected, or nobody confirmed it. */
export async function guard(hosts: number, title: string, options: Guard): Promise<void> {
  const { expect } = options;
  if (expect) {
    if (hosts >= expect.least && hosts <= expect.most) return;
    throw new MyriadError('guard', `--expect ${expect.text}: the selection has ${hosts} hosts; nothing was connected`);
  }
  if (options.yes) return;
  if (options.terminal) {
    if (hosts <= ASK_ABOVE || (await confirm(`Run "${title}" on ${hosts.toLocaleString('en')} hosts?`))) return;
    throw new MyriadError('guard', 'not confirmed; nothing was connected');
  }
  if (hosts <= REFUSE_ABOVE) return;
  throw new MyriadError(
    'guard',
    `${hosts} hosts and no terminal to ask on: add --expect ${hosts} or --yes; nothing was connected`,
  );
}
