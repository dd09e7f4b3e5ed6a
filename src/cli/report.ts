/** `myriad report`: a recorded run as one page for a browser. */
import { Command } from 'commander';
import { foldHosts, MyriadError, replay } from '../index.ts';
import { formatBytes } from '../output/format.ts';
import { reportPage } from '../output/report.ts';
import { ReportData } from '../output/report_data.ts';
import { addJournal, type JournalFlags, journalOf, takeRun } from './journal.ts';
import { openFile } from './output_file.ts';
import { version } from './version.ts';
import { HELP_WIDTH, parseWords } from './words.ts';

interface ReportFlags extends JournalFlags {
  readonly html?: string;
}

const HELP = `
Examples:
  myriad report last --html run.html
  myriad report -2 --html /tmp/before.html

One file: outcomes, causes with their hosts and what to do, tasks over time, the
latency of each phase, identical answers folded. It loads nothing and runs
nothing, so it can be sent by mail or kept. RUN is an id, "last", or -2, the one
before the last.
`;

export async function report(argv: readonly string[]): Promise<number> {
  const { run, rest } = takeRun(argv);
  const command = new Command('myriad report')
    .usage('RUN --html FILE')
    .description('Write a recorded run as one page for a browser.')
    .argument('[run]')
    .configureHelp({ helpWidth: HELP_WIDTH })
    .addHelpText('after', HELP)
    .helpOption('-h, --help', 'this help')
    .allowExcessArguments(false)
    .option('--html <file>', 'where it goes; - is stdout');
  if (!parseWords(addJournal(command), rest)) return 0;
  const flags = command.opts<ReportFlags>();
  const name = run ?? command.args[0];
  if (name === undefined) throw new MyriadError('usage', 'no run was given: its id, "last" or -N comes first');
  if (run !== undefined && command.args.length > 0) {
    throw new MyriadError('usage', `one run is reported at a time: "${command.args[0]}" is one more`);
  }
  if (flags.html === undefined) throw new MyriadError('usage', 'add --html FILE: where the page goes');
  const page = pageOf(name, flags);
  if (flags.html === '-') {
    process.stdout.write(page);
    return 0;
  }
  await using file = await openFile('--html', flags.html);
  await file.write(page);
  process.stderr.write(`${flags.html}: ${formatBytes(Buffer.byteLength(page))}\n`);
  return 0;
}

function pageOf(name: string, flags: ReportFlags): string {
  const reader = journalOf(flags).read(name);
  try {
    const { info, record, plan, lastRound } = reader;
    const results = replay(reader);
    const data = new ReportData(info.startedAt);
    for (const result of results) data.add(result);
    const summary = results.summary();
    const rounds = lastRound + 1;
    return reportPage({ info, record, summary, data, fold: foldHosts, hosts: plan.hosts, rounds, version: version() });
  } finally {
    reader.close();
  }
}
