/**
 * How the cost of a host grows with the number of hosts: Myriad in one thread and in two, with and without its journal, and the peers
 * as far as they get in reasonable time. See docs/benchmarks.md.
 *
 * usage: node bench/growth.ts [--sizes 1000,10000,100000,1000000] [--pairs 5] [--only myriad-1,go] [--fanout 64] [--quick] [--out DIR]
 */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CLIENTS, type Client, type Site } from './clients.ts';
import { lineChart, type Panel } from './line_chart.ts';
import {
  type Field,
  grouped,
  messageOf,
  openField,
  type Report,
  readOptions,
  runBench,
  STAGE_OPTIONS,
  type Stage,
  say,
  shown,
  subtitleOf,
  visit,
  wholeNumber,
  wholeNumbers,
} from './stage.ts';
import { spread } from './statistics.ts';

/** A client, and how it is told. */
interface Case {
  readonly name: string;
  readonly label: string;
  readonly client: Client;
  readonly threads: number;
  /** Only Myriad has one. */
  readonly journal: boolean;
  /** Above it one run takes too long. */
  readonly most: number;
}

interface Sample {
  readonly case: string;
  readonly hosts: number;
  readonly round: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly startCpuMs: number;
  readonly startWallMs: number;
  readonly peakMiB: number;
  readonly journalBytes: number;
  readonly fleetCpuMs: number;
}

const FANOUT = 64;

function peer(name: string): Client {
  return CLIENTS.find((client) => client.name === name)!;
}

function ours(threads: number, journal: boolean): Case {
  return {
    name: `myriad-${threads}${journal ? '' : '-no-journal'}`,
    label: `Myriad, ${threads} thread${threads > 1 ? 's' : ''}${journal ? '' : ', no journal'}`,
    client: peer('myriad'),
    threads,
    journal,
    most: 2 ** 20,
  };
}

function theirs(name: string, most: number): Case {
  const client = peer(name);
  return { name, label: client.label, client, threads: 1, journal: false, most };
}

const CASES: readonly Case[] = [
  ours(1, true),
  ours(1, false),
  ours(2, true),
  ours(2, false),
  theirs('go', 2 ** 20),
  theirs('ssh2', 10_000),
  theirs('asyncssh', 10_000),
];

/** Five rounds of a thousand hosts, one of a hundred thousand: about as long for each size as can be waited for. */
function roundsOf(hosts: number, most: number): number {
  return Math.max(1, Math.min(most, Math.round(30_000 / hosts)));
}

/** Bytes of all files of a folder. */
async function sizeOf(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = await Promise.all(names.map((name) => stat(join(folder, name))));
  return sizes.reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0);
}

/** One run, with a journal of its own that is measured and removed. */
async function once(stage: Stage, field: Field, of: Case, site: Site, fanout: number) {
  const journal = await mkdtemp(join(stage.directory, 'journal-'));
  const record = of.journal ? ['--journal', journal] : ['--no-journal'];
  const words = of.client.name === 'myriad' ? ['--threads', `${of.threads}`, ...record] : [];
  try {
    const command = of.client.command(site, fanout, words);
    const { cost, stats } = await visit(stage, field, site, command, { cores: of.threads });
    return { cost, stats, journalBytes: await sizeOf(journal) };
  } finally {
    await rm(journal, { recursive: true, force: true });
  }
}

async function sample(stage: Stage, field: Field, of: Case, hosts: number, round: number, fanout: number) {
  const { cost: start } = await once(stage, field, of, await field.sites.get(1), fanout);
  const { cost, stats, journalBytes } = await once(stage, field, of, await field.sites.get(hosts), fanout);
  const taken: Sample = {
    case: of.name,
    hosts,
    round,
    wallMs: cost.wallMs,
    cpuMs: cost.userMs + cost.systemMs,
    startCpuMs: start.userMs + start.systemMs,
    startWallMs: start.wallMs,
    peakMiB: cost.peakMiB,
    journalBytes,
    fleetCpuMs: stats.cpuMs,
  };
  say(`${grouped(hosts)} hosts, round ${round}, ${of.label}: ${net(taken).toFixed(3)} ms a host`);
  return taken;
}

function net({ cpuMs, startCpuMs, hosts }: Sample): number {
  return (cpuMs - startCpuMs) / (hosts - 1);
}

/** A case that fails once is left out from there on, and named. */
async function measureAll(
  stage: Stage,
  cases: readonly Case[],
  sizes: readonly number[],
  pairs: number,
  fanout: number,
) {
  const samples: Sample[] = [];
  const missing: string[] = [];
  const out = new Set<string>();
  for (const of of cases) {
    await of.client.prepare().catch((error: unknown) => {
      missing.push(`${of.label}: ${messageOf(error)}`);
      out.add(of.name);
    });
  }
  for (const hosts of sizes) {
    await using field = await openField(stage, hosts);
    for (let round = 1; round <= roundsOf(hosts, pairs); round++) {
      for (const of of round % 2 === 1 ? cases : cases.toReversed()) {
        if (out.has(of.name) || hosts > of.most) continue;
        try {
          samples.push(await sample(stage, field, of, hosts, round, fanout));
        } catch (error) {
          stage.signal.throwIfAborted();
          missing.push(`${of.label}, ${grouped(hosts)} hosts: ${messageOf(error)}`);
          out.add(of.name);
        }
      }
    }
  }
  return { samples, missing };
}

