/** What the kernel's tables hold, before a long sweep fills them: what would overflow is said, not found out. */
import { networkInterfaces } from 'node:os';
import { parseIPv4 } from '../hostset/ipv4.ts';
import { type Machine, type ReadText, readMachine, readText } from './machine.ts';

export interface SweepLoad {
  readonly count: number;
  /** Probes per second; Infinity: as many as go. */
  readonly rate: number;
  readonly loopback: boolean;
  readonly level: 'icmp' | 'tcp' | 'banner';
  /** Ranges of IPv4 addresses. */
  readonly runs: Iterable<{ readonly low: number; readonly count: number }>;
}

/** What one core sends at most. */
const FULL_SPEED = 180_000;
/** A closed connection is tracked for so long. */
const TCP_TRACKED_S = 120;
/** Bit of echo replies in net.ipv4.icmp_ratemask. */
const ECHO_REPLY = 1;

/** Sentences for what would overflow. */
export function overflows(load: SweepLoad, read: ReadText = readText, networks = attached()): string[] {
  const machine = readMachine(read);
  return [...conntrack(load, machine, read), ...neighbours(load, machine, networks), ...replies(load, read)];
}

function conntrack({ count, rate, level }: SweepLoad, machine: Machine, read: ReadText): string[] {
  if (machine.conntrack === undefined) return [];
  const { max, count: now } = machine.conntrack;
  // The module is there, and nothing has asked it to track.
  if (now === 0) return [];
  const file = '/proc/sys/net/netfilter/nf_conntrack_icmp_timeout';
  const seconds = level === 'icmp' ? Number.parseInt(read(file) ?? '30', 10) : TCP_TRACKED_S;
  const entries = Math.min(count, Math.min(rate, FULL_SPEED) * seconds);
  if (entries <= max - now) return [];
  const most = Math.floor((max - now) / seconds);
  return [
    `the conntrack table has room for ${max - now} entries and the sweep may make ${Math.round(entries)}: where netfilter tracks it, ` +
      `packets are dropped (--rate ${Math.max(1, most)}/s fits; or raise net.netfilter.nf_conntrack_max)`,
  ];
}

/** Prefixes of this machine's networks, other than loopback. */
function attached(): { low: number; high: number }[] {
  return Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).flatMap(({ address, netmask, internal, family }) => {
      const [own, mask] = [parseIPv4(address), parseIPv4(netmask)];
      if (internal || family !== 'IPv4' || own === undefined || mask === undefined) return [];
      const size = 2 ** 32 - mask;
      const low = own - (own % size);
      return [{ low, high: low + size }];
    }),
  );
}

function neighbours(load: SweepLoad, machine: Machine, networks: readonly { low: number; high: number }[]): string[] {
  if (machine.neighbours === undefined || load.loopback) return [];
  let near = 0;
  for (const { low, count } of load.runs) {
    for (const network of networks) {
      near += Math.max(0, Math.min(low + count, network.high) - Math.max(low, network.low));
    }
  }
  if (near <= machine.neighbours) return [];
  return [
    `${near} of the addresses are on networks of this machine, and its neighbour table holds ${machine.neighbours}: answers may be lost ` +
      '(raise net.ipv4.neigh.default.gc_thresh3, or sweep slower than addresses expire)',
  ];
}

/** Whether this kernel counts its own echo replies against its limit: by default it does not. */
function replies({ loopback, level }: SweepLoad, read: ReadText): string[] {
  const value = (name: string) => Number.parseInt(read(`/proc/sys/net/ipv4/${name}`) ?? '0', 10);
  if (!loopback || level !== 'icmp' || (value('icmp_ratemask') & ECHO_REPLY) === 0) return [];
  return [
    `this machine answers at most ${value('icmp_msgs_per_sec')} echo requests a second (bit 0 of net.ipv4.icmp_ratemask): answers will be missing`,
  ];
}
