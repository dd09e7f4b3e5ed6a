/** From samples to the table, the Markdown page, the chart and the JSON of `npm run bench`. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { barChart } from './chart.ts';
import type { Client } from './clients.ts';
import { HOST_KEYS } from './fleet.ts';
import { type Machine, machineLines } from './machine.ts';
import { digits, type Spread, spread } from './statistics.ts';
import { markdownTable, textTable } from './table.ts';

/** One round of one client. */
export interface Sample {
  readonly round: number;
  readonly hosts: number;
  readonly wallMs: number;
  /** User + system of the whole process tree. */
  readonly cpuMs: number;
  /** The same client with one host in the same round: what its start costs. */
  readonly startWallMs: number;
  readonly startCpuMs: number;
  /** The largest single process. */
  readonly peakMiB: number;
  /** User + system of the fleet in the meantime. */
  readonly fleetCpuMs: number;
  /** "kex, host key, cipher" by number of connections. */
  readonly algorithms: Readonly<Record<string, number>>;
}

export interface Entry {
  readonly client: Client;
  readonly version: string;
  readonly hosts: number;
  readonly samples: readonly Sample[];
}

export interface Absent {
  readonly name: string;
  readonly label: string;
  readonly reason: string;
}

export interface Results {
  readonly machine: Machine;
  readonly entries: readonly Entry[];
  readonly absent: readonly Absent[];
}

/** CPU per further host: the start is taken off. */
function net(sample: Sample): number {
  return (sample.cpuMs - sample.startCpuMs) / (sample.hosts - 1);
}

function median(entry: Entry, value: (sample: Sample) => number): number {
  return spread(entry.samples.map(value)).median;
}

/** What the others are compared with: Myriad, or the first that was measured. */
export function baseOf(entries: readonly Entry[]): Entry {
  return entries.find((entry) => entry.client.name === 'myriad') ?? entries[0]!;
}

/** The cost of an entry as multiple of the base's, pair by pair within a round. */
export function ratio(entry: Entry, base: Entry): Spread | undefined {
  const pairs = entry.samples.flatMap((sample) => {
    const other = base.samples.find((candidate) => candidate.round === sample.round);
    return other === undefined ? [] : [net(sample) / net(other)];
  });
  return pairs.length === 0 ? undefined : spread(pairs);
}

/** The share of a run in which the fleet was busy: near 100 % the fleet sets the wall time, not the client. */
function fleetBusy(entry: Entry): number {
  return median(entry, (sample) => (100 * sample.fleetCpuMs) / (sample.wallMs - sample.startWallMs));
}

/** A ratio: two decimals, one from ten on. */
function factor(value: number): string {
  return value.toFixed(value < 9.995 ? 2 : 1);
}

function rows(results: Results): string[][] {
  const base = baseOf(results.entries);
  const head = ['client', 'hosts', 'fanout', 'wall s', 'hosts/s', 'ms/host', 'gross', 'start ms'];
  head.push(`× ${base.client.name}`, 'peak MB');
  const body = results.entries.map((entry) => {
    const times = ratio(entry, base);
    return [
      entry.client.label,
      `${entry.hosts}`,
      `${entry.client.fanout}`,
      digits(median(entry, (sample) => sample.wallMs / 1000)),
      median(entry, (sample) => ((sample.hosts - 1) * 1000) / (sample.wallMs - sample.startWallMs)).toFixed(0),
      digits(median(entry, net)),
      digits(median(entry, (sample) => sample.cpuMs / sample.hosts)),
      median(entry, (sample) => sample.startCpuMs).toFixed(0),
      times === undefined ? '–' : `${factor(times.median)} (${factor(times.min)}–${factor(times.max)})`,
      median(entry, (sample) => sample.peakMiB).toFixed(0),
    ];
  });
  return [head, ...body];
}

const LEGEND = [
  'ms/host: client CPU per host, user + system of the whole process tree, its start (start ms) taken off; gross:',
  'with it. Ratios are of ms/host within one round, as median (least–greatest). peak: the largest single process,',
  'of which the forking tools run `fanout` at once.',
];

/** The table as printed on a terminal, at most 100 columns wide. */
export function terminalReport(results: Results): string {
  const lines = results.absent.map((absent) => `${absent.label}: ${absent.reason}`);
  if (results.entries.length > 0) lines.unshift(textTable(rows(results)), '', ...LEGEND);
  return lines.join('\n');
}

function markdown(results: Results): string {
  const rounds = Math.max(...results.entries.map((entry) => entry.samples.length));
  const lines = ['# SSH: client CPU per host', '', ...machineLines(results.machine), ''];
  lines.push(
    `Median of ${rounds} interleaved rounds against bench/fleet-go; host keys verified against a known_hosts line per ` +
      `host, ${HOST_KEYS} distinct host keys, every answer checked, cookies and ephemeral keys counted by the fleet.`,
    '',
    markdownTable(rows(results)),
    '',
    LEGEND.join(' '),
    '',
    '| client | version | negotiated | fleet busy |',
    '| --- | --- | --- | ---: |',
  );
  for (const entry of results.entries) {
    const algorithms = Object.keys(entry.samples[0]!.algorithms).join('; ');
    lines.push(`| ${entry.client.label} | ${entry.version} | ${algorithms} | ${fleetBusy(entry).toFixed(0)} % |`);
  }
  lines.push('', 'Where the fleet is busy near 100 %, hosts/s is the speed of the fleet and not of the client.');
  for (const absent of results.absent) lines.push('', `${absent.label}: ${absent.reason}`);
  return `${lines.join('\n')}\n`;
}

function chart(results: Results): string {
  const base = baseOf(results.entries);
  const bars = results.entries.map((entry) => {
    const cost = median(entry, net);
    const times = ratio(entry, base);
    const text =
      entry === base || times === undefined ? `${digits(cost)} ms` : `${digits(cost)} ms, ${factor(times.median)} ×`;
    return { label: entry.client.label, value: cost, text, ours: entry.client.name === 'myriad' };
  });
  const { cpu, node, date } = results.machine;
  return barChart('Client CPU per host: connect, verify, log in, run, close', `${cpu}, Node ${node}, ${date}`, bars);
}

function json(results: Results): string {
  const base = baseOf(results.entries);
  const clients = results.entries.map((entry) => ({
    name: entry.client.name,
    version: entry.version,
    hosts: entry.hosts,
    fanout: entry.client.fanout,
    cpuPerHostMs: spread(entry.samples.map(net)),
    ratio: ratio(entry, base),
    fleetBusyPercent: fleetBusy(entry),
    samples: entry.samples,
  }));
  const { machine, absent } = results;
  return `${JSON.stringify({ machine, hostKeys: HOST_KEYS, base: base.client.name, clients, absent }, null, 2)}\n`;
}

/** Writes ssh.json, ssh.md and ssh.svg. */
export async function writeReport(results: Results, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await Promise.all([
    writeFile(join(directory, 'ssh.json'), json(results)),
    writeFile(join(directory, 'ssh.md'), markdown(results)),
    writeFile(join(directory, 'ssh.svg'), `${chart(results)}\n`),
  ]);
}
