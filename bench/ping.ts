/**
 * Sweeps of 127.0.0.0/8, all of which answers, on one core: `myriad ping` beside fping and nmap. The kernel of that core receives, answers
 * and receives again, so that a host costs three packets' worth of it whatever sends.
 *
 * Before that the sweep of 255 addresses in all the ways that people do it, see `ping_255.ts`.
 *
 * usage: node bench/ping.ts [--sizes 65536,1048576,16777216] [--only myriad,fping] [--sample N] [--pairs N] [--out DIR]
 *   --sizes   addresses of each sweep, up to 16777216; peers are asked for 65,536 at most
 *   --sample  of the 255 addresses, those that are measured where all take minutes (default: 15; least: 8; 255: all; 0: none of that part)
 *   --pairs   runs of each, taken in turn (default: 3); the median counts
 *
 * Of fping, nmap, masscan and zmap those that are installed are measured.
 */
import { accessSync, constants } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import { barChart } from './chart.ts';
import { existingMyriad } from './clients.ts';
import { describeMachine, type Machine, machineLines } from './machine.ts';
import { type Cost, measure } from './measure.ts';
import { ADDRESSES, longTime, measure255, rows255, type Sweep255 } from './ping_255.ts';
import { digits, spread } from './statistics.ts';
import { markdownTable, textTable } from './table.ts';

/** fping has 65,536 sequences for ten seconds, and nmap takes minutes. */
const MOST_OF_PEERS = 65_536;

interface Tool {
  readonly name: string;
  readonly most: number;
  argv(size: number): readonly string[];
  /** How many hosts it found up. */
  found(cost: Cost): number;
}

/** fping ends where it would need more than 65,536 sequences within ten seconds. */
function intervalOf(size: number): string {
  return size > 50_000 ? '0.16' : '0.001';
}

function last(size: number): string {
  return [24, 16, 8, 0].map((shift) => ((0x7f000000 + size - 1) >>> shift) & 255).join('.');
}

function myriad(name: string, rate: readonly string[], most: number): Tool {
  return {
    name,
    most,
    argv: (size) => [process.execPath, existingMyriad(), 'ping', '-w', `127.0.0.0-${last(size)}`, '--yes', ...rate],
    found: ({ stderr }) => Number(/: ([\d,]+) up, /.exec(stderr)?.[1]?.replaceAll(',', '')),
  };
}

const TOOLS: readonly Tool[] = [
  myriad('myriad --rate max', ['--rate', 'max'], 2 ** 24),
  myriad('myriad', [], 2 ** 20),
  {
    name: 'fping',
    most: MOST_OF_PEERS,
    argv: (size) => [
      'fping',
      '-a',
      '-q',
      '-r',
      '0',
      '-t',
      '1000',
      '-i',
      intervalOf(size),
      '-g',
      '127.0.0.0',
      last(size),
    ],
    found: ({ stdout }) => stdout.split('\n').filter(Boolean).length,
  },
  {
    // It answers for addresses of this machine itself, and sends nothing (`--reason`: localhost-response).
    name: 'nmap -sn (sends nothing)',
    most: MOST_OF_PEERS,
    argv: (size) => {
      const target = size % 256 === 0 ? `127.0.0-${size / 256 - 1}.0-255` : `127.0.0.0-${size - 1}`;
      return ['nmap', '-sn', '-n', '-PE', '-T5', '--send-ip', '-oG', '-', target];
    },
    found: ({ stdout }) => stdout.match(/Status: Up/g)?.length ?? 0,
  },
  {
    // Packets of its own making on the link: a kernel does not answer all of them on loopback.
    name: 'masscan --ping',
    most: MOST_OF_PEERS,
    argv: (size) => [
      ...['masscan', '--ping', '--rate', '1000000', '--wait', '1', '-oL', '-', '-e', 'lo'],
      ...['--range', `127.0.0.0-${last(size)}`],
    ],
    found: ({ stdout }) => stdout.match(/^open /gm)?.length ?? 0,
  },
  {
    name: 'zmap icmp_echoscan',
    most: MOST_OF_PEERS,
    argv: (size) => [
      ...['zmap', '-M', 'icmp_echoscan', '-i', 'lo', '-r', '1000000', '-c', '1', '-q', '-b', '/dev/null'],
      `127.0.0.0/${32 - Math.ceil(Math.log2(size))}`,
    ],
    found: ({ stdout }) => stdout.split('\n').filter(Boolean).length,
  },
];

