/**
 * `npm run bench`: what a host costs, for Myriad and for every peer that is installed. See docs/benchmarks.md.
 *
 * usage: node bench/main.ts [--hosts 8192] [--pairs 9] [--quick] [--only myriad,go] [--out DIR]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CLIENTS, type Client, type Site } from './clients.ts';
import { Fleet, type FleetStats } from './fleet.ts';
import { describeMachine } from './machine.ts';
import { type Cost, measure } from './measure.ts';
import { type Absent, type Entry, type Sample, terminalReport, writeReport } from './report.ts';
import { makeKey, Sites } from './site.ts';
import { QUESTION, verify } from './verify.ts';

interface Settings {
  readonly hosts: number;
  readonly rounds: number;
  readonly clients: readonly Client[];
  /** Clients asked for by name must be there. */
  readonly strict: boolean;
  /** Where results are written; nowhere with --quick, unless asked. */
  readonly out: string | undefined;
}

/** What one measurement needs around it. */
interface Bench {
  readonly fleet: Fleet;
  readonly sites: Sites;
  readonly scratch: string;
  readonly signal: AbortSignal;
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${option} "${text}" is not a whole number above 0`);
  return value;
}

function readSettings(): Settings {
  const { values } = parseArgs({
    options: {
      hosts: { type: 'string' },
      pairs: { type: 'string' },
      only: { type: 'string' },
      out: { type: 'string' },
      quick: { type: 'boolean', default: false },
    },
  });
  const only = values.only ?? (values.quick ? 'myriad,go' : undefined);
  const names = only?.split(',') ?? CLIENTS.map((client) => client.name);
  const unknown = names.find((name) => !CLIENTS.some((client) => client.name === name));
  if (unknown !== undefined) {
    throw new Error(`--only "${unknown}" is no client; take ${CLIENTS.map((client) => client.name).join(', ')}`);
  }
  const hosts = positive('--hosts', values.hosts ?? (values.quick ? '256' : '8192'));
  if (hosts < 2) throw new Error(`--hosts ${hosts} leaves nothing once the start is taken off; take at least 2`);
  return {
    hosts,
    rounds: positive('--pairs', values.pairs ?? (values.quick ? '1' : '9')),
    clients: CLIENTS.filter((client) => names.includes(client.name)),
    strict: only !== undefined,
    out: values.out ?? (values.quick ? undefined : join(import.meta.dirname, 'results')),
  };
}

/** One run of a client, verified; rejects with the client's name and what was wrong. */
async function runOnce(bench: Bench, client: Client, site: Site): Promise<{ cost: Cost; stats: FleetStats }> {
  await bench.fleet.stats();
  const timeoutMs = 30_000 + 100 * site.hosts.length;
  const command = client.command(site, client.fanout);
  const cost = await measure(command, { scratch: bench.scratch, signal: bench.signal, timeoutMs });
  const stats = await bench.fleet.stats();
  const wrong = verify(site, cost, stats);
  if (wrong !== undefined) throw new Error(wrong);
  return { cost, stats };
}

/** One round of one client: one host, then all of them. */
async function sample(bench: Bench, entry: Entry, round: number): Promise<Sample> {
  const { cost: start } = await runOnce(bench, entry.client, await bench.sites.get(1));
  const { cost, stats } = await runOnce(bench, entry.client, await bench.sites.get(entry.hosts));
  return {
    round,
    hosts: entry.hosts,
    wallMs: cost.wallMs,
    cpuMs: cost.userMs + cost.systemMs,
    startWallMs: start.wallMs,
    startCpuMs: start.userMs + start.systemMs,
    peakMiB: cost.peakMiB,
    fleetCpuMs: stats.cpuMs,
    algorithms: stats.algorithms,
  };
}

/** Finds out who is there: builds, asks versions, and runs each once on one host so that caches are warm. */
async function prepare(bench: Bench, settings: Settings): Promise<{ entries: Entry[]; absent: Absent[] }> {
  const entries: Entry[] = [];
  const absent: Absent[] = [];
  for (const client of settings.clients) {
    try {
      const version = await client.prepare();
      await runOnce(bench, client, await bench.sites.get(1));
      const hosts = Math.min(settings.hosts, client.maxHosts ?? settings.hosts);
      entries.push({ client, version, hosts, samples: [] });
    } catch (error) {
      bench.signal.throwIfAborted();
      absent.push({ name: client.name, label: client.label, reason: messageOf(error) });
    }
  }
  return { entries, absent };
}

/** A B C, C B A, A B C …: what drifts on the machine meets all clients alike. */
async function measureAll(bench: Bench, entries: readonly Entry[], rounds: number): Promise<Entry[]> {
  const samples = new Map<string, Sample[]>(entries.map((entry) => [entry.client.name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const entry of round % 2 === 1 ? entries : entries.toReversed()) {
      const { label, name } = entry.client;
      const taken = await sample(bench, entry, round).catch((error: unknown) => {
        bench.signal.throwIfAborted();
        throw new Error(`${label}, ${entry.hosts} hosts, round ${round}: ${messageOf(error)}`, { cause: error });
      });
      samples.get(name)!.push(taken);
      process.stderr.write(`round ${round}/${rounds}  ${label}: ${(taken.cpuMs / taken.hosts).toFixed(3)} ms a host\n`);
    }
  }
  return entries.map((entry) => ({ ...entry, samples: samples.get(entry.client.name)! }));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Runs the benchmark in `directory`; resolves with whether everything that was asked for was measured. */
async function bench(settings: Settings, directory: string, signal: AbortSignal): Promise<boolean> {
  const machine = await describeMachine('bench/main.ts');
  if (machine.load > 0.5) process.stderr.write(`load ${machine.load.toFixed(2)}: other programs disturb the figures\n`);
  const identity = join(directory, 'key');
  const knownHosts = join(directory, 'known_hosts');
  await makeKey(identity);
  await using fleet = await Fleet.start({ hosts: settings.hosts, authorized: `${identity}.pub`, knownHosts });
  const sites = new Sites({ directory, identity, knownHosts, port: fleet.port, command: QUESTION });
  const around: Bench = { fleet, sites, scratch: directory, signal };

  const { entries, absent } = await prepare(around, settings);
  const measured = await measureAll(around, entries, settings.rounds);
  const results = { machine, entries: measured, absent };
  process.stdout.write(`${terminalReport(results)}\n`);
  if (settings.out !== undefined && measured.length > 0) await writeReport(results, settings.out);
  return measured.length > 0 && !(settings.strict && absent.length > 0);
}

async function main(): Promise<void> {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => stop.abort(new Error(`ended by ${name}`)));
  const settings = readSettings();
  const directory = await mkdtemp(join(tmpdir(), 'myriad-bench-'));
  try {
    process.exitCode = (await bench(settings, directory, stop.signal)) ? 0 : 1;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
