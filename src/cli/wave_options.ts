/** The options of waves and of limits on failures; what they come to for the library, and what a dry run says of them. */
import type { Command } from 'commander';
import { MyriadError, type RunOptions, type WaveOutline } from '../index.ts';
import { formatCount, formatDuration, formatNumberOf } from '../output/format.ts';
import { parseShare } from '../util/share.ts';
import { defined } from './connection_options.ts';
import { duration } from './values.ts';

export interface WaveFlags {
  readonly serial?: string;
  readonly check?: string;
  readonly checkOn?: string;
  readonly checkTimeout?: number;
  readonly between?: number;
  readonly splay?: number;
  readonly maxFail?: string;
  readonly maxUnreached?: string;
  readonly failFast?: boolean;
}

/** Begins the group of options. */
export function addWaves(command: Command): Command {
  return command
    .optionsGroup('Waves, and what stops a run:')
    .option('--serial <sizes>', 'in waves, as 1,5%,100%; the last size repeats', sizes)
    .option('--check <command>', 'here after each wave; it must end with status 0', line('--check'))
    .option('--check-on <command>', 'after each wave on its hosts that were ok', line('--check-on'))
    .option('--check-timeout <time>', 'of a check (default: 10m)', duration('--check-timeout'))
    .option('--between <time>', 'between two waves', duration('--between'))
    .option('--splay <time>', 'spread the starts of a wave over it', duration('--splay'))
    .option('--max-fail <n>', 'stop once more, N or N%, began and did not end ok', share('--max-fail'))
    .option('--max-unreached <n>', 'stop once more, N or N%, were not reached', share('--max-unreached'))
    .option('--fail-fast', 'as --max-fail 0');
}

export function waveOptions(flags: WaveFlags): RunOptions {
  return defined({
    serial: flags.serial,
    check: flags.check,
    checkOn: flags.checkOn,
    checkMs: flags.checkTimeout,
    betweenMs: flags.between,
    splayMs: flags.splay,
    maxFail: flags.maxFail,
    maxUnreached: flags.maxUnreached,
    failFast: flags.failFast,
  });
}

/** Throws `usage` for waves that contradict each other, or the rest of the run. */
export function refuseWaves(flags: WaveFlags & { readonly deadline?: number | null; readonly local?: boolean }): void {
  const { serial, check, checkOn, checkTimeout, between, splay, maxFail, failFast, deadline, local } = flags;
  if (failFast && maxFail !== undefined) refuse(`--fail-fast and --max-fail ${maxFail}: give one of them`);
  if (checkTimeout !== undefined && check === undefined && checkOn === undefined) {
    refuse('--check-timeout: there is no check; add --check or --check-on');
  }
  const ofWaves = { '--check': check, '--check-on': checkOn, '--between': between };
  for (const [option, value] of Object.entries(ofWaves)) {
    if (value !== undefined && serial === undefined) refuse(`${option}: there are no waves; add --serial`);
  }
  if (local && checkOn !== undefined) {
    refuse('--check-on: nothing logs in with --local; use --check, or leave out one of them');
  }
  for (const [option, time] of Object.entries({ '--splay': splay, '--between': between })) {
    if (time !== undefined && deadline && time >= deadline) {
      refuse(`${option} ${formatDuration(time)}: the run is over before, by --deadline ${formatDuration(deadline)}`);
    }
  }
}

/** Waves that a dry run names one by one. */
const NAMED = 8;

/** For a dry run: the waves with their sizes, and what can be at risk. */
export function waveLines(outline: WaveOutline | undefined, flags: WaveFlags): string[] {
  const lines: string[] = [];
  if (outline?.waves !== undefined) {
    const named = Math.min(outline.waves, NAMED);
    const shown = Array.from({ length: named }, (_, i) => formatCount(outline.size(i + 1)));
    const more = outline.waves > named ? ` and ${formatCount(outline.waves - named)} more` : '';
    lines.push(`${formatNumberOf(outline.waves, 'wave')} of ${shown.join(', ')}${more}`);
  }
  if (outline?.atRisk !== undefined) {
    const option = flags.failFast ? '--fail-fast' : `--max-fail ${flags.maxFail}`;
    const tasks = formatNumberOf(outline.atRisk, 'task');
    lines.push(`when ${option} stops it, at most ${tasks} can have begun without having ended ok`);
  }
  return lines;
}

function sizes(value: string): string {
  const parts = value.split(',').map((part) => parseShare(part.trim()));
  if (parts.every((part) => part !== undefined && !('count' in part && part.count === 0))) return value;
  return refuse(`--serial: expected sizes such as 1,5%,100%, from 1 or above 0% to 100%, got "${value}"`);
}

function share(option: string): (value: string) => string {
  return (value) => {
    if (parseShare(value) !== undefined) return value;
    return refuse(`${option}: expected a number such as 5, or a percentage above 0% and up to 100%, got "${value}"`);
  };
}

function line(option: string): (value: string) => string {
  return (value) => (value.trim() === '' ? refuse(`${option}: expected a command, got "${value}"`) : value);
}

function refuse(message: string): never {
  throw new MyriadError('usage', message);
}