function isInstalled({ name, argv }: Tool): boolean {
  if (name.startsWith('myriad')) return true;
  const [program] = argv(256);
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program!), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

interface Point {
  readonly tool: string;
  readonly size: number;
  readonly missed: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakMiB: number;
}

function rows(points: readonly Point[]): string[][] {
  const head = ['tool', 'addresses', 'missed', 'wall s', 'hosts/s', 'CPU µs/host', 'peak MB'];
  const body = points.map(({ tool, size, missed, wallMs, cpuMs, peakMiB }) => [
    tool,
    `${size}`,
    `${missed}`,
    digits(wallMs / 1000),
    digits((size * 1000) / wallMs),
    digits((cpuMs * 1000) / size),
    peakMiB.toFixed(0),
  ]);
  return [head, ...body];
}

/** How long all of IPv4 would take at that. */
function outlook(points: readonly Point[]): string {
  const best = fastest(points);
  if (!best) return '';
  const time = longTime((2 ** 32 * best.wallMs) / best.size);
  return `All 4,294,967,296 addresses at the rate of ${best.tool}, ${best.size} (computed): ${time} on one core.`;
}

function fastest(points: readonly Point[]): Point | undefined {
  const ours = points.filter(({ tool }) => tool.startsWith('myriad'));
  return ours.toSorted((a, b) => b.size / b.wallMs - a.size / a.wallMs)[0];
}

const LEGEND =
  'One core for all: the sender, and the kernel that answers. Start of the program included. CPU: user + system of the process tree.';

interface Results {
  readonly points: readonly Point[];
  readonly sweeps: readonly Sweep255[];
  /** What could not be measured, and why. */
  readonly missing: readonly string[];
}

const TITLE_255 = `${ADDRESSES} addresses in as many ways as there are, and all of IPv4 at their rate`;

async function writeReport(machine: Machine, results: Results, directory: string): Promise<void> {
  const { points, sweeps, missing } = results;
  const page = [
    '# Sweeps of 127.0.0.0/8 by ICMP',
    '',
    ...machineLines(machine),
    '',
    markdownTable(rows(points)),
    '',
    LEGEND,
  ];
  page.push('', outlook(points), '', '![Addresses per second](ping.svg)');
  if (sweeps.length > 0)
    page.push('', `## ${TITLE_255}`, '', markdownTable(rows255(sweeps)), '', '![Time](ping-255.svg)');
  for (const line of missing) page.push('', line);
  const bars = points.map(({ tool, size, wallMs }) => ({
    label: `${tool}, ${size}`,
    value: (size * 1000) / wallMs,
    text: `${digits((size * 1000) / wallMs)}/s`,
    ours: tool.startsWith('myriad'),
  }));
  const svg = barChart('Addresses per second, one core', `${machine.cpu}, ${machine.date}`, bars);
  await mkdir(directory, { recursive: true });
  await Promise.all([
    writeFile(join(directory, 'ping.json'), `${JSON.stringify({ machine, ...results }, null, 2)}\n`),
    writeFile(join(directory, 'ping.md'), `${page.join('\n')}\n`),
    writeFile(join(directory, 'ping.svg'), `${svg}\n`),
    ...(sweeps.length > 0 ? [writeFile(join(directory, 'ping-255.svg'), `${chart255(machine, results)}\n`)] : []),
  ]);
}

