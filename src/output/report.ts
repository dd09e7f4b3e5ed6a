/**
 * A run as one page for a browser: style and pictures are in it, nothing is loaded, nothing runs in it. What hosts said is text: every
 * word goes through `html`, and the page's own policy forbids whatever might get past it.
 */
import { OUTCOME_KINDS, type OutcomeKind } from '../contracts/outcome.ts';
import type { Summary } from '../contracts/summary.ts';
import type { RunInfo, RunRecord } from '../journal/journal.ts';
import { escapeText } from './escape.ts';
import { formatCount, formatDuration } from './format.ts';
import { type Fold, foldBounded, type HostsLimits } from './hosts.ts';
import { type Alike, columnStart, type Histogram, PHASES, type ReportData, type Timeline } from './report_data.ts';
import { REPORT_STYLE } from './report_style.ts';

export interface ReportOptions {
  readonly info: RunInfo;
  readonly record: RunRecord;
  readonly summary: Summary;
  readonly data: ReportData;
  readonly fold: Fold;
  /** Hosts of the plan. */
  readonly hosts: number;
  readonly version: string;
}

const HOSTS: HostsLimits = { labels: 10_000, characters: 2000 };
const MAX_SHOWN = 50;
const LINES_SHOWN = 60;

/** Text as HTML. Controls and what turns the direction of writing become visible first. */
function html(text: string): string {
  const names: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return escapeText(text).replace(/[&<>"']/g, (character) => names[character]!);
}

export function reportPage(options: ReportOptions): string {
  const { info, data, version } = options;
  const title = `Run ${info.id}: ${info.title}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${html(title.slice(0, 200))}</title>
<style>${REPORT_STYLE}</style>
</head>
<body>
<main>
${head(options)}
${outcomes(options)}
${causes(options)}
${timeline(data.timeline)}
${latencies(data)}
${answers(options)}
${slowest(data)}
<footer>myriad ${html(version)}</footer>
</main>
</body>
</html>
`;
}

function head({ info, record, summary, hosts }: ReportOptions): string {
  const { who } = record;
  const facts: [string, string][] = [
    ['Started', new Date(info.startedAt).toISOString().replace('T', ' ').replace(/\..*/, ' UTC')],
    ['Took', formatDuration(summary.durationMs)],
    ['Hosts', formatCount(hosts)],
    ['Tasks', formatCount(info.planned)],
    ['By', `${who.loginUser} on ${who.hostName}`],
    ['State', info.state === 'ended' ? 'ended' : info.state],
  ];
  if (summary.retries > 0) facts.push(['Retries', formatCount(summary.retries)]);
  if (summary.stopReason !== '') facts.push(['Stopped', summary.stopReason]);
  if (summary.limitedBy !== '') facts.push(['Limited by', summary.limitedBy]);
  const rows = facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${html(value)}</dd></div>`).join('');
  return `<h1>Run ${html(info.id)}</h1>\n<pre class="job">${html(info.title.slice(0, 2000))}</pre>\n<dl>${rows}</dl>`;
}

/** Ok is one colour, what began and went wrong another, what was never reached a third, the rest a fourth. */
function classOf(kind: OutcomeKind): string {
  if (kind === 'ok' || kind === 'skipped') return 'ok';
  if (kind === 'failed' || kind === 'signalled' || kind === 'no-status' || kind === 'lost') return 'failed';
  return kind === 'not-run' || kind === 'cancelled' ? 'rest' : 'unreached';
}

function outcomes({ data, info }: ReportOptions): string {
  const kinds = OUTCOME_KINDS.filter((kind) => data.outcomes[kind] > 0);
  const whole = Math.max(1, info.planned);
  const bars = kinds.map((kind) => {
    const count = data.outcomes[kind];
    const share = (100 * count) / whole;
    // What there is can be seen, be it one of a million.
    const width = Math.max(0.4, share).toFixed(2);
    const bar = `<span class="bar ${classOf(kind)}" style="width:${width}%"></span>`;
    return `<tr><th>${kind}</th><td class="n">${formatCount(count)}</td><td class="n">${percent(share)}</td><td class="w">${bar}</td></tr>`;
  });
  return `<section><h2>Outcomes</h2><table class="bars">${bars.join('')}</table></section>`;
}

function percent(share: number): string {
  if (share === 100 || share === 0) return `${share}%`;
  if (share > 99.9) return '>99.9%';
  return share < 0.1 ? '<0.1%' : `${share.toFixed(1)}%`;
}

function causes({ data, fold }: ReportOptions): string {
  const list = [...data.causes.values()].sort((a, b) => b.count - a.count);
  if (list.length === 0) return '';
  const rows = list
    .slice(0, MAX_SHOWN)
    .map(
      (cause) =>
        `<tr><th class="${classOf(cause.kind)}">${html(cause.text)}</th><td class="n">${formatCount(cause.count)}</td>` +
        `<td>${hostsOf(cause, fold)}<p>${html(cause.message)}</p></td></tr>`,
    );
  return `<section><h2>What was not ok</h2><table class="causes">${rows.join('')}</table>${beyond(list.length, 'cause')}</section>`;
}

function hostsOf({ labels, count }: Alike, fold: Fold): string {
  const { text, more } = foldBounded(labels.keys(), count, (at) => labels[at]!, fold, HOSTS);
  return `<code class="hosts">${html(text)}${more > 0 ? ` … and ${formatCount(more)} more` : ''}</code>`;
}

function beyond(count: number, what: string): string {
  return count > MAX_SHOWN ? `<p class="more">and ${formatCount(count - MAX_SHOWN)} rarer ${what}s</p>` : '';
}

/** The size of a picture's inside, in its own units. */
const WIDTH = 720;
const HEIGHT = 160;

function svg(label: string, inside: string, height = HEIGHT + 24): string {
  return `<svg viewBox="0 0 ${WIDTH + 56} ${height}" role="img" aria-label="${html(label)}">${inside}</svg>`;
}

function timeline(line: Timeline): string {
  const { slots, slotMs, ok, bad, inProgress } = line;
  const most = Math.max(1, ...Array.from({ length: slots }, (_, at) => ok[at]! + bad[at]!));
  const step = WIDTH / slots;
  const columns: string[] = [];
  for (let at = 0; at < slots; at++) {
    const [good, wrong] = [ok[at]!, bad[at]!].map((count) => (count / most) * HEIGHT) as [number, number];
    if (good > 0) columns.push(rect('ok', at * step, HEIGHT - good, step, good));
    if (wrong > 0) columns.push(rect('failed', at * step, HEIGHT - good - wrong, step, wrong));
  }
  const running = Math.max(1, ...inProgress);
  const points = inProgress.map(
    (count, at) => `${((at + 0.5) * step).toFixed(1)},${(HEIGHT - (count / running) * HEIGHT).toFixed(1)}`,
  );
  const axis = [0, 0.25, 0.5, 0.75, 1].map((share) => label(share * WIDTH, formatDuration(share * slots * slotMs)));
  const perSecond = formatCount((most * 1000) / slotMs);
  const inside = `<g transform="translate(28,4)">${columns.join('')}<polyline class="running" points="${points.join(' ')}"/>${axis.join('')}</g>`;
  const what = `Ended per ${formatDuration(slotMs)}, at most ${perSecond}/s; the line: in progress, at most ${formatCount(running)}`;
  return `<section><h2>Over time</h2>${svg(what, inside)}<p class="legend"><i class="ok"></i>ok <i class="failed"></i>not ok <i class="line"></i>in progress. ${what}.</p></section>`;
}

function rect(kind: string, x: number, y: number, width: number, height: number): string {
  return `<rect class="${kind}" x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${Math.max(0.5, width - 0.3).toFixed(1)}" height="${height.toFixed(1)}"/>`;
}

function label(x: number, text: string): string {
  return `<text x="${x.toFixed(0)}" y="${HEIGHT + 16}" text-anchor="middle">${html(text)}</text>`;
}

function latencies({ phases }: ReportData): string {
  const parts = PHASES.flatMap((name) => {
    const histogram = phases.get(name);
    return histogram === undefined || histogram.count === 0 ? [] : [latency(name, histogram)];
  });
  return parts.length === 0
    ? ''
    : `<section><h2>Latency by phase</h2><div class="grid">${parts.join('')}</div></section>`;
}

function latency(name: string, histogram: Histogram): string {
  const { columns } = histogram;
  const first = columns.findIndex((count) => count > 0);
  const last = columns.findLastIndex((count) => count > 0);
  const [from, to] = [Math.max(0, first - 2), Math.min(columns.length - 1, last + 2)];
  const most = Math.max(...columns);
  const step = WIDTH / (to - from + 1);
  const bars: string[] = [];
  for (let at = from; at <= to; at++) {
    const height = (columns[at]! / most) * HEIGHT;
    if (height > 0)
      bars.push(rect('phase', (at - from) * step, HEIGHT - Math.max(1, height), step, Math.max(1, height)));
  }
  const axis = [from, Math.round((from + to) / 2), to + 1].map((column) =>
    label((column - from) * step, formatDuration(columnStart(column))),
  );
  const [median, most95, most99] = [0.5, 0.95, 0.99].map((share) => formatDuration(histogram.quantile(share)));
  const numbers = `median ${median}, 95% ${most95}, 99% ${most99}, most ${formatDuration(histogram.max)}`;
  const inside = `<g transform="translate(28,4)">${bars.join('')}${axis.join('')}</g>`;
  return `<figure><figcaption>${name === 'task' ? 'whole task' : name}</figcaption>${svg(`${name}: ${numbers}`, inside)}<p class="legend">${numbers}</p></figure>`;
}

function answers({ data, fold }: ReportOptions): string {
  const list = [...data.answers.values()].sort((a, b) => b.count - a.count);
  if (list.length === 0) return '';
  const parts = list.slice(0, MAX_SHOWN).map((answer, at) => {
    const lines = answer.text.replace(/\n$/, '').split('\n');
    const shown = lines.slice(0, LINES_SHOWN).map(html).join('\n');
    const cut = answer.cut || lines.length > LINES_SHOWN ? '<p class="more">cut here</p>' : '';
    const open = at < 10 ? ' open' : '';
    return `<details${open}><summary>${formatCount(answer.count)} <span>${hostsOf(answer, fold)}</span></summary><pre>${shown}</pre>${cut}</details>`;
  });
  const others =
    data.otherAnswers > 0 ? `<p class="more">and ${formatCount(data.otherAnswers)} tasks with other answers</p>` : '';
  return `<section><h2>Answers</h2>${parts.join('')}${beyond(list.length, 'answer')}${others}</section>`;
}

function slowest({ slowest: list }: ReportData): string {
  const rows = list.map(
    ({ label: host, durationMs, outcome }) =>
      `<tr><th><code>${html(host.slice(0, 300))}</code></th><td class="n">${formatDuration(durationMs)}</td><td>${html(outcome)}</td></tr>`,
  );
  return rows.length === 0 ? '' : `<section><h2>The slowest</h2><table>${rows.join('')}</table></section>`;
}
