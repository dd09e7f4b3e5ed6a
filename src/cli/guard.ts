/** The guard: how large a run may be before someone has to say that it is meant. */
import { MyriadError } from '../index.ts';
import { escapeText } from '../output/escape.ts';
import { formatCount, formatNumberOf } from '../output/format.ts';
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

/** Throws `guard` when the count is not what `--expect` says. */
export function checkExpected(hosts: number, expect: Expected | undefined): void {
  if (!expect || (hosts >= expect.least && hosts <= expect.most)) return;
  throw new MyriadError(
    'guard',
    `--expect ${expect.text}: the selection has ${formatNumberOf(hosts, 'host')}; nothing was connected`,
  );
}

/** Throws `guard` when the count is not what was expected, or nobody confirmed it. */
export async function guard(hosts: number, title: string, options: Guard): Promise<void> {
  const { expect, yes, terminal } = options;
  checkExpected(hosts, expect);
  if (expect || yes) return;
  if (terminal) {
    if (hosts <= ASK_ABOVE || (await confirm(`Run "${escapeText(title)}" on ${formatCount(hosts)} hosts?`))) return;
    throw new MyriadError('guard', 'not confirmed; nothing was connected');
  }
  if (hosts <= REFUSE_ABOVE) return;
  throw new MyriadError(
    'guard',
    `${formatCount(hosts)} hosts and no terminal to ask on: add --expect ${hosts} or --yes; nothing was connected`,
  );
}
