import { expect, it } from 'vitest';
import { Recent } from '../../src/journal/recent.ts';

it('keeps at least the last half of its size, at most its size, and what is used', () => {
  const recent = new Recent<number, string>(8);
  for (let key = 0; key < 100; key++) {
    recent.set(key, `v${key}`);
    if (key > 0) expect(recent.get(0)).toBe('v0');
    for (let back = 0; back < 3 && back <= key; back++) expect(recent.get(key - back)).toBe(`v${key - back}`);
  }
  const kept = Array.from({ length: 100 }, (_, key) => recent.get(key)).filter((value) => value !== undefined);
  expect(kept.length).toBeLessThanOrEqual(8);
  recent.delete(0);
  expect(recent.get(0)).toBeUndefined();
});
