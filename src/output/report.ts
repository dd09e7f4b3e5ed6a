/**
 * A run as one page for a browser: style and pictures are in it, nothing is loaded, nothing runs in it. What hosts said is text: every
 * word goes through `html`, and the page's own policy forbids whatever might get past it.
 */
import { OUTCOME_KINDS, type OutcomeKind } from '../contracts/outcome.ts';
import type { Summary } from '../contracts/summary.ts';
import type { RunInfo, RunRecord } from '../journal/journal.ts';
import { formatCount, formatDuration } from './format.ts';
import { type Fold, foldBounded, type HostsLimits } from './hosts.ts';
import { html } from './html.ts';
import { histogramChart, timelineChart } from './report_charts.ts';
import { type Alike, type Answers, PHASES, type ReportData } from './report_data.ts';
import { REPORT_STYLE } from './report_style.ts';

export interface ReportOptions {
  readonly info: RunInfo;
  readonly record: RunRecord;
  readonly summary: Summary;
  readonly data: ReportData;
  readonly fold: Fold;
  /** Hosts of the plan. */
  readonly hosts: number;
  /** More than one of a repeated run, of which the last is shown. @default 1 */
  readonly rounds?: number;
  readonly version: string;
}

const HOSTS: HostsLimits = { labels: 10_000, characters: 2000 };
/** Hosts in the head of an answer: one line, and the rest of the set below it. */
const SHORT: HostsLimits = { labels: 10_000, characters: 100 };
const MAX_SHOWN = 50;
const LINES_SHOWN = 60;
/** Answers that need not be opened. */
const OPEN = 10;
const CLASSES = ['ok', 'failed', 'unreached', 'rest'] as const;

export function reportPage(options: ReportOptions): string {
  const { info, data, fold, version } = options;
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
${timeline(data)}
${latencies(data)}
${answers('Answers', data.stdout, fold)}
${answers('What went to stderr', data.stderr, fold)}
${slowest(data)}
<footer>myriad ${html(version)}</footer>
</main>
</body>
</html>
`;
}

function head({ info, record, summary, hosts, rounds = 1 }: ReportOptions): string {
  const { who } = record;
  const facts: [string, string][] = [
    ['Started', new Date(info.startedAt).toISOString().replace('T', ' ').replace(/\..*/, ' UTC')],
    ['Took', formatDuration(summary.durationMs)],
    ['Hosts', formatCount(hosts)],
    ['Tasks', formatCount(info.planned)],
    ['By', `${who.loginUser} on ${who.hostName}`],
    ['State', info.state],
  ];
  if (rounds > 1) facts.push(['Rounds', `${formatCount(rounds)}, the last one is shown`]);
  if (summary.retries > 0) facts.push(['Retries', formatCount(summary.retries)]);
  if (summary.stopReason !== '') facts.push(['Stopped', summary.stopReason]);
  if (summary.limitedBy !== '') facts.push(['Limited by', summary.limitedBy]);
  const rows = facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${html(value)}</dd></div>`).join('');
  return `<h1>Run ${html(info.id)}</h1>\n<pre class="job">${html(info.title.slice(0, 2000))}</pre>\n<dl>${rows}</dl>`;
}

/** Ok is one colour, what began and went wrong another, what was never reached a third, the rest a fourth. */
function classOf(kind: OutcomeKind): (typeof CLASSES)[number] {
  if (kind === 'ok' || kind === 'skipped') return 'ok';
  if (kind === 'failed' || kind === 'signalled' || kind === 'no-status' || kind === 'lost') return 'failed';
  return kind === 'not-run' || kind === 'cancelled' ? 'rest' : 'unreached';
}

function outcomes({ data, info }: ReportOptions): string {
  const kinds = OUTCOME_KINDS.filter((kind) => data.outcomes[kind] > 0);
  const whole = Math.max(1, info.planned, data.tasks);
  const rows = kinds.map((kind) => {
    const count = data.outcomes[kind];
    const share = (100 * count) / whole;
    // What there is can be seen, be it one of a million.
    const width = Math.max(0.5, share).toFixed(2);
    const bar = `<span class="bar ${classOf(kind)}" style="width:${width}%"></span>`;
    return `<tr><th>${kind}</th><td class="n">${formatCount(count)}</td><td class="n">${html(percent(share))}</td><td class="w">${bar}</td></tr>`;
  });
  const parts = CLASSES.map((name) => {
    const count = kinds.reduce((sum, kind) => sum + (classOf(kind) === name ? data.outcomes[kind] : 0), 0);
    return count === 0 ? '' : `<span class="${name}" style="flex-grow:${count}"></span>`;
  });
  return (
    `<section><h2>Outcomes</h2><div class="whole">${parts.join('')}</div><table>${rows.join('')}</table>` +
    `<p class="legend">${CLASSES.filter((name) => kinds.some((kind) => classOf(kind) === name))
      .map(entry)
      .join('')}</p></section>`
  );
}

const MEANINGS = { ok: 'ok', failed: 'began and went wrong', unreached: 'did not begin', rest: 'not run' } as const;

function entry(name: (typeof CLASSES)[number]): string {
  return `<span><i class="${name}"></i>${MEANINGS[name]}</span>`;
}

