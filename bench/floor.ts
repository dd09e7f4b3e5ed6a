/**
 * How near Myriad is to the least that Node can do: the exchange of one host written as short as it can be (bench/floor_client.ts),
 * our SSH client alone (bench/floor_ssh.ts), Myriad without and with its journal, and Go's client, in turn against the Go fleet.
 *
 * usage: node bench/floor.ts [--hosts 8192] [--pairs 5]        after node scripts/build.ts
 *
 * CPU is of the client's process tree, start included, as in bench/main.ts; ratios are of one round, to the floor.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CLIENTS, type Site } from './clients.ts';
import { Fleet } from './fleet.ts';
import { type Command, type Cost, measure } from './measure.ts';
import { makeKey, Sites } from './site.ts';
import { digits, spread } from './statistics.ts';
import { textTable } from './table.ts';

const LIMIT_MS = 120_000;
const ANSWER = 'hello';

const [myriad, go] = ['myriad', 'go'].map((name) => CLIENTS.find((client) => client.name === name)!) as [
  (typeof CLIENTS)[number],
  (typeof CLIENTS)[number],
];

/** A script of ours that does the same job with nothing around it. */
const alone =
  (script: string) =>
  ({ hostFile, knownHosts, identity, port, user, command }: Site): Command => {
    const words = [hostFile, knownHosts, identity, `${port}`, user, '64', command, `${ANSWER}\n`];
    return { argv: [process.execPath, '--max-semi-space-size=8', join(import.meta.dirname, script), ...words] };
  };

const WAYS: readonly { readonly name: string; readonly command: (site: Site) => Command }[] = [
  { name: 'bare Node', command: alone('floor_client.ts') },
  { name: 'our SSH client', command: alone('floor_ssh.ts') },
  { name: 'Myriad, no journal', command: (site) => myriad.command(site, myriad.fanout, ['--no-journal']) },
  { name: 'Myriad', command: (site) => myriad.command(site, myriad.fanout) },
  { name: 'Go', command: (site) => go.command(site, go.fanout) },
];

/** A, B, C, D and back: what drifts on the machine meets all alike. */
async function measureAll(fleet: Fleet, site: Site, rounds: number, scratch: string): Promise<Cost[][]> {
  const costs: Cost[][] = [];
  for (let round = 0; round < rounds; round++) {
    const taken: Cost[] = [];
    for (const [at, { name, command }] of round % 2 === 0 ? [...WAYS.entries()] : [...WAYS.entries()].toReversed()) {
      await fleet.stats();
      const signal = new AbortController().signal;
      const cost = await measure(command(site), { scratch, timeoutMs: LIMIT_MS, signal });
      const { execs } = await fleet.stats();
      if (cost.status !== 0 || execs !== site.hosts.length) {
        throw new Error(`${name}: status ${cost.status}, ${execs} of ${site.hosts.length} commands: ${cost.stderr}`);
      }
      taken[at] = cost;
    }
    costs.push(taken);
  }
  return costs;
}

function report(costs: readonly (readonly Cost[])[], hosts: number): string {
  const us = (of: number) => (of * 1000) / hosts;
  const shown = (values: readonly number[]) => {
    const { median, min, max } = spread(values);
    return `${digits(median)} (${digits(min)}–${digits(max)})`;
  };
  const cpu = ({ userMs, systemMs }: Cost) => us(userMs + systemMs);
  const rows = WAYS.map(({ name }, at) => {
    const of = costs.map((round) => round[at]!);
    const ratios = costs.map((round) => cpu(round[at]!) / cpu(round[0]!));
    const kernel = of.map(({ systemMs }) => us(systemMs));
    return [name, shown(of.map(cpu)), shown(kernel), shown(ratios), shown(of.map(({ peakMiB }) => peakMiB))];
  });
  return textTable([[`${hosts} hosts`, 'CPU µs a host', 'of it kernel', '× bare Node', 'peak MiB'], ...rows]);
}

async function main(hosts: number, rounds: number): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'myriad-floor-'));
  try {
    const identity = join(directory, 'key');
    const knownHosts = join(directory, 'known_hosts');
    await makeKey(identity);
    await Promise.all([myriad.prepare(), go.prepare()]);
    await using fleet = await Fleet.start({ hosts, authorized: `${identity}.pub`, knownHosts });
    const sites = new Sites({ directory, identity, knownHosts, port: fleet.port, command: `echo ${ANSWER}` });
    const costs = await measureAll(fleet, await sites.get(hosts), rounds, directory);
    process.stdout.write(`${report(costs, hosts)}\n`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const option = (by: string) => ({ type: 'string' as const, default: by });
const { values } = parseArgs({ options: { hosts: option('8192'), pairs: option('5') } });
await main(Number(values.hosts), Number(values.pairs));
