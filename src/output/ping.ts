/** A sweep as text, csv or ndjson, and its summary. Writes while it goes on; holds a line per state, and banners. */
import type { PingChunk } from '../ping/chunk.ts';
import { ADDRESS_STATES, type AddressState, isUnasked, outcomeOf, STATE } from '../ping/state.ts';
import { IndexSet } from '../util/index_set.ts';
import { csvRecord } from './csv.ts';
import { escapeText } from './escape.ts';
import { formatCount, formatDuration, formatNumberOf, formatRate } from './format.ts';
import { PingRanges } from './ping_ranges.ts';
import type { Sink } from './writer.ts';

/** What is known of the hosts of a sweep. */
export interface PingHosts {
  label(index: number): string;
  /** An IPv4 address that is all the host is called. */
  number(index: number): number | undefined;
  readonly banners: readonly string[];
}

export interface PingOutputOptions {
  readonly form: 'text' | 'csv' | 'ndjson';
  /** Which hosts are told. */
  readonly only: 'all' | 'up' | 'down';
  /** Of these, those that ended so. @default all of them */
  readonly isShown?: ((state: AddressState) => boolean) | undefined;
  /** A line per host, as fping has it, instead of ranges. */
  readonly each: boolean;
  readonly hosts: PingHosts;
  readonly sink: Sink;
}

/** Hosts between two looks at whether the reader keeps up. */
const STRIDE = 4096;
/** A line of hosts under a banner, in characters; what is longer is counted. */
const BANNER_LINE = 2000;

export class PingOutput {
  readonly #options: PingOutputOptions;
  readonly #ranges: PingRanges;
  readonly #banners = new Map<number, IndexSet>();
  /** By the bytes of states. */
  readonly #isShown: readonly boolean[];

