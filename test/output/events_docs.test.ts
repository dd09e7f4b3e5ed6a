/** docs/events.md against the schema and the columns of CSV: complete, and true. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import schema from '../../src/contracts/events.schema.json' with { type: 'json' };
import { csvHead } from '../../src/output/csv.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/events.md'), 'utf8');

interface Part {
  readonly properties?: Readonly<Record<string, { readonly const?: unknown }>>;
  readonly oneOf?: readonly Part[];
}

const parts = Object.entries(schema.$defs as unknown as Readonly<Record<string, Part>>);
const names = (part: Part): string[] => [
  ...Object.keys(part.properties ?? {}),
  ...(part.oneOf ?? []).flatMap((one) => names(one)),
];

describe('docs/events.md', () => {
  it.each(parts.map(([name, part]) => [name, names(part)] as const))('names every field of %s', (_, fields) => {
    expect(fields.filter((field) => !new RegExp(`\`(\\{")?${field}[\`"]`).test(page))).toEqual([]);
  });

  it('has every event in its table, and no other', () => {
    const types = parts.map(([, part]) => part.properties?.type?.const).filter((type) => type !== undefined);
    const table = page.slice(page.indexOf('## In the order'), page.indexOf('## task:end'));
    expect([...table.matchAll(/^\| `([a-z:]+)` \| (?!when)/gm)].map(([, type]) => type).sort()).toEqual(types.sort());
  });

  it('names every column of CSV, in order', () => {
    const part = page.slice(page.indexOf('## CSV'));
    const columns = csvHead().trim().split(',');
    expect([...part.matchAll(/`([a-z_]+)`(?=[,\s])/g)].map(([, name]) => name)).toEqual(columns);
  });
});
