/**
 * Builds of the command beside each other: what does a change cost or save? All start at once on the client's core, each against a
 * Go fleet of its own on the other, so that whatever the machine does meets all of them in the same seconds. On a busy machine runs
 * that follow each other differ by 20 to 40 %, the ratios of runs beside each other by 2 to 5.
 *
 * usage: node bench/beside.ts [--hosts 8192] [--rounds 5] [--go] CHECKOUT…    each of them, and this one, after node scripts/build.ts
 *
 * CPU is of the client's process tree, start included. Ratios are of one round, to the first checkout. A core that is shared has its
 * caches shared, too: what a host costs is for bench/main.ts to say.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { CLIENTS } from './clients.ts';
import { Fleet } from './fleet.ts';
import { type Command, type Cost, measure } from './measure.ts';
import { makeKey, Sites } from './site.ts';
import { digits, spread } from './statistics.ts';
import { textTable } from './table.ts';

const LIMIT_MS = 300_000;
const HERE = join(import.meta.dirname, '..');
const COMMAND = 'dist/cli/main.js';

interface Lane {
  readonly name: string;
  readonly fleet: Fleet;
  readonly scratch: string;
  readonly command: Command;
}

const clientNamed = (name: string) => CLIENTS.find((client) => client.name === name)!;

/** The usual command line, of another checkout's build. */
function commandOf(argv: readonly string[], checkout: string): string[] {
  const ours = join(HERE, COMMAND);
  return argv.map((word) => (word === ours ? join(checkout, COMMAND) : word));
}

/** A fleet of its own, and what is run against it. `checkout` undefined: Go's client. */
async function openLane(checkout: string | undefined, hosts: number, scratch: string): Promise<Lane> {
  await mkdir(scratch);
  const [identity, knownHosts] = [join(scratch, 'key'), join(scratch, 'known_hosts')];
  await makeKey(identity);
  const client = clientNamed(checkout === undefined ? 'go' : 'myriad');
  await client.prepare();
  const fleet = await Fleet.start({ hosts, authorized: `${identity}.pub`, knownHosts });
  const sites = new Sites({ directory: scratch, identity, knownHosts, port: fleet.port, command: 'echo hello' });
  const command = client.command(await sites.get(hosts), client.fanout);
  if (checkout === undefined) return { name: 'Go', fleet, scratch, command };
  return { name: checkout, fleet, scratch, command: { ...command, argv: commandOf(command.argv, checkout) } };
}

/** All at once; each takes its turn at starting first. */
async function round(lanes: readonly Lane[], hosts: number, first: number): Promise<Cost[]> {
  const costs: Cost[] = [];
  const run = async (place: number): Promise<void> => {
    const { name, fleet, scratch, command } = lanes[place]!;
    const signal = new AbortController().signal;
    const cost = await measure(command, { scratch, timeoutMs: LIMIT_MS, signal });
    const { execs } = await fleet.stats();
    if (cost.status !== 0 || execs !== hosts) {
      throw new Error(`${name}: status ${cost.status}, ${execs} of ${hosts} commands: ${cost.stderr}`);
    }
    costs[place] = cost;
  };
  await Promise.all(lanes.map((_, at) => run((at + first) % lanes.length)));
  return costs;
}

function report(lanes: readonly Lane[], costs: readonly (readonly Cost[])[], hosts: number): string {
  const shown = (values: readonly number[]) => {
    const { median, min, max } = spread(values);
    return `${digits(median)} (${digits(min)}–${digits(max)})`;
  };
  const cpu = ({ userMs, systemMs }: Cost) => ((userMs + systemMs) * 1000) / hosts;
  const rows = lanes.map(({ name }, place) => {
    const of = costs.map((taken) => taken[place]!);
    const ratios = costs.map((taken) => cpu(taken[place]!) / cpu(taken[0]!));
    return [name, shown(of.map(cpu)), shown(ratios), shown(of.map(({ peakMiB }) => peakMiB))];
  });
  return textTable([[`${hosts} hosts`, 'CPU µs a host', 'ratio', 'peak MiB'], ...rows]);
}

async function main(checkouts: readonly (string | undefined)[], hosts: number, rounds: number): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'myriad-beside-'));
  const lanes: Lane[] = [];
  try {
    for (const [at, checkout] of checkouts.entries()) {
      lanes.push(await openLane(checkout, hosts, join(directory, `${at}`)));
    }
    // Once without counting: files are read, compiled code is kept.
    await round(lanes, hosts, 0);
    const costs: Cost[][] = [];
    for (let at = 0; at < rounds; at++) costs.push(await round(lanes, hosts, at));
    process.stdout.write(`${report(lanes, costs, hosts)}\n`);
  } finally {
    for (const { fleet } of lanes) await fleet[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    hosts: { type: 'string', default: '8192' },
    rounds: { type: 'string', default: '5' },
    go: { type: 'boolean', default: false },
  },
});
const checkouts = [...positionals.map((path) => resolve(path)), HERE, ...(values.go ? [undefined] : [])];
await main(checkouts, Number(values.hosts), Number(values.rounds));
