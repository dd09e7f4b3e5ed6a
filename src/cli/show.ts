/** `myriad show`: a recorded run once more, as it was shown when it ran, or as data. */
import { Command } from 'commander';
import {
  foldHosts,
  isSelected,
  type JournalReader,
  MyriadError,
  type Output,
  parseHostSet,
  parseRunReference,
  type Replay,
  replay,
  type Summary,
  type TaskResult,
} from '../index.ts';
import { csvHead, csvLine } from '../output/csv.ts';
import { escapeControls } from '../output/escape.ts';
import { Folder } from '../output/fold.ts';
import { formatNumberOf } from '../output/format.ts';
import { eventLine } from '../output/ndjson.ts';
import { resumeLine } from '../output/next.ts';
import { runHead } from '../output/runs.ts';
import { renderSummary } from '../output/summary.ts';
import { TextRenderer } from '../output/text.ts';
import { Writer } from '../output/writer.ts';
import { IndexSet } from '../util/index_set.ts';
import { choice } from './connection_options.ts';
import {
  addFolds,
  type FoldFlags,
  foldingOption,
  foldOptions,
  isFolding,
  refuseFolds,
  unfolded,
} from './fold_options.ts';
import { addJournal, type JournalFlags, journalOf, resumeWords, takeRun, widthOf } from './journal.ts';
import { colors } from './run_output.ts';
import { addSeries, refuseSeries, type SeriesFlags, showSeries } from './show_series.ts';
import { showSweep } from './show_sweep.ts';
import { append } from './values.ts';
import { HELP_WIDTH, parseWords } from './words.ts';

interface ShowFlags extends JournalFlags, Omit<SeriesFlags, 'output'>, FoldFlags {
  readonly hosts?: string[];
  readonly listHosts?: boolean;
  readonly label: boolean;
  readonly output: 'text' | 'json' | 'ndjson' | 'csv';
  readonly raw?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly color: 'auto' | 'always' | 'never';
}

const HELP = `
Examples:
  myriad show last
  myriad show -2:bad -b
  myriad show last:rc=1 --list-hosts
  myriad show last -w 'web[1-9]' --output csv

RUN is an id, as "myriad runs" lists them, "last", or -2, the one before the
last. SEL is an outcome, as in the summary, or
  bad        all but ok and skipped
  unreached  the command never began there
  uncertain  it may have run, its result is not known
  rc=N       it ended with this exit status
The summary is of the whole run, whatever is selected. A run that is in progress
shows what has ended so far.
`;

export async function show(argv: readonly string[]): Promise<number> {
  const { run, rest } = takeRun(argv);
  const command = build();
  if (!parseWords(command, rest)) return 0;
  const flags = command.opts<ShowFlags>();
  const reference = run ?? command.args[0];
  if (reference === undefined) throw new MyriadError('usage', 'no run was given: its id, "last" or -N comes first');
  if (run !== undefined && command.args.length > 0) {
    throw new MyriadError('usage', `one run is shown at a time: "${command.args[0]}" is one more`);
  }
  refuseContradictions(flags);
  const { run: name, selection } = parseRunReference(reference);
  const sweep = journalOf(flags).readSweep(name);
  if (sweep) {
    const misplaced =
      foldingOption(flags) ?? (flags.hosts ? '--hosts (-w)' : flags.listHosts ? '--list-hosts' : undefined);
    await showSweep(sweep, reference, { ...flags, misplaced: flags.series === undefined ? misplaced : '--series' });
    return 0;
  }
  const reader = journalOf(flags).read(name);
  try {
    if (flags.series !== undefined) {
      await showSeries(reader, flags);
      return 0;
    }
    const hosts = hostsOf(reader, flags);
    const isShown = (result: TaskResult) =>
      isSelected(selection, result.outcome) && (hosts === undefined || hosts.has(result.index));
    await print(reader, isShown, flags);
  } finally {
    reader.close();
  }
  return 0;
}

