/**
 * What bad hosts cost the good ones: the time to the last good host with one in a hundred silent, hanging, refusing or resetting,
 * against the same hosts without the bad ones. See docs/benchmarks.md.
 *
 * usage: node bench/faults.ts [--hosts 2000] [--rounds 9] [--quick] [--out DIR]
 *
 * Twice: with a client that computes all the time, where bad hosts cost CPU (fanout 64, no latency), and with one that waits for
 * hosts 10 ms away, where they cost places (fanout 16). The hosts are simulated, each fleet of them in a process of its own, which
 * stays for all rounds, and so does the client, so that nobody compiles any more when it counts. A run with the bad hosts and one
 * without follow each other, on the same fleet, in turn this way and that; what is told is their ratio. A run ends with its last
 * good host; the first of a fleet, which warms up, goes on to the last deadline.
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
  type Table,
  wholeNumber,
} from './stage.ts';
import { digits, spread } from './statistics.ts';

/** One in a hundred. */
const SHARE = 0.01;

interface Faulty {
  readonly name: string;
  readonly faults: FaultShares;
}

const FAULTY: readonly Faulty[] = [
  { name: '1 % silent', faults: { silent: SHARE } },
  { name: '1 % hanging', faults: { 'silent-identification': SHARE } },
  { name: '1 % refusing', faults: { refuse: SHARE } },
  { name: '1 % resetting', faults: { reset: SHARE } },
  { name: '1 % silent, refusing, resetting', faults: { silent: SHARE, refuse: SHARE, reset: SHARE } },
];

interface Setting {
  readonly name: string;
  readonly fanout: number;
  readonly latencyMs: number;
  /** Of the hosts that were asked for: those that wait are fewer a second. */
  readonly part: number;
}

const SETTINGS: readonly Setting[] = [
  { name: 'A client that computes', fanout: 64, latencyMs: 0, part: 1 },
  { name: 'A client that waits', fanout: 16, latencyMs: 10, part: 0.5 },
];

/** §12 asks no more of the good hosts. */
const GOAL = 1.1;

/** A fleet, as its process tells of it. */
interface Simulated {
  readonly options: FleetOptions;
  readonly good: readonly string[];
}

interface Order {
  readonly options: FleetOptions;
  /** So many of its hosts are good. */
  readonly good: number;
  /** On to the last host, not to the last good one. */
  readonly whole: boolean;
}

interface Cost {
  /** From the beginning of the run to the last good host. */
  readonly lastGoodMs: number;
  /** The same of the client's CPU time. */
  readonly cpuMs: number;
  readonly wallMs: number;
}

async function serve(hosts: number, faults: FaultShares, latencyMs: number): Promise<void> {
  const simulated = await simulate({ hosts, faults, latencyMs });
  process.once('disconnect', () => void simulated[Symbol.asyncDispose]());
  const { simulator, options } = simulated;
  const good: string[] = [];
  for (let index = 0; index < hosts; index++)
    if (simulator.fault(index) === undefined) good.push(simulator.label(index));
  const told: Simulated = { options, good };
  process.send?.(told);
}

async function measure({ options, good, whole }: Order): Promise<Cost> {
  await using of = fleet(options);
  const cpu = process.cpuUsage();
  const began = performance.now();
  let [ok, lastGoodMs, cpuMs] = [0, 0, 0];
  const run = of.run('uptime', {
    listener: (event) => {
      if (event.type !== 'task:end' || event.result.outcome.kind !== 'ok') return;
      ok += 1;
      if (ok < good) return;
      const { user, system } = process.cpuUsage(cpu);
      lastGoodMs = performance.now() - began;
      cpuMs = (user + system) / 1000;
      if (!whole) void run.cancel();
    },
  });
  await run.summary();
  if (ok !== good) throw new Error(`${ok} of ${good} good hosts were ok`);
  return { lastGoodMs, cpuMs, wallMs: performance.now() - began };
}

/** The next message of a process of ours. */
function told<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const gone = (status: number | null) =>
      reject(new Error(`a process of the benchmark ended early, with status ${status}`));
    child.once('exit', gone);
    child.once('message', (message) => {
      child.off('exit', gone);
      resolve(message as T);
    });
  });
}

const SELF = fileURLToPath(import.meta.url);

/** One setting's fleets and its client. */
class Scene implements AsyncDisposable {
  readonly #stage: Stage;
  readonly #setting: Setting;
  readonly #client = fork(SELF, ['--measure']);
  readonly #children: ChildProcess[] = [this.#client];
  readonly #fleets = new Map<Faulty, Simulated>();
  readonly #stop = () => {
    for (const child of this.#children) child.kill('SIGKILL');
  };

