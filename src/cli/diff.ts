/** `myriad diff`: which hosts ended or answered differently in a second run. */
import { Command } from 'commander';
import { foldHosts, type JournalReader, MyriadError, replay } from '../index.ts';
import { RunDiff } from '../output/diff_runs.ts';
import { escapeText } from '../output/escape.ts';
import { Writer } from '../output/writer.ts';
import { choice } from './connection_options.ts';
import { addJournal, type JournalFlags, journalOf } from './journal.ts';
import { HELP_WIDTH, parseWords } from './words.ts';

interface DiffFlags extends JournalFlags {
  readonly output: 'text' | 'json';
  readonly quiet?: boolean;
}

const HELP = `
Examples:
  myriad diff -2 last
  myriad diff last
  myriad diff 3lgi3v-26kt4n6e last --output json

RUN is an id, as "myriad runs" lists them, "last", or -2, the one before the
last. With one run alone it is compared with the one before the last.

Exit codes: 0 all ended and answered alike, 1 some did not, 2 usage.
`;

export async function diff(argv: readonly string[]): Promise<number> {
  const command = new Command('myriad diff')
    .usage('RUN [RUN] [options]')
    .description('Say which hosts ended or answered differently in a second run.')
    .argument('[first]')
    .argument('[second]')
    .configureHelp({ helpWidth: HELP_WIDTH })
    .addHelpText('after', HELP)
    .helpOption('-h, --help', 'this help')
    .allowExcessArguments(false);
  addJournal(command)
    .addOption(choice('--output <form>', 'text, json', ['text', 'json']))
    .option('-q, --quiet', 'the exit code only');
  // `-2` is a run here, wherever it stands, and no option.
  const runs = argv.filter((word) => /^-\d+$/.test(word));
  const named = argv.map((word) => (/^-\d+$/.test(word) ? `#${word}` : word));
  if (!parseWords(command, runs.length > 0 ? named : argv)) return 0;
  const [first, second] = command.args.map((word) => word.replace(/^#/, ''));
  if (first === undefined) throw new MyriadError('usage', 'no run was given: its id, "last" or -N');
  return compare(second === undefined ? ['-2', first] : [first, second], command.opts<DiffFlags>());
}

async function compare([first, second]: readonly [string, string], flags: DiffFlags): Promise<number> {
  const journal = journalOf(flags);
  const before = journal.read(first);
  try {
    const after = journal.read(second);
    try {
      const found = new RunDiff(foldHosts);
      for (const result of replay(before)) found.before(result);
      for (const result of replay(after)) found.after(result);
      for (const result of replay(before)) found.examples(result);
      if (!flags.quiet) await print(found, [before, after], flags);
      return found.isEqual ? 0 : 1;
    } finally {
      after.close();
    }
  } finally {
    before.close();
  }
}

async function print(found: RunDiff, runs: readonly JournalReader[], flags: DiffFlags): Promise<void> {
  const stdout = new Writer(process.stdout);
  if (flags.output === 'json') {
    const [before, after] = runs.map(({ info }) => info.id);
    stdout.write(`${JSON.stringify({ before, after, ...found.data() }, undefined, 2)}\n`);
  } else {
    for (const [at, { info }] of runs.entries()) {
      stdout.write(`${at === 0 ? 'first ' : 'second'} ${info.id}: ${escapeText(info.title)}\n`);
    }
    stdout.write(found.text());
  }
  await stdout.end();
}
