import { expect, test } from 'vitest';
import { type Facts, parseWhere } from '../../src/inventory/where.ts';

const FACTS: Facts = {
  host: { label: 'root@web1:2222', name: 'web1', user: 'root', port: 2222 },
  variables: { os: 'debian', cores: '8', note: 'two words', empty: '', 'a.b-c': '*' },
  groups: ['web', 'site'],
};

test.each([
  ['os=debian', true],
  ['os = debian', true],
  ['os=deb*', true],
  ['os=d?bian', true],
  ["os='deb*'", false],
  ['os!=debian', false],
  ['os', true],
  ['empty', false],
  ['missing', false],
  ['missing=x', false],
  ['missing!=x', true],
  ['!missing', true],
  ['!!os', true],
  ['os=debian & !role=db', true],
  ['os=suse|cores>4', true],
  ['os=suse | os=debian & cores>9', false],
  ['(os=suse | os=debian) & cores>=8', true],
  ['cores<10', true],
  ['cores<=7', false],
  ['os<10', false],
  ['os>=10', false],
  ['note="two words"', true],
  ["a.b-c='*'", true],
  ['@web', true],
  ['@w*', true],
  ['!@db & @site', true],
  ['name=web1', true],
  ['host=root@web1:2222', true],
  ['user=root&port=2222', true],
])('%s: %j', (text, expected) => {
  expect(parseWhere(text).holds(FACTS)).toBe(expected);
});

test('what it asks for', () => {
  const { variables, groups } = parseWhere('os=debian & (!role | name=x) & @db');
  expect([...variables]).toEqual(['os', 'role']);
  expect([...groups]).toEqual(['db']);
});

test.each([
  ['', 'at position 1: expected a variable, "@group", "!" or "("'],
  ['os=', 'at position 4: expected a value'],
  ['os=a b', 'at position 6: expected "&", "|" or the end'],
  ['(os=a', 'at position 6: expected ")"'],
  ['os=a &', 'at position 7: expected a variable'],
  ['@', 'at position 2: expected the name of a group'],
  ['os="a', 'at position 4: expected a value'],
  ['=a', 'at position 1: expected a variable'],
  [`${'('.repeat(101)}a`, 'expected at most 100 within each other'],
])('%j is refused', (text, message) => {
  expect(() => parseWhere(text)).toThrow(message);
});
