/**
 * How many at once: hosts per second over the fanout, for three kinds of command and one thread and two, and where each curve has its
 * knee: the smallest fanout with nine tenths of the best rate. See docs/scaling.md.
 *
 * usage: node bench/fanout.ts [--fanouts 4,16,64,256,1024,4000] [--threads 1,2] [--only quiet,collected,discarded] [--quick] [--out DIR]
 */
import { CLIENTS, type Site } from './clients.ts';
import type { FleetStats } from './fleet.ts';
import { lineChart } from './line_chart.ts';
import type { Cost } from './measure.ts';
import {
  grouped,
  messageOf,
  openField,
  type Report,
  readOptions,
  runBench,
  STAGE_OPTIONS,
  type Stage,
  say,
  subtitleOf,
  visit,
  wholeNumbers,
} from './stage.ts';
import { digits } from './statistics.ts';

interface Workload {
  readonly name: string;
  readonly label: string;
  readonly command: string;
  readonly options: readonly string[];
  /** How many hosts show the rate at a fanout. */
  readonly hosts: (fanout: number) => number;
  /** Bytes that reach the client's stdout for each host. */
  readonly answer: number;
}

interface Point {
  readonly workload: string;
  readonly threads: number;
  readonly fanout: number;
  readonly hosts: number;
  readonly rate: number;
  readonly cpuMs: number;
  readonly peakMiB: number;
  readonly fleetBusyPercent: number;
}

/** 8,192 lines of `y`. */
const CHATTER = 16_384;
const MOST_HOSTS = 12_000;
const KNEE = 0.9;

/** Enough that beginning and end do not count, and no more than can be waited for. */
const short = (fanout: number) => Math.max(1024, Math.min(8192, 2 * fanout));

/** What is printed, a line of `HOST: y` for two bytes, has to fit into one string of V8: half a gigabyte. */
const printed = (fanout: number) => Math.min(4096, short(fanout));

const WORKLOADS: readonly Workload[] = [
  {
    name: 'quiet',
    label: 'quiet and long (sleep 2)',
    command: 'sleep 2',
    options: [],
    hosts: (fanout) => Math.min(MOST_HOSTS, 3 * fanout),
    answer: 0,
  },
  {
    name: 'collected',
    label: 'chatty and short, collected (16 KiB)',
    command: `yes ${CHATTER / 2}`,
    options: ['--gather', 'collect'],
    hosts: printed,
    answer: CHATTER,
  },
  {
    name: 'discarded',
    label: 'chatty and short, discarded (16 KiB)',
    command: `yes ${CHATTER / 2}`,
    options: ['--gather', 'discard'],
    hosts: short,
    answer: 0,
  },
];

/** Every command ran once, and its output came whole. */
function checkOf({ answer }: Workload) {
  return (site: Site, cost: Cost, stats: FleetStats): string | undefined => {
    const hosts = site.hosts.length;
    if (cost.status !== 0) return `exit status ${cost.status}: ${cost.stderr.trim().split('\n').at(-1)}`;
    if (stats.execs !== hosts) return `the fleet ran ${stats.execs} commands for ${hosts} hosts`;
    if (cost.stdout.length < answer * hosts) return `${cost.stdout.length} bytes came of ${answer * hosts}`;
    return undefined;
  };
}

async function measurePoint(stage: Stage, workload: Workload, threads: number, fanout: number): Promise<Point> {
  const myriad = CLIENTS.find((client) => client.name === 'myriad')!;
  const hosts = stage.quick ? Math.min(64, workload.hosts(fanout)) : workload.hosts(fanout);
  await using field = await openField(stage, hosts, { command: workload.command });
  const options = { cores: threads, check: checkOf(workload) };
  const run = async (count: number) => {
    const site = await field.sites.get(count);
    return visit(
      stage,
      field,
      site,
      myriad.command(site, fanout, ['--threads', `${threads}`, ...workload.options]),
      options,
    );
  };
  const { cost: start } = await run(1);
  const { cost, stats } = await run(hosts);
  // A quiet command takes its time on one host, too: its time is the command's, not the start's.
  const startMs = workload.name === 'quiet' ? start.wallMs - 2000 : start.wallMs;
  const point: Point = {
    workload: workload.name,
    threads,
    fanout,
    hosts,
    rate: (hosts * 1000) / (cost.wallMs - startMs),
    cpuMs: (cost.userMs + cost.systemMs - start.userMs - start.systemMs) / (hosts - 1),
    peakMiB: cost.peakMiB,
    fleetBusyPercent: (100 * stats.cpuMs) / (cost.wallMs - startMs),
  };
  say(`${workload.label}, ${threads} thread(s), fanout ${fanout}: ${digits(point.rate)} hosts/s`);
  return point;
}

