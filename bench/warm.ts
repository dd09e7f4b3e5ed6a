/**
 * Cold and warm: the same command by one fleet of the library that logs in each time, and by one that keeps its connections. See
 * docs/benchmarks.md.
 *
 * usage: node bench/warm.ts [--hosts 1000] [--rounds 9] [--quick] [--out DIR]
 *
 * Both fleets are in one process, apart from the harness. The cold and the warm run of a round follow each other; the first round is
 * not counted: in it V8 compiles, and the warm fleet logs in.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Fleet, type FleetOptions, fleet } from '../src/index.ts';
import { barChart } from './chart.ts';
import type { Site } from './clients.ts';
import {
  type Field,
  grouped,
  openField,
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
import { QUESTION } from './verify.ts';

interface Order {
  readonly options: FleetOptions;
  readonly hosts: number;
  readonly rounds: number;
}

/** One run, as the child tells it. */
interface Cost {
  readonly way: 'cold' | 'warm';
  readonly ok: number;
  readonly stdoutBytes: number;
  readonly cpuMs: number;
  readonly wallMs: number;
}

interface Round {
  readonly cold: Cost;
  readonly warm: Cost;
}

/** In a process of its own: a message for each run, which goes on when that is answered. */
async function visitTwice({ options, hosts, rounds }: Order): Promise<void> {
  await using cold = fleet({ ...options, warm: 0 });
  await using warm = fleet({ ...options, warm: hosts, warmMs: 600_000 });
  const run = async (way: Cost['way'], of: Fleet) => {
    const cpu = process.cpuUsage();
    const began = performance.now();
    const { outcomes, stdoutBytes } = await of.run(QUESTION).summary();
    const { user, system } = process.cpuUsage(cpu);
    const wallMs = performance.now() - began;
    const answered = new Promise((resolve) => process.once('message', resolve));
    process.send?.({ way, ok: outcomes.ok, stdoutBytes, cpuMs: (user + system) / 1000, wallMs } satisfies Cost);
    await answered;
  };
  for (let round = 0; round <= rounds; round++) {
    await run('cold', cold);
    await run('warm', warm);
  }
  process.disconnect?.();
}

function optionsOf(stage: Stage, { set, port, user, knownHosts }: Site): FleetOptions {
  const login = { user, identity: stage.identity, knownHosts, config: 'none', agent: false } as const;
  return { hosts: set, port, ...login, fanout: 64, threads: 1, journal: false };
}

/** What is wrong with a run; undefined when it counts. */
async function verify(field: Field, site: Site, cost: Cost, counted: boolean): Promise<string | undefined> {
  const hosts = site.hosts.length;
  const { execs, handshakes } = await field.fleet.stats();
  const bytes = site.hosts.reduce((sum, host) => sum + `hello ${host}\n`.length, 0);
  if (cost.ok !== hosts) return `${cost.ok} of ${hosts} hosts were ok`;
  if (cost.stdoutBytes !== bytes) return `${cost.stdoutBytes} bytes came instead of ${bytes}`;
  if (execs !== hosts) return `the fleet ran ${execs} commands for ${hosts} hosts`;
  const logins = cost.way === 'cold' ? hosts : 0;
  if (counted && handshakes !== logins) return `${handshakes} logins instead of ${logins}`;
  return undefined;
}

async function measureRounds(stage: Stage, field: Field, hosts: number, rounds: number): Promise<Round[]> {
  const site = await field.sites.get(hosts);
  const child = fork(fileURLToPath(import.meta.url), ['--visit']);
  const stop = () => child.kill('SIGKILL');
  stage.signal.addEventListener('abort', stop);
  try {
    child.send({ options: optionsOf(stage, site), hosts, rounds } satisfies Order);
    const costs: Cost[] = [];
    while (costs.length < 2 * (rounds + 1)) {
      const cost = await new Promise<Cost>((resolve, reject) => {
        child.once('message', (message) => resolve(message as Cost));
        child.once('exit', (status) => reject(new Error(`the process with the fleets ended early, status ${status}`)));
      });
      const wrong = await verify(field, site, cost, costs.length >= 2);
      if (wrong !== undefined) throw new Error(`${cost.way}: ${wrong}`);
      costs.push(cost);
      say(`${cost.way}: ${(cost.cpuMs / hosts).toFixed(3)} ms a host`);
      child.send('go on');
      child.removeAllListeners('exit');
    }
    return Array.from({ length: rounds }, (_, i) => ({ cold: costs[2 * i + 2]!, warm: costs[2 * i + 3]! }));
  } finally {
    stage.signal.removeEventListener('abort', stop);
    stop();
  }
}

function reportOf(stage: Stage, hosts: number, rounds: readonly Round[]): Report {
  const perHost = (way: Cost['way']) => rounds.map((round) => round[way].cpuMs / hosts);
  const rate = (way: Cost['way']) => rounds.map((round) => (hosts * 1000) / round[way].wallMs);
  const ratios = rounds.map(({ cold, warm }) => cold.cpuMs / warm.cpuMs);
  const rows = (['cold', 'warm'] as const).map((way) => [
    way,
    shown(perHost(way)),
    shown(rate(way)),
    way === 'cold' ? shown(ratios) : '1',
  ]);
  return {
    name: 'warm',
    title: 'Cold and warm: a fleet that keeps its connections',
    intro:
      `${grouped(hosts)} hosts, fanout 64, one thread, ${rounds.length} rounds in one process of the library, against ` +
      'bench/fleet-go; the fleet counted a login per host in each cold run, and none in a warm one.',
    tables: [{ title: 'The next run', rows: [['run', 'ms/host', 'hosts/s', '× warm'], ...rows] }],
    notes: [
      'ms/host: CPU of the whole process during the run; × warm: cold by warm of the same round. Median (least–greatest).',
    ],
    svg: barChart(
      'Client CPU per host: the next run of a fleet',
      subtitleOf(stage.machine),
      (['cold', 'warm'] as const).map((way) => {
        const { median } = spread(perHost(way));
        return { label: way, value: median, text: `${digits(median)} ms`, ours: way === 'warm' };
      }),
    ),
    data: { hosts, rounds },
    missing: [],
  };
}

async function main(): Promise<void> {
  const values = readOptions({ ...STAGE_OPTIONS, hosts: { type: 'string' }, rounds: { type: 'string' } });
  await runBench('bench/warm.ts', values, async (stage) => {
    const hosts = wholeNumber('--hosts', values.hosts ?? (stage.quick ? '100' : '1000'));
    const rounds = wholeNumber('--rounds', values.rounds ?? (stage.quick ? '2' : '9'));
    await using field = await openField(stage, hosts);
    return reportOf(stage, hosts, await measureRounds(stage, field, hosts, rounds));
  });
}

if (process.argv[2] === '--visit') process.once('message', (order) => void visitTwice(order as Order));
else await main();
