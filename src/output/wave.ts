/** Waves for people: where a run is, and what a wave that is over came to. */
import type { WaveEndEvent } from '../contracts/events.ts';
import { OUTCOME_KINDS } from '../contracts/outcome.ts';
import { escapeText } from './escape.ts';
import { formatCount } from './format.ts';

/** Where a run is among its waves. */
export interface WaveProgress {
  /** From 1. */
  readonly number: number;
  readonly count: number;
  readonly mode: 'running' | 'due' | 'checking' | 'between' | 'stopped' | 'over';
}

/** `wave 2 of 7`, `wave 2 of 7: being checked` */
export function waveProgress({ number, count, mode }: WaveProgress): string {
  const doing = mode === 'checking' ? ': being checked' : mode === 'between' ? ': passed' : '';
  return `wave ${formatCount(number)} of ${formatCount(count)}${doing}`;
}

/** What its check has written, then the wave in one line; each line with its newline. */
export function waveLines(event: WaveEndEvent): string {
  const written = event.output.split('\n').filter((line) => line.trim() !== '');
  const counts = OUTCOME_KINDS.filter((kind) => event.outcomes[kind] > 0).map(
    (kind) => `${formatCount(event.outcomes[kind])} ${kind}`,
  );
  const verdict = event.passed ? 'passed' : `did not pass, ${escapeText(event.reason)}`;
  return [
    ...written.map((line) => `check: ${escapeText(line)}\n`),
    `wave ${formatCount(event.wave)} of ${formatCount(event.waves)} ${verdict}: ${counts.join(', ')}\n`,
  ].join('');
}
