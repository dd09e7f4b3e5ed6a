/** The end of a run for people: what was planned is what is accounted for, and every cause once, with its hosts. */
import { OUTCOME_KINDS, type Outcome, type OutcomeKind, outcomeMessage } from '../contracts/outcome.ts';
import type { CauseCount, Summary } from '../contracts/summary.ts';
import { outcomeAdvice } from './advice.ts';
import { escapeText } from './escape.ts';
import { accountingError } from './exit_code.ts';
import { formatCount, formatDuration, formatNumberOf, formatRate } from './format.ts';
import { type Fold, foldBounded, type HostsLimits, type Label } from './hosts.ts';
import { pollingLines } from './polling.ts';

export interface SummaryOptions {
  readonly label: Label;
  readonly fold: Fold;
  /** False where host keys were not verified (`--host-keys off`): said aloud. */
  readonly hostKeysVerified: boolean;
  /** Width of the terminal: sentences are wrapped; host sets never, so that they can be copied. @default no wrapping */
  readonly columns?: number;
  /** Tasks of a run that is in progress: the summary is of those that have ended. @default it is of all */
  readonly soFar?: number;
}

const LIMITS: HostsLimits = { labels: 10_000, characters: 200 };
/** All hosts that were not ok, as one set: for `-w`, so longer than what is only looked at. */
const BAD_LIMITS: HostsLimits = { labels: 10_000, characters: 2000 };
/** Signals and error codes name causes too, and come from hosts: the rarest beyond this many are counted only. */
const MAX_CAUSES = 20;
/** Characters of an example: the peer's own words may be long. */
const MAX_MESSAGE = 300;
/** Kinds that have no line among the causes: nothing went wrong there. */
const QUIET_KINDS: ReadonlySet<OutcomeKind> = new Set<OutcomeKind>(['ok', 'skipped']);
/** Kinds whose message differs from host to host: one of several is an example. */
const EXAMPLE_KINDS: ReadonlySet<OutcomeKind> = new Set<OutcomeKind>([
  'refused',
  'unreachable',
  'auth-failed',
  'host-key',
  'protocol',
  'lost',
  'error',
]);

