/** Options that fold answers, which `run`, `script`, `resume` and `show` share. */
import type { Command } from 'commander';
import { MyriadError } from '../index.ts';
import type { FoldOptions } from '../output/fold.ts';
import { NORMAL_KINDS, type NormalKind } from '../output/normalize.ts';
import { word } from './values.ts';

export interface FoldFlags {
  readonly gatherSame?: boolean;
  readonly gatherBoth?: boolean;
  readonly lineMode?: boolean;
  readonly normalize?: readonly NormalKind[];
  readonly diff?: boolean;
}

export function addFolds(command: Command): Command {
  return command
    .option('-b, --gather-same', 'identical stdout once, under its hosts')
    .option('-B, --gather-both', 'as -b, stderr too')
    .option('-L, --line-mode', 'in the order of hosts; with -b or -B identical lines once, line by line')
    .option('--normalize <what>', 'answers are alike but for host, numbers, times; with commas', normalKinds)
    .option('--diff', 'what tells answers from the most frequent one');
}

function normalKinds(value: string): NormalKind[] {
  return [...new Set(value.split(',').map(word('--normalize', NORMAL_KINDS)))];
}

/** Whether answers fold; they are shown one by one where not. `-L` alone only puts them in order, as clush does. */
export function isFolding(flags: FoldFlags): boolean {
  const { lineMode, ...others } = flags;
  return foldingOption(others) !== undefined;
}

/** The option that has answers shown otherwise than as they come; undefined: there is none. */
export function foldingOption(flags: FoldFlags): string | undefined {
  if (flags.diff) return '--diff';
  if (flags.lineMode) return '--line-mode (-L)';
  if (flags.gatherBoth) return '--gather-both (-B)';
  if (flags.gatherSame) return '--gather-same (-b)';
  return flags.normalize ? '--normalize' : undefined;
}

/** Throws `usage` for forms that exclude each other. */
export function refuseFolds(flags: FoldFlags): void {
  if (!flags.diff || !flags.lineMode) return;
  throw new MyriadError('usage', '--diff and --line-mode (-L) show answers in two ways; leave out one of them');
}

/** Of answers that fold. */
export function foldOptions(flags: FoldFlags, shown: Pick<FoldOptions, 'raw' | 'color' | 'prefix'>): FoldOptions {
  const whole = flags.lineMode ? 'lines' : 'blocks';
  const lineByLine = flags.lineMode && (flags.gatherSame || flags.gatherBoth);
  return {
    ...shown,
    streams: flags.gatherBoth ? 'both' : 'stdout',
    form: flags.diff ? 'diff' : lineByLine ? 'each-line' : whole,
    normalize: flags.normalize,
  };
}

/** What of the output is shown as it comes. */
export function unfolded(flags: FoldFlags): readonly ('stdout' | 'stderr')[] {
  if (flags.gatherBoth) return [];
  return isFolding(flags) ? ['stderr'] : ['stdout', 'stderr'];
}
