/** The options of runs that are repeated; what they come to for the library. */
import type { Command } from 'commander';
import { MyriadError, type RunOptions } from '../index.ts';
import { formatDuration } from '../output/format.ts';
import { defined } from './connection_options.ts';
import { type FoldFlags, foldingOption } from './fold_options.ts';
import { count, duration, durationOrNone, NO_LIMIT } from './values.ts';

export interface PollFlags {
  readonly every?: number;
  readonly rounds?: number;
  /** Null: none. */
  readonly jitter?: number | null;
  readonly changesOnly?: boolean;
  readonly failAfter?: number;
  readonly extract?: string;
  readonly onChange?: string;
  readonly metrics?: string;
  readonly keepRounds?: number;
}

/** Begins the group of options. `ping`: its hosts are up or down, whatever they answer. */
export function addPolls(command: Command, of: 'run' | 'ping' = 'run'): Command {
  command
    .optionsGroup('Polling:')
    .option('--every <time>', 'once more each time it has passed, on connections that stay', duration('--every'))
    .option('--rounds <n>', 'so many times (default: until ^C)', count('--rounds', 1))
    .option(
      '--jitter <time>',
      'over which starts are spread (default: a tenth of --every, up to two fifths for many hosts)',
      durationOrNone('--jitter'),
    )
    .option(
      '--changes-only',
      `show hosts that go down${of === 'run' ? ', come up, or answer something else' : ' or come up'}`,
    )
    .option('--fail-after <n>', 'failures in a row are down (default: 1)', count('--fail-after', 1));
  if (of === 'run') command.option('--extract <what>', 'of stdout: a pattern, its first group; or a path, as .load[0]');
  return command
    .option('--on-change <command>', 'here, for each change, which is JSON on its stdin')
    .option('--metrics <address>', 'for Prometheus, as 127.0.0.1:9464 or 9464')
    .option('--keep-rounds <n>', 'in the journal (default: 1000)', count('--keep-rounds', 1));
}

export function pollOptions(flags: PollFlags): RunOptions {
  return defined({
    everyMs: flags.every,
    rounds: flags.rounds,
    jitterMs: flags.jitter === null || flags.jitter === NO_LIMIT ? 0 : flags.jitter,
    failAfter: flags.failAfter,
    extract: flags.extract,
    onChange: flags.onChange,
    metrics: flags.metrics,
    keepRounds: flags.keepRounds,
  });
}

interface Others extends PollFlags, FoldFlags {
  readonly output: string;
  readonly gather: string;
  readonly outdir?: string;
  readonly errdir?: string;
  readonly serial?: string;
  readonly maxFail?: string;
  readonly maxUnreached?: string;
  readonly failFast?: boolean;
  readonly splay?: number;
  readonly deadline?: number | null;
}

/** Throws `usage` for what needs rounds where there are none, and for times that do not go together. */
export function refuseUnrepeated(flags: PollFlags & Pick<Others, 'deadline'>): void {
  const { every, jitter, deadline } = flags;
  if (every === undefined) {
    const without = Object.entries({
      '--rounds': flags.rounds,
      '--jitter': flags.jitter,
      '--changes-only': flags.changesOnly,
      '--fail-after': flags.failAfter,
      '--extract': flags.extract,
      '--on-change': flags.onChange,
      '--metrics': flags.metrics,
      '--keep-rounds': flags.keepRounds,
    }).find(([, value]) => value !== undefined);
    if (without !== undefined) refuse(`${without[0]}: the run is not repeated; add --every, such as --every 60s`);
    return;
  }
  if (jitter !== undefined && jitter !== null && jitter !== NO_LIMIT && jitter >= every) {
    refuse(`--jitter ${formatDuration(jitter)}: it must be shorter than --every ${formatDuration(every)}`);
  }
  if (deadline && deadline < every && flags.rounds !== 1) {
    refuse(`--every ${formatDuration(every)}: the run is over before, by --deadline ${formatDuration(deadline)}`);
  }
}

/** Throws `usage` for what contradicts rounds, or needs them. */
export function refusePolls(flags: Others): void {
  refuseUnrepeated(flags);
  const { every } = flags;
  if (every === undefined) return;
  const waves = { '--serial': flags.serial, '--splay': flags.splay, '--max-fail': flags.maxFail };
  const limits = { '--max-unreached': flags.maxUnreached, '--fail-fast': flags.failFast };
  const other = Object.entries({ ...waves, ...limits }).find(([, value]) => value !== undefined);
  if (other) refuse(`${other[0]}: a run in rounds (--every) has no waves and no such limits; leave out one of them`);
  refuseShown(flags);
}

/** What would show all rounds as if they were one. */
function refuseShown(flags: Others): void {
  const folds = foldingOption(flags);
  if (folds)
    refuse(`${folds}: answers of many rounds (--every) are not folded; --changes-only shows what is new in them`);
  const folder = flags.outdir === undefined ? (flags.errdir === undefined ? undefined : '--errdir') : '--outdir';
  if (folder) refuse(`${folder}: a file holds one answer of a host, not those of many rounds (--every)`);
  if (flags.changesOnly && flags.output === 'csv') refuse('--changes-only: csv has no changes; use text or ndjson');
  if (flags.changesOnly && flags.gather !== 'collect') {
    refuse(`--changes-only: only collected output can be compared; leave out --gather ${flags.gather}`);
  }
}

function refuse(message: string): never {
  throw new MyriadError('usage', message);
}
