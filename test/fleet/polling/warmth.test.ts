/** What rounds make of the connections that a fleet keeps, and of its deadlines. */
import { describe, expect, it } from 'vitest';
import { connectionLimit } from '../../../src/fleet/descriptors.ts';
import { limitsOfRounds, resolvePolling } from '../../../src/fleet/polling/options.ts';
import { connectionsBeside, warmOfRounds } from '../../../src/fleet/polling/warmth.ts';
import { LIMITS } from '../../engine/support.ts';

const KEPT = Math.floor(connectionLimit() * 0.75);
const FEW = Math.min(50, KEPT);

describe('connections that are kept', () => {
  it('are one a host as far as three quarters of the descriptors go, and outlive a period', () => {
    const resolved = { most: 10, idleMs: undefined };
    const [hour, day] = [3_600_000, 86_400_000];
    expect(warmOfRounds(resolved, { threads: 1 }, 1000, FEW)).toEqual({ most: FEW, idleMs: 60_000, ageMs: hour });
    expect(warmOfRounds(resolved, { threads: 1 }, day, 5)).toEqual({ most: 10, idleMs: 2 * day, ageMs: 20 * day });
    const many = warmOfRounds(resolved, { threads: 1 }, 1000, 1e9);
    expect(many.most).toBe(KEPT);
    expect(connectionsBeside(many, 1)).toBe(connectionLimit() - KEPT);
    expect(connectionsBeside(warmOfRounds(resolved, {}, 1000, 1e9), 'auto')).toBeGreaterThan(0);
  });

  it('are what was asked for by name', () => {
    expect(warmOfRounds({ most: 0 }, { warm: 0, warmMs: 5 }, 1000, 50).most).toBe(0);
    expect(warmOfRounds({ most: 7 }, { warm: 7, warmMs: 2000 }, 1000, 50)).toMatchObject({ most: 7, idleMs: 2000 });
  });
});

describe('the limits of a round', () => {
  const of = (everyMs: number, asked = {}) => limitsOfRounds(LIMITS, everyMs, { connections: 1e9, ...asked });

  it('let no phase and no command outlast a period, and try once', () => {
    const { deadlines, retries } = of(6000);
    expect([deadlines.dnsMs, deadlines.connectMs, deadlines.authMs, deadlines.commandMs]).toEqual([
      5000, 6000, 6000, 6000,
    ]);
    expect([retries, deadlines.runMs]).toEqual([0, null]);
    expect(of(100).deadlines.commandMs).toBe(5000);
  });

  it('are those that were asked for by name', () => {
    expect(of(6000, { retries: 2, commandMs: null })).toMatchObject({ retries: 2, deadlines: { commandMs: null } });
    expect(of(6000, { deadlines: { connectMs: 1 } }).deadlines.connectMs).toBe(LIMITS.deadlines.connectMs);
  });
});

it('a few hosts are not spread over a long time', () => {
  expect(resolvePolling({ everyMs: 60_000 }, 3)?.rules.jitterMs).toBe(60);
  expect(resolvePolling({ everyMs: 60_000 }, 10_000)?.rules.jitterMs).toBe(6000);
  expect(resolvePolling({}, 3)).toBeUndefined();
});

it('many hosts are not asked more than 2,500 a second as long as two fifths of a period are enough for that', () => {
  const jitterOf = (everyMs: number, tasks: number) => resolvePolling({ everyMs }, tasks)?.rules.jitterMs;
  expect(jitterOf(10_000, 1000)).toBe(1000);
  expect(jitterOf(10_000, 5000)).toBe(2000);
  expect(jitterOf(10_000, 10_000)).toBe(4000);
  expect(jitterOf(10_000, 100_000)).toBe(4000);
  expect(resolvePolling({ everyMs: 10_000, jitterMs: 700 }, 10_000)?.rules.jitterMs).toBe(700);
});
