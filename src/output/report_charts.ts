/**
 * The pictures of a report: bars without words in them, stretched to whatever width there is; the words stand around them, so that
 * they have one size on a telephone and on a wide screen. What a bar says can be read by pointing at it.
 */
import { formatCount, formatDuration, formatNumberOf, formatRate } from './format.ts';
import { html } from './html.ts';
import { columnStart, type Histogram, type Timeline } from './report_data.ts';

/** The inside of a picture, in units of its own. */
const WIDTH = 1000;
const HEIGHT = 100;
/** Of a bar that stands for anything at all. */
const LEAST = 1.5;

/** How many tasks ended when, and how many were in progress, from the start of the first one on. */
export function timelineChart(line: Timeline): string {
  const { slotMs } = line;
  const from = Math.max(
    0,
    line.inProgress.findIndex((count) => count > 0),
  );
  const [ok, bad] = [line.ok, line.bad].map((counts) => counts.subarray(from)) as [Float64Array, Float64Array];
  const inProgress = line.inProgress.slice(from);
  const slots = inProgress.length;
  const step = WIDTH / slots;
  const most = Math.max(1, ...Array.from({ length: slots }, (_, at) => ok[at]! + bad[at]!));
  const running = Math.max(1, ...inProgress);
  const bars: string[] = [];
  const hits: string[] = [];
  for (let at = 0; at < slots; at++) {
    const x = at * step;
    const [good, wrong] = [barHeight(ok[at]!, most), barHeight(bad[at]!, most)];
    if (good > 0) bars.push(rect('ok', x, HEIGHT - good, step, good));
    if (wrong > 0) bars.push(rect('failed', x, Math.max(0, HEIGHT - good - wrong), step, wrong));
    const counts = [`${formatCount(ok[at]!)} ok`, `${formatCount(bad[at]!)} not ok`, inWork(inProgress[at]!)];
    hits.push(hit(x, step, `${formatDuration(at * slotMs)}: ${counts.join(', ')}`));
  }
  const ended = `${formatRate((most * 1000) / slotMs)} ended`;
  const what = `tasks over time, at most ${ended}, at most ${inWork(running)}`;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => formatDuration(share * slots * slotMs));
  const inside = bars.join('') + curve(inProgress, step, running) + hits.join('');
  return scale([ended, inWork(running)]) + svg(what, inside) + scale(ticks);
}

function inWork(count: number): string {
  return `${formatCount(count)} in progress`;
}

/** Through the middle of each bar. */
function curve(counts: readonly number[], step: number, most: number): string {
  const points = counts.map((count, at) => {
    const y = HEIGHT - (HEIGHT - 1) * (count / most);
    return `${round(at * step + step / 2)},${round(y)}`;
  });
  return `<polyline class="running" points="${points.join(' ')}"/>`;
}

/** How long a phase took: the shorter to the left, on a scale that doubles. */
export function histogramChart(name: string, histogram: Histogram): string {
  const { columns } = histogram;
  const first = columns.findIndex((count) => count > 0);
  const last = columns.findLastIndex((count) => count > 0);
  const [from, to] = [Math.max(0, first - 2), Math.min(columns.length - 1, last + 2)];
  const most = Math.max(...columns);
  const step = WIDTH / (to - from + 1);
  const bars: string[] = [];
  for (let at = from; at <= to; at++) {
    const count = columns[at]!;
    if (count === 0) continue;
    const height = barHeight(count, most);
    const said = `${formatDuration(columnStart(at))} to ${formatDuration(columnStart(at + 1))}: ${formatNumberOf(count, 'task')}`;
    bars.push(rect('phase', (at - from) * step, HEIGHT - height, step, height), hit((at - from) * step, step, said));
  }
  const ticks = [from, (from + to + 1) / 2, to + 1].map((column) => formatDuration(columnStart(Math.round(column))));
  const [median, most95, most99] = [0.5, 0.95, 0.99].map((share) => formatDuration(histogram.quantile(share)));
  const numbers = `median ${median}, 95% ${most95}, 99% ${most99}, most ${formatDuration(histogram.max)}`;
  return (
    `<figure><figcaption>${name}</figcaption>${scale([`${formatCount(most)} of ${formatNumberOf(histogram.count, 'task')}`])}` +
    `${svg(`${name}: ${numbers}`, bars.join(''))}${scale(ticks)}<p class="legend">${numbers}</p></figure>`
  );
}

function barHeight(count: number, most: number): number {
  return count === 0 ? 0 : Math.max(LEAST, (count / most) * HEIGHT);
}

function svg(label: string, inside: string): string {
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${html(label)}">${inside}</svg>`;
}

function rect(kind: string, x: number, y: number, width: number, height: number): string {
  return `<rect class="${kind}" x="${round(x)}" y="${round(y)}" width="${round(Math.max(0.5, width * 0.9))}" height="${round(height)}"/>`;
}

/** The whole height, to be pointed at. */
function hit(x: number, width: number, said: string): string {
  return `<rect class="hit" x="${round(x)}" y="0" width="${round(width)}" height="${HEIGHT}"><title>${html(said)}</title></rect>`;
}

function scale(words: readonly string[]): string {
  return `<div class="scale">${words.map((word) => `<span>${html(word)}</span>`).join('')}</div>`;
}

function round(value: number): string {
  return value.toFixed(1);
}
