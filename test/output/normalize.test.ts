import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NORMAL_KINDS, type NormalKind, normalized } from '../../src/output/normalize.ts';

const of = (text: string, kinds: readonly NormalKind[], name = 'web1') =>
  normalized(Buffer.from(text), { host: { label: name, name } }, kinds);

describe('normalized', () => {
  it.each<[NormalKind, string, string, string, string]>([
    ['host', 'web1', 'I am web1.example.org', 'web22', 'I am web22.example.org'],
    ['host', 'web1.example.org', 'web1: up, web1.example.org', 'db2.example.org', 'db2: up, db2.example.org'],
    ['host', '10.0.0.1', 'bound to 10.0.0.1:22', '10.0.0.20', 'bound to 10.0.0.20:22'],
    ['host', 'wéb', 'wéb here', 'ñandú', 'ñandú here'],
    ['numbers', 'a', '/dev/sda  40G  12G 30%', 'b', '/dev/sda 400G 1.2T  3%'],
    ['numbers', 'a', 'pid 4711 at 0x7f00', 'b', 'pid 12 at 0x1'],
    ['times', 'a', '12:00:01 up 3 days,  4:05,', 'b', '9:13:59 up 11:20,'],
    ['times', 'a', 'Sat Nov 21 16:00:15 UTC 2026', 'b', 'Mon Jan  2 06:07:08 CEST 2027'],
    ['times', 'a', '2026-11-21T15:02:03.123Z done in 3.5 s', 'b', '2027-01-02 03:04:05+01:00 done in 250ms'],
    ['times', 'a', 'booted 1763740800', 'b', 'booted 1763740999.5'],
  ])('%s: %s "%s" is alike %s "%s"', (kind, one, text, other, same) => {
    expect(of(text, [kind], one)).toBe(of(same, [kind], other));
    expect(of(text, [], one)).not.toBe(of(same, [], other));
  });

  it.each<[NormalKind, string, string]>([
    ['host', 'web1 is up', 'web1-mgmt is up'],
    ['host', 'web1 is up', 'web11 is up'],
    ['numbers', 'kernel 6.1', 'kernel six'],
    ['times', 'version 4.2', 'version 4.3'],
    ['times', 'Saturn', 'Sunday'],
    ['times', '17 items', '18 items'],
  ])('%s: "%s" is not alike "%s"', (kind, text, other) => expect(of(text, [kind])).not.toBe(of(other, [kind])));

  it('leaves any bytes apart that differ otherwise', () => {
    const letters = fc.array(fc.constantFrom(0x61, 0x80, 0xe9, 0xff, 0x0a), { maxLength: 12 });
    fc.assert(
      fc.property(letters, letters, (one, other) => {
        const key = (bytes: number[]) =>
          normalized(Buffer.from(bytes), { host: { label: 'web1', name: 'web1' } }, NORMAL_KINDS);
        expect(key(one) === key(other)).toBe(Buffer.from(one).equals(Buffer.from(other)));
      }),
    );
  });

  it.each([
    ['digits', '1'],
    ['blanks', ' '],
    ['dots', '1.'],
    ['times', '1:11'],
    ['commas', '1, '],
    ['names', 'web1'],
    ['months', 'Jan '],
  ])('a mebibyte of %s is done', (_, piece) => {
    // Were a pattern not linear in it, this would take hours and the test would end by its time.
    const text = piece.repeat(2 ** 20 / piece.length);
    expect(of(text, NORMAL_KINDS).length).toBeLessThanOrEqual(text.length);
  });
});
