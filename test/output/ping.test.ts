/** Addresses as host sets while they come, and the summary of a sweep. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHostSet } from '../../src/hostset/hostset.ts';
import { runsOf } from '../../src/hostset/ranges.ts';
import { type PingTotals, pingShares, pingSummary } from '../../src/output/ping.ts';
import { PingRanges, rangeText } from '../../src/output/ping_ranges.ts';
import { ADDRESS_STATES, type AddressState } from '../../src/ping/state.ts';

function fold(addresses: readonly (readonly [state: number, address: number])[]) {
  const lines: [number, string, number][] = [];
  const ranges = new PingRanges((state, set, count) => lines.push([state, set, count]));
  for (const [state, address] of addresses) ranges.add(state, address);
  ranges.end();
  return lines;
}

describe('ranges', () => {
  it.each([
    [0x7f000000, 2 ** 24, '127.0.0.0/8'],
    [0x0a000001, 254, '10.0.0.[1-254]'],
    [0x0a000080, 128, '10.0.0.128/25'],
    [0x0a0000ff, 2, '10.0.0.255-10.0.1.0'],
    [0, 2 ** 32, '0.0.0.0/0'],
    [5, 1, '0.0.0.5'],
  ])('%i, %i addresses: %s', (low, count, text) => {
    expect(rangeText(low, count)).toBe(text);
    expect([...runsOf(parseHostSet(text))].reduce((sum, run) => sum + ('count' in run ? run.count : 1), 0)).toBe(count);
  });

  it('of two states that take turns are two brackets', () => {
    const addresses = Array.from({ length: 6 }, (_, i) => [1 + (i % 2), 0x0a000001 + i] as const);
    expect(fold(addresses)).toEqual([
      [1, '10.0.0.[1,3,5]', 3],
      [2, '10.0.0.[2,4,6]', 3],
    ]);
  });

  it('parse to the addresses that went in, each under its state', () => {
    const step = fc.tuple(
      fc.integer({ min: 0, max: 2 }),
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 1, max: 400 }),
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
        const addresses: [number, number][] = [];
        let next = 0x0a0000f0;
        for (const [state, gap, count] of steps) {
          next += gap - 1;
          for (let i = 0; i < count; i++) addresses.push([state, next++]);
        }
        const told = new Map<number, Set<string>>();
        for (const [state, set, count] of fold(addresses)) {
          const hosts = parseHostSet(set);
          expect(hosts.count).toBe(count);
          const all = told.get(state) ?? new Set();
          told.set(state, all);
          for (const { name } of hosts) {
            expect(all.has(name)).toBe(false);
            all.add(name);
          }
        }
        for (const [state, address] of addresses) expect(told.get(state)!.has(rangeText(address, 1))).toBe(true);
        expect([...told.values()].reduce((sum, all) => sum + all.size, 0)).toBe(addresses.length);
      }),
      { numRuns: 50 },
    );
  });

  it('names are folded as hosts are', () => {
    const lines: string[] = [];
    const ranges = new PingRanges((state, set) => lines.push(`${state} ${set}`));
    for (let i = 1; i <= 501; i++) ranges.addName(2, `web${i}`);
    ranges.add(2, 0x0a000001);
    ranges.end();
    expect(lines).toEqual(['2 web[1-500]', '2 10.0.0.1', '2 web501']);
  });
});

describe('a host set as runs of addresses', () => {
  it.each([
    ['10.0.0.0/8', [[0x0a000000, 2 ** 24]]],
    ['10.0.0.250-10.0.3.5', [[0x0a0000fa, 6 + 512 + 6]]],
    ['10.0.[0-3].[0-255]', [[0x0a000000, 1024]]],
    ['10.0.0.[0-99/2]', Array.from({ length: 50 }, (_, i) => [0x0a000000 + 2 * i, 1])],
  ])('%s', (text, runs) => {
    const found = [...runsOf(parseHostSet(text))].map((run) => ('low' in run ? [run.low, run.count] : run.name));
    expect(found).toEqual(runs);
  });

  it('takes what is no address as it is written', () => {
    const names = [...runsOf(parseHostSet('10.0.0.[001-020],web[1-20],10.0.0.[250-300]'))].map(
      (part) => 'name' in part && part.name,
    );
    expect(names).toHaveLength(20 + 20 + 51);
    expect(names.slice(0, 2)).toEqual(['10.0.0.001', '10.0.0.002']);
  });
});

describe('the summary', () => {
  const states = (some: Partial<Record<AddressState, number>>) =>
    ({ ...Object.fromEntries(ADDRESS_STATES.map((name) => [name, 0])), ...some }) as Record<AddressState, number>;
  const totals = (more: Partial<PingTotals>): PingTotals => ({
    planned: 10,
    states: states({ up: 10 }),
    counts: { sent: 10, answers: 10 },
    rtt: { min: 0.1, avg: 1.25, p50: 1.2, p99: 20.5, max: 321.4 },
    durationMs: 1000,
    stopped: false,
    reserved: 0,
    unusable: 0,
    how: 'raw ICMP socket',
    ...more,
  });

  it('says all of it in three lines', () => {
    expect(pingSummary(totals({}))).toBe(
      '10 addresses: 10 up, 0 down\nraw ICMP socket: 10 sent, 10 answered; 1.0 s, 10/s\nround trip min/avg/p50/p99/max = 0.100/1.25/1.20/20.5/321 ms\n',
    );
  });

  it('names causes, and never calls down what was not asked', () => {
    const some = states({ up: 3, 'no-answer': 2, 'host-unreachable': 1, 'no-route': 3, 'not-probed': 1 });
    expect(pingShares(some)).toEqual({ up: 3, down: 3, unasked: 4 });
    const text = pingSummary(
      totals({ states: some, counts: { sent: 6, answers: 3, late: 1, sendFailures: 3 }, stopped: true, reserved: 256 }),
    );
    expect(text).toContain(
      '10 addresses: 3 up, 3 down (no answer 2, host unreachable 1), 4 NOT PROBED (not probed 1, no route here 3)\n',
    );
    expect(text).toContain('6 sent, 3 answered, 50 % lost');
    expect(text).toContain('also: late 1, sends refused here 3\n');
    expect(text).toContain('left out: 256 reserved addresses (write the block itself to ask it)\n');
    expect(text).toMatch(/stopped before the end\n$/);
  });
});
