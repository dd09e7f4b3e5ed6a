/** Both ends of the check `poll`, each in a process of its own that ends with the channel to its parent: `--fleet` and `--client`. */
import { writeFileSync } from 'node:fs';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { optimizeEarly } from '../../src/cli/optimize_early.ts';
import { type FleetOptions, fleet } from '../../src/index.ts';
import { Simulator } from '../../src/simulator/simulator.ts';

export interface FleetOrder {
  readonly hosts: number;
  /** 0: a free one. */
  readonly port: number;
  readonly knownHosts: string;
}

/** Of the fleet: that it listens, or how many connections there have been by then. */
export interface FleetNews {
  readonly port?: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly connections: number;
}

export interface ClientOrder {
  readonly options: FleetOptions;
  readonly everyMs: number;
  readonly rounds: number;
}

/** A round that has ended, or (`done`) the run. */
export interface ClientNews {
  readonly round: number;
  readonly ok: number;
  readonly up: number;
  readonly stale: number;
  readonly changes: number;
  readonly overruns: number;
  readonly durationMs: number;
  /** Of the process since its start, user and system. */
  readonly cpuMs: number;
  readonly rssMb: number;
  /** Of JavaScript, right after the last collection of all of it; 0: there has been none. */
  readonly liveMb: number;
  /** Bytes that buffers hold outside of JavaScript's heap. */
  readonly buffersMb: number;
  readonly done?: { readonly planned: number; readonly counted: number };
}

const SAMPLE_MS = 50;

async function beFleet({ hosts, port, knownHosts }: FleetOrder): Promise<void> {
  const simulator = await Simulator.start({ hosts, ...(port > 0 && { port }) });
  writeFileSync(knownHosts, [...simulator.knownHosts()].join(''));
  const tell = (more: Pick<FleetNews, 'port'>): void => {
    const news: FleetNews = { ...more, at: Date.now(), connections: simulator.stats.connections };
    process.send?.(news);
  };
  tell({ port: simulator.port });
  setInterval(() => tell({}), SAMPLE_MS);
}

/** Keeps `liveMb`. */
function watchHeap(): { readonly liveMb: number } {
  const heap = { liveMb: 0 };
  const observer = new PerformanceObserver((list) => {
    const kinds = list.getEntries().map((entry) => (entry as { detail?: { kind?: number } }).detail?.kind);
    if (kinds.includes(constants.NODE_PERFORMANCE_GC_MAJOR)) heap.liveMb = process.memoryUsage().heapUsed / 2 ** 20;
  });
  observer.observe({ entryTypes: ['gc'] });
  return heap;
}

async function beClient({ options, everyMs, rounds }: ClientOrder): Promise<void> {
  await using hosts = fleet(options);
  // Rounds that are left out must not make it longer and longer.
  const run = hosts.run('uptime', { everyMs, rounds, runMs: (rounds + 2) * everyMs });
  // As the command does.
  optimizeEarly(run);
  let last: ClientNews | undefined;
  const heap = watchHeap();
  run.on((event) => {
    if (event.type !== 'round:end') return;
    const { user, system } = process.cpuUsage();
    const { rss, arrayBuffers } = process.memoryUsage();
    const { round, outcomes, changes, overruns, durationMs } = event;
    const { up, stale } = event.hosts;
    const memory = { rssMb: rss / 2 ** 20, liveMb: heap.liveMb, buffersMb: arrayBuffers / 2 ** 20 };
    const used = { cpuMs: (user + system) / 1000, ...memory };
    last = { round, ok: outcomes.ok, up, stale, changes, overruns, durationMs, ...used };
    process.send?.(last);
  });
  const { planned, outcomes } = await run.summary();
  const counted = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
  process.send?.({ ...last, done: { planned, counted } });
}

const [, , role] = process.argv;
if (role === '--fleet' || role === '--client') {
  process.once('disconnect', () => process.exit());
  process.once('message', (order) => {
    const ended = role === '--fleet' ? beFleet(order as FleetOrder) : beClient(order as ClientOrder);
    ended.then(
      () => role === '--client' && process.disconnect?.(),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
}
