/**
 * What a host costs in threads: on the main thread, in one thread beside it, in two. The hosts are simulated by this process, with
 * a latency that keeps any of them from being starved; the fleet is a process of its own and the only one measured.
 *
 * usage: node bench/threads.ts [--hosts 1000] [--rounds 5] [--fanout 256] [--latency 5]
 *
 * CPU is user and system time of the whole process, all threads, for one run after another one that warms it up. The runs of one
 * round follow each other, forth and back; ratios are of one round, to the main thread and to one thread. `start`: CPU and time of the run that starts the threads, less those of a run
 * as small.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Clock } from '../src/contracts/limits.ts';
import { startRun } from '../src/engine/engine.ts';
import type { Executor } from '../src/engine/executor.ts';
import { HostPlan } from '../src/engine/host_plan.ts';
import { InlineExecutor } from '../src/engine/inline_executor.ts';
import { jobKinds } from '../src/fleet/kinds.ts';
import { resolveFleet, resolveRun } from '../src/fleet/options.ts';
import { Router } from '../src/fleet/reach/router.ts';
import { selectHosts } from '../src/fleet/selection.ts';
import { type FleetThreadData, makeFleetThread } from '../src/fleet/thread_parts.ts';
import { openThreads } from '../src/fleet/threads.ts';
import type { FleetOptions } from '../src/index.ts';
import { simulate } from '../test/kit/fleet.ts';
import { digits, spread } from './statistics.ts';
import { textTable } from './table.ts';

const MODES = ['main', 'one thread', 'two threads'] as const;
const ONE_THREAD = MODES.indexOf('one thread');

interface Order {
  readonly mode: (typeof MODES)[number];
  readonly options: FleetOptions;
}

interface Cost {
  readonly ok: number;
  readonly wallMs: number;
  readonly cpuUs: number;
}

interface Costs {
  readonly run: Cost;
  readonly start: Cost;
  readonly small: Cost;
}

const clock: Clock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** As the main thread has it. No name is looked up: the hosts are addresses. */
function openRouter(options: FleetOptions): Promise<Router> {
  const lookup = () => Promise.reject(new Error('nothing is looked up here'));
  return Router.open(options, { setTimer: clock.setTimer, warn: console.error, jump: [], lookup });
}

async function executorOf({ mode, options }: Order): Promise<Executor> {
  if (mode === 'main') {
    // The same parts as in a thread, without one.
    const keys = new Map();
    const data: FleetThreadData = {
      options,
      passphrase: false,
      passwords: false,
      answer: false,
      keys,
      warm: undefined,
    };
    const parts = await makeFleetThread(data, { ask: async () => undefined, tell: () => {}, on: () => {} });
    return new InlineExecutor({ kinds: jobKinds(), transports: parts.transports, clock, random: Math.random });
  }
  const threads = mode === 'one thread' ? 1 : 2;
  let router: Router | undefined;
  return openThreads({
    options: { ...options, threads },
    clock,
    warn: (text) => console.error(text),
    // Threads ask it for known_hosts, once.
    router: async () => (router ??= await openRouter(options)),
    passwords: () => undefined,
    answer: undefined,
  });
}

/** In a process of its own: the order comes as a message, the costs go back. */
async function measure(order: Order): Promise<void> {
  const { options } = order;
  const executor = await executorOf(order);
  const { hosts } = selectHosts(options);
  const { limits } = resolveRun(resolveFleet(options), {});
  const run = async (count: number): Promise<Cost> => {
    const plan = new HostPlan({ count, at: (i) => hosts.at(i) });
    const job = { kind: 'command', version: 1, options: { command: 'echo hello' } };
    const request = { run: 'bench', round: 0, plan, job, limits, gather: 'collect', maxOutput: 1024 } as const;
    const cpu = process.cpuUsage();
    const began = performance.now();
    const whole = { ...request, lingerMs: 2000, graceMs: 2000 };
    const started = await startRun(executor, whole, () => {}, { title: 'bench', clock });
    const { outcomes } = await started.summary;
    const { user, system } = process.cpuUsage(cpu);
    return { ok: outcomes.ok, wallMs: performance.now() - began, cpuUs: user + system };
  };
  const start = await run(2);
  const small = await run(2);
  await run(hosts.count);
  process.send?.({ start, small, run: await run(hosts.count) } satisfies Costs);
}

function costOf(order: Order): Promise<Costs> {
  const child = fork(fileURLToPath(import.meta.url), ['--measure']);
  child.send(order);
  return new Promise((resolve, reject) => {
    child.once('message', (costs) => {
      resolve(costs as Costs);
      child.kill();
    });
    child.once('exit', (status) => reject(new Error(`a process of the benchmark ended early, with status ${status}`)));
  });
}

async function main(count: number, rounds: number, fanout: number, latencyMs: number): Promise<void> {
  await using simulated = await simulate({ hosts: count, latencyMs });
  const options: FleetOptions = { ...simulated.options, fanout };
  const costs: Costs[][] = [];
  for (let round = 0; round < rounds; round++) {
    const of: Costs[] = [];
    const order = [...MODES.entries()];
    for (const [place, mode] of round % 2 === 0 ? order : order.toReversed()) {
      of[place] = await costOf({ mode, options });
    }
    costs.push(of);
  }
  const lost = costs.flat().filter(({ run }) => run.ok !== count).length;
  const shown = (values: readonly number[]) => {
    const { median, min, max } = spread(values);
    return `${digits(median)} (${digits(min)}–${digits(max)})`;
  };
  const rows = MODES.map((mode, place) => {
    const all = costs.map((round) => round[place]!);
    const ratio = (of: (costs: Costs) => number, to = 0) =>
      shown(costs.map((round) => of(round[place]!) / of(round[to]!)));
    return [
      mode,
      shown(all.map(({ run }) => run.cpuUs / count)),
      ratio(({ run }) => run.cpuUs),
      ratio(({ run }) => run.cpuUs, ONE_THREAD),
      shown(all.map(({ run }) => run.wallMs)),
      ratio(({ run }) => run.wallMs),
      shown(all.map(({ start, small }) => (start.cpuUs - small.cpuUs) / 1000)),
      shown(all.map(({ start, small }) => start.wallMs - small.wallMs)),
    ];
  });
  const head = [
    `${count} hosts`,
    'CPU µs a host',
    'ratio',
    '× one thread',
    'wall ms',
    'ratio',
    'start: CPU ms',
    'start: ms',
  ];
  process.stdout.write(`${textTable([head, ...rows])}\nruns in which a host was not ok: ${lost}\n`);
}

if (process.argv[2] === '--measure') {
  process.once('message', (order) => void measure(order as Order));
} else {
  const { values } = parseArgs({
    options: {
      hosts: { type: 'string', default: '1000' },
      rounds: { type: 'string', default: '5' },
      fanout: { type: 'string', default: '256' },
      latency: { type: 'string', default: '5' },
    },
  });
  await main(Number(values.hosts), Number(values.rounds), Number(values.fanout), Number(values.latency));
}
