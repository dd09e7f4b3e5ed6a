import { describe, expect, test } from 'vitest';
import { splitArguments, splitLine, WordReader } from '../../../src/ssh/config/lexer.ts';

describe('a line is a keyword and the rest', () => {
  test.each([
    ['Host a b', 'host', 'a b'],
    ['  \tHost\ta', 'host', 'a'],
    ['Host=a', 'host', 'a'],
    ['Host = a', 'host', 'a'],
    ['Host == a', 'host', '= a'],
    ['Host  =  a  \t\r\f', 'host', 'a'],
    ['"Host" a', 'host', 'a'],
    ['=User x', 'user', 'x'],
    ['User', 'user', ''],
    ['User a\0b c', 'user', 'a'],
  ])('%j', (line, keyword, rest) => {
    expect(splitLine(line)).toEqual({ keyword, rest });
  });

  test.each(['', '   ', '# Host a', '  #x', '#Host a', '"Host a', '\r'])('%j says nothing', (line) => {
    expect(splitLine(line)).toBeUndefined();
  });
});

describe('arguments', () => {
  test.each<[string, string[] | undefined]>([
    ['a b  c', ['a', 'b', 'c']],
    ['"a b" c', ['a b', 'c']],
    ["'a b'c", ['a bc']],
    ['a\\ b', ['a b']],
    ['"a\\ b"', ['a\\ b']],
    ['\\"a\\" \\\\x \\n', ['"a"', '\\x', '\\n']],
    ['a # c', ['a']],
    ['a#c d', ['a#c', 'd']],
    ['"#" x', ['#', 'x']],
    ['""', ['']],
    ['a\tb', ['a', 'b']],
    ['"a', undefined],
    ["a 'b", undefined],
  ])('%j', (text, words) => {
    expect(splitArguments(text)).toEqual(words);
  });
});

test('the words of Match are cut at = and keep blanks in double quotes', () => {
  const words = new WordReader('host=a exec "test x = y" user b');
  const read = Array.from({ length: 7 }, () => words.next());
  expect(read).toEqual(['host', 'a', 'exec', 'test x = y', 'user', 'b', undefined]);
  expect(words.rest).toBeUndefined();
});
