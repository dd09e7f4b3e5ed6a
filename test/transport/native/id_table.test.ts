import { expect, test } from 'vitest';
import { IdTable } from '../../../src/transport/native/id_table.ts';

test('every entry is found under its own id, in whatever order they come and go', () => {
  const table = new IdTable<{ id: number }>();
  const filed = new Map<number, { id: number }>();
  // Up to the 32,768 that are allowed, so that it grows from its first size to its last.
  for (let round = 0; round < 4; round++) {
    while (filed.size < [300, 2000, 32_768, 100][round]!) {
      const entry = { id: -1 };
      table.add(entry);
      expect(filed.has(entry.id)).toBe(false);
      filed.set(entry.id, entry);
    }
    expect(table.all()).toHaveLength(filed.size);
    let wrong = 0;
    for (let id = 0; id < 0x1_0000; id++) if (table.get(id) !== filed.get(id)) wrong += 1;
    expect(wrong).toBe(0);
    for (const [id, entry] of filed) {
      if (filed.size <= 50) break;
      table.delete(entry);
      filed.delete(id);
      expect(table.get(id)).toBeUndefined();
    }
  }
});

test('ids are spread over all 16 bits, also while the table is small', () => {
  const table = new IdTable<{ id: number }>();
  const high = new Set<number>();
  const low = new Set<number>();
  for (let i = 0; i < 20_000; i++) {
    const entry = { id: -1 };
    table.add(entry);
    table.delete(entry);
    high.add(entry.id >>> 8);
    low.add(entry.id & 0xff);
  }
  expect([high.size, low.size]).toEqual([256, 256]);
});
