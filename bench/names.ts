/**
 * What names add to a run: the same hosts by name, through a name server that loses some queries, and by address, in turn.
 *
 * usage: node bench/names.ts [--hosts 1000] [--pairs 9] [--drop 1%]        as root, after node scripts/build.ts
 *
 * The name server is `bench/dns.ts --serve` on 127.0.0.53:53; only the client sees it, by an /etc/resolv.conf mounted for it
 * alone. CPU is of the client's whole process tree.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { simulate } from '../test/kit/fleet.ts';
import { type Cost, measure } from './measure.ts';
import { digits, spread } from './statistics.ts';
import { textTable } from './table.ts';

const CLI = join(import.meta.dirname, '../dist/cli/main.js');
const LIMIT_MS = 120_000;
const RESOLV = 'nameserver 127.0.0.53\n';

async function main(count: number, pairs: number, drop: number): Promise<void> {
  await using simulated = await simulate({ hosts: count });
  const { simulator, identity, dir } = simulated;
  const server = fork(join(import.meta.dirname, 'dns.ts'), ['--serve', `${drop}`, '1', '53']);
  await once(server, 'message');
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const names = Array.from({ length: count }, (_, index) => `host-${index}.fleet.example`);
  const lines = [...simulator.knownHosts()].join('').trimEnd().split('\n');
  const keyOf = (line: string) => line.slice(line.indexOf(' ') + 1);
  const byName = lines.map((line, index) => `[${names[index]}]:${simulator.port} ${keyOf(line)}`);
  const ways = {
    address: [file('addresses', `${[...simulator.labels()].join('\n')}\n`), file('known', `${lines.join('\n')}\n`)],
    name: [file('names', `${names.join('\n')}\n`), file('known_names', `${byName.join('\n')}\n`)],
  } as const;
  const resolv = file('resolv.conf', RESOLV);
  const run = async (way: keyof typeof ways): Promise<Cost> => {
    const [hosts, known] = ways[way];
    const login = ['-p', `${simulator.port}`, '-l', 'root', '--identity', identity, '--known-hosts', known];
    const options = ['-F', 'none', '--threads', '1', '--no-journal', '--yes', '-q', '--gather', 'discard'];
    const client = [process.execPath, CLI, 'run', '--hostfile', hosts, ...login, ...options, '--', 'true'];
    const mount = `mount --bind ${resolv} /etc/resolv.conf && exec "$@"`;
    const argv = ['unshare', '-m', 'sh', '-c', mount, 'sh', ...client];
    const env = { MYRIAD_SETTINGS: 'none' };
    const cost = await measure(
      { argv, env },
      { scratch: dir, timeoutMs: LIMIT_MS, signal: new AbortController().signal },
    );
    if (cost.status !== 0) throw new Error(`by ${way}: status ${cost.status}: ${cost.stderr}`);
    return cost;
  };
  const costs: Record<keyof typeof ways, Cost>[] = [];
  try {
    for (let pair = 0; pair < pairs; pair++) {
      // Turn about: what drifts on the machine meets both alike.
      const first = pair % 2 === 0 ? 'address' : 'name';
      const costOfFirst = await run(first);
      const costOfOther = await run(first === 'name' ? 'address' : 'name');
      costs.push(
        first === 'name' ? { name: costOfFirst, address: costOfOther } : { address: costOfFirst, name: costOfOther },
      );
    }
  } finally {
    server.disconnect();
  }
  const shown = (values: readonly number[]) => {
    const { median, min, max } = spread(values);
    return `${digits(median)} (${digits(min)}–${digits(max)})`;
  };
  const row = (label: string, of: (cost: Cost) => number, added: (pair: (typeof costs)[number]) => number) => [
    label,
    shown(costs.map(({ address }) => of(address))),
    shown(costs.map(({ name }) => of(name))),
    shown(costs.map(added)),
  ];
  const cpuUs = ({ userMs, systemMs }: Cost) => ((userMs + systemMs) * 1000) / count;
  const rows = [
    [`${count} hosts, ${digits(drop * 100)} % lost`, 'by address', 'by name', 'added'],
    row('CPU µs a host', cpuUs, ({ name, address }) => cpuUs(name) - cpuUs(address)),
    row(
      'wall ms',
      ({ wallMs }) => wallMs,
      ({ name, address }) => name.wallMs - address.wallMs,
    ),
  ];
  process.stdout.write(`${textTable(rows)}\n`);
}

const option = (by: string) => ({ type: 'string' as const, default: by });
const { values } = parseArgs({ options: { hosts: option('1000'), pairs: option('9'), drop: option('1%') } });
const drop = Number.parseFloat(values.drop) / (values.drop.endsWith('%') ? 100 : 1);
await main(Number(values.hosts), Number(values.pairs), drop);
