/** What may be typed after a run that is recorded: how to go on with it, and how to do it again where it failed. */
import type { Summary } from '../contracts/summary.ts';
import { formatNumberOf } from './format.ts';
import type { Fold, Label } from './hosts.ts';

/** How to go on with a run that stopped early; empty where it did not. `run`: the words that name it, its id first. */
export function resumeLine(summary: Summary, run: string): string {
  const rest = summary.outcomes['not-run'];
  if (rest === 0) return '';
  return `go on with the ${formatNumberOf(rest, 'task')} that did not run: myriad resume ${run}\n`;
}

/** A host set in a line to type is this long at most. */
const MOST_SET = 400;
/** More are not folded in vain. */
const MOST_TASKS = 10_000;

/** As `nextLine`, of a run that is not recorded: with its hosts, where these are not too long to be typed. */
export function onceMoreLine(summary: Summary, label: Label, fold: Fold, againOn: (hosts: string) => string): string {
  const causes = summary.causes.filter(({ kind }) => kind !== 'ok' && kind !== 'skipped');
  const bad = causes.reduce((sum, { count }) => sum + count, 0);
  if (bad === 0 || bad > MOST_TASKS) return '';
  const hosts = [...new Set(causes.flatMap((cause) => [...cause.indices()].map(label)))];
  const text = fold(hosts);
  if (text.length > MOST_SET) return '';
  return `again on ${formatNumberOf(bad, 'task')} not ok: ${againOn(text)}\n`;
}

/**
 * What to do next, in one line; empty where all is ok. `again`: the whole command line that does it once more on what is not
 * ok. A run that stopped early is gone on with first: what did not run is not ok either.
 */
export function nextLine(summary: Summary, run: string, again: string): string {
  const bad = summary.planned - summary.outcomes.ok - summary.outcomes.skipped;
  const once = bad > 0 ? `again on ${formatNumberOf(bad, 'task')} not ok: ${again}\n` : '';
  return resumeLine(summary, run) || once;
}