  constructor(options: PingOutputOptions) {
    this.#options = options;
    this.#ranges = new PingRanges((state, set, count) => this.#line(state, set, count));
    const { only, isShown = () => true } = options;
    this.#isShown = ADDRESS_STATES.map((state) => {
      const wanted = only === 'all' || (only === 'up' ? state === 'up' : state !== 'up' && !isUnasked(state));
      return wanted && isShown(state);
    });
  }

  /** What comes before all hosts. */
  begin(): void {
    const { form, sink } = this.#options;
    if (form !== 'csv') return;
    sink.write(csvRecord(['host', 'state', 'sent', 'received', 'min_ms', 'avg_ms', 'max_ms', 'software']));
  }

  /** Hosts in order. Waits where the reader does not keep up. */
  async chunk(chunk: PingChunk): Promise<void> {
    const { sink } = this.#options;
    const { state, base, count } = chunk;
    for (let i = 0; i < count; i++) {
      const code = state[i]!;
      const isUp = code === STATE.up;
      if (this.#isShown[code]) this.#host(chunk, i);
      if (chunk.software && isUp && this.#isShown[code]) this.#banner(chunk.software[i]!, base + i);
      if (i % STRIDE === 0 && sink.full) await sink.drained();
    }
  }

  /** What is held, and banners by how many hosts have them. */
  end(): void {
    this.#ranges.end();
    if (this.#options.form !== 'text') return;
    const { hosts, sink } = this.#options;
    const bySize = [...this.#banners].toSorted(([, a], [, b]) => b.size - a.size);
    for (const [number, members] of bySize) {
      sink.write(`${formatCount(members.size).padStart(9)}  ${escapeText(hosts.banners[number] ?? '')}\n`);
      sink.write(`${' '.repeat(11)}${this.#members(members)}\n`);
    }
  }

  #members(members: IndexSet): string {
    let text = '';
    let told = 0;
    const ranges = new PingRanges((_state, set, count) => {
      if (text.length > BANNER_LINE) return;
      text += `${text === '' ? '' : ','}${set}`;
      told += count;
    });
    for (const index of members) {
      const { hosts } = this.#options;
      const address = hosts.number(index);
      if (address === undefined) ranges.addName(0, hosts.label(index));
      else ranges.add(0, address);
      if (text.length > BANNER_LINE) break;
    }
    ranges.end();
    return told < members.size ? `${text} and ${formatCount(members.size - told)} more` : text;
  }

  #host(chunk: PingChunk, i: number): void {
    const { form, each, hosts } = this.#options;
    const index = chunk.base + i;
    if (form === 'csv') this.#csv(chunk, i);
    else if (form === 'ndjson') this.#ndjson(chunk, i);
    else if (each) this.#fping(chunk, i);
    else {
      const address = hosts.number(index);
      if (address === undefined) this.#ranges.addName(chunk.state[i]!, hosts.label(index));
      else this.#ranges.add(chunk.state[i]!, address);
    }
  }

  #line(state: number, set: string, count: number): void {
    const { only, sink } = this.#options;
    if (only !== 'all') sink.write(`${set}\n`);
    else sink.write(`${word(ADDRESS_STATES[state]!).padEnd(17)} ${set}${count > 1 ? `  ${formatCount(count)}` : ''}\n`);
  }

  /** As fping has it, so that what reads that reads this. */
  #fping(chunk: PingChunk, i: number): void {
    const { hosts, sink } = this.#options;
    const { sent, received, min, avg, max } = probesOf(chunk, i);
    const loss = sent === 0 ? 100 : Math.floor(((sent - received) * 100) / sent);
    const times = received === 0 ? '' : `, min/avg/max = ${[min, avg, max].map(milliseconds).join('/')}`;
    sink.write(`${hosts.label(chunk.base + i)} : xmt/rcv/%loss = ${sent}/${received}/${loss}%${times}\n`);
  }

  #csv(chunk: PingChunk, i: number): void {
    const { hosts, sink } = this.#options;
    const { sent, received, min, avg, max } = probesOf(chunk, i);
    const times = received === 0 ? ['', '', ''] : [min, avg, max];
    const software = chunk.software ? (hosts.banners[chunk.software[i]!] ?? '') : '';
    const state = ADDRESS_STATES[chunk.state[i]!]!;
    sink.write(csvRecord([hosts.label(chunk.base + i), state, sent, received, ...times, software]));
  }

  #ndjson(chunk: PingChunk, i: number): void {
    const { hosts, sink } = this.#options;
    const { sent, received, min, avg, max } = probesOf(chunk, i);
    const software = chunk.software?.[i];
    const line = {
      type: 'ping:host',
      version: 1,
      index: chunk.base + i,
      host: hosts.label(chunk.base + i),
      state: ADDRESS_STATES[chunk.state[i]!],
      outcome: outcomeOf(ADDRESS_STATES[chunk.state[i]!]!).kind,
      sent,
      received,
      ...(received > 0 && { rttMs: { min, avg, max } }),
      ...(software && { software: hosts.banners[software] }),
    };
    sink.write(`${JSON.stringify(line)}\n`);
  }

  #banner(number: number, index: number): void {
    if (number === 0) return;
    let members = this.#banners.get(number);
    if (!members) {
      members = new IndexSet();
      this.#banners.set(number, members);
    }
    members.add(index);
  }
}

/** Of one host; times in milliseconds. */
interface Probes {
  readonly sent: number;
  readonly received: number;
  readonly min: number;
  readonly avg: number;
  readonly max: number;
}

function probesOf(chunk: PingChunk, i: number): Probes {
  const { many, rtt, state } = chunk;
  const avg = inMs(rtt[i]!);
  if (many) {
    const [min, max] = [inMs(many.least[i]!), inMs(many.most[i]!)];
    return { sent: many.sent[i]!, received: many.received[i]!, min, avg, max };
  }
  const received = state[i] === STATE.up ? 1 : 0;
  return { sent: isUnasked(ADDRESS_STATES[state[i]!]!) ? 0 : 1, received, min: avg, avg, max: avg };
}

function inMs(micros: number): number {
  return micros / 1000;
}

/** Three significant digits, as fping prints milliseconds. */
function milliseconds(value: number): string {
  if (value < 1) return value.toFixed(3);
  if (value < 10) return value.toFixed(2);
  return value < 100 ? value.toFixed(1) : value.toFixed(0);
}

/** A state in words. */
function word(state: AddressState): string {
  return WORDS[state] ?? state.replaceAll('-', ' ');
}

const WORDS: Partial<Record<AddressState, string>> = {
  name: 'no address',
  'no-route': 'no route here',
  'local-limit': 'refused here',
  refused: 'port closed',
};

