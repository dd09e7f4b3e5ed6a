/** What this machine has for connections besides descriptors: tables and ports, read once when a run starts. */
import { readFileSync } from 'node:fs';
import type { Limits } from '../contracts/limits.ts';

const LEAST = 16;
/** Of tables that others use, too: the rest is theirs. */
const SHARE = 0.9;
/** A task in progress with nothing of its output: its session, its buffers, its result. */
const BYTES_PER_TASK = 64 * 1024;
/** Of the memory that is available, for tasks in progress. */
const MEMORY_SHARE = 0.5;

/** Where the numbers come from; undefined: there is no such file, or it may not be read. */
export type ReadText = (path: string) => string | undefined;

export interface Machine {
  /** Connections that netfilter tracks: at most, and now. */
  readonly conntrack: { readonly max: number; readonly count: number } | undefined;
  /** Neighbours: hosts of the same network whose hardware addresses are known or asked for. */
  readonly neighbours: number | undefined;
  /** Local ports for connections to one address and port. */
  readonly ports: number | undefined;
}

export function readMachine(read: ReadText = readText): Machine {
  const number = (path: string): number | undefined => {
    const value = Number.parseInt(read(path) ?? '', 10);
    return value > 0 ? value : undefined;
  };
  const net = '/proc/sys/net';
  const max = number(`${net}/netfilter/nf_conntrack_max`);
  const [thresh4, thresh6] = [4, 6].map((family) => number(`${net}/ipv${family}/neigh/default/gc_thresh3`));
  return {
    conntrack: max === undefined ? undefined : { max, count: number(`${net}/netfilter/nf_conntrack_count`) ?? 0 },
    neighbours: thresh4 === undefined ? thresh6 : Math.min(thresh4, thresh6 ?? thresh4),
    ports: portsIn(read(`${net}/ipv4/ip_local_port_range`)),
  };
}

/** The limits of a run on `hosts` distinct hosts, within what the machine has; `connections` is what descriptors leave. */
export function withinMachine(limits: Limits, machine: Machine, hosts: number): Limits {
  const { conntrack, ports, neighbours } = machine;
  const bounds: [most: number, by: string][] = [[limits.connections, 'descriptors (ulimit -Hn)']];
  if (conntrack !== undefined) {
    bounds.push([(conntrack.max - conntrack.count) * SHARE, `conntrack table (nf_conntrack_max ${conntrack.max})`]);
  }
  // Ports count per destination: that many hosts at most are as many destinations.
  if (ports !== undefined) bounds.push([ports * SHARE * hosts, `local ports (ip_local_port_range has ${ports})`]);
  const [most, by] = bounds.reduce((least, bound) => (bound[0] < least[0] ? bound : least));
  return {
    ...limits,
    connections: Math.max(LEAST, Math.floor(most)),
    connectionsBy: by,
    connecting: neighbours === undefined ? undefined : Math.max(LEAST, Math.floor(neighbours * SHARE)),
  };
}

/** How many tasks memory has room for, if each host filled what is kept of its output. */
export function tasksInMemory(available: number, maxOutput: number): number {
  return Math.floor((available * MEMORY_SHARE) / (BYTES_PER_TASK + maxOutput));
}

/** `32768 60999`. */
function portsIn(text: string | undefined): number | undefined {
  const match = /^(\d+)\s+(\d+)\s*$/.exec(text ?? '');
  const ports = Number(match?.[2]) - Number(match?.[1]) + 1;
  return ports > 0 ? ports : undefined;
}

export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
