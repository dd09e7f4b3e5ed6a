/**
 * What a host costs behind a jump host, against the same host reached directly in the same minutes. The hosts are
 * simulated by this process, the jump host is OpenSSH's sshd, the fleet is a process of its own and the only one measured.
 *
 * usage: node bench/jump.ts [--hosts 1000] [--rounds 5] [--fanout 256]
 *
 * CPU is user and system time of the whole process from the start of the run to its summary. A host behind a jump host is
 * encrypted twice and opens a channel more.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type FleetOptions, fleet } from '../src/index.ts';
import { simulate } from '../test/kit/fleet.ts';
import { startSshd } from '../test/kit/servers.ts';
import { digits, spread } from './statistics.ts';
import { textTable } from './table.ts';

interface Cost {
  readonly ok: number;
  readonly wallMs: number;
  readonly cpuUs: number;
}

/** In a process of its own: the fleet comes as a message, its cost goes back. */
async function measure(options: FleetOptions): Promise<void> {
  await using hosts = fleet(options);
  await hosts.prepare();
  const cpu = process.cpuUsage();
  const began = performance.now();
  const summary = await hosts.run('true').summary();
  const { user, system } = process.cpuUsage(cpu);
  process.send?.({ ok: summary.outcomes.ok, wallMs: performance.now() - began, cpuUs: user + system });
}

function costOf(options: FleetOptions): Promise<Cost> {
  const child = fork(fileURLToPath(import.meta.url), ['--measure']);
  child.send(options);
  return new Promise((resolve, reject) => {
    child.once('message', (cost) => resolve(cost as Cost));
    child.once('exit', (status) => reject(new Error(`a process of the benchmark ended early, with status ${status}`)));
  });
}

async function main(count: number, rounds: number, fanout: number): Promise<void> {
  await using jump = await startSshd();
  await using simulated = await simulate({ hosts: count });
  const { options, knownHosts } = simulated;
  const direct: FleetOptions = { ...options, fanout, identity: jump.identity, config: 'none' };
  const behind: FleetOptions = {
    ...direct,
    jump: `${jump.user}@127.0.0.1:${jump.port}`,
    knownHosts: [knownHosts, jump.knownHosts],
  };
  const costs: { readonly direct: Cost; readonly behind: Cost }[] = [];
  for (let round = 0; round < rounds; round++) {
    costs.push({ direct: await costOf(direct), behind: await costOf(behind) });
  }
  const lost = costs.filter((pair) => pair.direct.ok !== count || pair.behind.ok !== count).length;
  const row = (label: string, of: (cost: Cost) => number) => {
    const shown = (values: readonly number[]) => {
      const { median, min, max } = spread(values);
      return `${digits(median)} (${digits(min)}–${digits(max)})`;
    };
    return [
      label,
      shown(costs.map((pair) => of(pair.direct))),
      shown(costs.map((pair) => of(pair.behind))),
      shown(costs.map((pair) => of(pair.behind) / of(pair.direct))),
    ];
  };
  const head = [`${count} hosts`, 'direct', 'behind a jump host', 'ratio'];
  const rows = [head, row('CPU µs a host', ({ cpuUs }) => cpuUs / count), row('wall ms', ({ wallMs }) => wallMs)];
  process.stdout.write(`${textTable(rows)}\nrounds in which a host was not reached: ${lost}\n`);
}

if (process.argv[2] === '--measure') {
  process.once('message', (options) => void measure(options as FleetOptions).finally(() => process.disconnect?.()));
} else {
  const { values } = parseArgs({
    options: {
      hosts: { type: 'string', default: '1000' },
      rounds: { type: 'string', default: '5' },
      fanout: { type: 'string', default: '256' },
    },
  });
  await main(Number(values.hosts), Number(values.rounds), Number(values.fanout));
}
