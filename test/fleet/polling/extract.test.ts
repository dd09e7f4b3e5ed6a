/** Values out of answers. */
import { describe, expect, it } from 'vitest';
import { Bytes } from '../../../src/contracts/task.ts';
import { numberOf, parseExtract } from '../../../src/fleet/polling/extract.ts';

const from = (text: string) => new Bytes(Buffer.from(text), text.length);

describe('extract', () => {
  it.each([
    ['load average: ([\\d.]+)', ' 10:00 up 1 day, load average: 0.52, 0.58', '0.52'],
    ['\\d+', 'a 12 b 13', '12'],
    ['^b=(.*)$', 'a=1\nb=2\n', '2'],
    ['nothing', 'something', undefined],
    ['.load[0]', '{"load":[0.5,1]}', '0.5'],
    ['.disks["/var"].used', '{"disks":{"/var":{"used":7}}}', '7'],
    ['.a', '{"a":"text"}', 'text'],
    ['.a', '{"a":{"b":1}}', '{"b":1}'],
    ['.[1]', '[1,true]', 'true'],
    ['.a.b', '{"a":1}', undefined],
    ['.a', 'no JSON', undefined],
    ['.constructor', '{}', undefined],
    ['.length', '[]', '0'],
  ])('%s in %s: %s', (what, text, value) => {
    expect(parseExtract(what)(from(text))).toBe(value);
  });

  it('keeps values short', () => {
    expect(parseExtract('x+')(from('x'.repeat(9999)))).toHaveLength(256);
    expect(parseExtract('.a')(from(JSON.stringify({ a: 'y'.repeat(9999) })))).toHaveLength(256);
  });

  it.each([
    ['(', /neither a path such as/],
    ['', /got nothing/],
  ])('refuses %j', (what, message) => {
    expect(() => parseExtract(what)).toThrow(message);
  });

  it.each([
    ['1.5', 1.5],
    [' 7 ', 7],
    ['', undefined],
    ['x', undefined],
    ['1e999', undefined],
  ])('%j is the number %s', (text, number) => {
    expect(numberOf(text)).toBe(number);
  });
});