function build(): Command {
  const command = new Command('myriad show')
    .usage('RUN[:SEL] [options]')
    .description('Show a recorded run once more: outputs, failures, summary.')
    .argument('[run]')
    .configureHelp({ helpWidth: HELP_WIDTH })
    .addHelpText('after', HELP)
    .helpOption('-h, --help', 'this help')
    .allowExcessArguments(false)
    .option('-w, --hosts <set>', 'these hosts of the run only', append)
    .option('--list-hosts', 'print the selected hosts, one a line, and nothing else');
  return addFolds(addSeries(addJournal(command)))
    .option('-N, --no-label', 'no "host: " before each line')
    .addOption(
      choice('--output <form>', 'text, json, ndjson (one event a line), csv', ['text', 'json', 'ndjson', 'csv']),
    )
    .option('--raw', 'control sequences of hosts reach the terminal')
    .option('-q, --quiet', 'outputs only: no head, no failures, no summary')
    .option('-v, --verbose', 'a line for each task that did not end ok')
    .addOption(choice('--color <when>', 'auto, always, never', ['auto', 'always', 'never']));
}

function refuseContradictions(flags: ShowFlags): void {
  refuseFolds(flags);
  refuseSeries(flags);
  if (flags.output === 'text') return;
  const given = foldingOption(flags) ?? (flags.listHosts ? '--list-hosts' : undefined);
  if (given) throw new MyriadError('usage', `${given}: it is text; leave out --output ${flags.output}`);
}

/** The tasks of the hosts of `-w`; undefined where all are meant. Throws `unmatched`. */
function hostsOf({ plan, info }: JournalReader, flags: ShowFlags): IndexSet | undefined {
  if (flags.hosts === undefined) return undefined;
  const sets = flags.hosts.map((text) => ({ text, set: parseHostSet(text), matched: false }));
  const found = new IndexSet();
  for (let index = 0; index < plan.count; index++) {
    const { label } = plan.at(index);
    for (const each of sets) {
      if (!each.set.has(label)) continue;
      each.matched = true;
      found.add(index);
    }
  }
  const missed = sets.find(({ matched }) => !matched);
  if (missed === undefined) return found;
  throw new MyriadError('unmatched', `--hosts (-w): "${missed.text}" matches none of the hosts of run ${info.id}`);
}

type IsShown = (result: TaskResult) => boolean;

async function print(reader: JournalReader, isShown: IsShown, flags: ShowFlags): Promise<void> {
  const [stdout, stderr] = [new Writer(process.stdout), new Writer(process.stderr)];
  const form = flags.listHosts
    ? new HostList(stdout)
    : flags.output === 'text'
      ? new TextForm(reader, stdout, stderr, flags)
      : flags.output === 'csv'
        ? new CsvForm(stdout)
        : new EventForm(reader, stdout, flags.output);
  try {
    const results = replay(reader);
    form.begin();
    for (const result of results) {
      if (isShown(result)) form.task(result);
      if (stdout.full) await stdout.drained();
      if (stderr.full) await stderr.drained();
      if (stdout.closed) return;
    }
    await form.end(results);
  } finally {
    await stdout.end();
    await stderr.end();
  }
}

/** How a run is shown. */
interface Form {
  begin(): void;
  task(result: TaskResult): void;
  end(results: Replay): void | Promise<void>;
}

class HostList implements Form {
  readonly #stdout: Writer;

  constructor(stdout: Writer) {
    this.#stdout = stdout;
  }

  begin(): void {}

  task({ host }: TaskResult): void {
    this.#stdout.write(`${host.label}\n`);
  }

  end(): void {}
}

/** As a run shows it: remote stdout on stdout, the rest on stderr. */
class TextForm implements Form {
  readonly #reader: JournalReader;
  readonly #stderr: Writer;
  readonly #quiet: boolean;
  /** The words that name the run to `resume`. */
  readonly #resume: string;
  readonly #text: TextRenderer;
  readonly #folder: Folder | undefined;
  #cut = 0;