/** The smallest fanout with nine tenths of the best rate; undefined without points. */
function kneeOf(points: readonly Point[]): number | undefined {
  const best = Math.max(...points.map(({ rate }) => rate));
  return points.find(({ rate }) => rate >= KNEE * best)?.fanout;
}

interface Curve {
  readonly workload: Workload;
  readonly threads: number;
  readonly points: readonly Point[];
  readonly knee: number | undefined;
}

function rowsOf({ points, knee }: Curve): string[][] {
  return points.map((point) => [
    grouped(point.fanout),
    `${point.threads}`,
    grouped(point.hosts),
    digits(point.rate),
    digits(point.cpuMs),
    point.peakMiB.toFixed(0),
    `${point.fleetBusyPercent.toFixed(0)} %`,
    point.fanout === knee ? '← knee' : '',
  ]);
}

const HEAD = ['fanout', 'threads', 'hosts', 'hosts/s', 'ms/host', 'peak MB', 'fleet busy', ''];

const values = readOptions({
  ...STAGE_OPTIONS,
  fanouts: { type: 'string' },
  threads: { type: 'string' },
  only: { type: 'string' },
});

await runBench('bench/fanout.ts', values, async (stage): Promise<Report> => {
  const fanouts = wholeNumbers('--fanouts', values.fanouts ?? (stage.quick ? '4,32' : '4,16,64,256,1024,4000'));
  const threads = wholeNumbers('--threads', values.threads ?? '1,2');
  const only = values.only?.split(',') ?? WORKLOADS.map(({ name }) => name);
  const unknown = only.find((name) => !WORKLOADS.some((workload) => workload.name === name));
  if (unknown !== undefined) throw new Error(`--only "${unknown}": take quiet, collected or discarded`);
  const workloads = WORKLOADS.filter(({ name }) => only.includes(name));

  const curves: Curve[] = [];
  const missing: string[] = [];
  for (const workload of workloads) {
    for (const count of threads) {
      const points: Point[] = [];
      for (const fanout of fanouts.toSorted((a, b) => a - b)) {
        try {
          points.push(await measurePoint(stage, workload, count, fanout));
        } catch (error) {
          stage.signal.throwIfAborted();
          missing.push(`${workload.label}, ${count} thread(s), fanout ${fanout}: ${messageOf(error)}`);
        }
      }
      curves.push({ workload, threads: count, points, knee: kneeOf(points) });
    }
  }
  const of = (workload: Workload) => curves.filter((curve) => curve.workload === workload);
  return {
    name: 'fanout',
    title: 'How many at once',
    intro:
      'Hosts per second over the fanout, journal on, against bench/fleet-go, host keys verified. The knee is the smallest fanout with ' +
      `${KNEE * 100} % of the best rate of its curve: what lies beyond costs memory and gives little.`,
    tables: workloads.map((workload) => ({ title: workload.label, rows: [HEAD, ...of(workload).flatMap(rowsOf)] })),
    notes: [
      'hosts/s: without the start of the program; ms/host: client CPU; peak: resident memory. One run each. One thread has a core of its ' +
        'own beside the fleet; two share both cores with it. With a fanout under 32 Myriad takes one thread, whatever it is told.',
    ],
    svg: lineChart(
      'How many at once: the knee of each curve',
      subtitleOf(stage.machine),
      workloads.map((workload) => ({
        title: workload.label,
        x: { name: 'fanout', log: true },
        y: { name: 'hosts/s', log: workload.name === 'quiet' },
        lines: of(workload).map(({ threads: count, points, knee }) => ({
          label: `${count} thread${count > 1 ? 's' : ''}`,
          ours: true,
          points: points.map(({ fanout, rate }) => [fanout, rate] as const),
          ...(knee === undefined ? {} : { mark: knee }),
        })),
      })),
    ),
    data: { kneeAt: KNEE, curves: curves.map(({ workload, ...curve }) => ({ workload: workload.name, ...curve })) },
    missing,
  };
});
