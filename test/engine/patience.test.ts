import { expect, test } from 'vitest';
import { Patience } from '../../src/engine/patience.ts';

function after(times: readonly number[], least = 30, most = 250): number {
  const patience = new Patience(least, most);
  for (const ms of times) patience.heard(ms);
  return patience.ms;
}

const of = (count: number, ms: number) => Array.from({ length: count }, () => ms);

test.each<[string, readonly number[], number]>([
  ['nothing is known', [], 250],
  ['seven hosts are too few', of(7, 10), 250],
  ['six times as long as hosts take', of(8, 10), 60],
  ['never under the least', of(100, 0), 30],
  ['never over the most', of(100, 200), 250],
  ['the mean of the first', [...of(4, 5), ...of(4, 15)], 60],
  ['what came last counts', [...of(1_000, 25), ...of(200, 10)], 60],
])('%s', (_what, times, expected) => {
  expect(after(times)).toBeCloseTo(expected, 1);
});

test('the least is never over the most', () => {
  expect(after(of(100, 0), 30, 10)).toBe(10);
});
