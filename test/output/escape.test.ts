import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeControls, escapeText } from '../../src/output/escape.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Each case: what a host sends and what reaches the terminal, both a byte a character. */
const CASES: readonly (readonly [string, string, string])[] = [
  ['plain text', 'a\tb\nc', 'a\tb\nc'],
  ['CR before a newline and at the end', 'a\r\nb\r', 'a\r\nb\r'],
  ['CR inside a line', '50%\r100%', '50%^M100%'],
  ['bell, backspace, null, delete', '\x07\x08\x00\x7f', '^G^H^@^?'],
  ['title', '\x1b]0;x\x07', '^[]0;x^G'],
  ['cursor up', '\x1b[1A', '^[[1A'],
  ['clear the screen', '\x1b[2J', '^[[2J'],
  ['device attributes, which the terminal would answer', '\x1b[c', '^[[c'],
  ['private m sequence', '\x1b[>4;1m', '^[[>4;1m'],
  ['ESC at the end', 'a\x1b', 'a^['],
  ['unfinished colour', '\x1b[31', '^[[31'],
  ['colour with its reset', '\x1b[31mred\x1b[0m!', '\x1b[31mred\x1b[0m!'],
  ['colour with the short reset', '\x1b[1;38:5:9mred\x1b[m', '\x1b[1;38:5:9mred\x1b[m'],
  ['colour left on', '\x1b[31mred', '\x1b[31mred\x1b[0m'],
  ['colour over two lines', '\x1b[31mred\nx', '\x1b[31mred\x1b[0m\nx'],
  ['endless colour', `\x1b[${'1'.repeat(100)}m`, `^[[${'1'.repeat(100)}m`],
  ['UTF-8', '\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa7', '\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa7'],
  ['Latin-1', 'caf\xe9', 'caf\xe9'],
  ['CSI as one byte', '\x9b2J', '\\x9b2J'],
  ['CSI as UTF-8', '\xc2\x9b2J', '\\x9b2J'],
  ['no-break space', '\xc2\xa0', '\xc2\xa0'],
  ['overlong ESC', '\xc0\x9b', '\xc0\\x9b'],
  ['surrogate', '\xed\xa0\x80', '\xed\xa0\\x80'],
  ['cut character', '\xe2\x82', '\xe2\\x82'],
];

describe('escapeControls', () => {
  it.each(CASES)('%s', (_, sent, shown) => {
    expect(escapeControls(bytes(sent)).toString('latin1')).toBe(shown);
  });

  it('returns the same Buffer where nothing is to be done', () => {
    for (const text of ['plain\n', 'caf\xc3\xa9\n', '']) {
      const input = bytes(text);
      expect(escapeControls(input)).toBe(input);
    }
  });

  it('leaves text of any script alone', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const plain = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '');
        expect(escapeControls(Buffer.from(plain)).toString()).toBe(plain);
      }),
    );
  });

  it('never lets a control through except tab, newline, CR before it, and colour', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 8 }).map((array) => Buffer.from(array)),
      fc.constantFrom('\x1b[', '31', ';', 'm', '\x1b', '\r', '\n', '\xc2', '\x9b', '\xe0').map(bytes),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const shown = escapeControls(Buffer.concat(pieces)).toString('latin1');
        const rest = shown.replace(/\x1b\[[0-9;:]*m/g, '').replace(/\r(?=\n|$)/g, '');
        expect(rest).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f]/);
        // As a terminal decodes it, no C1 control is left either.
        expect(escapeControls(Buffer.concat(pieces)).toString()).not.toMatch(/[\u0080-\u009f]/);
      }),
      { numRuns: 500 },
    );
  });

  it('escapes no more the second time', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (array) => {
        const once = escapeControls(Buffer.from(array));
        expect(escapeControls(once)).toEqual(once);
      }),
    );
  });
});

describe('escapeText', () => {
  it.each([
    ['plain é €', 'plain é €'],
    ['two\r\nlines\t', 'two^M^Jlines^I'],
    ['\x1b[31mred', '^[[31mred'],
    ['\u009b2J', '\\x9b2J'],
    ['a\u202eb\u2028', 'a\\u202eb\\u2028'],
  ])('%j', (text, shown) => expect(escapeText(text)).toBe(shown));
});
