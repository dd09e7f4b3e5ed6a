import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ALIASES, DEPRECATED, KEYWORDS, UNSUPPORTED } from '../../../src/ssh/config/keywords.ts';

const page = readFileSync(new URL('../../../docs/ssh-config.md', import.meta.url), 'utf8').toLowerCase();

test('the page says of every keyword what becomes of it', () => {
  const keywords = [...KEYWORDS.keys(), ...DEPRECATED, ...UNSUPPORTED, 'host', 'match', 'include'];
  const silent = keywords.filter((keyword) => !new RegExp(`\`${keyword}[ \`]`).test(page));
  expect(silent).toEqual([]);
});

test('an alias stands for a keyword', () => {
  for (const keyword of ALIASES.values()) expect(KEYWORDS.has(keyword)).toBe(true);
});
