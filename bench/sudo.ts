/**
 * What sudo costs a run: hosts a second with `--sudo` and its password against the same command without, on the simulator in a process
 * of its own. Both kinds of run alternate, so that what else the machine does falls on both.
 *
 * usage: node bench/sudo.ts [--hosts 1000] [--rounds 5] [--latency 0] [--fanout 256]
 *
 * With --latency in milliseconds each answer of a host leaves so much later: sudo takes two round trips more, which hosts at once
 * hide as far as the fanout goes.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fleet, type RunOptions } from '../src/index.ts';
import { simulate } from '../test/kit/fleet.ts';
import { digits, spread } from './statistics.ts';
import { textTable } from './table.ts';

const PASSWORD = 'a password of usual length';

type Way = 'none' | 'no password' | 'password';

const WAYS: Readonly<Record<Way, RunOptions>> = {
  none: {},
  'no password': { sudo: {} },
  password: { sudo: { password: PASSWORD } },
};

interface Served {
  readonly hosts: string;
  readonly port: number;
  readonly identity: string;
  readonly knownHosts: string;
}

async function serve(hosts: number, latencyMs: number): Promise<void> {
  const simulated = await simulate({ hosts, latencyMs, sudoPassword: PASSWORD });
  const { identity, knownHosts } = simulated;
  process.send?.({ hosts: simulated.options.hosts, port: simulated.simulator.port, identity, knownHosts });
  process.once('disconnect', () => void simulated[Symbol.asyncDispose]());
}

/** Hosts a second of one run. Throws where one host was not ok. */
async function measure(served: Served, way: Way, fanout: number): Promise<number> {
  await using hosts = fleet({ ...served, user: 'root', config: 'none', fanout });
  const started = performance.now();
  const summary = await hosts.run('echo hello', WAYS[way]).summary();
  const seconds = (performance.now() - started) / 1000;
  if (summary.outcomes.ok !== summary.planned) throw new Error(`${way}: ${JSON.stringify(summary.outcomes)}`);
  return summary.planned / seconds;
}

function once(child: ChildProcess): Promise<Served> {
  return new Promise((resolve, reject) => {
    child.once('message', (served) => resolve(served as Served));
    child.once('exit', () => reject(new Error('the simulator ended before it listened')));
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      hosts: { type: 'string', default: '1000' },
      rounds: { type: 'string', default: '5' },
      latency: { type: 'string', default: '0' },
      fanout: { type: 'string', default: '256' },
    },
  });
  const child = fork(fileURLToPath(import.meta.url), ['serve', values.hosts, values.latency]);
  const served = await once(child);
  const rates: Record<Way, number[]> = { none: [], 'no password': [], password: [] };
  const ways = Object.keys(WAYS) as Way[];
  // The first of each pays for what V8 compiles.
  for (const way of ways) await measure(served, way, Number(values.fanout));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const way of ways) rates[way].push(await measure(served, way, Number(values.fanout)));
  }
  child.disconnect();
  const none = spread(rates.none).median;
  const rows = ways.map((way) => {
    const { median, min, max } = spread(rates[way]);
    return [way, digits(median), digits(min), digits(max), digits(median / none)];
  });
  console.log(textTable([['sudo', 'hosts/s', 'min', 'max', 'of none'], ...rows]));
}

if (process.argv[2] === 'serve') await serve(Number(process.argv[3]), Number(process.argv[4]));
else await main();
