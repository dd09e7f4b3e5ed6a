/** `myriad show RUN --series HOST`: what a host has answered over the rounds of a recorded run. */
import type { Command } from 'commander';
import { type JournalReader, MyriadError, outcomeLabel, parseExtract, parseHostSet } from '../index.ts';
import { csvHead, csvLine } from '../output/csv.ts';
import { escapeControls } from '../output/escape.ts';
import { type Point, renderSeries } from '../output/series.ts';
import { Writer } from '../output/writer.ts';
import { widthOf } from './journal.ts';
import { append } from './values.ts';

export interface SeriesFlags {
  readonly series?: string[];
  readonly extract?: string;
  readonly hosts?: string[];
  readonly listHosts?: boolean;
  readonly output: string;
}

/** Charts on one screen; a fleet's are for another program. */
const MOST_HOSTS = 50;
/** The whole of an answer is its value only where it is short. */
const MOST_VALUE = 256;

export function addSeries(command: Command): Command {
  return command
    .option('--series <set>', 'what these hosts answered over the rounds, as a chart', append)
    .option('--extract <what>', 'for --series: a pattern or a path (default: that of the run)');
}

/** Throws `usage` for what says nothing of a series. */
export function refuseSeries(flags: SeriesFlags): void {
  if (flags.series === undefined) {
    if (flags.extract !== undefined) throw new MyriadError('usage', '--extract: there is no series; add --series HOST');
    return;
  }
  if (flags.hosts)
    throw new MyriadError('usage', '--hosts (-w): --series names its hosts itself; leave out one of them');
  if (flags.listHosts) throw new MyriadError('usage', '--list-hosts: it is no series; leave out one of them');
  if (flags.output === 'text' || flags.output === 'csv') return;
  throw new MyriadError('usage', `--series: it is shown as text or csv; leave out --output ${flags.output}`);
}

export async function showSeries(reader: JournalReader, flags: SeriesFlags): Promise<void> {
  const stdout = new Writer(process.stdout);
  try {
    if (flags.output === 'csv') stdout.write(csvHead());
    for (const index of placesOf(reader, flags.series ?? [])) {
      if (flags.output !== 'csv') {
        stdout.write(
          renderSeries(reader.plan.at(index).label, points(reader, index, flags), widthOf(process.stdout).columns),
        );
        continue;
      }
      for (const result of reader.series(index)) {
        const line = csvLine(result);
        stdout.write(stdout.terminal ? escapeControls(Buffer.from(line)) : line);
        if (stdout.full) await stdout.drained();
      }
    }
  } finally {
    await stdout.end();
  }
}

function placesOf({ plan, info }: JournalReader, texts: readonly string[]): number[] {
  const places = new Set<number>();
  for (const text of texts) {
    const set = parseHostSet(text);
    const before = places.size;
    for (let index = 0; index < plan.count && places.size <= MOST_HOSTS; index++) {
      if (set.has(plan.at(index).label)) places.add(index);
    }
    if (places.size === before) {
      throw new MyriadError('unmatched', `--series: "${text}" matches none of the hosts of run ${info.id}`);
    }
  }
  if (places.size > MOST_HOSTS)
    throw new MyriadError('usage', `--series: at most ${MOST_HOSTS} hosts are drawn at a time`);
  return [...places];
}

function points(reader: JournalReader, index: number, flags: SeriesFlags): Point[] {
  const { run } = reader.record.job as { readonly run?: { readonly extract?: string } };
  const what = flags.extract ?? run?.extract;
  const extract = what === undefined ? undefined : parseExtract(what);
  const found: Point[] = [];
  for (const { startedAt, durationMs, outcome, stdout } of reader.series(index)) {
    const answered = stdout.total > 0;
    const value = !answered ? undefined : extract ? extract(stdout) : stdout.text().trim().slice(0, MOST_VALUE);
    found.push({ time: startedAt + durationMs, value, outcome: outcomeLabel(outcome) });
  }
  return found;
}
