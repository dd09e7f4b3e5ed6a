import { describe, expect, it } from 'vitest';
import { type FuzzResult, fuzz } from './fuzz.ts';

/** Longer: `npm run soak fuzz`. */
const CONVERSATIONS = 300;

describe('conversations with mistakes in them', () => {
  it('end in a result or in an SshError of the peer’s making', async () => {
    const results: FuzzResult[] = [];
    for (let seed = 0; seed < CONVERSATIONS; seed++) results.push(await fuzz(seed));
    const ends = new Map<string, number>();
    for (const { client } of results) ends.set(client, (ends.get(client) ?? 0) + 1);
    // Not all may come through and not all may fail, or the mischief proves nothing.
    expect(ends.get('ok') ?? 0).toBeGreaterThan(CONVERSATIONS / 50);
    expect(ends.get('protocol') ?? 0).toBeGreaterThan(CONVERSATIONS / 10);
    expect(results.filter(({ mutations }) => mutations > 0).length).toBeGreaterThan(CONVERSATIONS / 2);
  });

  it('without mischief all are well', async () => {
    for (let seed = 0; seed < 20; seed++) {
      expect(await fuzz(seed, 0)).toEqual({ client: 'ok', server: 'closed', mutations: 0 });
    }
  });
});
