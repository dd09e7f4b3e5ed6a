/**
 * What bad hosts cost the good ones: the time to the last good host with one in a hundred silent, refusing or resetting, against a
 * fleet without a fault. See docs/benchmarks.md.
 *
 * usage: node bench/faults.ts [--hosts 5000] [--rounds 5] [--fanout 64] [--quick] [--out DIR]
 *
 * The hosts are simulated, each fleet of them in a process of its own; the run is made by the library in another, and counts up to the
 * end of its last task that is ok. What comes after, as the deadlines of silent hosts, is shown beside it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type FleetOptions, fleet } from '../src/index.ts';
import type { FaultShares } from '../src/simulator/faults.ts';
import { simulate } from '../test/kit/fleet.ts';
import { barChart } from './chart.ts';
import {
  grouped,
  type Report,
  readOptions,
  runBench,
  STAGE_OPTIONS,
  type Stage,
  say,
  shown,
  subtitleOf,
  wholeNumber,
} from './stage.ts';
import { digits, spread } from './statistics.ts';

/** One in a hundred. */
const SHARE = 0.01;

const FLEETS: readonly { readonly name: string; readonly faults: FaultShares }[] = [
  { name: 'none', faults: {} },
  { name: '1 % silent', faults: { silent: SHARE } },
  { name: '1 % refusing', faults: { refuse: SHARE } },
  { name: '1 % resetting', faults: { reset: SHARE } },
  { name: '1 % of each', faults: { silent: SHARE, refuse: SHARE, reset: SHARE } },
];

/** §12 asks no more of the good hosts. */
const GOAL = 1.1;

interface Order {
  readonly options: FleetOptions;
}

interface Cost {
  readonly planned: number;
  readonly ok: number;
  /** From the beginning of the run to the last good host. */
  readonly lastGoodMs: number;
  readonly wallMs: number;
  readonly cpuMs: number;
}

async function serve(hosts: number, faults: FaultShares): Promise<void> {
  const simulated = await simulate({ hosts, faults });
  process.once('disconnect', () => void simulated[Symbol.asyncDispose]());
  process.send?.(simulated.options);
}

/** In a process of its own, with a run before the one that counts: what V8 compiles is none of the hosts' doing. */
async function measure({ options }: Order): Promise<void> {
  const run = async (hosts: FleetOptions['hosts']): Promise<Cost> => {
    await using of = fleet({ ...options, ...(hosts === undefined ? {} : { hosts }) });
    const cpu = process.cpuUsage();
    const began = performance.now();
    let lastGood = began;
    const summary = await of
      .run('uptime', {
        listener: (event) => {
          if (event.type === 'task:end' && event.result.outcome.kind === 'ok') lastGood = performance.now();
        },
      })
      .summary();
    const { user, system } = process.cpuUsage(cpu);
    return {
      planned: summary.planned,
      ok: summary.outcomes.ok,
      lastGoodMs: lastGood - began,
      wallMs: performance.now() - began,
      cpuMs: (user + system) / 1000,
    };
  };
  const all = `${options.hosts}`.split(',');
  // Hosts that refuse have a port of their own in their name.
  await run(all.slice(0, 200).filter((host) => !host.includes(':')));
  process.send?.(await run(undefined));
  process.disconnect?.();
}

/** The first message of a process of ours. */
function told<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as T));
    child.once('exit', (status) => reject(new Error(`a process of the benchmark ended early, with status ${status}`)));
  });
}

const SELF = fileURLToPath(import.meta.url);

/** One run on one fleet, both gone afterwards. */
async function costOf(stage: Stage, hosts: number, fanout: number, faults: FaultShares): Promise<Cost> {
  const server = fork(SELF, ['--serve', `${hosts}`, JSON.stringify(faults)]);
  const children = [server];
  const stop = () => {
    for (const child of children) child.kill('SIGKILL');
  };
  stage.signal.addEventListener('abort', stop);
  try {
    const options = await told<FleetOptions>(server);
    const client = fork(SELF, ['--measure']);
    children.push(client);
    const order: Order = { options: { ...options, fanout, threads: 1, warm: 0, journal: false, agent: false } };
    client.send(order);
    const cost = await told<Cost>(client);
    server.removeAllListeners('exit');
    const gone = once(server, 'exit');
    server.disconnect();
    await gone;
    return cost;
  } finally {
    stage.signal.removeEventListener('abort', stop);
    stop();
  }
}