/** The samples of one case at one size. */
type Pick = (name: string, hosts: number) => readonly Sample[];

const HEAD = [
  'client',
  'hosts',
  'wall s',
  'hosts/s',
  'ms/host',
  '× 10,000',
  'peak MB',
  'journal MB',
  'B/host',
  'fleet busy',
];

function row(of: Case, hosts: number, pick: Pick): string[] | undefined {
  const all = pick(of.name, hosts);
  if (all.length === 0) return undefined;
  const median = (value: (sample: Sample) => number) => spread(all.map(value)).median;
  const base = pick(of.name, 10_000).map(net);
  const journal = median(({ journalBytes }) => journalBytes);
  return [
    of.label,
    grouped(hosts),
    shown(all.map(({ wallMs }) => wallMs / 1000)),
    median(({ wallMs, startWallMs }) => ((hosts - 1) * 1000) / (wallMs - startWallMs)).toFixed(0),
    shown(all.map(net)),
    base.length === 0 ? '–' : (median(net) / spread(base).median).toFixed(2),
    median(({ peakMiB }) => peakMiB).toFixed(0),
    of.journal ? (journal / 1e6).toFixed(1) : '–',
    of.journal ? (journal / hosts).toFixed(0) : '–',
    `${median(({ fleetCpuMs, wallMs, startWallMs }) => (100 * fleetCpuMs) / (wallMs - startWallMs)).toFixed(0)} %`,
  ];
}

function panels(cases: readonly Case[], sizes: readonly number[], pick: Pick): Panel[] {
  const lines = (value: (sample: Sample) => number) =>
    cases
      .map((of) => ({
        label: of.label,
        ours: of.client.name === 'myriad',
        points: sizes.flatMap((hosts) => {
          const all = pick(of.name, hosts);
          return all.length === 0 ? [] : [[hosts, spread(all.map(value)).median] as const];
        }),
      }))
      .filter(({ points }) => points.length > 0);
  const x = { name: 'hosts in one run', log: true };
  return [
    { title: 'CPU per host', x, y: { name: 'ms' }, lines: lines(net) },
    { title: 'Peak memory', x, y: { name: 'MB' }, lines: lines(({ peakMiB }) => peakMiB) },
    { title: 'Time', x, y: { name: 'seconds', log: true }, lines: lines(({ wallMs }) => wallMs / 1000) },
  ];
}

const NOTES = [
  'ms/host: client CPU per host, user + system of the whole process tree, its start taken off; × 10,000: of what the same client ' +
    'takes at that size. It includes reading known_hosts, which has a line for each of the hosts, and the journal, where there is one. ' +
    'peak: resident memory of the client; each is one process. B/host: bytes of journal, the answer included. Median (least–greatest) ' +
    'where there was more than one round. Threads start when there is work for them, so that in the smallest runs their start is in ms/host.',
  'Fleet and client have a core each. Two threads share the core of the fleet: what they gain in time is what the fleet leaves. ' +
    'Where the fleet is busy near 100 %, hosts/s is the speed of the fleet and not of the client.',
];

const values = readOptions({
  ...STAGE_OPTIONS,
  sizes: { type: 'string' },
  pairs: { type: 'string', default: '5' },
  only: { type: 'string' },
  fanout: { type: 'string', default: `${FANOUT}` },
});

await runBench('bench/growth.ts', values, async (stage): Promise<Report> => {
  const sizes = wholeNumbers('--sizes', values.sizes ?? (stage.quick ? '100,200' : '1000,10000,100000,1000000'));
  if (sizes.includes(1)) throw new Error('--sizes 1: one host leaves nothing once the start is taken off');
  const only = values.only?.split(',') ?? CASES.map(({ name }) => name);
  const unknown = only.find((name) => !CASES.some((of) => of.name === name));
  if (unknown !== undefined) throw new Error(`--only "${unknown}": take ${CASES.map(({ name }) => name).join(', ')}`);
  const cases = CASES.filter(({ name }) => only.includes(name));
  const fanout = wholeNumber('--fanout', values.fanout);
  const pairs = stage.quick ? 1 : wholeNumber('--pairs', values.pairs);

  const { samples, missing } = await measureAll(stage, cases, sizes, pairs, fanout);
  const pick: Pick = (name, hosts) => samples.filter((one) => one.case === name && one.hosts === hosts);
  const rows = sizes.flatMap((hosts) =>
    cases.flatMap((of) => [row(of, hosts, pick)].filter((line) => line !== undefined)),
  );
  return {
    name: 'growth',
    title: 'Growth: the cost of a host in runs of any size',
    intro:
      `Each host: connect, verify its key against a known_hosts line of its own, log in, run, read the answer, close; against ` +
      `bench/fleet-go, fanout ${fanout}. Every answer is checked, cookies and ephemeral keys are counted by the fleet.`,
    tables: [{ title: 'From a thousand hosts on', rows: [HEAD, ...rows] }],
    notes: NOTES,
    svg: lineChart('What a host costs in runs of any size', subtitleOf(stage.machine), panels(cases, sizes, pick)),
    data: {
      fanout,
      cases: cases.map(({ name, label, threads, journal }) => ({ name, label, threads, journal })),
      samples,
    },
    missing,
  };
});
