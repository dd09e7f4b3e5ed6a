/**
 * A local program per host, at three fanouts: 255 addresses pinged one by one, four at a time, all at once. The cost
 * is that of the pings themselves plus what the tool adds; `xargs -P` beside it shows the least that is possible.
 *
 * usage: node bench/local_ping.ts [--quick] [--only myriad,xargs] [--out DIR]
 *   --quick  one echo request per host instead of three, and no result files unless --out is given
 *
 * With three requests a second apart, 255 hosts one by one take about nine minutes per tool.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { barChart } from './chart.ts';
import { existingMyriad } from './clients.ts';
import { describeMachine, type Machine, machineLines } from './machine.ts';
import { type Command, type Cost, measure } from './measure.ts';
import { digits } from './statistics.ts';
import { markdownTable, textTable } from './table.ts';

const HOSTS = 255;
const FANOUTS = [1, 4, 255];

interface Tool {
  readonly name: string;
  /** Rejects with the reason when the tool is not there. */
  readonly prepare: () => Promise<void>;
  readonly command: (fanout: number, ping: readonly string[]) => Command;
}

/** Both are told "this ping, for every address of 127.2.0.0–127.2.0.254, so many at once". */
const TOOLS: readonly Tool[] = [
  {
    name: 'myriad',
    prepare: async () => void existingMyriad(),
    command: (fanout, ping) => ({
      argv: [
        ...[process.execPath, existingMyriad(), 'run', '--local', '-w', '127.2.0.[0-254]', '-f', `${fanout}`, '--yes'],
        ...['--output', 'text', '-q', '--progress', 'never', '--', ...ping, '{host}'],
      ],
    }),
  },
  {
    name: 'xargs',
    prepare: async () => undefined,
    command: (fanout, ping) => ({
      argv: ['sh', '-c', `seq -f 127.2.0.%g 0 ${HOSTS - 1} | xargs -n 1 -P ${fanout} ${ping.join(' ')}`],
    }),
  },
];

interface Point {
  readonly tool: string;
  readonly fanout: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakMiB: number;
}

interface Results {
  readonly machine: Machine;
  readonly ping: string;
  readonly points: readonly Point[];
  readonly absent: readonly string[];
}

/** What is wrong with a run; undefined when every address was pinged once and every request was answered. */
function verify(cost: Cost, count: number): string | undefined {
  if (cost.status !== 0) return `exit status ${cost.status}: ${cost.stderr.trim().split('\n').at(-1)}`;
  const hosts = new Set(
    [...cost.stdout.matchAll(/--- (127\.2\.0\.\d+) ping statistics ---/g)].map((match) => match[1]),
  );
  const whole = [...cost.stdout.matchAll(/(\d+) packets transmitted, (\d+) received/g)].filter(
    (match) => Number(match[1]) === count && match[1] === match[2],
  );
  if (hosts.size === HOSTS && whole.length === HOSTS) return undefined;
  return `${hosts.size} of ${HOSTS} hosts in the output, ${whole.length} without loss`;
}

function rows(points: readonly Point[]): string[][] {
  const head = ['tool', 'fanout', 'wall s', 'CPU s', 'CPU ms/host', 'peak MB'];
  const body = points.map((point) => [
    point.tool,
    `${point.fanout}`,
    digits(point.wallMs / 1000),
    digits(point.cpuMs / 1000),
    digits(point.cpuMs / HOSTS),
    point.peakMiB.toFixed(0),
  ]);
  return [head, ...body];
}

const LEGEND =
  'CPU: user + system of the whole process tree, the pings included; peak: the largest single process of the tree.';

async function writeReport(results: Results, directory: string): Promise<void> {
  const { machine, ping, points, absent } = results;
  const page = [
    `# A local program per host: \`${ping}\` on ${HOSTS} addresses`,
    '',
    ...machineLines(machine),
    '',
    markdownTable(rows(points)),
    '',
    LEGEND,
    ...absent.flatMap((line) => ['', line]),
  ];
  const bars = points.map((point) => ({
    label: `${point.tool} -f ${point.fanout}`,
    value: point.wallMs,
    text: `${digits(point.wallMs / 1000)} s`,
    ours: point.tool === 'myriad',
  }));
  const svg = barChart(`Wall time: ${ping} on ${HOSTS} hosts`, `${machine.cpu}, ${machine.date}`, bars);
  await mkdir(directory, { recursive: true });
  await Promise.all([
    writeFile(join(directory, 'local-ping.json'), `${JSON.stringify({ ...results, hosts: HOSTS }, null, 2)}\n`),
    writeFile(join(directory, 'local-ping.md'), `${page.join('\n')}\n`),
    writeFile(join(directory, 'local-ping.svg'), `${svg}\n`),
  ]);
}

/** Measures all points of one tool. */
async function measureTool(tool: Tool, count: number, scratch: string, signal: AbortSignal): Promise<Point[]> {
  const ping = ['ping', '-c', `${count}`, '-W', '1'];
  const points: Point[] = [];
  for (const fanout of FANOUTS) {
    const timeoutMs = 60_000 + (3000 * count * HOSTS) / fanout;
    const cost = await measure(tool.command(fanout, ping), { scratch, signal, timeoutMs });
    const wrong = verify(cost, count);
    if (wrong !== undefined) throw new Error(`${tool.name}, fanout ${fanout}: ${wrong}`);
    points.push({
      tool: tool.name,
      fanout,
      wallMs: cost.wallMs,
      cpuMs: cost.userMs + cost.systemMs,
      peakMiB: cost.peakMiB,
    });
    process.stderr.write(`${tool.name}, fanout ${fanout}: ${(cost.wallMs / 1000).toFixed(1)} s\n`);
  }
  return points;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean', default: false }, only: { type: 'string' }, out: { type: 'string' } },
  });
  const names = values.only?.split(',') ?? TOOLS.map((tool) => tool.name);
  const unknown = names.find((name) => !TOOLS.some((tool) => tool.name === name));
  if (unknown !== undefined) throw new Error(`--only "${unknown}" is no tool; take myriad or xargs`);
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => stop.abort(new Error(`ended by ${name}`)));
  const count = values.quick ? 1 : 3;
  const machine = await describeMachine('bench/local_ping.ts');
  const scratch = await mkdtemp(join(tmpdir(), 'myriad-bench-'));
  const points: Point[] = [];
  const absent: string[] = [];
  try {
    for (const tool of TOOLS.filter((candidate) => names.includes(candidate.name))) {
      const reason = await tool.prepare().then(
        () => undefined,
        (error: Error) => error.message,
      );
      if (reason === undefined) points.push(...(await measureTool(tool, count, scratch, stop.signal)));
      else absent.push(`${tool.name}: ${reason}`);
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  process.stdout.write(`${[textTable(rows(points)), '', LEGEND, ...absent].join('\n')}\n`);
  const out = values.out ?? (values.quick ? undefined : join(import.meta.dirname, 'results'));
  const ping = `ping -c ${count} -W 1 {host}`;
  if (out !== undefined && points.length > 0) await writeReport({ machine, ping, points, absent }, out);
  process.exitCode = absent.length > 0 ? 1 : 0;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
