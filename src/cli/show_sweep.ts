/** `myriad show` of a sweep: what its addresses came to, as it was shown when they were asked. */
import { isSelected, MyriadError, outcomeOf, parseRunReference, recordedPing, type SweepReader } from '../index.ts';
import { PingOutput, pingEnd, pingNext, pingSummary } from '../output/ping.ts';
import { sweepHead } from '../output/runs.ts';
import { Writer } from '../output/writer.ts';
import { resumeWords } from './journal.ts';

export interface ShowSweepFlags {
  readonly journal?: string;
  readonly output: string;
  readonly quiet?: boolean;
  /** Options that say something of outputs or tasks, of which a sweep has none. */
  readonly misplaced: string | undefined;
}

/** Closes the reader. Throws `usage` for what a sweep does not have. */
export async function showSweep(reader: SweepReader, reference: string, flags: ShowSweepFlags): Promise<void> {
  const { info } = reader;
  const { output } = flags;
  const [stdout, stderr] = [new Writer(process.stdout), new Writer(process.stderr)];
  try {
    if (flags.misplaced)
      throw new MyriadError('usage', `${flags.misplaced}: run ${info.id} is a sweep, which has no tasks`);
    if (output === 'json') throw new MyriadError('usage', '--output json: a sweep is shown as text, csv or ndjson');
    const form = output as 'text' | 'csv' | 'ndjson';
    const { selection } = parseRunReference(reference);
    const sweep = recordedPing(reader);
    if (form === 'text' && !flags.quiet) stderr.write(sweepHead(reader));
    const shown = new PingOutput({
      form,
      only: 'all',
      isShown: (state) => isSelected(selection, outcomeOf(state)),
      each: sweep.probes > 1,
      hosts: sweep,
      sink: stdout,
    });
    shown.begin();
    for (const chunk of sweep.chunks()) {
      await shown.chunk(chunk);
      if (stdout.closed) return;
    }
    shown.end();
    const summary = sweep.summary();
    if (form === 'ndjson') stdout.write(pingEnd(summary));
    else if (!flags.quiet) stderr.write(pingSummary(summary));
    const live = info.state === 'running' || info.state === 'open';
    if (!flags.quiet && !live) stderr.write(pingNext(summary, resumeWords(info.id, flags.journal)));
  } finally {
    reader.close();
    await stdout.end();
    await stderr.end();
  }
}
