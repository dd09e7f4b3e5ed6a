/** What must not be seen: the searches of `redact.ts` and `secrets.ts`, by tables and by cutting output everywhere. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../src/contracts/outcome.ts';
import { Redactor } from '../../src/engine/redact.ts';
import { Secrets } from '../../src/engine/secrets.ts';

function redactor(patterns: readonly RegExp[], ...secrets: readonly string[]): Redactor {
  const known = new Secrets();
  for (const secret of secrets) known.add(secret);
  return new Redactor(patterns, known);
}

/** The output of a stream that came in these pieces. */
function streamed(by: Redactor, pieces: readonly Uint8Array[]): Buffer {
  const parts: Buffer[] = [];
  const streams = by.streams((_stream, chunk) => parts.push(Buffer.from(chunk)));
  for (const piece of pieces) {
    // Valid during the call only.
    const lent = Buffer.from(piece);
    streams.write('stdout', lent);
    lent.fill(0x78);
  }
  streams.end();
  return Buffer.concat(parts);
}

describe('matches', () => {
  test.each<[string, RegExp[], string, string]>([
    ['a match', [/token=\w+/], 'a token=abc b\n', 'a [redacted] b\n'],
    ['all of them', [/\d+/], '1 a 22\n333\n', '[redacted] a [redacted]\n[redacted]\n'],
    ['a last line without an end', [/abc$/], 'abc\nabc', '[redacted]\n[redacted]'],
    ['nothing', [/zzz/], 'abc\n', 'abc\n'],
    ['the start and end of each line', [/^a$/], 'a\nba\na\n', '[redacted]\nba\n[redacted]\n'],
    ['a CR before the newline is no part of the line', [/a.*$/], 'xab\r\n', 'x[redacted]\r\n'],
    ['no match goes on in the next line', [/a[^x]*b/], 'a\nb a b\n', 'a\nb [redacted]\n'],
    ['of several patterns, those that overlap as one', [/abc/, /cde/], 'abcde\n', '[redacted]\n'],
    ['of several patterns, neighbours by themselves', [/ab/, /cd/], 'abcd\n', '[redacted][redacted]\n'],
    ['empty matches are none', [/x*/], 'abxc\n', 'ab[redacted]c\n'],
    ['flags', [/SECRET/i], 'Secret\n', '[redacted]\n'],
    ['a pattern with g and y is searched everywhere', [/b/gy], 'abab\n', 'a[redacted]a[redacted]\n'],
    ['characters of several bytes around it', [/pass/], 'é😀pass😀é\n', 'é😀[redacted]😀é\n'],
    ['characters of several bytes within it', [/p.+d/u], 'é p😀äd €\n', 'é [redacted] €\n'],
    ['half a character is the whole one', [/a./], 'xa😀y\n', 'x[redacted]y\n'],
    ['what it was replaced by is not searched again', [/redacted|x/], 'x redacted\n', '[redacted] [redacted]\n'],
    ['empty lines', [/a/], '\n\na\n\n', '\n\n[redacted]\n\n'],
  ])('%s', (_name, patterns, text, expected) => {
    expect(streamed(redactor(patterns), [Buffer.from(text)]).toString()).toBe(expected);
    expect(redactor(patterns).text(text)).toBe(expected);
  });

  test('bytes that are no UTF-8 pass, and are not what any character is', () => {
    const bytes = Buffer.from([0x61, 0xff, 0xc3, 0x62, 0xe2, 0x82, 0x70, 0x77, 0xf0, 0x9f, 0x0a]);
    expect(streamed(redactor([/pw/, /�/, /ÿ/]), [bytes])).toEqual(
      Buffer.concat([bytes.subarray(0, 6), Buffer.from('[redacted]'), bytes.subarray(8)]),
    );
    expect(streamed(redactor([/a.+w/u]), [bytes]).toString('latin1')).toBe('[redacted]\xf0\x9f\n');
  });

  test('the caller keeps its patterns', () => {
    const pattern = /a/g;
    pattern.lastIndex = 1;
    redactor([pattern]).text('aaa');
    expect(pattern.lastIndex).toBe(1);
  });

  test('the same Buffer where there is nothing to take out', () => {
    const bytes = Buffer.from('plain\nlines\n');
    expect(redactor([/zzz/], 'hunter22').clean(bytes)).toBe(bytes);
  });
});

