import { describe, expect, test } from 'vitest';
import { parseHostSet } from '../../src/hostset/hostset.ts';
import { type Groups, type Members, NamedHosts } from '../../src/hostset/named_hosts.ts';
import { fits } from '../../src/hostset/wildcard.ts';
import { nearest } from '../../src/util/nearest.ts';

type Table = Readonly<Record<string, Readonly<Record<string, Members>>>>;

/** Groups out of a table; the first source is meant where none is named; a group `all` is all hosts. */
function groupsOf(table: Table, asked: string[] = []): Groups {
  const sources = Object.keys(table);
  const of = (source = sources[0] ?? ''): Readonly<Record<string, Members>> => table[source] ?? {};
  return {
    sources,
    members: (source, group) => {
      asked.push(`${source}:${group}`);
      return of(source)[group];
    },
    names: (source) => Object.keys(of(source)),
    all: (source) => of(source).all,
  };
}

const TABLE: Table = {
  roles: {
    adm: 'example0',
    io: '@racks:rack2,example2',
    compute: '@racks:rack[3-4]',
    gpu: '@racks:rack4',
    empty: ' ',
    all: '@io,@compute',
    loop: '@pool',
    pool: 'example1 @loop',
    bad: 'example1,@typo',
  },
  racks: {
    rack1: 'example[0,2]',
    rack2: 'example[4-5]',
    rack3: 'example[32-159]',
    rack4: parseHostSet('example[156-159]'),
    old: '@rack[1,3]',
    'disk=ssd': 'root@store[1-3]:2222',
  },
};

function labels(text: string, table = TABLE): string[] {
  return Array.from(parseHostSet(text, { names: new NamedHosts(groupsOf(table)) }), (host) => host.label);
}

function count(text: string): number {
  return parseHostSet(text, { names: new NamedHosts(groupsOf(TABLE)) }).count;
}

describe('groups', () => {
  test.each([
    ['@adm', 1],
    ['@roles:adm', 1],
    ['@compute', 128],
    ['@racks:rack[1-2]', 4],
    ['@racks:old', 130],
    ['@*', 131],
    ['@roles:*', 131],
    ['@racks:*', 2 + 2 + 128 + 3],
    ['@racks:rack?', 132],
    ['@compute!@gpu', 124],
    ['@compute&@gpu', 4],
    ['@compute&example[1-40]', 9],
    ['@compute^@gpu', 124],
    ['@empty,web1', 1],
    ['web1,@racks:disk=ssd', 4],
  ])('%s', (text, expected) => {
    expect(count(text)).toBe(expected);
  });

  test('hosts of a group keep users and ports', () => {
    expect(labels('@racks:disk=ssd&store2')).toEqual(['root@store2:2222']);
  });

  test('a group is asked for once', () => {
    const asked: string[] = [];
    const names = new NamedHosts(groupsOf(TABLE, asked));
    for (let time = 0; time < 3; time++) parseHostSet('@compute,@racks:rack3,@compute', { names });
    expect(asked).toEqual(['undefined:compute', 'racks:rack3', 'racks:rack4']);
  });

  test.each([
    ['web1,@comptue', 'at position 6: expected a group that is known; "@comptue" is not; nearest is "compute"'],
    ['@racks:rock4', 'nearest are "rack4", "rack1" and "rack2"'],
    ['@rcks:rack1', 'expected a source of groups: "rcks" is none; known are roles, racks'],
    [
      '@loop',
      '"@loop": host set "example1 @loop": at position 10: expected groups that do not go round in a circle: @loop > @pool > @loop',
    ],
    ['@bad', '"@bad": host set "example1,@typo": at position 10: expected a group that is known'],
    ['@racks:rock*', 'a wildcard that fits a group; "@racks:rock*" fits none'],
    ['@', 'at position 2: expected the name of a group'],
    ['@roles:', 'at position 8: expected the name of a group'],
    ['@adm:22', 'expected a source of groups: "adm" is none'],
    ['@adm/', 'at position 5: expected a letter'],
    ['@rack[1-2000]', 'expected brackets that spell at most 1000 names'],
    ['web[1-9]!@empty', 'expected an exclusion that matches a host before it'],
  ])('%s is refused', (text, message) => {
    expect(() => labels(text)).toThrow(message);
  });

  test('groups 100 deep, and no deeper', () => {
    const chain = (length: number): Table => {
      const groups = Array.from({ length }, (_, index) => [`g${index}`, index === 0 ? 'web1' : `@g${index - 1}`]);
      return { deep: Object.fromEntries(groups) };
    };
    expect(labels('@g99', chain(100))).toEqual(['web1']);
    expect(() => labels('@g100', chain(101))).toThrow('at most 100 deep');
  });
});

