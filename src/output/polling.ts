/** Rounds of a repeated run for people: where it is, what a round came to, how a host has changed. */
import type { ChangeEvent, RoundEndEvent, RunListener } from '../contracts/events.ts';
import { OUTCOME_KINDS, type OutcomeKind, outcomeLabel, outcomeMessage } from '../contracts/outcome.ts';
import type { RoundsSummary } from '../contracts/summary.ts';
import { escapeText } from './escape.ts';
import { formatCount, formatDuration, formatNumberOf } from './format.ts';
import type { Sink } from './writer.ts';

/** Where a run is among its rounds. */
export interface RoundProgress {
  /** From 0; -1: none has begun. */
  readonly round: number;
  readonly rounds: number;
  /** Undefined while one is on. */
  readonly nextInMs: number | undefined;
  readonly overruns: number;
}

/** `round 3 of 10`, `round 3, next in 7 s, 2 overruns`: counted from 1, in whole seconds, so that the line is not drawn anew for tenths. */
export function roundProgress({ round, rounds, nextInMs, overruns }: RoundProgress): string {
  const parts = [`round ${formatCount(round + 1)}${rounds === Infinity ? '' : ` of ${formatCount(rounds)}`}`];
  if (nextInMs !== undefined) parts.push(`next in ${wholeSeconds(nextInMs)}`);
  if (overruns > 0) parts.push(formatNumberOf(overruns, 'overrun'));
  return parts.join(', ');
}

function wholeSeconds(ms: number): string {
  return ms < 60_000 ? `${Math.ceil(ms / 1000)} s` : formatDuration(ms);
}

/** `round 3: 98 ok, 2 unreachable in 1.2 s, 1 change`, with its newline. */
export function roundLine({ round, outcomes, durationMs, changes }: RoundEndEvent): string {
  const change = changes > 0 ? `, ${formatNumberOf(changes, 'change')}` : '';
  return `round ${formatCount(round + 1)}: ${countsOf(outcomes)} in ${formatDuration(durationMs)}${change}\n`;
}

/** `12 rounds, 3 changes, at the end 98 up, 2 down`; and in lines of their own what was left out, or is old. */
export function pollingLines({ rounds, changes, hosts, overruns }: RoundsSummary): string[] {
  const unknown = hosts.unknown > 0 ? `, ${formatCount(hosts.unknown)} unknown` : '';
  const states = `at the end ${formatCount(hosts.up)} up, ${formatCount(hosts.down)} down${unknown}`;
  const lines = [`${formatNumberOf(rounds, 'round')}, ${formatNumberOf(changes, 'change')}, ${states}`];
  if (overruns > 0) {
    lines.push(`${formatNumberOf(overruns, 'round')} left out, as the one before was not over (--every)`);
  }
  if (hosts.stale > 0) {
    lines.push(`${formatNumberOf(hosts.stale, 'host')} without an answer for longer than three periods`);
  }
  return lines;
}

const MOST_TEXT = 120;

/** `2026-11-21T16:05:34Z web7 down: unreachable(refused): …`, with its newline. */
export function changeLine({ time, change, value, result }: ChangeEvent): string {
  const { outcome, host, stdout } = result;
  const label = outcomeLabel(outcome);
  // The first line, however much there is behind it.
  const [first = ''] = stdout.bytes
    .subarray(0, 4 * MOST_TEXT)
    .toString('utf8')
    .split('\n', 1);
  const said = change === 'down' ? outcomeMessage(outcome) : (value ?? first);
  const text = said.length > MOST_TEXT ? `${said.slice(0, MOST_TEXT)}…` : said;
  const of = outcome.kind === 'ok' ? '' : `${label}${text === '' ? '' : ': '}`;
  const tail = `${of}${text}`;
  const at = `${new Date(time).toISOString().slice(0, 19)}Z`;
  return escapeText(`${at} ${host.label} ${WORDS[change]}${tail === '' ? '' : `: ${tail}`}`).concat('\n');
}

const WORDS = { up: 'up', down: 'down', answer: 'answers' } as const;

/** `--changes-only`: a line for each change, and nothing else. */
export function changesListener(sink: Sink): RunListener {
  return (event) => {
    if (event.type === 'change') sink.write(changeLine(event));
  };
}

/** `--changes-only` in events: those that are changes, and the run's own two. */
export function changesAlone(listener: RunListener): RunListener {
  return (event) => {
    if (event.type === 'change' || event.type === 'run:start' || event.type === 'run:end') listener(event);
  };
}

/** What each round came to, between the outputs of its hosts. */
export function roundsListener(sink: Sink): RunListener {
  return (event) => {
    if (event.type === 'round:end') sink.write(roundLine(event));
  };
}

function countsOf(outcomes: Readonly<Record<OutcomeKind, number>>): string {
  const counts = OUTCOME_KINDS.filter((kind) => outcomes[kind] > 0);
  return counts.map((kind) => `${formatCount(outcomes[kind])} ${kind}`).join(', ');
}