function percent(share: number): string {
  if (share === 100 || share === 0) return `${share}%`;
  if (share > 99.9) return '>99.9%';
  return share < 0.1 ? '<0.1%' : `${share.toFixed(1)}%`;
}

function causes({ data, fold, info }: ReportOptions): string {
  const list = [...data.causes.values()].sort((a, b) => b.count - a.count);
  if (list.length === 0) return '';
  const parts = list.slice(0, MAX_SHOWN).map((cause) => {
    const head = `<h3><i class="${classOf(cause.kind)}"></i><b>${formatCount(cause.count)}</b>${html(cause.text)}</h3>`;
    const advice = cause.advice === '' ? '' : `<p>${html(cause.advice)}</p>`;
    return `<article>${head}<div>${hostsOf(cause, fold)}<p>${html(cause.message)}</p>${advice}</div></article>`;
  });
  return `<section><h2>What was not ok</h2>${parts.join('')}${beyond(list.length, 'cause')}${together(list, fold, info.id)}</section>`;
}

/** All of them as one set, and how a run is about them again. */
function together(list: readonly Alike[], fold: Fold, id: string): string {
  const labels = [...new Set(list.flatMap((cause) => cause.labels))];
  const count = list.reduce((sum, cause) => sum + cause.count, 0);
  const again = `<p>The same hosts for another run: <code>--from ${html(id)}:bad</code></p>`;
  const all = list.length < 2 ? '' : hostsOf({ labels, count }, fold);
  return `<article><h3><b>${formatCount(count)}</b>not ok in all</h3><div>${all}${again}</div></article>`;
}

function hostsOf({ labels, count }: Pick<Alike, 'labels' | 'count'>, fold: Fold): string {
  const { text, more } = foldBounded(labels.keys(), count, (at) => labels[at]!, fold, HOSTS);
  return `<code class="hosts">${html(text)}</code>${more > 0 ? `<p class="soft">… and ${formatCount(more)} more</p>` : ''}`;
}

function beyond(count: number, what: string): string {
  return count > MAX_SHOWN ? `<p class="more">and ${formatCount(count - MAX_SHOWN)} rarer ${what}s</p>` : '';
}

function timeline({ timeline: line }: ReportData): string {
  if (line.slots === 0) return '';
  const entries = { ok: 'ended ok', failed: 'ended, not ok', line: 'in progress' };
  const legend = Object.entries(entries).map(([name, text]) => `<span><i class="${name}"></i>${text}</span>`);
  const bars = `a bar is ${formatDuration(line.slotMs)}`;
  return `<section><h2>Over time</h2>${timelineChart(line)}<p class="legend">${legend.join('')}<span>${bars}</span></p></section>`;
}

function latencies({ phases }: ReportData): string {
  const parts = PHASES.flatMap((name) => {
    const histogram = phases.get(name);
    if (histogram === undefined || histogram.count === 0) return [];
    return [histogramChart(name === 'task' ? 'whole task' : name, histogram)];
  });
  return parts.length === 0
    ? ''
    : `<section><h2>Latency by phase</h2><div class="grid">${parts.join('')}</div></section>`;
}

function answers(title: string, folded: Answers, fold: Fold): string {
  const list = [...folded.alike.values()].sort((a, b) => b.count - a.count);
  if (list.length === 0) return '';
  const parts = list.slice(0, MAX_SHOWN).map((answer, at) => {
    const lines = answer.text.replace(/\n$/, '').split('\n');
    const shown = lines.slice(0, LINES_SHOWN).map(lineHtml).join('\n');
    const cut = answer.cut || lines.length > LINES_SHOWN ? '<p class="more">cut here</p>' : '';
    const open = at < OPEN ? ' open' : '';
    const { labels, count } = answer;
    const short = foldBounded(labels.keys(), count, (place) => labels[place]!, fold, SHORT);
    const more = short.more > 0 ? ' …' : '';
    const hosts = more === '' ? '' : hostsOf(answer, fold);
    const head = `<summary><b>${formatCount(count)}</b><code>${html(short.text)}${more}</code></summary>`;
    return `<details${open}>${head}${hosts}<pre>${shown}</pre>${cut}</details>`;
  });
  const others =
    folded.others > 0 ? `<p class="more">and ${formatCount(folded.others)} tasks with other answers</p>` : '';
  return `<section><h2>${title}</h2>${parts.join('')}${beyond(list.length, 'answer')}${others}</section>`;
}

/** A line of an answer: tabs are tabs, and the end of a line on Windows is no control. */
function lineHtml(line: string): string {
  return line.replace(/\r$/, '').split('\t').map(html).join('\t');
}

function slowest({ slowest: list }: ReportData): string {
  const rows = list.map(
    ({ label: host, durationMs, outcome }) =>
      `<tr><td><code>${html(host.slice(0, 300))}</code></td><td class="n">${formatDuration(durationMs)}</td><td>${html(outcome)}</td></tr>`,
  );
  if (rows.length === 0) return '';
  const head = '<thead><tr><th>host</th><th class="n">took</th><th>outcome</th></tr></thead>';
  return `<section><h2>The slowest</h2><table>${head}<tbody>${rows.join('')}</tbody></table></section>`;
}
