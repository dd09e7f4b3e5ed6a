/** The options of `myriad run`: what the words on the command line come to. */
import { Command, Option } from 'commander';
import { MyriadError } from '../index.ts';
import { type AidFlags, addAids, addRedact } from './aid_options.ts';
import { type AuditFlags, addAudit } from './audit.ts';
import {
  addConnection,
  addFanout,
  addTargets,
  addTimeouts,
  type ConnectionFlags,
  choice,
  type LimitFlags,
  type TargetFlags,
} from './connection_options.ts';
import { addExecution, type ExecutionFlags, refuseExecution } from './execution_options.ts';
import { addFolds, type FoldFlags, foldingOption, refuseFolds } from './fold_options.ts';
import { type Thresholds, thresholds } from './guard.ts';
import { addJob, type JobFlags, refuseJob } from './job_options.ts';
import { addRecord, type RecordFlags } from './journal_options.ts';
import { addPolls, type PollFlags, refusePolls } from './poll_options.ts';
import { checkStdin } from './stdin.ts';
import { count, countOrAuto, durationOrNone, size } from './values.ts';
import { addWaves, refuseWaves, type WaveFlags } from './wave_options.ts';
import { HELP_WIDTH, parseWords } from './words.ts';

export interface RunFlags
  extends TargetFlags,
    ConnectionFlags,
    LimitFlags,
    ExecutionFlags,
    AidFlags,
    JobFlags,
    AuditFlags,
    WaveFlags,
    PollFlags,
    RecordFlags,
    FoldFlags {
  readonly commandTimeout?: number | null;
  readonly idle?: number | null;
  readonly regroup?: boolean;
  /** False with `-N`. */
  readonly label: boolean;
  readonly gather: 'collect' | 'stream' | 'discard' | 'file';
  readonly outdir?: string;
  readonly errdir?: string;
  readonly order: 'input' | 'done';
  readonly output: 'text' | 'ndjson' | 'json' | 'csv';
  readonly maxOutput?: number;
  readonly repeat?: number;
  readonly local?: boolean;
  readonly linger?: number | null;
  readonly raw?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly largestStatus?: boolean;
  readonly listHosts?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly guard?: Thresholds;
  readonly progress: 'auto' | 'always' | 'never';
  readonly color: 'auto' | 'always' | 'never';
}

export interface ParsedRun {
  readonly flags: RunFlags;
  /** The command, or program and arguments. */
  readonly words: readonly string[];
  /** Help was printed: there is nothing to do. */
  readonly helped: boolean;
}

const EXAMPLES = `
Examples:
  myriad -w 'web[1-100]' uptime
  myriad -w 'web[1-100]' -x web7 -b -- 'uname -r; uptime'
  myriad -w ^hosts.txt -l deploy -f 64 -u 30s -- systemctl is-active nginx
  myriad run -w db1 --repeat 200 -- 'echo hello world {i}'
  myriad run --local -w '10.0.0.[1-254]' -- ping -c 1 -W 1 {host}

A TIME is 500ms, 10s, 5m or 1h; none is no limit, but for -t. With --repeat or
--local the command may hold {host} {name} {user} {port} {rank} {count} {i}.

Exit codes: 0 all ok, 2 usage, 3 cut off by a deadline, 4 some host not reached,
5 some command failed, 6 stopped early, 7 some result lost, 130 interrupted,
1 internal. Where several apply: 130, 1, 2, 6, 7, 4, 3, 5.
`;

export function buildRun(): Command {
  const command = new Command('myriad run')
    .usage('-w HOSTS [options] [--] COMMAND...')
    .description('Run a command on every host, and account for every one of them.')
    .argument('[command...]')
    .passThroughOptions()
    .configureHelp({ helpWidth: HELP_WIDTH })
    .addHelpText('after', EXAMPLES)
    .helpOption('-h, --help', 'this help');
  addRunTargets(command);
  addConnection(command);
  addLimits(command);
  addWaves(command);
  addPolls(command);
  addJob(
    addAids(addExecution(command)).option(
      '--local',
      'run PROGRAM ARGUMENTS here, once per host, without a shell and without SSH',
    ),
  );
  addOutput(command);
  return command;
}

export function addRunTargets(command: Command): void {
  addTargets(command)
    .option('--repeat <n>', 'tasks per host; {i} counts them from 1', count('--repeat', 1))
    .option('--yes', 'do not ask, however many hosts there are')
    .option('--guard <n,n>', 'ask above so many; without a terminal refuse (default: 100,1000)', thresholds)
    .option('--list-hosts', 'print the hosts and do nothing')
    .option('--dry-run', 'say what would be done, and connect nowhere');
}

