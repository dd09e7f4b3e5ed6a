/** `myriad check`: which hosts a run would begin on, and what stands between us and the others. */
import { Command } from 'commander';
import { fleet, foldHosts, MyriadError, type Summary } from '../index.ts';
import { exitCode } from '../output/exit_code.ts';
import { formatDuration, formatNumberOf } from '../output/format.ts';
import { ndjsonListener } from '../output/ndjson.ts';
import { Obstacles, readyLine } from '../output/obstacles.ts';
import { Writer } from '../output/writer.ts';
import { IndexSet } from '../util/index_set.ts';
import { blame } from './blame.ts';
import {
  addConnection,
  addFanout,
  addTargets,
  addTimeouts,
  askFirst,
  choice,
  fleetOptions,
  type ReachFlags,
  wordsOf,
} from './connection_options.ts';
import { columns, follow, warningLines } from './follow.ts';
import { guard, type Thresholds, thresholds } from './guard.ts';
import { addJournal } from './journal.ts';
import { openFile } from './output_file.ts';
import { TerminalSecrets } from './secrets.ts';
import { readHosts } from './targets.ts';
import { HELP_WIDTH, parseWords } from './words.ts';

export interface CheckFlags extends ReachFlags {
  readonly yes?: boolean;
  readonly guard?: Thresholds;
  readonly ready?: string;
  readonly output: 'text' | 'ndjson';
  readonly quiet?: boolean;
  readonly progress: 'auto' | 'always' | 'never';
}

const HELP = `
Examples:
  myriad check -w 'web[1-100]'
  myriad check -w ^hosts.txt -l deploy -J bastion --ready ready.txt

Nothing is run: names are resolved, hosts connected to, host keys verified, and
a login is made. Causes are folded, each with the line that fixes it.

Exit codes: 0 all are ready, 4 some are not, 2 usage, 6 stopped early,
130 interrupted, 1 internal.
`;

/** Throws `usage`, one sentence. Undefined: help was printed. */
export function parseCheck(argv: readonly string[]): CheckFlags | undefined {
  const command = new Command('myriad check')
    .usage('-w HOSTS [options]')
    .description('Find out which hosts a command would run on, and what to do about the others.')
    .configureHelp({ helpWidth: HELP_WIDTH })
    .addHelpText('after', HELP)
    .helpOption('-h, --help', 'this help')
    .allowExcessArguments(false);
  addJournal(addTargets(command))
    .option('--yes', 'do not ask, however many hosts there are')
    .option('--guard <n,n>', 'ask above so many; without a terminal refuse (default: 100,1000)', thresholds);
  addConnection(command);
  addTimeouts(addFanout(command));
  command
    .optionsGroup('Output:')
    .option('--ready <file>', 'write the hosts that are ready, for -w ^FILE')
    .addOption(choice('--output <form>', 'text, ndjson (one event a line)', ['text', 'ndjson']))
    .option('-q, --quiet', 'the last line only')
    .addOption(choice('--progress <when>', 'auto, always, never', ['auto', 'always', 'never']));
  return parseWords(command, argv) ? command.opts<CheckFlags>() : undefined;
}

export async function check(argv: readonly string[]): Promise<number> {
  const flags = parseCheck(argv);
  if (!flags) return 0;
  try {
    return await perform(flags);
  } catch (error) {
    throw blame(error, flags);
  }
}

async function perform(flags: CheckFlags): Promise<number> {
  const selection = readHosts(flags);
  // Before anything connects: what was found must not be lost for a file that cannot be written.
  await using ready = flags.ready === undefined ? undefined : await openFile('--ready', flags.ready);
  const secrets = new TerminalSecrets({ onInterrupt: () => run.cancel() });
  await using hosts = fleet(fleetOptions(flags, selection, secrets));
  await askFirst(hosts, flags, secrets);
  await hosts.prepare();
  await guard(hosts.count, 'check', {
    expect: flags.expect,
    yes: flags.yes ?? false,
    thresholds: flags.guard,
    terminal: process.stdin.isTTY === true && process.stderr.isTTY === true,
  });
  const run = hosts.check();
  const [stdout, stderr] = [new Writer(process.stdout), new Writer(process.stderr)];
  const names = { label: (index: number) => run.label(index), fold: foldHosts };
  const asked = { ...names, words: wordsOf(flags), destination: hosts.destination.bind(hosts) };
  const width = process.stdout.isTTY ? { columns: columns() } : {};
  const obstacles = new Obstacles({ ...asked, ...width });
  const able = new IndexSet();
  let openssh = 0;
  try {
    const summary = await follow(run, {
      progress: flags.progress,
      stdout,
      stderr,
      attach: (sinks) => {
        if (flags.output === 'ndjson') run.on(ndjsonListener(sinks.stdout, names));
      },
      take: (result) => {
        if (result.outcome.kind === 'ok') able.add(result.index);
        else obstacles.add(result);
        if (result.outcome.kind === 'ok' && result.reached?.transport === 'openssh') openssh++;
      },
    });
    stderr.write(warningLines(hosts.warnings));
    if (ready) for (const set of sets(able, names.label)) await ready.write(`${set}\n`);
    if (flags.output === 'text') {
      const lines = flags.quiet ? [] : [...obstacles.lines(), ...remarks(summary, openssh, hosts.verifiesHostKeys)];
      lines.push(readyLine(hosts.count, able, flags.ready, asked));
      stdout.write(`${lines.join('\n')}\n`);
    }
    return codeOf(summary);
  } finally {
    await stdout.end();
    await stderr.end();
  }
}

function remarks(summary: Summary, openssh: number, verified: boolean): string[] {
  const limited = summary.limitedBy === '' ? '' : `, limited by: ${summary.limitedBy}`;
  const lines = [`${formatNumberOf(summary.planned, 'host')} in ${formatDuration(summary.durationMs)}${limited}`];
  if (openssh > 0) lines.push(`${formatNumberOf(openssh, 'host')} by the ssh program, the others by our own client`);
  if (summary.stopped === 'cancelled') lines.push('stopped by the user');
  if (!verified) lines.push('host keys were NOT verified');
  return lines;
}

/** Labels of one line of a hosts file. */
const SET_HOSTS = 1000;

/** Host sets of at most so many hosts each. */
function* sets(indices: Iterable<number>, label: (index: number) => string): Generator<string> {
  let labels: string[] = [];
  for (const index of indices) {
    if (labels.push(label(index)) < SET_HOSTS) continue;
    yield foldHosts(labels);
    labels = [];
  }
  if (labels.length > 0) yield foldHosts(labels);
}

/** A host that is not ready was not reached, whatever it was that kept us from it. */
function codeOf(summary: Summary): number {
  const code = exitCode(summary);
  if (code === 0 || code === 1 || code === 6 || code === 130) return code;
  if (summary.outcomes.ok === summary.planned)
    throw new MyriadError('internal', `all are ready, and exit code ${code}`);
  return 4;
}
