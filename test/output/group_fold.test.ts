import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldHosts, parseHostSet } from '../../src/index.ts';
import { groupFold } from '../../src/output/group_fold.ts';

const groups = (entries: Record<string, string>) =>
  Object.entries(entries).map(([name, text]) => [name, parseHostSet(text)] as const);
const foldOf = (entries: Record<string, string>, most = 1000) => groupFold(groups(entries), most, foldHosts);
const hosts = (text: string) => [...parseHostSet(text)].map(({ label }) => label);

describe('groupFold', () => {
  it.each([
    ['a whole group', { web: 'web[1-3]' }, 'web[1-3]', '@web'],
    ['what is left', { web: 'web[1-3]' }, 'web[1-3],db7', '@web,db7'],
    ['not a part', { web: 'web[1-3]' }, 'web[1-2]', 'web[1-2]'],
    ['the larger one', { web: 'web[1-2]', all: 'web[1-3]' }, 'web[1-3]', '@all'],
    ['two that share no host', { a: 'n[1-2]', b: 'n[3-4]' }, 'n[1-4]', '@a,@b'],
    ['not two that share one', { a: 'n[1-3]', b: 'n[3-4]' }, 'n[1-4]', '@a,n4'],
    ['of equal ones the first', { a: 'n[1-2]', b: 'n[1-2]' }, 'n[1-2]', '@a'],
    ['one host keeps its name', { main: 'db1' }, 'db1', 'db1'],
    ['a name that would not be taken', { 'my group': 'n[1-2]' }, 'n[1-2]', 'n[1-2]'],
    ['nothing', { a: 'n[1-2]' }, '', ''],
  ])('%s', (_, entries, set, expected) => {
    expect(foldOf(entries as Record<string, string>)(set === '' ? [] : hosts(set))).toBe(expected);
  });

  it('never lists a group that is larger than the run', () => {
    expect(foldOf({ world: '10.0.0.0/8' }, 10)(['10.0.0.1'])).toBe('10.0.0.1');
  });

  it('says exactly the set, for any groups', () => {
    const subset = fc.uniqueArray(fc.nat(11), { maxLength: 12 });
    fc.assert(
      fc.property(
        fc.array(
          subset.filter((some) => some.length > 0),
          { maxLength: 6 },
        ),
        subset,
        (parts, set) => {
          const entries = Object.fromEntries(parts.map((some, at) => [`g${at}`, some.map((n) => `n${n}`).join(',')]));
          const text = foldOf(entries)(set.map((n) => `n${n}`));
          const said = text
            .split(/,(?![^[]*\])/)
            .filter((item) => item !== '')
            .flatMap((item) => hosts(item.startsWith('@') ? entries[item.slice(1)]! : item));
          expect(said.sort()).toEqual(set.map((n) => `n${n}`).sort());
        },
      ),
    );
  });
});