/** The summary as lines, each with its newline. Hosts' own words are escaped, whether or not a terminal reads it. */
export function renderSummary(summary: Summary, options: SummaryOptions): string {
  const lines = [
    ...wrap(totalParts(summary, options.soFar), '', options.columns),
    ...causeLines(summary, options),
    ...badLine(summary, options),
    ...wrap(speedParts(summary), '', options.columns),
    ...remarkLines(summary, options),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** `10,000 planned: 9,900 ok, 60 failed, 40 unreachable` */
function totalParts(summary: Summary, soFar: number | undefined): string[] {
  const counts = OUTCOME_KINDS.filter((kind) => summary.outcomes[kind] > 0).map(
    (kind) => `${formatCount(summary.outcomes[kind])} ${kind}`,
  );
  const planned = formatCount(summary.planned);
  const head = soFar === undefined ? `${planned} planned:` : `${planned} of ${formatCount(soFar)} so far:`;
  return [head, ...withCommas(counts)];
}

function causeLines(summary: Summary, options: SummaryOptions): string[] {
  const causes = summary.causes.filter((cause) => !QUIET_KINDS.has(cause.kind));
  const shown = causes.slice(0, MAX_CAUSES);
  const width = Math.max(0, ...shown.map((cause) => formatCount(cause.count).length));
  const lines = shown.flatMap((cause) => causeLine(cause, width, options));
  const rest = causes.slice(MAX_CAUSES);
  if (rest.length > 0) {
    const count = rest.reduce((sum, cause) => sum + cause.count, 0);
    lines.push(`  … and ${formatNumberOf(rest.length, 'more cause')} (${formatNumberOf(count, 'task')})`);
  }
  return lines;
}

/** Hosts of all causes together, to be given to `-w`; with a single cause its line has them. Without what was not run: that is resumed. */
function badLine(summary: Summary, options: SummaryOptions): string[] {
  const causes = summary.causes.filter(({ kind }) => !QUIET_KINDS.has(kind) && kind !== 'not-run');
  if (causes.length < 2) return [];
  const hosts = new Set<string>();
  const count = causes.reduce((sum, cause) => sum + cause.count, 0);
  for (const index of ascending(causes, BAD_LIMITS.labels)) hosts.add(options.label(index));
  const bad = [...hosts];
  const { text, more } = foldBounded(bad.keys(), bad.length, (place) => bad[place]!, options.fold, BAD_LIMITS);
  const left = more + Math.max(0, count - BAD_LIMITS.labels);
  return [`not ok: ${escapeText(text)}${left > 0 ? ` … and ${formatCount(left)} more` : ''}`];
}

/** At most so many plan indices of these causes, in the order of the plan. */
function ascending(causes: readonly CauseCount[], most: number): number[] {
  const found: number[] = [];
  for (const cause of causes) {
    let left = most;
    for (const index of cause.indices()) {
      found.push(index);
      if (--left === 0) break;
    }
  }
  return found.sort((a, b) => a - b).slice(0, most);
}

/** The count, the cause and its hosts; below, what was said and what to do. */
function causeLine(cause: CauseCount, width: number, options: SummaryOptions): string[] {
  const hosts = foldBounded(cause.indices(), cause.places ?? cause.count, options.label, options.fold, LIMITS);
  const more = hosts.more > 0 ? ` … and ${formatCount(hosts.more)} more` : '';
  const count = formatCount(cause.count).padStart(width);
  const head = `  ${count} ${escapeText(cause.label)}: ${escapeText(hosts.text)}${more}`;
  const sentence = explain(cause.example, cause.count);
  const indent = ' '.repeat(width + 5);
  return sentence === '' ? [head] : [head, ...wrap(sentence.split(' '), indent, options.columns)];
}

function explain(outcome: Outcome, count: number): string {
  const message = escapeText(outcomeMessage(outcome));
  const cut = message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message;
  const own = outcome.kind === 'failed' && outcome.status === null && outcome.cause === 'job';
  const example = count > 1 && (own || EXAMPLE_KINDS.has(outcome.kind)) ? 'for example: ' : '';
  const advice = outcomeAdvice(outcome);
  return `${example}${cut}${advice === '' ? '' : `; ${advice}`}`;
}

/** `9,900 hosts in 12.3 s, 805/s, 12 retries, limited by: jump host b1` */
function speedParts(summary: Summary): string[] {
  const done = summary.planned - summary.outcomes['not-run'] - summary.outcomes.skipped - summary.resumed;
  const parts = [`${formatNumberOf(done, summary.polling ? 'task' : 'host')} in ${formatDuration(summary.durationMs)}`];
  if (done > 0 && summary.durationMs > 0) parts.push(formatRate((done / summary.durationMs) * 1000));
  if (summary.retries > 0) parts.push(formatNumberOf(summary.retries, 'retry', 'retries'));
  if (summary.limitedBy !== '') parts.push(`limited by: ${escapeText(summary.limitedBy)}`);
  return withCommas(parts);
}

/** What a person has to know besides, each in a line of its own. */
function remarkLines(summary: Summary, options: SummaryOptions): string[] {
  const lines: string[] = summary.polling === undefined ? [] : pollingLines(summary.polling);
  if (summary.stopped === 'cancelled') lines.push('stopped by the user');
  if (summary.stopped === 'deadline') lines.push('stopped at the deadline of the run (--deadline)');
  if (summary.stopReason !== '') lines.push(`stopped: ${escapeText(summary.stopReason)}`);
  if (summary.resumed > 0) lines.push(`${formatNumberOf(summary.resumed, 'result')} from before the run was resumed`);
  if (summary.cutOff > 0) lines.push(`${formatNumberOf(summary.cutOff, 'command')} cut off by a deadline`);
  if (summary.uncertain > 0) lines.push(`${formatNumberOf(summary.uncertain, 'task')} may have run, result not known`);
  if (summary.truncated > 0) lines.push(`${formatNumberOf(summary.truncated, 'output')} truncated (--max-output)`);
  if (summary.leftOpen > 0) {
    lines.push(`${formatNumberOf(summary.leftOpen, 'output')} left open by something still running there`);
  }
  if (summary.outputCut > 0) {
    lines.push(`${formatNumberOf(summary.outputCut, 'output')} cut off by the end of the connection, after the status`);
  }
  if (summary.byOpenssh > 0) lines.push(`${formatNumberOf(summary.byOpenssh, 'host')} reached by the ssh program`);
  if (!options.hostKeysVerified) lines.push('host keys were NOT verified');
  const error = accountingError(summary);
  if (error !== undefined) lines.push(`INTERNAL ERROR: ${error}; please report this`);
  return lines;
}

function withCommas(parts: readonly string[]): string[] {
  return parts.map((part, number) => (number < parts.length - 1 ? `${part},` : part));
}

/** Joins words by blanks into indented lines; without an indent those after the first get two blanks. */
export function wrap(words: readonly string[], indent: string, columns = Number.POSITIVE_INFINITY): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of words) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = '';
    }
    if (line !== '') line += ` ${word}`;
    else line = `${indent === '' && lines.length > 0 ? '  ' : indent}${word}`;
  }
  return [...lines, line];
}
