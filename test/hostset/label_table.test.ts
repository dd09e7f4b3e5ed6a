import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LabelTable } from '../../src/hostset/label_table.ts';

test('a set of texts in the order in which they came', () => {
  const text = fc.oneof(
    fc.string({ maxLength: 3 }),
    fc.nat(300).map((number) => `web${number}`),
  );
  fc.assert(
    fc.property(fc.array(text, { maxLength: 400 }), fc.array(text, { maxLength: 20 }), (texts, others) => {
      const [table, set] = [new LabelTable(), new Set<string>()];
      for (const one of texts) {
        expect(table.add(one)).toBe(!set.has(one));
        set.add(one);
      }
      expect(table.size).toBe(set.size);
      expect([...table]).toEqual([...set]);
      for (const one of [...texts, ...others]) expect(table.has(one)).toBe(set.has(one));
    }),
  );
});

test('100,000 names', () => {
  const table = new LabelTable();
  for (let number = 0; number < 100_000; number++) expect(table.add(`n${number}.example.org`)).toBe(true);
  expect(table.add('n99999.example.org')).toBe(false);
  expect(table.has('n100000.example.org')).toBe(false);
});