  constructor(reader: JournalReader, stdout: Writer, stderr: Writer, flags: ShowFlags) {
    const sinks = { stdout, stderr };
    const shown = { raw: flags.raw ?? false, color: colors(flags.color) };
    this.#reader = reader;
    this.#stderr = stderr;
    this.#quiet = flags.quiet ?? false;
    this.#resume = resumeWords(reader.info.id, flags.journal);
    this.#text = new TextRenderer(sinks, {
      prefix: flags.label,
      quiet: this.#quiet,
      ...shown,
      failures: flags.verbose ?? false,
      streams: unfolded(flags),
    });
    if (!isFolding(flags)) return;
    const names = { label: (index: number) => reader.plan.at(index).label, fold: foldHosts };
    this.#folder = new Folder(sinks, names, foldOptions(flags, { ...shown, prefix: flags.label }));
  }

  begin(): void {
    if (!this.#quiet) this.#stderr.write(runHead(this.#reader, foldHosts, widthOf(process.stderr).columns));
  }

  task(recorded: TaskResult): void {
    const result = withCuts(recorded);
    if (result.notes.length > recorded.notes.length) this.#cut += 1;
    this.#folder?.add(result);
    this.#text.listener({ type: 'task:end', time: result.startedAt + result.durationMs, result });
  }

  async end(results: Replay): Promise<void> {
    this.#text.finish();
    await this.#folder?.print();
    if (this.#quiet) return;
    this.#stderr.write(this.#summary(results.summary()));
  }

  #summary(summary: Summary): string {
    const { info, plan } = this.#reader;
    const live = info.state === 'running' || info.state === 'open';
    const text = renderSummary(summary, {
      label: (index) => plan.at(index).label,
      fold: foldHosts,
      hostKeysVerified: true,
      ...(live && { soFar: plan.count }),
      ...widthOf(process.stderr),
    });
    const cut =
      this.#cut > 0
        ? `${formatNumberOf(this.#cut, 'output was', 'outputs were')} not kept whole (--journal-output)\n`
        : '';
    return `${text}${cut}${live ? '' : resumeLine(summary, this.#resume)}`;
  }
}

/** Its outputs read once, with a note where the journal has less of one than there was. */
function withCuts(recorded: TaskResult): TaskResult {
  const stdout = read(recorded.stdout);
  const stderr = read(recorded.stderr);
  const notes = new Set(recorded.notes);
  if (stdout.truncated) notes.add('stdout truncated');
  if (stderr.truncated) notes.add('stderr truncated');
  return { ...recorded, stdout, stderr, notes: [...notes] };
}

function read({ bytes, total }: Output): Output {
  return { bytes, total, truncated: total > bytes.length, text: () => bytes.toString('utf8') };
}

class CsvForm implements Form {
  readonly #stdout: Writer;

  constructor(stdout: Writer) {
    this.#stdout = stdout;
  }

  begin(): void {
    this.#stdout.write(csvHead());
  }

  task(result: TaskResult): void {
    const line = csvLine(result);
    this.#stdout.write(this.#stdout.terminal ? escapeControls(Buffer.from(line)) : line);
  }

  end(): void {}
}

/** Events, as `run --output ndjson` gives them; `json`: the same ones in a list. */
class EventForm implements Form {
  readonly #reader: JournalReader;
  readonly #stdout: Writer;
  readonly #list: boolean;
  readonly #names: { label(index: number): string; fold: typeof foldHosts };

  constructor(reader: JournalReader, stdout: Writer, form: 'json' | 'ndjson') {
    this.#reader = reader;
    this.#stdout = stdout;
    this.#list = form === 'json';
    this.#names = { label: (index) => reader.plan.at(index).label, fold: foldHosts };
  }

  begin(): void {
    const { info, record, plan } = this.#reader;
    const { kind = '' } = record.job as { readonly kind?: string };
    const start = { run: info.id, job: kind, title: info.title, planned: plan.count };
    const line = eventLine({ type: 'run:start', time: info.startedAt, ...start }, this.#names);
    this.#stdout.write(this.#list ? `[\n${line.trimEnd()}` : line);
  }

  task(result: TaskResult): void {
    this.#write(eventLine({ type: 'task:end', time: result.startedAt + result.durationMs, result }, this.#names));
  }

  /** A run in progress has no end yet. */
  end(results: Replay): void {
    const { info } = this.#reader;
    if (info.state === 'ended' || info.state === 'crashed') {
      const summary = results.summary();
      const time = info.endedAt ?? info.startedAt + summary.durationMs;
      this.#write(eventLine({ type: 'run:end', time, summary }, this.#names));
    }
    if (this.#list) this.#stdout.write('\n]\n');
  }

  #write(line: string): void {
    this.#stdout.write(this.#list ? `,\n${line.trimEnd()}` : line);
  }
}