/** What a summary is made of; `PingSummary` of the library. */
export interface PingTotals {
  readonly planned: number;
  readonly states: Readonly<Record<AddressState, number>>;
  readonly counts: Readonly<Record<string, number>>;
  readonly rtt:
    | { readonly min: number; readonly avg: number; readonly p50: number; readonly p99: number; readonly max: number }
    | undefined;
  readonly durationMs: number;
  readonly stopped: boolean;
  readonly reserved: number;
  readonly unusable: number;
  readonly how: string;
}

/** Up, down, and those that were not asked: they are all of the addresses. */
export function pingShares(states: Readonly<Record<AddressState, number>>): {
  readonly up: number;
  readonly down: number;
  readonly unasked: number;
} {
  let unasked = 0;
  let down = 0;
  for (const state of ADDRESS_STATES) {
    if (isUnasked(state)) unasked += states[state];
    else if (state !== 'up') down += states[state];
  }
  return { up: states.up, down, unasked };
}

/** The last lines, for people. */
export function pingSummary(totals: PingTotals): string {
  const { planned, states, counts, rtt, durationMs, how } = totals;
  const { up, down, unasked } = pingShares(states);
  const causes = (wanted: (state: AddressState) => boolean) =>
    ADDRESS_STATES.filter((state) => states[state] > 0 && state !== 'up' && wanted(state))
      .map((state) => `${word(state)} ${formatCount(states[state])}`)
      .join(', ');
  const parts = [
    `${formatCount(up)} up`,
    `${formatCount(down)} down${down > 0 ? ` (${causes((state) => !isUnasked(state))})` : ''}`,
  ];
  if (unasked > 0) parts.push(`${formatCount(unasked)} NOT PROBED (${causes(isUnasked)})`);
  const asked = planned - unasked;
  const lines = [
    `${formatNumberOf(planned, 'address', 'addresses')}: ${parts.join(', ')}`,
    `${how}: ${formatCount(counts.sent!)} sent, ${formatCount(counts.answers!)} answered${lossOf(counts)}; ${formatDuration(durationMs)}, ${formatRate((asked * 1000) / Math.max(1, durationMs))}`,
  ];
  if (rtt) {
    const { min, avg, p50, p99, max } = rtt;
    lines.push(`round trip min/avg/p50/p99/max = ${[min, avg, p50, p99, max].map(milliseconds).join('/')} ms`);
  }
  const odd = ODD.flatMap(([name, what]) => (counts[name] ? `${what} ${formatCount(counts[name])}` : []));
  if (odd.length > 0) lines.push(`also: ${odd.join(', ')}`);
  const { reserved, unusable } = totals;
  if (reserved > 0)
    lines.push(
      `left out: ${formatNumberOf(reserved, 'reserved address', 'reserved addresses')} (write the block itself to ask it)`,
    );
  if (unusable > 0)
    lines.push(
      `left out: ${formatNumberOf(unusable, 'network or broadcast address', 'network and broadcast addresses')}`,
    );
  if (totals.stopped) lines.push('stopped before the end');
  return `${lines.join('\n')}\n`;
}

function lossOf({ sent, answers }: Readonly<Record<string, number>>): string {
  const lost = (sent ?? 0) - (answers ?? 0);
  if (lost <= 0) return '';
  const percent = (lost * 100) / sent!;
  return `, ${percent < 0.01 ? '<0.01' : percent.toFixed(percent < 10 ? 2 : 0)} % lost`;
}

/** How to go on with a sweep that is recorded and was not through; empty where it was. `run`: the words that name it. */
export function pingNext({ states }: PingTotals, run: string): string {
  const { unasked } = pingShares(states);
  const rest = unasked - states.name;
  if (rest === 0) return '';
  return `go on with the ${formatNumberOf(rest, 'address', 'addresses')} not probed: myriad resume ${run}\n`;
}

/** What came beside answers, and what kept packets here. */
const ODD: readonly (readonly [name: string, what: string])[] = [
  ['late', 'late'],
  ['duplicates', 'duplicates'],
  ['fromOthers', 'from another address'],
  ['foreign', 'answers to no probe of this sweep'],
  ['errors', 'ICMP errors'],
  ['fullBuffers', 'full buffers'],
  ['sendFailures', 'sends refused here'],
];

/** The summary as one line of ndjson. */
export function pingEnd(totals: PingTotals): string {
  const { rtt, ...rest } = totals;
  return `${JSON.stringify({ type: 'ping:end', version: 1, ...rest, ...(rtt && { rttMs: rtt }) })}\n`;
}