describe('wildcards', () => {
  const known: Table = { file: { all: 'web[1-30],db1,root@db2:2222,10.0.0.[1-3]' } };

  test.each([
    ['web1?', 10],
    ['web*', 30],
    ['*', 35],
    ['*b[1-2]', 4],
    ['web?[1-3]', 3 * 2],
    ['10.0.*', 3],
    ['web*!web?', 21],
    ['*&db*', 2],
  ])('%s', (text, expected) => {
    expect(parseHostSet(text, { names: new NamedHosts(groupsOf(known)) }).count).toBe(expected);
  });

  test('user and port that are written win', () => {
    expect(labels('db*', known)).toEqual(['db1', 'root@db2:2222']);
    expect(labels('me@db*', known)).toEqual(['me@db1', 'me@db2:2222']);
    expect(labels('db*:22', known)).toEqual(['db1:22', 'root@db2:22']);
  });

  test('one that fits nothing is refused', () => {
    expect(() => labels('db1,wbe*', known)).toThrow(
      'at position 5: expected a wildcard that fits a known host; "wbe*" fits none',
    );
  });
});

test.each([
  ['', '', true],
  ['', '*', true],
  ['', '?', false],
  ['abc', 'a*c', true],
  ['abc', 'a?c', true],
  ['abc', 'a*b', false],
  ['abcbc', 'a*bc', true],
  ['aaa', '*a*a*a*', true],
  ['aaa', '*a*a*a*a*', false],
  ['a.c', 'abc', false],
])('%j fits %j: %j', (text, mask, expected) => {
  expect(fits(text, mask)).toBe(expected);
});

test('a mask of many stars takes no time', () => {
  expect(fits('a'.repeat(255), `${'a*'.repeat(120)}b`)).toBe(false);
});

test('nearest names', () => {
  const names = ['web', 'webs', 'bew', 'database', 'databse', 'x'];
  expect(nearest('wbe', names)).toEqual(['web']);
  expect(nearest('databas', names)).toEqual(['database', 'databse']);
  expect(nearest('DATABASE', names)).toEqual(['database', 'databse']);
  expect(nearest('nothing', names)).toEqual([]);
});

test('names of groups, as if they were hosts', () => {
  expect(labels('@@')).toEqual(Object.keys(TABLE.roles!));
  expect(labels('@@!all!bad,x1')).toEqual(['adm', 'io', 'compute', 'gpu', 'empty', 'loop', 'pool', 'x1']);
  const fine = { roles: TABLE.roles!, sites: { here: 'a', there: 'b' } };
  expect(labels('@@sites', fine)).toEqual(['here', 'there']);
  expect(() => labels('@@racks')).toThrow('groups whose names could be hosts; "disk=ssd" could not');
  expect(() => labels('@@nowhere')).toThrow('at position 1: expected a source of groups: "nowhere" is none; known are');
  expect(() => labels('@@sites:here', fine)).toThrow('at position 8: expected the name of a source of groups, or ","');
  expect(() => parseHostSet('@@sites')).toThrow('names of groups (@@source) need an inventory');
});

test('what matches nothing is heard of, and passed over', () => {
  const heard: string[] = [];
  const names = new NamedHosts(groupsOf(TABLE));
  const unmatched = ({ message }: Error) => void heard.push(message.replace(/^.*expected /, ''));
  const set = parseHostSet('@adm,@typo,@racks:rack9*,@where:x,nothing*!other1', { names, unmatched });
  expect(Array.from(set, ({ label }) => label)).toEqual(['example0']);
  expect(heard).toEqual([
    'a group that is known; "@typo" is not',
    'a wildcard that fits a group; "@racks:rack9*" fits none',
    'a source of groups: "where" is none; known are roles, racks',
    'a wildcard that fits a known host; "nothing*" fits none',
    'an exclusion that matches a host before it',
  ]);
  // A group that is broken is no name that matches nothing.
  expect(() => parseHostSet('@bad', { names, unmatched })).toThrow('"@typo" is not');
  expect(() => parseHostSet('@loop', { names, unmatched })).toThrow('do not go round in a circle');
});

test('hosts that come again are heard of, and taken once', () => {
  const heard: unknown[] = [];
  const repeated = (told: unknown) => void heard.push(told);
  const of = (text: string) => parseHostSet(text, { repeated }).count;
  expect([of('a,b,c'), of('a,b,a,b,b'), of('a[1-5],b,a3!b')]).toEqual([3, 2, 5]);
  expect(of('10.0.0.0/16,10.0.0.0/24')).toBe(65_536);
  expect(heard).toEqual([
    { count: 3, some: ['a', 'b'], more: false },
    { count: 1, some: ['a3'], more: false },
    { count: 256, some: [], more: true },
  ]);
});
