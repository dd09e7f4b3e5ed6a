/** What the machine has for connections, and what a run makes of it. */
import { describe, expect, test } from 'vitest';
import { type AskedLimits, adaptation, resolveRate } from '../../src/fleet/adaptation.ts';
import { type Machine, readMachine, withinMachine } from '../../src/fleet/machine.ts';
import { LIMITS } from '../engine/support.ts';

const FILES: Readonly<Record<string, string>> = {
  '/proc/sys/net/netfilter/nf_conntrack_max': '262144\n',
  '/proc/sys/net/netfilter/nf_conntrack_count': '144\n',
  '/proc/sys/net/ipv4/neigh/default/gc_thresh3': '1024\n',
  '/proc/sys/net/ipv6/neigh/default/gc_thresh3': '512\n',
  '/proc/sys/net/ipv4/ip_local_port_range': '32768\t60999\n',
};

const without = (...missing: string[]) =>
  Object.fromEntries(Object.entries(FILES).filter(([path]) => !missing.some((word) => path.includes(word))));

const ALL: Machine = { conntrack: { max: 262_144, count: 144 }, neighbours: 512, ports: 28_232 };

describe('the tables of the machine', () => {
  test.each<[string, Readonly<Record<string, string>>, Machine]>([
    ['all of them', FILES, ALL],
    ['none of them', {}, { conntrack: undefined, neighbours: undefined, ports: undefined }],
    ['no conntrack', without('conntrack_max'), { ...ALL, conntrack: undefined }],
    ['no count', without('conntrack_count'), { ...ALL, conntrack: { max: 262_144, count: 0 } }],
    ['no IPv6', without('ipv6'), { ...ALL, neighbours: 1_024 }],
    ['no IPv4', without('ipv4/neigh'), { ...ALL, neighbours: 512 }],
    ['one port', { ...FILES, '/proc/sys/net/ipv4/ip_local_port_range': '4000 4000' }, { ...ALL, ports: 1 }],
    [
      'ports the wrong way round',
      { ...FILES, '/proc/sys/net/ipv4/ip_local_port_range': '9 8\n' },
      { ...ALL, ports: undefined },
    ],
    ['words', { ...FILES, '/proc/sys/net/netfilter/nf_conntrack_max': 'many\n' }, { ...ALL, conntrack: undefined }],
  ])('%s', (_name, files, machine) => {
    expect(readMachine((path) => files[path])).toEqual(machine);
  });

  test('can be read here, or are missed without a word', () => {
    expect(readMachine()).toBeTypeOf('object');
  });
});

describe('connections within the machine', () => {
  const limits = { ...LIMITS, connections: 19_800 };
  test.each<[string, Partial<Machine>, number, number, string]>([
    ['descriptors', {}, 1_000, 19_800, 'descriptors (ulimit -Hn)'],
    ['conntrack', { conntrack: { max: 1_000, count: 900 } }, 1_000, 90, 'conntrack table (nf_conntrack_max 1000)'],
    ['a full table', { conntrack: { max: 1_000, count: 1_200 } }, 1_000, 16, 'conntrack table (nf_conntrack_max 1000)'],
    ['ports, one host', { ports: 1_000 }, 1, 900, 'local ports (ip_local_port_range has 1000)'],
    ['ports, three hosts', { ports: 1_000 }, 3, 2_700, 'local ports (ip_local_port_range has 1000)'],
    ['ports, many hosts', { ports: 1_000 }, 30, 19_800, 'descriptors (ulimit -Hn)'],
  ])('%s', (_name, machine, hosts, connections, connectionsBy) => {
    expect(withinMachine(limits, { ...ALL, ...machine }, hosts)).toMatchObject({ connections, connectionsBy });
  });

  test.each([
    [1024, 921],
    [10, 16],
    [undefined, undefined],
  ])('neighbours %s: %s hosts may be silent at once', (neighbours, connecting) => {
    expect(withinMachine(limits, { ...ALL, neighbours }, 9).connecting).toBe(connecting);
  });
});

describe('what may change', () => {
  const start = { fanout: 512, handshakes: 64, connections: 19_800, kept: 1 << 20, available: 64 * 2 ** 30 };
  const asked: AskedLimits = { fanout: 'auto', handshakes: undefined, rate: undefined };
  test.each<[string, Partial<AskedLimits>, Partial<typeof start>, object]>([
    ['all of it', {}, {}, { fanoutMost: 8_192, handshakesMost: 512, rate: 'ramp' }],
    [
      'a fanout that was given stays, and has no rate',
      { fanout: 512 },
      {},
      { fanoutMost: undefined, handshakesMost: 512, rate: undefined },
    ],
    [
      'a small one keeps the handshakes',
      { fanout: 32 },
      { fanout: 32 },
      { fanoutMost: undefined, handshakesMost: 64, rate: undefined },
    ],
    [
      'handshakes that were given stay',
      { handshakes: 64 },
      {},
      { fanoutMost: 8_192, handshakesMost: undefined, rate: 'ramp' },
    ],
    ['max lifts the ramp', { rate: 'max' }, {}, { fanoutMost: 8_192, handshakesMost: 512, rate: undefined }],
    [
      'a rate counts with a fanout',
      { rate: 5, fanout: 9 },
      { fanout: 9 },
      { fanoutMost: undefined, handshakesMost: 64, rate: 5 },
    ],
    ['few descriptors', {}, { fanout: 100, connections: 100 }, { fanoutMost: 100, handshakesMost: 100, rate: 'ramp' }],
    // (1 MiB + 64 KiB) × 963 are half of 2 GiB.
    ['little memory', {}, { available: 2 * 2 ** 30 }, { fanoutMost: 963, handshakesMost: 512, rate: 'ramp' }],
    [
      'little memory, and nothing kept',
      {},
      { available: 2 * 2 ** 30, kept: 0 },
      { fanoutMost: 8_192, handshakesMost: 512, rate: 'ramp' },
    ],
    ['hardly any memory', {}, { available: 2 ** 26 }, { fanoutMost: 512, handshakesMost: 512, rate: 'ramp' }],
  ])('%s', (_name, more, from, expected) => {
    expect(adaptation({ ...asked, ...more }, { ...start, ...from })).toEqual(expected);
  });

  test.each([50, 0.5, 'max', undefined])('rate %s is one', (rate) => expect(resolveRate(rate)).toBe(rate));

  test.each([0, -1, Number.NaN, Infinity, '50', 'fast', null])('rate %s is none', (rate) => {
    expect(() => resolveRate(rate)).toThrow('rate: expected logins per second above 0, or "max", got');
  });
});
