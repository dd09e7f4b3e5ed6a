/** The guard: how large a run may be before someone has to say that it is meant. */
import { MyriadError } from '../index.ts';
import { escapeText } from '../output/escape.ts';
import { formatCount, formatNumberOf } from '../output/format.ts';
import { confirm } from './prompt.ts';
import type { Expected } from './values.ts';

/** Above so many hosts something has to be said. */
export interface Thresholds {
  /** On a terminal the count is asked back. */
  readonly ask: number;
  /** Off a terminal `--expect` or `--yes` is needed. */
  readonly refuse: number;
}

const THRESHOLDS: Thresholds = { ask: 100, refuse: 1000 };

/** Asks whether to begin although another run here has the lock. */
export function askLocked(_holders: unknown, sentence: string): Promise<boolean> {
  return confirm(`myriad: ${escapeText(sentence)}; begin all the same?`);
}

export interface Guard {
  readonly expect: Expected | undefined;
  readonly yes: boolean;
  readonly terminal: boolean;
  readonly thresholds?: Thresholds | undefined;
}

/** `--guard`: `100,1000`. Throws `usage`. */
export function thresholds(value: string): Thresholds {
  const [, ask, refuse] = /^(\d{1,15}),(\d{1,15})$/.exec(value) ?? [];
  if (ask !== undefined && refuse !== undefined) return { ask: Number(ask), refuse: Number(refuse) };
  throw new MyriadError('usage', `--guard: expected two numbers of hosts such as 100,1000, got "${value}"`);
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
  const { expect, yes, terminal, thresholds: { ask, refuse } = THRESHOLDS } = options;
  checkExpected(hosts, expect);
  if (expect || yes) return;
  if (terminal) {
    if (hosts <= ask || (await confirm(`Run "${escapeText(title)}" on ${formatCount(hosts)} hosts?`))) return;
    throw new MyriadError('guard', 'not confirmed; nothing was connected');
  }
  if (hosts <= refuse) return;
  throw new MyriadError(
    'guard',
    `${formatCount(hosts)} hosts and no terminal to ask on: add --expect ${hosts} or --yes; nothing was connected`,
  );
}
