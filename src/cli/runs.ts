/** `myriad runs`: the runs that are recorded, and `myriad runs prune`, which forgets old ones. */
import { Command } from 'commander';
import type { RunEntry } from '../index.ts';
import { pruneLines, runLines, runsHead } from '../output/runs.ts';
import { Writer } from '../output/writer.ts';
import { choice } from './connection_options.ts';
import { addJournal, type JournalFlags, journalOf, widthOf } from './journal.ts';
import { count, duration, NO_LIMIT, size } from './values.ts';
import { HELP_WIDTH, parseWords } from './words.ts';

interface RunsFlags extends JournalFlags {
  readonly output: 'text' | 'json' | 'ndjson';
  /** null: all. */
  readonly limit?: number | null;
}

interface PruneFlags extends JournalFlags {
  readonly olderThan?: number;
  readonly maxSize?: number;
  readonly dryRun?: boolean;
}

const HELP = `
Examples:
  myriad runs
  myriad runs --limit all --output ndjson
  myriad runs prune --older-than 7d --dry-run

The newest come first. A run is named by its id, as "last", or as -2, the one
before the last: "myriad show RUN" shows it, "myriad resume RUN" goes on with
it, "--from RUN:bad" takes its hosts. A file that cannot be read is listed with
what is wrong with it.
`;

const PRUNE_HELP = `
Runs that ended longer ago go, and then the oldest until the rest is small
enough. A run in progress stays. The first run of a day does the same by itself.
`;

/** Lines of the list where nobody asked for another number. */
const LIMIT = 20;

export async function runs(argv: readonly string[]): Promise<number> {
  if (argv[0] === 'prune') return prune(argv.slice(1));
  const command = new Command('myriad runs')
    .usage('[options]\n       myriad runs prune [options]')
    .description('List the runs that are recorded.')
    .configureHelp({ helpWidth: HELP_WIDTH })
    .addHelpText('after', HELP)
    .helpOption('-h, --help', 'this help')
    .allowExcessArguments(false);
  addJournal(command)
    .option('--limit <n>', `so many, or all (default: ${LIMIT}; json and ndjson: all)`, limit)
    .addOption(choice('--output <form>', 'text, json, ndjson (one run a line)', ['text', 'json', 'ndjson']));
  if (!parseWords(command, argv)) return 0;
  const flags = command.opts<RunsFlags>();
  const journal = journalOf(flags);
  const stdout = new Writer(process.stdout);
  try {
    await list(journal.list(), flags, stdout);
  } finally {
    await stdout.end();
  }
  return 0;
}

function limit(value: string): number {
  return value === 'all' ? NO_LIMIT : count('--limit', 1)(value);
}

async function list(entries: Iterable<RunEntry>, flags: RunsFlags, stdout: Writer): Promise<void> {
  const form = flags.output === 'text' ? textForm(flags.limit === undefined) : dataForm(flags.output === 'json');
  const { limit: most = flags.output === 'text' ? LIMIT : null } = flags;
  let listed = 0;
  stdout.write(form.head);
  for (const entry of entries) {
    if (listed === most) {
      stdout.write(form.more);
      break;
    }
    stdout.write(form.line(entry, listed === 0));
    listed += 1;
    if (stdout.full) await stdout.drained();
    if (stdout.closed) return;
  }
  stdout.write(listed === 0 ? form.none : form.tail);
}

/** What is written around the runs of a list. */
interface ListForm {
  readonly head: string;
  line(entry: RunEntry, first: boolean): string;
  /** There are more than were asked for. */
  readonly more: string;
  readonly tail: string;
  /** Instead of `tail`, where there are none. */
  readonly none: string;
}

function textForm(bounded: boolean): ListForm {
  const options = { now: Date.now(), ...widthOf(process.stdout) };
  return {
    head: '',
    line: (entry, first) => `${first ? runsHead() : ''}${runLines(entry, options)}`,
    more: bounded ? 'older ones: myriad runs --limit all\n' : '',
    tail: '',
    none: 'no run is recorded\n',
  };
}

function dataForm(isList: boolean): ListForm {
  if (!isList) return { head: '', line: (entry) => `${plain(entry)}\n`, more: '', tail: '', none: '' };
  return {
    head: '[',
    line: (entry, first) => `${first ? '' : ','}\n${plain(entry)}`,
    more: '',
    tail: '\n]\n',
    none: ']\n',
  };
}

/** Absent values are null, never missing keys. */
function plain(entry: RunEntry): string {
  if (entry.problem !== undefined) return JSON.stringify(entry);
  return JSON.stringify({ ...entry, endedAt: entry.endedAt ?? null, problem: null });
}

async function prune(argv: readonly string[]): Promise<number> {
  const command = new Command('myriad runs prune')
    .usage('[options]')
    .description('Forget recorded runs that are old, or too many.')
    .configureHelp({ helpWidth: HELP_WIDTH })
    .addHelpText('after', PRUNE_HELP)
    .helpOption('-h, --help', 'this help')
    .allowExcessArguments(false)
    .option('--older-than <time>', 'since they ended (default: 30d)', duration('--older-than'))
    .option('--max-size <size>', 'of all together (default: 2GiB)', size('--max-size'))
    .option('--dry-run', 'say what would go, and remove nothing');
  if (!parseWords(addJournal(command), argv)) return 0;
  const { olderThan, maxSize, dryRun = false, ...flags } = command.opts<PruneFlags>();
  const journal = journalOf(flags);
  const report = journal.prune({ olderThanMs: olderThan, maxBytes: maxSize, dryRun });
  const stdout = new Writer(process.stdout);
  stdout.write(pruneLines(report, dryRun));
  await stdout.end();
  return report.problems.length > 0 ? 1 : 0;
}
