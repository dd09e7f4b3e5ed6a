/**
 * The chart that this field started from: how long it takes to ask 10 to 10,000 hosts 6 ms away, one after the other, all at once
 * in one asyncssh loop, and with Myriad; and how often a day that is. See docs/benchmarks.md.
 *
 * usage: node bench/history.ts [--sizes 10,100,1000,10000] [--latency 6] [--rounds 3] [--quick] [--out DIR]
 *
 * The latency is the fleet's own: what a host sends leaves one round trip later. One after the other is measured up to a hundred
 * hosts and reckoned beyond; it has no other way to grow.
 */
import { CLIENTS, type Site } from './clients.ts';
import { type Line, lineChart } from './line_chart.ts';
import type { Command } from './measure.ts';
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
import { digits, spread } from './statistics.ts';

interface Way {
  readonly name: string;
  readonly label: string;
  /** Beyond so many hosts it is reckoned from these. @default all are measured */
  readonly measured?: number;
  readonly prepare: () => Promise<unknown>;
  readonly command: (site: Site) => Command;
}

interface Point {
  readonly way: string;
  readonly hosts: number;
  readonly seconds: readonly number[];
  /** Reckoned, not measured. */
  readonly reckoned: boolean;
}

const DAY_SECONDS = 86_400;

function client(name: string) {
  return CLIENTS.find((candidate) => candidate.name === name)!;
}

/** Every connection a descriptor: the soft limit of a login shell is 1,024. */
function unlimited({ argv }: Command): Command {
  return { argv: ['sh', '-c', 'ulimit -n "$(ulimit -Hn)"; exec "$@"', 'sh', ...argv] };
}

/** What everybody writes first. */
const LOOP =
  'file=$1; shift; while read -r host; do printf "%s: " "$host"; ssh "$@" "$host" whoami-host </dev/null; done <"$file"';

const WAYS: readonly Way[] = [
  {
    name: 'one-by-one',
    label: 'ssh, one after the other',
    measured: 100,
    prepare: async () => undefined,
    command: ({ hostFile, port, user, identity, knownHosts }) => ({
      argv: [
        ...['sh', '-c', LOOP, 'sh', hostFile, '-F', 'none', '-p', `${port}`, '-l', user, '-i', identity, '-n'],
        ...['-o', `UserKnownHostsFile=${knownHosts}`, '-o', 'GlobalKnownHostsFile=/dev/null'],
        ...['-o', 'StrictHostKeyChecking=yes', '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'],
      ],
    }),
  },
  {
    name: 'asyncssh',
    label: 'asyncssh, all at once',
    prepare: () => client('asyncssh').prepare(),
    command: (site) => unlimited(client('asyncssh').command(site, site.hosts.length)),
  },
  {
    name: 'myriad',
    label: 'Myriad, as it comes',
    prepare: () => client('myriad').prepare(),
    command: (site) => {
      const { argv } = client('myriad').command(site, 64);
      const at = argv.indexOf('-f');
      return unlimited({ argv: argv.toSpliced(at, 2) });
    },
  },
];

async function measureWay(stage: Stage, field: Field, way: Way, hosts: number, rounds: number): Promise<Point> {
  const reckoned = way.measured !== undefined && hosts > way.measured;
  const count = reckoned ? way.measured : hosts;
  const site = await field.sites.get(count);
  const seconds: number[] = [];
  // Who needs minutes is not asked again.
  for (let round = 0; round < rounds && (seconds[0] ?? 0) < 60; round++) {
    const { cost } = await visit(stage, field, site, way.command(site));
    seconds.push((cost.wallMs / 1000) * (hosts / count));
  }
  const point: Point = { way: way.name, hosts, seconds, reckoned };
  say(`${grouped(hosts)} hosts, ${way.label}: ${digits(spread(seconds).median)} s${reckoned ? ', reckoned' : ''}`);
  return point;
}

async function measureAll(stage: Stage, field: Field, sizes: readonly number[], rounds: number) {
  const points: Point[] = [];
  const missing: string[] = [];
  for (const way of WAYS) {
    try {
      await way.prepare();
      for (const hosts of sizes) points.push(await measureWay(stage, field, way, hosts, rounds));
    } catch (error) {
      stage.signal.throwIfAborted();
      missing.push(`${way.label}: ${messageOf(error)}`);
    }
  }
  return { points, missing };
}

const median = ({ seconds }: Point) => spread(seconds).median;

function rowsOf(points: readonly Point[], sizes: readonly number[]): string[][] {
  return sizes.flatMap((hosts) => {
    const own = points.find((point) => point.way === 'myriad' && point.hosts === hosts);
    return WAYS.flatMap(({ name, label }) => {
      const point = points.find((one) => one.way === name && one.hosts === hosts);
      if (!point) return [];
      const a = median(point);
      return [
        [
          label,
          grouped(hosts),
          point.reckoned ? `${digits(a)} *` : shown(point.seconds),
          digits(hosts / a),
          grouped(Math.floor(DAY_SECONDS / a)),
          own ? digits(a / median(own)) : '–',
        ],
      ];
    });
  });
}

function linesOf(points: readonly Point[], value: (point: Point) => number): Line[] {
  return WAYS.map(({ name, label }) => {
    const own = points.filter((point) => point.way === name);
    return {
      label,
      ours: name === 'myriad',
      dashed: own.some((point) => point.reckoned),
      points: own.map((point) => [point.hosts, value(point)] as const),
    };
  }).filter((line) => line.points.length > 0);
}

const values = readOptions({
  ...STAGE_OPTIONS,
  sizes: { type: 'string' },
  latency: { type: 'string', default: '6' },
  rounds: { type: 'string', default: '3' },
});

await runBench('bench/history.ts', values, async (stage): Promise<Report> => {
  const sizes = wholeNumbers('--sizes', values.sizes ?? (stage.quick ? '10,40' : '10,100,1000,10000'));
  const latencyMs = wholeNumber('--latency', values.latency);
  const rounds = stage.quick ? 1 : wholeNumber('--rounds', values.rounds);
  await using field = await openField(stage, Math.max(...sizes), { latencyMs });
  const { points, missing } = await measureAll(stage, field, sizes, rounds);
  const x = { name: 'hosts', log: true };
  const title = `Asking hosts ${latencyMs} ms away`;
  return {
    name: 'history',
    title,
    intro:
      'One after the other, all at once in one asyncssh loop, and with Myriad, its options left as they come; against bench/fleet-go, ' +
      `whose answers leave ${latencyMs} ms after they are written, the first of each connection after twice that for TCP's own round trip. ` +
      'Host keys are verified, every answer is checked.',
    tables: [
      {
        title: 'From the start of the client to its end',
        rows: [['how', 'hosts', 'seconds', 'hosts/s', 'times a day', '× Myriad'], ...rowsOf(points, sizes)],
      },
    ],
    notes: [
      '* reckoned from a hundred hosts. Times a day: 86,400 divided by the seconds. Each client has one core, the fleet another; ' +
        'hosts off loopback are begun with more slowly, unless `--rate max` is given.',
    ],
    svg: lineChart(title, subtitleOf(stage.machine), [
      {
        title: 'Time (dashed: reckoned beyond 100 hosts)',
        x,
        y: { name: 'seconds', log: true },
        lines: linesOf(points, median),
      },
      {
        title: 'Executions per day',
        x,
        y: { name: 'times', log: true },
        lines: linesOf(points, (point) => DAY_SECONDS / median(point)),
      },
    ]),
    data: { latencyMs, points },
    missing,
  };
});