/** Bars are logarithms: from two thousand years to hours. */
function chart255(machine: Machine, { sweeps, points }: Results): string {
  const best = fastest(points);
  const whole = best && [{ label: 'at full speed', ours: true, allMs: (best.wallMs * 2 ** 32) / best.size }];
  const bars = [...sweeps, ...(whole ?? [])].map(({ label, ours, allMs }) => ({
    label,
    value: Math.log10(allMs / 1000),
    text: longTime(allMs),
    ours,
  }));
  const title = 'All of IPv4 at the rate measured (computed; logarithmic)';
  return barChart(title, `${machine.cpu}, ${machine.date}`, bars);
}

/** Runs all tools in turn, so that what disturbs one disturbs its neighbours, too. */
async function measureSize(tools: readonly Tool[], size: number, pairs: number, scratch: string, signal: AbortSignal) {
  const costs = new Map<Tool, Cost[]>();
  for (let pair = 0; pair < pairs; pair++) {
    for (const tool of tools) {
      if (size > tool.most) continue;
      const cost = await measure({ argv: tool.argv(size) }, { scratch, signal, timeoutMs: 600_000 });
      if (cost.status > 1) throw new Error(`${tool.name}, ${size}: exit status ${cost.status}: ${cost.stderr.trim()}`);
      costs.set(tool, [...(costs.get(tool) ?? []), cost]);
      process.stderr.write(`${tool.name}, ${size}: ${(cost.wallMs / 1000).toFixed(1)} s\n`);
    }
  }
  return [...costs].map(([tool, runs]): Point => {
    const median = (value: (cost: Cost) => number) => spread(runs.map(value)).median;
    return {
      tool: tool.name,
      size,
      missed: size - Math.min(...runs.map((cost) => tool.found(cost))),
      wallMs: median(({ wallMs }) => wallMs),
      cpuMs: median(({ userMs, systemMs }) => userMs + systemMs),
      peakMiB: median(({ peakMiB }) => peakMiB),
    };
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      sizes: { type: 'string', default: '65536,1048576,16777216' },
      sample: { type: 'string', default: '15' },
      only: { type: 'string' },
      pairs: { type: 'string', default: '3' },
      out: { type: 'string' },
    },
  });
  const wanted = values.only?.split(',');
  const named = TOOLS.filter(({ name }) => wanted === undefined || wanted.includes(name.split(' ')[0]!));
  const tools = named.filter(isInstalled);
  const absent = named.filter((tool) => !tools.includes(tool));
  if (tools.length === 0) throw new Error(`--only "${values.only}": take some of myriad, fping, nmap, masscan, zmap`);
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => stop.abort(new Error(`ended by ${name}`)));
  const machine = await describeMachine('bench/ping.ts');
  const scratch = await mkdtemp(join(tmpdir(), 'myriad-bench-'));
  const points: Point[] = [];
  const sample = Number(values.sample);
  if (!(sample === 0 || (sample >= 8 && sample <= ADDRESSES)))
    throw new Error(`--sample "${values.sample}": 0, or 8 to 255`);
  let first: { sweeps: readonly Sweep255[]; missing: string[] } = { sweeps: [], missing: [] };
  try {
    const options = { pairs: Number(values.pairs), scratch, signal: stop.signal };
    if (sample > 0) first = await measure255(sample, options);
    for (const size of values.sizes.split(',').map(Number)) {
      points.push(...(await measureSize(tools, size, Number(values.pairs), scratch, stop.signal)));
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  const missing = [...first.missing, ...absent.map(({ name }) => `${name}: not installed`)];
  const sections = [textTable(rows(points)), '', LEGEND, outlook(points)];
  if (first.sweeps.length > 0) sections.push('', TITLE_255, '', textTable(rows255(first.sweeps)));
  process.stdout.write(`${[...sections, ...missing].join('\n')}\n`);
  if (values.out !== undefined) await writeReport(machine, { points, sweeps: first.sweeps, missing }, values.out);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
