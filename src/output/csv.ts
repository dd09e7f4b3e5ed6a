/** Results as CSV (RFC 4180), a line a task, outputs included: for spreadsheets and the like. */
import { outcomeLabel, outcomeMessage } from '../contracts/outcome.ts';
import type { TaskResult } from '../contracts/task.ts';

/** The columns, in their order. */
const COLUMNS: readonly (readonly [name: string, value: (result: TaskResult) => string | number | null | undefined])[] =
  [
    ['index', ({ index }) => index],
    ['host', ({ host }) => host.label],
    ['iteration', ({ iteration }) => iteration],
    ['outcome', ({ outcome }) => outcome.kind],
    ['cause', ({ outcome }) => outcomeLabel(outcome)],
    ['began', ({ outcome }) => outcome.began],
    ['status', ({ outcome }) => ('status' in outcome ? outcome.status : null)],
    ['message', ({ outcome }) => outcomeMessage(outcome)],
    ['attempt', ({ attempt }) => attempt],
    ['started', ({ startedAt }) => new Date(startedAt).toISOString()],
    ['duration_ms', ({ durationMs }) => Math.round(durationMs * 1000) / 1000],
    ['address', ({ reached }) => reached?.address],
    ['stdout', ({ stdout }) => stdout.text()],
    ['stdout_bytes', ({ stdout }) => stdout.total],
    ['stderr', ({ stderr }) => stderr.text()],
    ['stderr_bytes', ({ stderr }) => stderr.total],
    ['truncated', truncated],
  ];

/** The streams of which less is here than there was. */
function truncated({ stdout, stderr }: TaskResult): string {
  return [stdout.truncated ? 'stdout' : '', stderr.truncated ? 'stderr' : ''].filter((name) => name !== '').join(' ');
}

/** The first line: names of the columns. */
export function csvHead(): string {
  return line(COLUMNS.map(([name]) => name));
}

/** One result. Bytes that are not UTF-8 become U+FFFD: ndjson has them as they are. */
export function csvLine(result: TaskResult): string {
  return line(COLUMNS.map(([, value]) => field(value(result) ?? '')));
}

/** One line of any table. */
export function csvRecord(values: readonly (string | number)[]): string {
  return line(values.map(field));
}

function line(fields: readonly string[]): string {
  return `${fields.join(',')}\r\n`;
}

function field(value: string | number): string {
  const text = String(value);
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