export function addLimits(command: Command): void {
  addFanout(command).addOption(
    new Option('--threads <n>', 'that talk to hosts').argParser(countOrAuto('--threads')).default('auto', 'auto'),
  );
  addTimeouts(command)
    .option('-u, --command-timeout <time>', 'of a command (default: none)', durationOrNone('--command-timeout (-u)'))
    .option('--idle <time>', 'of a command, without output (default: none)', durationOrNone('--idle'))
    .option(
      '--linger <time>',
      'for output that stays open after the command has ended (default: 2s)',
      durationOrNone('--linger'),
    );
}

export function addOutput(command: Command): void {
  addShown(command);
  addAudit(addRecord(command));
}

/** How a run is shown. */
export function addShown(command: Command): void {
  addFolds(addRedact(command.optionsGroup('Output:')))
    .option('-r, --regroup', 'hosts as groups of the inventory, where those are all there')
    .option('-N, --no-label', 'no "host: " before each line')
    .addOption(
      choice('--gather <mode>', 'collect, stream (lines as they come), file, discard', [
        ...(['collect', 'stream', 'discard', 'file'] as const),
      ]),
    )
    .addOption(choice('--order <order>', 'done (as hosts end), input (as written)', ['done', 'input']))
    .addOption(
      choice('--output <form>', 'text, ndjson (one event a line), json, csv', ['text', 'ndjson', 'json', 'csv']),
    )
    .option('--outdir <dir>', 'stdout in a file for each host, in this folder')
    .option('--errdir <dir>', 'stderr in a file for each host')
    .option('--max-output <size>', 'kept of each host (default: 1MiB)', size('--max-output'))
    .option('--raw', 'control sequences of hosts reach the terminal')
    .option('-q, --quiet', 'outputs only: no failures, no summary')
    .option('-v, --verbose', 'a line for each host that ended, and for each that failed')
    .option('-S, --largest-status', 'exit with the largest remote status, 255 where a host was not reached')
    .addOption(choice('--progress <when>', 'auto, always, never', ['auto', 'always', 'never']))
    .addOption(choice('--color <when>', 'auto, always, never', ['auto', 'always', 'never']));
}

/** Throws `usage`, one sentence, with the nearest name for a misspelt option. */
export function parseRun(argv: readonly string[]): ParsedRun {
  const command = buildRun();
  const helped = !parseWords(command, argv);
  const flags = command.opts<RunFlags>();
  if (!helped) refuseContradictions(flags);
  return { flags, words: helped ? [] : command.args, helped };
}

/** Throws `usage` for what would be shown in two ways, or not at all. */
function refuseOutput(flags: RunFlags): void {
  refuseFolds(flags);
  const folds = foldingOption(flags);
  const { gather, output, outdir, errdir } = flags;
  const refuse = (sentence: string): never => {
    throw new MyriadError('usage', sentence);
  };
  if (folds && gather !== 'collect') {
    refuse(`${folds}: it takes output that is collected; leave out --gather ${gather}`);
  }
  if (folds && output !== 'text') refuse(`${folds}: it is for text; leave out --output ${output}`);
  if (output === 'csv' && gather !== 'collect') {
    refuse(`--output csv: its lines have whole outputs; leave out --gather ${gather}`);
  }
  const folder = flags.option?.find((text) => !/[=\s]/.test(text));
  if (folder !== undefined) {
    refuse(`-o "${folder}": expected Keyword=value, as ssh_config has it; a folder for outputs is --outdir`);
  }
  const files = outdir === undefined ? (errdir === undefined ? undefined : '--errdir') : '--outdir';
  if (gather === 'file' && !files) refuse('--gather file: there is no folder for the files; add --outdir or --errdir');
  if (gather === 'discard' && files) refuse(`${files}: there is nothing to write with --gather discard; leave it out`);
}

/** Options that would lose output, or ask for a secret, in silence. */
export function refuseContradictions(flags: RunFlags): void {
  refuseOutput(flags);
  checkStdin(flags);
  refusePolls(flags);
  refuseWaves(flags);
  refuseJob(flags);
  if (flags.local) refuseExecution(flags);
  if (flags.local && flags.tty) {
    throw new MyriadError('usage', '--tty: a program that runs here (--local) gets none');
  }
  if (flags.local && flags.askPassword) {
    throw new MyriadError('usage', '--ask-password (-k): nothing logs in with --local; leave out one of them');
  }
}
