/**
 * What names add to a run: the same hosts by address, by name, and by name over IPv4 alone, through a name server that loses
 * some queries, in turn.
 *
 * usage: node bench/names.ts [--hosts 1000] [--rounds 15] [--drop 1%] [--refused]        as root, after node scripts/build.ts
 *
 * The name server is `bench/dns.ts --serve` on 127.0.0.53:53, on the fleet's core; only the client sees it, by an
 * /etc/resolv.conf mounted for it alone. CPU is of the client's whole process tree. What is added is the median of the differences
 * within a round, and between which values the middle half of them lies.
 *
 * `--refused`: every host refuses its connection. A run is then a third of the work, and what names add stands out of its
 * noise; but less of the code is warm when they come, and a thousand tasks that wait are a larger part of the heap: it shows
 * changes, and the line to hold is the other one's.
 */
import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { simulate } from '../test/kit/fleet.ts';
import { type Cost, FLEET_CORE, measure } from './measure.ts';
import { digits } from './statistics.ts';
import { textTable } from './table.ts';

const CLI = join(import.meta.dirname, '../dist/cli/main.js');
const LIMIT_MS = 120_000;
const RESOLV = 'nameserver 127.0.0.53\n';
/** Nobody listens there. */
const CLOSED_PORT = 1;

const WAYS = ['address', 'name', 'name -4'] as const;
type Way = (typeof WAYS)[number];

/** Starts the client over the hosts by one way, and says what it cost. */
type Run = (way: Way) => Promise<Cost>;

async function main(count: number, rounds: number, drop: number, refused: boolean): Promise<void> {
  await using simulated = await simulate({ hosts: count });
  const server = fork(join(import.meta.dirname, 'dns.ts'), ['--serve', `${drop}`, '1', '53']);
  await once(server, 'message');
  spawnSync('taskset', ['-a', '-cp', `${FLEET_CORE}`, `${server.pid}`]);
  const costs: Record<Way, Cost>[] = [];
  try {
    const run = client(simulated, count, refused);
    // What is compiled is kept for the later ones.
    for (const way of WAYS) await run(way);
    for (let round = 0; round < rounds; round++) {
      // Turn about: what drifts on the machine meets all alike.
      const order = round % 2 === 0 ? WAYS : WAYS.toReversed();
      const cost: Partial<Record<Way, Cost>> = {};
      for (const way of order) cost[way] = await run(way);
      costs.push(cost as Record<Way, Cost>);
    }
  } finally {
    server.disconnect();
  }
  report(costs, count, drop);
}

function client(simulated: Awaited<ReturnType<typeof simulate>>, count: number, refused: boolean): Run {
  const { simulator, identity, dir } = simulated;
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const port = refused ? CLOSED_PORT : simulator.port;
  const names = Array.from({ length: count }, (_, index) => `host-${index}.fleet.example`);
  const lines = [...simulator.knownHosts()].join('').trimEnd().split('\n');
  const keyOf = (line: string) => line.slice(line.indexOf(' ') + 1);
  const byName = lines.map((line, index) => `[${names[index]}]:${simulator.port} ${keyOf(line)}`);
  const addresses = [
    file('addresses', `${[...simulator.labels()].join('\n')}\n`),
    file('known', `${lines.join('\n')}\n`),
  ];
  const named = [file('names', `${names.join('\n')}\n`), file('known_names', `${byName.join('\n')}\n`)];
  const resolv = file('resolv.conf', RESOLV);
  return async (way) => {
    const [hosts, known] = way === 'address' ? addresses : named;
    const login = ['-p', `${port}`, '-l', 'root', '--identity', identity, '--known-hosts', known!];
    const options = ['-F', 'none', '--threads', '1', '--no-journal', '--yes', '-q', '--gather', 'discard'];
    if (way === 'name -4') options.push('-4');
    // By its first line, as users start it.
    const words = [CLI, 'run', '--hostfile', hosts!, ...login, ...options, '--', 'true'];
    const mount = `mount --bind ${resolv} /etc/resolv.conf && exec "$@"`;
    const cost = await measure(
      { argv: ['unshare', '-m', 'sh', '-c', mount, 'sh', ...words], env: { MYRIAD_SETTINGS: 'none' } },
      { scratch: dir, timeoutMs: LIMIT_MS, signal: new AbortController().signal },
    );
    if ((cost.status === 0) === refused) throw new Error(`by ${way}: status ${cost.status}: ${cost.stderr}`);
    return cost;
  };
}

function report(costs: readonly Record<Way, Cost>[], count: number, drop: number): void {
  const row = (label: string, of: (cost: Cost) => number) => [
    label,
    ...WAYS.map((way) =>
      digits(
        quantile(
          costs.map((cost) => of(cost[way])),
          0.5,
        ),
      ),
    ),
    ...WAYS.slice(1).map((way) => {
      const added = costs.map((cost) => of(cost[way]) - of(cost.address));
      const [low, middle, high] = [0.25, 0.5, 0.75].map((part) => digits(quantile(added, part)));
      return `${middle} (${low}–${high})`;
    }),
  ];
  const head = [`${count} hosts, ${digits(drop * 100)} % lost`, ...WAYS, ...WAYS.slice(1).map((way) => `${way} adds`)];
  const rows = [
    head,
    row('CPU µs a host', ({ userMs, systemMs }) => ((userMs + systemMs) * 1000) / count),
    row('  user', ({ userMs }) => (userMs * 1000) / count),
    row('  system', ({ systemMs }) => (systemMs * 1000) / count),
    row('wall ms', ({ wallMs }) => wallMs),
  ];
  process.stdout.write(`${textTable(rows)}\n`);
}

/** The value that `part` of a list lie below; `values` is not empty. */
function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = part * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  return below + (sorted[Math.ceil(at)]! - below) * (at % 1);
}

const option = (by: string) => ({ type: 'string' as const, default: by });
const { values } = parseArgs({
  options: {
    hosts: option('1000'),
    rounds: option('15'),
    drop: option('1%'),
    refused: { type: 'boolean', default: false },
  },
});
const drop = Number.parseFloat(values.drop) / (values.drop.endsWith('%') ? 100 : 1);
await main(Number(values.hosts), Number(values.rounds), drop, values.refused);
