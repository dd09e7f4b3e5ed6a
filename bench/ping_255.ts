/**
 * The sweep that this field began with: 255 addresses, one after the other, four at a time, all at once, and by one sender; and how long
 * each way would take for all 4,294,967,296 addresses of IPv4.
 */
import { existingMyriad } from './clients.ts';
import { type Cost, measure } from './measure.ts';
import { digits, spread } from './statistics.ts';

export const ADDRESSES = 255;
const ALL = 2 ** 32;
/** What everybody types. */
const PING = ['ping', '-c', '3', '-W', '1'];

export interface Way {
  readonly name: string;
  /** In the chart, which has little room. */
  readonly label: string;
  readonly ours: boolean;
  /** Addresses that go through one after the other: with fewer of them measured the rest is computed. Undefined: all are measured. */
  readonly lanes?: number;
  argv(addresses: number): readonly string[];
  /** Hosts that it says are up. */
  found(cost: Cost): number;
  /** How many of them are up. */
  readonly up: 'all' | 'none';
}

const answered = ({ stdout }: Cost) => stdout.match(/ 0% packet loss/g)?.length ?? 0;
const summed = ({ stderr }: Cost) => Number(/: ([\d,]+) up, /.exec(stderr)?.[1]?.replaceAll(',', ''));

function local(fanout: number): Pick<Way, 'argv' | 'found' | 'up'> {
  return {
    argv: (addresses) => [
      ...[process.execPath, existingMyriad(), 'run', '--local', '-w', `127.2.0.[0-${addresses - 1}]`],
      ...['-f', String(fanout), '--yes', '--output', 'text', '-q', '--progress', 'never', '--', ...PING, '{host}'],
    ],
    found: answered,
    up: 'all',
  };
}

function swept(...options: string[]): Pick<Way, 'argv' | 'found' | 'up'> {
  return {
    argv: (addresses) => [process.execPath, existingMyriad(), 'ping', '-w', `127.2.0.[0-${addresses - 1}]`, ...options],
    found: summed,
    up: 'all',
  };
}

/** An interface in a namespace of its own that nothing reads from: what is sent there is never answered. */
const SILENCE = 'ip tuntap add d0 mode tun && ip addr add 198.18.0.1/16 dev d0 && ip link set d0 up && exec "$@"';

export const WAYS: readonly Way[] = [
  {
    name: `${PING.join(' ')}, one by one`,
    label: 'ping, one by one',
    ours: false,
    lanes: 1,
    argv: (addresses) => ['sh', '-c', `for i in $(seq 0 ${addresses - 1}); do ${PING.join(' ')} 127.2.0.$i; done`],
    found: answered,
    up: 'all',
  },
  { name: '4 workers (myriad run --local -f 4)', label: 'run --local -f 4', ours: true, lanes: 4, ...local(4) },
  { name: '255 workers (myriad run --local -f 255)', label: 'run --local -f 255', ours: true, ...local(ADDRESSES) },
  {
    name: 'myriad ping --count 3 --interval 1s',
    label: 'myriad ping -c 3',
    ours: true,
    ...swept('--count', '3', '--interval', '1s'),
  },
  { name: 'myriad ping --count 1', label: 'myriad ping', ours: true, ...swept('--count', '1') },
  {
    name: 'myriad ping, nobody answers (timeout 1 s)',
    label: 'nobody answers',
    ours: true,
    argv: (addresses) => [
      ...['unshare', '-rn', 'sh', '-c', SILENCE, 'sh', process.execPath, existingMyriad()],
      ...['ping', '-w', `198.18.1.[0-${addresses - 1}]`, '--rate', 'max'],
    ],
    found: summed,
    up: 'none',
  },
];

export interface Sweep255 {
  readonly way: string;
  readonly label: string;
  readonly ours: boolean;
  /** Addresses that were measured. */
  readonly measured: number;
  /** Of 255 addresses: measured, or computed from those that were. */
  readonly wallMs: number;
  readonly cpuMs: number;
  /** For all of IPv4, computed. */
  readonly allMs: number;
}

/** `sample`: addresses measured of the ways that take minutes, at least 8; the rest is computed, and said to be. */
export async function measure255(
  sample: number,
  { pairs, scratch, signal }: { readonly pairs: number; readonly scratch: string; readonly signal: AbortSignal },
): Promise<{ readonly sweeps: Sweep255[]; readonly missing: string[] }> {
  const sweeps: Sweep255[] = [];
  const missing: string[] = [];
  for (const way of WAYS) {
    const { lanes } = way;
    const measured = lanes === undefined ? ADDRESSES : Math.min(ADDRESSES, Math.ceil(sample / lanes) * lanes);
    const run = (addresses: number) => measure({ argv: way.argv(addresses) }, { scratch, signal, timeoutMs: 900_000 });
    const costs: Cost[] = [];
    // What takes minutes varies little.
    for (let pair = 0; pair < (lanes === undefined ? pairs : 1); pair++) costs.push(await run(measured));
    const wrong = costs.map((cost) => problem(way, measured, cost)).find((text) => text !== undefined);
    process.stderr.write(`${way.name}: ${wrong ?? `${digits(costs[0]!.wallMs / 1000)} s`}\n`);
    if (wrong !== undefined) {
      missing.push(`${way.name}: ${wrong}`);
      continue;
    }
    const median = (value: (cost: Cost) => number) => spread(costs.map(value)).median;
    let wallMs = median(({ wallMs }) => wallMs);
    let cpuMs = median(({ userMs, systemMs }) => userMs + systemMs);
    if (lanes !== undefined && measured < ADDRESSES) {
      // The rest costs what a round costs: the start of the program is there once.
      const one = await run(lanes);
      const rounds = Math.ceil(measured / lanes);
      const left = (Math.ceil(ADDRESSES / lanes) - rounds) / Math.max(1, rounds - 1);
      wallMs += left * (wallMs - one.wallMs);
      cpuMs += left * (cpuMs - one.userMs - one.systemMs);
    }
    sweeps.push({
      way: way.name,
      label: way.label,
      ours: way.ours,
      measured,
      wallMs,
      cpuMs,
      allMs: (wallMs * ALL) / ADDRESSES,
    });
  }
  return { sweeps, missing };
}

function problem({ found, up }: Way, addresses: number, cost: Cost): string | undefined {
  if (cost.status > 1) return `exit status ${cost.status}: ${cost.stderr.trim().split('\n').at(-1)}`;
  const wanted = up === 'all' ? addresses : 0;
  const count = found(cost);
  return count === wanted ? undefined : `${count} hosts up, not ${wanted}: ${cost.stderr.trim().split('\n').at(-1)}`;
}

/** With the largest sweep's rate as a last row: 255 addresses are mostly the start of a process. */
export function rows255(sweeps: readonly Sweep255[]): string[][] {
  const head = ['way', 'measured', '255 addresses s', 'addresses/s', 'CPU ms/address', 'all of IPv4 (computed)'];
  const body = sweeps.map(({ way, measured, wallMs, cpuMs, allMs }) => [
    way,
    measured < ADDRESSES ? `${measured}, rest computed` : `${measured}`,
    digits(wallMs / 1000),
    digits((ADDRESSES * 1000) / wallMs),
    digits(cpuMs / ADDRESSES),
    longTime(allMs),
  ]);
  return [head, ...body];
}

export function longTime(ms: number): string {
  const hours = ms / 3_600_000;
  if (hours < 48) return `${digits(hours)} hours`;
  const days = hours / 24;
  return days < 730 ? `${digits(days)} days` : `${digits(days / 365.25)} years`;
}
