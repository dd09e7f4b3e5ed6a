import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Target } from '../../src/contracts/task.ts';
import { shellQuote, Template } from '../../src/jobs/template.ts';

const target: Target = { label: 'bob@web 1:22', name: 'web 1', user: "o'b", port: 22, index: 6, iteration: 3 };
const bare: Target = { label: 'web1', name: 'web1', index: 0, iteration: 1 };

describe('template', () => {
  test.each([
    ['echo {host}', "echo 'bob@web 1:22'"],
    ['{name}', "'web 1'"],
    ['{name:raw}', 'web 1'],
    ['{user}@{host:raw}', "'o'\\''b'@bob@web 1:22"],
    ['-p {port} {rank}/{count} {i}', '-p 22 6/9 3'],
    ['{i}{i}', '33'],
    ["awk '{{print $1}}'", "awk '{print $1}'"],
    [`\${{HOME}}`, `\${HOME}`],
    ['{{host}}', '{host}'],
    ['{{{i}}}', '{3}'],
    ['', ''],
    ['no places', 'no places'],
  ])('%s → %s', (text, expected) => {
    expect(Template.compile(text, 'shell', 'command').render(target, 9)).toBe(expected);
  });

  test('values that are not there are empty words', () => {
    expect(Template.compile('x {user} {port} {port:raw}.', 'shell', 'command').render(bare, 1)).toBe("x '' '' .");
  });

  test('words that no shell reads are not quoted', () => {
    expect(Template.compile('{user}:{name}', 'none', 'args[0]').render(target, 1)).toBe("o'b:web 1");
  });

  test.each([
    ['{nmae}', 'nothing is known as "{nmae}"'],
    ['{}', 'nothing is known as "{}"'],
    ['{:raw}', 'nothing is known as'],
    ['{host:quoted}', 'nothing is known as "{host:quoted}"'],
    ['{ host }', 'nothing is known as "{ host }"'],
    ['{constructor}', 'nothing is known as'],
    ["awk '{print $1}'", 'write "{{" for a brace'],
    ['a {host', 'position 3'],
    ['a } b', 'write "}}"'],
  ])('%s is refused', (text, words) => {
    expect(() => Template.compile(text, 'shell', 'command')).toThrow(words);
    expect(() => Template.compile(text, 'shell', 'command')).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  test('any text with its braces doubled comes back', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('{', '}', 'a', '$', "'", '😀') }), (text) => {
        const doubled = text.replaceAll('{', '{{').replaceAll('}', '}}');
        expect(Template.compile(doubled, 'shell', 'command').render(target, 1)).toBe(text);
      }),
    );
  });

  test('a real shell reads back what was quoted, as one word', () => {
    const values = fc.sample(fc.string({ unit: fc.constantFrom(...' \'"\\$`!*?[]{}~#&;|<>()\n\tab=%@é') }), {
      numRuns: 300,
      seed: 7,
    });
    const script = values.map((value) => `printf '%s\\0' ${shellQuote(value)}`).join('\n');
    const read = execFileSync('/bin/sh', { input: script }).toString().split('\0').slice(0, -1);
    expect(read).toEqual(values);
  });

  test('a NUL is refused', () => {
    expect(() => shellQuote('a\0b')).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});
