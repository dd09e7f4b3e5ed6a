/** What one host has answered over the rounds, as a small chart of block characters or, where it is no number, as its changes. */
import { escapeText } from './escape.ts';
import { formatCount, formatNumberOf } from './format.ts';

export interface Point {
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** Undefined: the host did not answer, or what was looked for was not in its answer. */
  readonly value: string | undefined;
  /** How the task ended, as `outcomeLabel` says. */
  readonly outcome: string;
}

const ROWS = 8;
const EIGHTHS = ' ▁▂▃▄▅▆▇█';
const MISSING = '×';
const LEAST_COLUMNS = 30;
const MOST_COLUMNS = 200;
const MOST_CHANGES = 40;

/** Lines, each with its newline; no colour, no control sequence. */
export function renderSeries(label: string, points: readonly Point[], columns = 80): string {
  const numbers = points.map(({ value }) => numberOf(value));
  const known = numbers.filter((number) => number !== undefined);
  const head = headLine(label, points);
  if (known.length > 0)
    return `${head}${chart(points, numbers, Math.max(LEAST_COLUMNS, Math.min(columns, MOST_COLUMNS)))}`;
  return `${head}${changes(points)}`;
}

function headLine(label: string, points: readonly Point[]): string {
  const missing = points.filter(({ value }) => value === undefined).length;
  const without = missing > 0 ? `, ${formatCount(missing)} without a value` : '';
  return `${escapeText(label)}: ${formatNumberOf(points.length, 'round')}${without}\n`;
}

function chart(points: readonly Point[], numbers: readonly (number | undefined)[], columns: number): string {
  const known = numbers.filter((number) => number !== undefined);
  const [least, most] = [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))];
  const labels = [most, (least + most) / 2, least].map(shortNumber);
  const margin = Math.max(...labels.map((text) => text.length));
  const cells = downsample(numbers, columns - margin - 2);
  const lines: string[] = [];
  for (let row = ROWS - 1; row >= 0; row--) {
    const mark = row === ROWS - 1 ? labels[0]! : row === 0 ? labels[2]! : row === ROWS / 2 ? labels[1]! : '';
    const blocks = cells.map((cell) =>
      cell === undefined ? (row === 0 ? MISSING : ' ') : block(cell, row, least, most),
    );
    lines.push(`${mark.padStart(margin)} ${blocks.join('').trimEnd()}\n`);
  }
  const [first, last] = [clock(points[0]!.time), clock(points.at(-1)!.time)];
  const gap = Math.max(1, cells.length - first.length - last.length);
  lines.push(
    `${' '.repeat(margin + 1)}${first}${cells.length > first.length + last.length ? ' '.repeat(gap) + last : ` – ${last}`}\n`,
  );
  return lines.join('');
}

/** The mean of each group where there are more rounds than columns; undefined where all of one are missing. */
function downsample(numbers: readonly (number | undefined)[], most: number): (number | undefined)[] {
  const cells = Math.min(numbers.length, most);
  return Array.from({ length: cells }, (_, cell) => {
    const from = Math.floor((cell * numbers.length) / cells);
    const group = numbers.slice(from, Math.floor(((cell + 1) * numbers.length) / cells)).filter((n) => n !== undefined);
    return group.length === 0 ? undefined : group.reduce((sum, number) => sum + number / group.length, 0);
  });
}

/** The part of a column that stands in a row: the least value has one eighth, so that it is not taken for none. */
function block(value: number, row: number, least: number, most: number): string {
  const share = most === least ? 0.5 : (value - least) / (most - least);
  const eighths = 1 + Math.round(share * (ROWS * 8 - 1));
  return EIGHTHS[Math.max(0, Math.min(8, eighths - row * 8))]!;
}

/** The last changes, one a line. */
function changes(points: readonly Point[]): string {
  const lines: string[] = [];
  let before: string | undefined;
  for (const { time, value, outcome } of points) {
    const text = value ?? outcome;
    if (text !== before) lines.push(`${clock(time)} ${escapeText(text.split('\n', 1)[0]!)}\n`);
    before = text;
  }
  const more = lines.length > MOST_CHANGES ? `… ${formatCount(lines.length - MOST_CHANGES)} changes before\n` : '';
  return `${more}${lines.slice(-MOST_CHANGES).join('')}`;
}

function numberOf(value: string | undefined): number | undefined {
  const number = value === undefined || value.trim() === '' ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** At most four digits that count. */
function shortNumber(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function clock(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`;
}
