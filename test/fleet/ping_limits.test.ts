/** What a sweep would fill is said before it does. */
import { describe, expect, it } from 'vitest';
import { overflows } from '../../src/fleet/ping_limits.ts';

const files = (more: Record<string, string> = {}) => {
  const all: Record<string, string> = {
    '/proc/sys/net/netfilter/nf_conntrack_max': '65536',
    '/proc/sys/net/netfilter/nf_conntrack_count': '100',
    '/proc/sys/net/netfilter/nf_conntrack_icmp_timeout': '30',
    '/proc/sys/net/ipv4/neigh/default/gc_thresh3': '1024',
    '/proc/sys/net/ipv4/icmp_ratemask': '6168',
    '/proc/sys/net/ipv4/icmp_msgs_per_sec': '1000',
    ...more,
  };
  return (path: string) => all[path];
};
const load = {
  count: 100_000,
  rate: 2000,
  loopback: false,
  level: 'icmp',
  runs: [{ low: 0x0a000000, count: 100_000 }],
} as const;

describe('overflows', () => {
  it('none where it fits', () => {
    expect(overflows(load, files(), [])).toEqual([]);
  });

  it('conntrack: with the rate that fits', () => {
    const [text] = overflows({ ...load, rate: 50_000 }, files(), []);
    expect(text).toMatch(
      /^the conntrack table has room for 65436 entries and the sweep may make 100000: .*\(--rate 2181\/s fits;/,
    );
    expect(
      overflows({ ...load, rate: 50_000 }, files({ '/proc/sys/net/netfilter/nf_conntrack_count': '0' }), []),
    ).toEqual([]);
  });

  it('neighbours: addresses on networks of this machine', () => {
    const network = { low: 0x0a000000, high: 0x0a001000 };
    expect(overflows(load, files(), [network])[0]).toMatch(
      /^4096 of the addresses are on networks of this machine, and its neighbour table holds 1024:/,
    );
    expect(overflows({ ...load, loopback: true }, files(), [network])).toEqual([]);
  });

  it('replies that this kernel counts', () => {
    const [text] = overflows({ ...load, loopback: true }, files({ '/proc/sys/net/ipv4/icmp_ratemask': '6169' }), []);
    expect(text).toMatch(/^this machine answers at most 1000 echo requests a second/);
  });
});
