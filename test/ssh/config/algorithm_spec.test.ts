import { describe, expect, test } from 'vitest';
import { applySpec, specProblem } from '../../../src/ssh/config/algorithm_spec.ts';

const DEFAULTS = ['aes256-gcm', 'aes128-ctr', 'chacha'];
const KNOWN = ['3des-cbc', 'aes128-cbc', 'aes128-ctr', 'aes256-gcm', 'chacha'];

describe('algorithm lists', () => {
  test.each<[string | undefined, string[]]>([
    [undefined, DEFAULTS],
    ['', DEFAULTS],
    ['chacha,aes128-ctr', ['chacha', 'aes128-ctr']],
    ['chacha,none-such,chacha', ['chacha']],
    ['aes128-*', ['aes128-cbc', 'aes128-ctr']],
    ['+3des-cbc', [...DEFAULTS, '3des-cbc']],
    ['+aes*', [...DEFAULTS, 'aes128-cbc']],
    ['+chacha', DEFAULTS],
    ['-aes*', ['chacha']],
    ['-chacha,aes256-gcm', ['aes128-ctr']],
    ['-*', []],
    ['^chacha', ['chacha', 'aes256-gcm', 'aes128-ctr']],
    ['^*cbc', ['3des-cbc', 'aes128-cbc', ...DEFAULTS]],
    ['none-such', []],
  ])('%j', (spec, expected) => {
    expect(applySpec(spec, DEFAULTS, KNOWN)).toEqual(expected);
  });

  test('the defaults are not handed out', () => {
    const list = applySpec(undefined, DEFAULTS, KNOWN);
    list.pop();
    expect(DEFAULTS).toHaveLength(3);
  });

  test('bad lists', () => {
    expect(specProblem('a,,b')).toMatch(/empty name/);
    expect(specProblem('+')).toMatch(/empty name/);
    expect(specProblem('!a')).toMatch(/"!"/);
    expect(specProblem('-!a')).toBeUndefined();
    expect(specProblem('^a*')).toBeUndefined();
  });
});
