/** Recorded runs for people: a line each in the list, and the head of one. */
import { OUTCOME_KINDS } from '../contracts/outcome.ts';
import type { JournalReader, PruneReport, RunEntry, RunInfo, RunRecord } from '../journal/journal.ts';
import { escapeText } from './escape.ts';
import { formatBytes, formatCount, formatDuration, formatNumberOf } from './format.ts';
import { type Fold, foldBounded, type HostsLimits } from './hosts.ts';
import { wrap } from './summary.ts';

export interface RunsOptions {
  /** Milliseconds since the epoch: a time of another year shows the year instead of the hour. */
  readonly now: number;
  /** Width of the terminal: titles are cut, sentences wrapped. @default neither */
  readonly columns?: number;
}

/** Widths of the columns; ids have 15 characters unless somebody chose them. */
const ID = 15;
const TIME = 11;
const WHO = 8;
const TASKS = 9;
const STATE = 7;

/** Over the list. */
export function runsHead(): string {
  const head = ['RUN'.padEnd(ID), 'STARTED'.padEnd(TIME), 'WHO'.padEnd(WHO), 'TASKS'.padStart(TASKS)];
  return `${head.join(' ')} ${'STATE'.padEnd(STATE)}  JOB\n`;
}

/** One run: a line, and below it the outcomes where not all were ok; or what is wrong with its file. */
export function runLines(entry: RunEntry, options: RunsOptions): string {
  if (entry.problem !== undefined) {
    const [first = '', ...rest] = wrap(escapeText(entry.problem).split(' '), ' '.repeat(ID + 1), options.columns);
    return [`${entry.id.padEnd(ID)} ${first.trimStart()}`, ...rest].map((line) => `${line}\n`).join('');
  }
  const { outcomes, state, startedAt, who } = entry;
  // Planned is what one round has; a run in rounds has ended as many each time.
  const planned = Math.max(entry.planned, endedOf(entry));
  const columns = [
    entry.id.padEnd(ID),
    shortTime(startedAt, options.now).padEnd(TIME),
    cut(escapeText(who.loginUser), WHO).padEnd(WHO),
    formatCount(planned).padStart(TASKS),
    (outcomes.ok === planned && state === 'ended' ? 'ok' : state).padEnd(STATE),
  ].join(' ');
  const title = cut(escapeText(entry.title), (options.columns ?? Number.POSITIVE_INFINITY) - columns.length - 2);
  const line = `${columns}  ${title}`.trimEnd();
  const below = outcomes.ok === planned ? [] : outcomeParts(entry);
  const more = below.length === 0 ? [] : wrap(below, ' '.repeat(ID + 1), options.columns);
  return [line, ...more].map((text) => `${text}\n`).join('');
}

function endedOf({ outcomes }: RunInfo): number {
  return Object.values(outcomes).reduce((sum, count) => sum + count, 0);
}

/** `480 ok, 20 failed`; what has no outcome is told last. */
function outcomeParts({ outcomes, planned, state }: RunInfo): string[] {
  let sum = 0;
  const parts: string[] = [];
  for (const kind of OUTCOME_KINDS) {
    const count = outcomes[kind] ?? 0;
    sum += count;
    if (count > 0) parts.push(`${formatCount(count)} ${kind}`);
  }
  if (sum < planned) {
    const rest = formatCount(planned - sum);
    parts.push(state === 'ended' ? `${rest} not-run` : `${rest} without a result`);
  }
  return parts.map((part, at) => (at < parts.length - 1 ? `${part},` : part));
}

const HOSTS: HostsLimits = { labels: 10_000, characters: 400 };

/** Who swept what, when and where. */
export function sweepHead(sweep: { readonly info: RunInfo; readonly record: Pick<RunRecord, 'who'> }): string {
  const { info, record } = sweep;
  return headLines(info, record, undefined).join('');
}

/** Who ran what, when, where and on which hosts: the head of one run. */
export function runHead(reader: JournalReader, fold: Fold, columns?: number): string {
  const { info, record, plan } = reader;
  const indices = Array.from({ length: Math.min(plan.hosts, HOSTS.labels) }, (_, index) => index);
  const hosts = foldBounded(indices, plan.hosts, (index) => plan.at(index).label, fold, HOSTS);
  const more = hosts.more > 0 ? ` … and ${formatCount(hosts.more)} more` : '';
  const repeat = plan.hosts > 0 && plan.count > plan.hosts ? `, ${plan.count / plan.hosts} times each` : '';
  // Never wrapped, so that it can be copied.
  const line = `hosts: ${escapeText(hosts.text)}${more} (${formatCount(plan.hosts)}${repeat})\n`;
  return [...headLines(info, record, columns), line].join('');
}

function headLines(info: RunInfo, { who }: Pick<RunRecord, 'who'>, columns: number | undefined): string[] {
  const took = info.endedAt === undefined ? '' : `, took ${formatDuration(info.endedAt - info.startedAt)}`;
  const terminal = who.terminal === '' ? '' : `, ${who.terminal}`;
  return [
    `run ${info.id}: ${stateText(info)}, ${longTime(info.startedAt)}${took}`,
    `by ${who.loginUser} (uid ${who.uid}) on ${who.hostName}${terminal}, process ${who.pid}`,
    `job: ${info.title}`,
  ].flatMap((line) => wrap(escapeText(line).split(' '), '', columns).map((text) => `${text}\n`));
}

function stateText(info: RunInfo): string {
  const { state, planned } = info;
  const ended = endedOf(info);
  switch (state) {
    case 'ended':
      return 'ended';
    case 'open':
      return 'about to start';
    case 'running':
      return `in progress, ${formatCount(ended)} of ${formatCount(planned)} have ended`;
    case 'crashed':
      return `CRASHED after ${formatCount(ended)} of ${formatCount(planned)} results`;
  }
}

/** What pruning removed, and what is left. */
export function pruneLines(report: PruneReport, dryRun: boolean): string {
  const { removed, leftBytes, live, problems } = report;
  const freed = removed.reduce((sum, { bytes }) => sum + bytes, 0);
  const would = dryRun ? 'would remove' : 'removed';
  const lines = removed.map(({ id, bytes }) => `${id}  ${formatBytes(bytes)}`);
  lines.push(
    `${would} ${formatNumberOf(removed.length, 'run')}, ${formatBytes(freed)}; ${formatBytes(leftBytes)} left`,
  );
  if (live.length > 0) lines.push(`${formatNumberOf(live.length, 'run')} in progress: ${live.join(' ')}`);
  return [...lines, ...problems.map(escapeText)].map((line) => `${line}\n`).join('');
}

function cut(text: string, width: number): string {
  if (text.length <= width) return text;
  return width < 1 ? '' : `${text.slice(0, width - 1)}…`;
}

/** Local time: `11-21 15:02`, or `2025-11-21` of another year. */
function shortTime(at: number, now: number): string {
  const { day, time } = parts(at);
  return day.startsWith(parts(now).day.slice(0, 5)) ? `${day.slice(5)} ${time.slice(0, 5)}` : day;
}

/** Local time: `2026-11-21 15:02:03 +01:00`. */
function longTime(at: number): string {
  const { day, time } = parts(at);
  const offset = -new Date(at).getTimezoneOffset();
  const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60];
  return `${day} ${time} ${offset < 0 ? '-' : '+'}${two(hours)}:${two(minutes)}`;
}

function parts(at: number): { readonly day: string; readonly time: string } {
  const date = new Date(at);
  return {
    day: `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`,
    time: `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`,
  };
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
