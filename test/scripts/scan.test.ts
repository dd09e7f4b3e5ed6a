import { describe, expect, test } from 'vitest';
import { blankLiterals, findFunctions, findImports } from '../../scripts/scan.ts';

describe('imports', () => {
  test.each([
    ["import { a } from './a.ts';", false, false],
    ["import a, { type B } from './a.ts';", false, false],
    ["import * as a from './a.ts';", false, false],
    ["import './a.ts';", false, false],
    ['import { a } from "./a.ts";', false, false],
    ["import type { A } from './a.ts';", true, false],
    ["import type A from './a.ts';", true, false],
    ["import { type A, type B } from './a.ts';", true, false],
    ["import type from './a.ts';", false, false],
    ["export * from './a.ts';", false, true],
    ["export type { A } from './a.ts';", true, true],
    ["const a = await import('./a.ts');", false, false],
    ["const quote = /'/; const a = await import('./a.ts');", false, false],
    ["const half = a / b; const c = import('./a.ts'); // a / b", false, false],
  ])('%s', (text, typeOnly, reExport) => {
    expect(findImports(text)).toEqual([{ specifier: './a.ts', line: 1, typeOnly, reExport }]);
  });

  test.each([
    "// import './a.ts';",
    "/*\nimport './a.ts';\n*/",
    "const text = `\nimport './a.ts';\n`;",
    'const text = "import(\'./a.ts\')";',
    "export const from = './a.ts';",
    "export type From = 'a' | 'b';",
    `const text = \`\${\`\${"\`"}\`}\nimport './a.ts';\`;`,
  ])('none in %j', (text) => {
    expect(findImports(text)).toEqual([]);
  });

  test('carry the line they start on', () => {
    const sites = findImports("import './a.ts';\n\nimport {\n  b,\n} from './b.ts';\n");
    expect(sites.map(({ specifier, line }) => [specifier, line])).toEqual([
      ['./a.ts', 1],
      ['./b.ts', 3],
    ]);
  });
});

describe('blanked text', () => {
  test.each([
    ["a('x') // c", "a(' ')     "],
    [`a = \`x\${b}\` + c`, 'a =         + c'],
    ['a = b / c / d', 'a = b / c / d'],
    ["return /[/']/.test(x)", 'return       .test(x)'],
    ["'\\'' + b", "'  ' + b"],
    ["/* '\n */ b", '    \n    b'],
  ])('%j', (text, blanked) => {
    expect(blankLiterals(text)).toBe(blanked);
  });
});

describe('functions', () => {
  test.each([
    ['function a() {\n}', 'function a() {', 2],
    [
      'export async function* a<T extends { b: 1 }>(b: T): AsyncGenerator<T> {\n}',
      'export async function* a<T extends { b: 1 }>(b: T): AsyncGen',
      2,
    ],
    ['function a(\n  b: number,\n): void {\n  c();\n}', 'function a(', 5],
    ['function a(b: B): {\n  c: number;\n} {\n  d();\n}', 'function a(b: B): {', 5],
    ['const a = async (b: B): Promise<C> => {\n};', 'const a = async (b: B): Promise<C> => {', 2],
    ['a.on("b", () => {\n});', 'a.on("b", () => {', 2],
    ['class A {\n  static async #b(c: C): D {\n  }\n}', 'static async #b(c: C): D {', 2],
    ['class A {\n  constructor(\n    b: B,\n  ) {\n    c();\n  }\n}', 'constructor(', 5],
    ['class A {\n  get b(): B {\n  }\n}', 'get b(): B {', 2],
    ['const a = {\n  [b](c) {\n  },\n};', '[b](c) {', 2],
    ['function a() {\n  return `\n}\n`;\n}', 'function a() {', 5],
  ])('%j', (text, head, lines) => {
    expect(findFunctions(text).map((found) => [found.head, found.lines])).toEqual([[head, lines]]);
  });

  test.each([
    'if (a) {\n}',
    'if (a) {\n} else if (b) {\n} else {\n}',
    '  if (\n    a\n  ) {\n    b();\n  }',
    'for (const a of b) {\n}',
    'while (a()) {\n}',
    'switch (a) {\n  case b: {\n  }\n}',
    'try {\n} catch (error) {\n}',
    'class A extends B {\n}',
    'interface A {\n}',
    'const a = {\n};',
    'type A = {\n};',
  ])('none in %j', (text) => {
    expect(findFunctions(text)).toEqual([]);
  });
});