describe('pieces', () => {
  const text = Buffer.from('user=é😀 pass=höh€r;\r\nnext hunter22\nlast pass=x hunt');

  test('cut at every place, twice, it comes out the same', () => {
    const by = redactor([/pass=\S+/u, /ne.t/], 'hunter22');
    const whole = streamed(by, [text]).toString();
    expect(whole).toBe('user=é😀 [redacted]\r\n[redacted] [redacted]\nlast [redacted] hunt');
    for (let a = 0; a <= text.length; a++) {
      for (let b = a; b <= text.length; b++) {
        const pieces = [text.subarray(0, a), text.subarray(a, b), text.subarray(b)];
        if (streamed(by, pieces).toString() !== whole) expect([a, b, streamed(by, pieces).toString()]).toBe(whole);
      }
    }
  });

  test('lines of any length in pieces of any length, bytes of any kind', () => {
    const by = redactor([/a[^b]{0,20}b/, /é+/u], 'hunter22');
    const part = fc.constantFrom(
      'a',
      'b',
      'é',
      '😀',
      '\n',
      '\r\n',
      'hunter22',
      'x'.repeat(5000),
      'ab'.repeat(700),
      '\xff',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 30 }), fc.array(fc.nat(40_000), { maxLength: 12 }), (parts, cuts) => {
        const bytes = Buffer.concat(parts.map((text) => (text === '\xff' ? Buffer.from([0xff]) : Buffer.from(text))));
        const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
        const pieces = places.slice(1).map((end, at) => bytes.subarray(places[at], end));
        expect(streamed(by, pieces).equals(by.clean(bytes))).toBe(true);
      }),
      { numRuns: 60, seed: 4 },
    );
  });

  test('in a line without an end, wherever it stands; little is held', () => {
    const by = redactor([/secret-\d{1,4000}-end/], 'hunter22');
    const word = `secret-${'7'.repeat(4000)}-end`;
    for (const before of [0, 4_000, 8_190, 8_200, 12_400, 16_380, 16_390, 40_000]) {
      const line = Buffer.from(`${'.'.repeat(before)}${word}${'.'.repeat(20_000)}hunter22${'.'.repeat(9)}`);
      const parts: Buffer[] = [];
      const streams = by.streams((_stream, chunk) => parts.push(Buffer.from(chunk)));
      for (let at = 0; at < line.length; at += 1000) {
        streams.write('stdout', line.subarray(at, at + 1000));
        const given = Buffer.concat(parts).toString();
        expect(given).not.toContain('7');
        expect(Math.min(at + 1000, line.length) - given.length).toBeLessThanOrEqual(16 * 1024 + word.length);
      }
      streams.end();
      expect(Buffer.concat(parts).toString()).toBe(
        `${'.'.repeat(before)}[redacted]${'.'.repeat(20_000)}[redacted]${'.'.repeat(9)}`,
      );
    }
  });

  test('stdout and stderr are apart', () => {
    const parts: [string, string][] = [];
    const streams = redactor([/ab/]).streams((stream, chunk) => parts.push([stream, chunk.toString()]));
    streams.write('stdout', Buffer.from('a'));
    streams.write('stderr', Buffer.from('b\n'));
    streams.write('stdout', Buffer.from('b\n'));
    expect(parts).toEqual([
      ['stderr', 'b\n'],
      ['stdout', '[redacted]\n'],
    ]);
  });
});

describe('secrets', () => {
  const secret = `p'a"s/ö\\ w`;

  test.each([
    ['as it is', secret],
    ['quoted for a shell', `p'\\''a"s/ö\\ w`],
    ['in JSON', JSON.stringify(secret).slice(1, -1)],
    ['in a URL', encodeURIComponent(secret)],
    ['in base64', Buffer.from(secret).toString('base64')],
    ['in base64 for URLs', Buffer.from(secret).toString('base64url')],
  ])('%s', (_name, text) => {
    const clean = redactor([], secret).text(`<${text}>`);
    expect(clean.replace(/=+>/, '>')).toBe('<[redacted]>');
  });

  test('short ones are words: left alone', () => {
    expect(redactor([], 'abc').text('abc')).toBe('abc');
    expect(redactor([], 'abc').active).toBe(false);
    expect(redactor([], 'äöüß').text('äöüß')).toBe('[redacted]');
  });

  test('one that overlaps itself', () => {
    expect(redactor([], 'abab').text('xabababx')).toBe('x[redacted]x');
  });

  test('each of very many, found as each of a few is', () => {
    const many = Array.from({ length: 500 }, (_, i) => `secret${i}x`);
    const by = redactor([], ...many);
    expect(by.text(many.join(' '))).toBe(many.map(() => '[redacted]').join(' '));
    expect(by.text('secret secret5 secret500x secre')).toBe('secret secret5 secret500x secre');
  });

  test('the newest 20,000 are known', () => {
    const secrets = new Secrets();
    for (let i = 0; i < 20_001; i++) secrets.add(`password-${i}!`);
    const by = new Redactor([], secrets);
    expect(by.text('password-0! password-1! password-20000!')).toBe('password-0! [redacted] [redacted]');
    secrets.clear();
    expect([secrets.size, by.active, by.text('password-1!')]).toEqual([0, false, 'password-1!']);
  });

  test('learnt in the middle of a run', () => {
    const secrets = new Secrets();
    const by = new Redactor([], secrets);
    expect(by.text('hunter22')).toBe('hunter22');
    secrets.add('hunter22');
    expect(by.text('hunter22')).toBe('[redacted]');
  });
});

describe('outcomes', () => {
  test('what a host says of itself, not what happened', () => {
    const outcome: Outcome = {
      kind: 'auth-failed',
      began: 'no',
      tried: ['password: hunter22 was refused'],
      allowed: ['publickey'],
    };
    expect(redactor([/auth|publickey|no/], 'hunter22').plain(outcome)).toEqual({
      kind: 'auth-failed',
      began: 'no',
      tried: ['password: [redacted] was refused'],
      allowed: ['[redacted]'],
    });
  });
});