  constructor(stage: Stage, setting: Setting) {
    this.#stage = stage;
    this.#setting = setting;
    stage.signal.addEventListener('abort', this.#stop);
  }

  /** Says how many of its hosts are good. */
  async open(hosts: number, faulty: Faulty): Promise<number> {
    const server = fork(SELF, ['--serve', `${hosts}`, JSON.stringify(faulty.faults), `${this.#setting.latencyMs}`]);
    this.#children.push(server);
    const fleet = await told<Simulated>(server);
    this.#fleets.set(faulty, fleet);
    return fleet.good.length;
  }

  /** One run on one fleet. Rejects where a good host was not ok. */
  run(faulty: Faulty, which: 'all' | 'good', whole = false): Promise<Cost> {
    const { options, good } = this.#fleets.get(faulty)!;
    const { fanout } = this.#setting;
    const more = { fanout, threads: 1, warm: 0, journal: false, agent: false } as const;
    const hosts = which === 'good' ? { hosts: good.join(',') } : {};
    const order: Order = { options: { ...options, ...hosts, ...more }, good: good.length, whole };
    const answer = told<Cost>(this.#client);
    this.#client.send(order);
    return answer;
  }

  /** Servers remove their folders, the client just ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stage.signal.removeEventListener('abort', this.#stop);
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, 'exit');
      child.disconnect();
      await gone;
    }
  }
}

/** A run with the bad hosts, and one without. */
interface Pair {
  readonly faulty: Cost;
  readonly none: Cost;
}

interface Measured {
  readonly setting: Setting;
  readonly hosts: number;
  /** Per fault: its hosts that are good, its first run, its rounds. */
  readonly good: readonly number[];
  readonly first: readonly Cost[];
  readonly pairs: readonly Pair[][];
}

async function measureSetting(stage: Stage, setting: Setting, hosts: number, rounds: number): Promise<Measured> {
  await using scene = new Scene(stage, setting);
  const [good, first]: [number[], Cost[]] = [[], []];
  for (const faulty of FAULTY) {
    good.push(await scene.open(hosts, faulty));
    first.push(await scene.run(faulty, 'all', !stage.quick));
  }
  const pairs: Pair[][] = FAULTY.map(() => []);
  for (let round = 1; round <= rounds; round++) {
    for (const [at, each] of FAULTY.entries()) {
      const before = round % 2 === 1 ? await scene.run(each, 'good') : undefined;
      const faulty = await scene.run(each, 'all');
      const pair = { faulty, none: before ?? (await scene.run(each, 'good')) };
      pairs[at]!.push(pair);
      say(`${setting.name}, round ${round}, ${each.name}: ${growth(pair).toFixed(2)} ×`);
    }
  }
  return { setting, hosts, good, first, pairs };
}

function growth({ faulty, none }: Pair, of: (cost: Cost) => number = ({ lastGoodMs }) => lastGoodMs): number {
  return of(faulty) / of(none);
}

function tableOf({ setting, hosts, good, first, pairs }: Measured, whole: boolean): Table {
  const seconds = (ms: number) => ms / 1000;
  const rows = FAULTY.map(({ name }, at) => {
    const rounds = pairs[at]!;
    const ratios = rounds.map((pair) => growth(pair));
    return [
      name,
      `${hosts - good[at]!}`,
      shown(rounds.map(({ none }) => seconds(none.lastGoodMs))),
      shown(rounds.map(({ faulty }) => seconds(faulty.lastGoodMs))),
      shown(ratios),
      spread(ratios).median <= GOAL ? 'yes' : 'no',
      shown(rounds.map((pair) => growth(pair, ({ cpuMs }) => cpuMs))),
      whole ? digits(seconds(first[at]!.wallMs)) : '–',
    ];
  });
  const head = [
    'faults',
    'bad hosts',
    'without s',
    'last good s',
    '× without',
    `≤ ${GOAL}`,
    'CPU × without',
    'whole run s',
  ];
  const { name, fanout, latencyMs } = setting;
  const title = `${name}: ${grouped(hosts)} hosts, fanout ${fanout}, latency ${latencyMs} ms`;
  return { title, rows: [head, ...rows] };
}

function reportOf(stage: Stage, measured: readonly Measured[], rounds: number): Report {
  const bars = measured.flatMap(({ setting, pairs }) =>
    FAULTY.map(({ name }, at) => {
      const { median } = spread(pairs[at]!.map((pair) => growth(pair)));
      return { label: `${name}, fanout ${setting.fanout}`, value: median, text: `${digits(median)} ×`, ours: true };
    }),
  );
  return {
    name: 'faults',
    title: 'What bad hosts cost the good ones',
    intro:
      `Simulated hosts, one thread, deadlines as they come (connect 10 s, handshake 15 s), ${rounds} rounds. Silent: accepts and says ` +
      'nothing; hanging: identifies itself, then nothing; refusing: nothing listens; resetting: in the key exchange, and again at each retry.',
    tables: measured.map((each) => tableOf(each, !stage.quick)),
    notes: [
      'last good: from the beginning of the run to the end of its last task that is ok; without: the same good hosts alone, in the run ' +
        'before or after it; CPU: the client’s, up to the last good host. Median (least–greatest). whole run: once, cold, up to the ' +
        'last deadline. Hosts and client share the cores of the machine.',
    ],
    svg: barChart('Time to the last good host, × that without bad hosts', subtitleOf(stage.machine), bars),
    data: { goal: GOAL, rounds, settings: measured },
    missing: [],
  };
}

async function main(): Promise<void> {
  const values = readOptions({ ...STAGE_OPTIONS, hosts: { type: 'string' }, rounds: { type: 'string' } });
  await runBench('bench/faults.ts', values, async (stage) => {
    const hosts = wholeNumber('--hosts', values.hosts ?? (stage.quick ? '200' : '2000'));
    const rounds = wholeNumber('--rounds', values.rounds ?? (stage.quick ? '1' : '9'));
    const measured: Measured[] = [];
    for (const setting of SETTINGS) {
      measured.push(await measureSetting(stage, setting, Math.ceil(hosts * setting.part), rounds));
    }
    return reportOf(stage, measured, rounds);
  });
}

if (process.argv[2] === '--serve') {
  await serve(Number(process.argv[3]), JSON.parse(process.argv[4]!) as FaultShares, Number(process.argv[5]));
} else if (process.argv[2] === '--measure') {
  process.on('message', async (order) => process.send?.(await measure(order as Order)));
} else await main();
