/**
 * Sweeps of 127.0.0.0/8, all of which answers, on one core: `myriad ping` beside fping and nmap. The kernel of that core receives, answers
 * and receives again, so that a host costs three packets' worth of it whatever sends.
 *
 * usage: node bench/ping.ts [--sizes 255,65536,1048576] [--only myriad,fping,nmap] [--pairs N] [--out DIR]
 *   --sizes  addresses of each sweep, up to 16777216; peers are asked for 65,536 at most
 *   --pairs  runs of each, taken in turn (default: 3); the median counts
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { barChart } from './chart.ts';
import { existingMyriad } from './clients.ts';
import { describeMachine, type Machine, machineLines } from './machine.ts';
import { type Cost, measure } from './measure.ts';
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
];

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
  const best = points
    .filter(({ tool }) => tool.startsWith('myriad'))
    .toSorted((a, b) => b.size / b.wallMs - a.size / a.wallMs)[0];
  if (!best) return '';
  const hours = (2 ** 32 * best.wallMs) / best.size / 3_600_000;
  return `All 4,294,967,296 addresses at the rate of ${best.tool} (computed): ${digits(hours)} h on one core.`;
}

const LEGEND =
  'One core for all: the sender, and the kernel that answers. Start of the program included. CPU: user + system of the process tree.';

async function writeReport(machine: Machine, points: readonly Point[], directory: string): Promise<void> {
  const page = [
    '# Sweeps of 127.0.0.0/8 by ICMP',
    '',
    ...machineLines(machine),
    '',
    markdownTable(rows(points)),
    '',
    LEGEND,
  ];
  page.push('', outlook(points));
  const bars = points.map(({ tool, size, wallMs }) => ({
    label: `${tool}, ${size}`,
    value: (size * 1000) / wallMs,
    text: `${digits((size * 1000) / wallMs)}/s`,
    ours: tool.startsWith('myriad'),
  }));
  const svg = barChart('Addresses per second, one core', `${machine.cpu}, ${machine.date}`, bars);
  await mkdir(directory, { recursive: true });
  await Promise.all([
    writeFile(join(directory, 'ping.json'), `${JSON.stringify({ machine, points }, null, 2)}\n`),
    writeFile(join(directory, 'ping.md'), `${page.join('\n')}\n`),
    writeFile(join(directory, 'ping.svg'), `${svg}\n`),
  ]);
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
      sizes: { type: 'string', default: '255,65536,1048576' },
      only: { type: 'string' },
      pairs: { type: 'string', default: '3' },
      out: { type: 'string' },
    },
  });
  const wanted = values.only?.split(',');
  const tools = TOOLS.filter(({ name }) => wanted === undefined || wanted.includes(name.split(' ')[0]!));
  if (tools.length === 0) throw new Error(`--only "${values.only}": take some of myriad, fping, nmap`);
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => stop.abort(new Error(`ended by ${name}`)));
  const machine = await describeMachine('bench/ping.ts');
  const scratch = await mkdtemp(join(tmpdir(), 'myriad-bench-'));
  const points: Point[] = [];
  try {
    for (const size of values.sizes.split(',').map(Number)) {
      points.push(...(await measureSize(tools, size, Number(values.pairs), scratch, stop.signal)));
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  process.stdout.write(`${[textTable(rows(points)), '', LEGEND, outlook(points)].join('\n')}\n`);
  if (values.out !== undefined) await writeReport(machine, points, values.out);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