/** Whether what should be good was: a host with a fault is never ok, and every other one is. */
function wrongWith({ planned, ok }: Cost, faults: FaultShares): string | undefined {
  const share = Object.values(faults).reduce((sum, one) => sum + one, 0);
  const bad = planned - ok;
  if (share === 0) return bad === 0 ? undefined : `${bad} of ${planned} hosts were not ok`;
  // Faults are drawn host by host: five standard deviations and two hosts of a small fleet.
  const slack = 5 * Math.sqrt(planned * share) + 2;
  return Math.abs(bad - planned * share) <= slack
    ? undefined
    : `${bad} of ${planned} hosts were not ok, not ${share * 100} %`;
}

async function measureRounds(stage: Stage, hosts: number, rounds: number, fanout: number): Promise<Cost[][]> {
  const costs: Cost[][] = [];
  for (let round = 1; round <= rounds; round++) {
    const taken: Cost[] = [];
    // Forth and back, so that what drifts on the machine meets all alike.
    const order = [...FLEETS.entries()];
    for (const [at, { name, faults }] of round % 2 === 1 ? order : order.toReversed()) {
      const cost = await costOf(stage, hosts, fanout, faults);
      const wrong = wrongWith(cost, faults);
      if (wrong !== undefined) throw new Error(`${name}: ${wrong}`);
      say(`round ${round}, ${name}: last good host after ${(cost.lastGoodMs / 1000).toFixed(2)} s`);
      taken[at] = cost;
    }
    costs.push(taken);
  }
  return costs;
}

/** Per good host, so that fewer good ones do not look like speed. */
function growth(round: readonly Cost[], at: number): number {
  const perGood = ({ lastGoodMs, ok }: Cost) => lastGoodMs / ok;
  return perGood(round[at]!) / perGood(round[0]!);
}

function reportOf(stage: Stage, costs: readonly Cost[][], hosts: number, fanout: number): Report {
  const of = (at: number, value: (cost: Cost) => number) => costs.map((round) => value(round[at]!));
  const rows = FLEETS.map(({ name }, at) => {
    const ratios = costs.map((round) => growth(round, at));
    return [
      name,
      `${spread(of(at, ({ planned, ok }) => planned - ok)).median}`,
      shown(of(at, ({ lastGoodMs }) => lastGoodMs / 1000)),
      shown(ratios),
      at === 0 ? '' : spread(ratios).median <= GOAL ? 'yes' : 'no',
      shown(of(at, ({ wallMs }) => wallMs / 1000)),
      shown(of(at, ({ cpuMs, planned }) => cpuMs / planned)),
    ];
  });
  const head = ['faults', 'bad hosts', 'last good s', '× none', `≤ ${GOAL}`, 'whole run s', 'ms/host'];
  return {
    name: 'faults',
    title: 'What bad hosts cost the good ones',
    intro:
      `${grouped(hosts)} simulated hosts, fanout ${fanout}, one thread, deadlines as they come (connect 10 s). Silent: accepts and says ` +
      'nothing; refusing: nothing listens; resetting: in the key exchange, and again at each retry.',
    tables: [{ title: 'Time to the last good host', rows: [head, ...rows] }],
    notes: [
      'last good: from the beginning of the run to the end of its last task that is ok; × none: per good host, of the same round. ' +
        'Median (least–greatest). Hosts and client share the cores of the machine.',
    ],
    svg: barChart(
      `Seconds to the last good host, ${grouped(hosts)} hosts, fanout ${fanout}`,
      subtitleOf(stage.machine),
      FLEETS.map(({ name }, at) => {
        const { median } = spread(of(at, ({ lastGoodMs }) => lastGoodMs / 1000));
        const times = spread(costs.map((round) => growth(round, at))).median;
        return { label: name, value: median, text: `${digits(median)} s, ${digits(times)} ×`, ours: at > 0 };
      }),
    ),
    data: { hosts, fanout, goal: GOAL, fleets: FLEETS, rounds: costs },
    missing: [],
  };
}

async function main(): Promise<void> {
  const values = readOptions({
    ...STAGE_OPTIONS,
    hosts: { type: 'string' },
    rounds: { type: 'string' },
    fanout: { type: 'string', default: '64' },
  });
  await runBench('bench/faults.ts', values, async (stage) => {
    const hosts = wholeNumber('--hosts', values.hosts ?? (stage.quick ? '300' : '5000'));
    const rounds = wholeNumber('--rounds', values.rounds ?? (stage.quick ? '1' : '5'));
    const fanout = wholeNumber('--fanout', values.fanout);
    return reportOf(stage, await measureRounds(stage, hosts, rounds, fanout), hosts, fanout);
  });
}

if (process.argv[2] === '--serve') await serve(Number(process.argv[3]), JSON.parse(process.argv[4]!) as FaultShares);
else if (process.argv[2] === '--measure') process.once('message', (order) => void measure(order as Order));
else await main();
