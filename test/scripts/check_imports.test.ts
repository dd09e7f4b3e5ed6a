import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { checkTree } from '../../scripts/check-imports.ts';

const made: string[] = [];

afterEach(() => {
  for (const root of made.splice(0)) rmSync(root, { recursive: true });
});

/** What the guard finds in a tree of these files: path below its top, text. */
function findsIn(files: Readonly<Record<string, string>>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'myriad-imports-'));
  made.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return checkTree(root);
}

/** A tree in which everything goes down. */
const GOOD = {
  'src/index.ts': "export { fleet } from './fleet/fleet.ts';\nexport type * from './contracts/outcome.ts';\n",
  'src/cli/main.ts': "import { fleet } from '../index.ts';\nimport { fold } from '../output/fold.ts';\nfold(fleet);\n",
  'src/fleet/fleet.ts': "import '../engine/plan.ts';\nimport '../transport/native/dial.ts';\nexport const fleet = 1;\n",
  'src/output/fold.ts':
    "import type { Plan } from '../engine/plan.ts';\nexport const fold = (plan: unknown) => plan as Plan;\n",
  'src/engine/plan.ts': "import { readFile } from 'node:fs/promises';\nexport type Plan = typeof readFile;\n",
  'src/transport/transport.ts': 'export interface Transport {}\n',
  'src/transport/native/dial.ts': "import type { Transport } from '../transport.ts';\nimport '../../ssh/client.ts';\n",
  'src/ssh/client.ts': "import '../contracts/outcome.ts';\nimport '../util/wheel.ts';\n",
  'src/contracts/outcome.ts': 'export type Outcome = 1;\n',
  'src/util/wheel.ts': 'export const wheel = 1;\n',
};

describe('the tree as it should be', () => {
  test('has nothing to report', () => {
    expect(findsIn(GOOD)).toEqual([]);
  });

  test('is this repository', () => {
    expect(checkTree(join(import.meta.dirname, '../..'))).toEqual([]);
  });
});

/** One file added to the good tree, and the one line that must come of it. */
const BAD: readonly (readonly [what: string, path: string, text: string, find: string])[] = [
  [
    'an upward import',
    'src/engine/up.ts',
    "import { fold } from '../output/fold.ts';\n",
    'src/engine/up.ts:1: imports output/fold.ts; output is above engine',
  ],
  [
    'an upward import of a type',
    'src/engine/up.ts',
    "\nimport type { Fold } from '../output/fold.ts';\n",
    'src/engine/up.ts:2: imports output/fold.ts; output is above engine',
  ],
  [
    'an upward import on first use',
    'src/engine/up.ts',
    "const late = () => import('../fleet/fleet.ts');\n",
    'src/engine/up.ts:1: imports fleet/fleet.ts; fleet is above engine',
  ],
  [
    'an upward import in a type',
    'src/engine/up.ts',
    "type Late = import('../fleet/fleet.ts').Fleet;\n",
    'src/engine/up.ts:1: imports fleet/fleet.ts; fleet is above engine',
  ],
  [
    'an upward import over several lines',
    'src/util/up.ts',
    "import {\n  a,\n  b,\n} from '../contracts/outcome.ts';\n",
    'src/util/up.ts:1: imports contracts/outcome.ts; contracts is above util',
  ],
  [
    'the face seen from below',
    'src/fleet/up.ts',
    "import { fleet } from '../index.ts';\n",
    'src/fleet/up.ts:1: imports index.ts; index.ts is above fleet',
  ],
  [
    'a neighbour on the same level',
    'src/hostset/side.ts',
    "import '../ssh/client.ts';\n",
    'src/hostset/side.ts:1: imports ssh/client.ts; ssh and hostset are on one level',
  ],
  [
    'an implementation that sees its sibling',
    'src/transport/local/side.ts',
    "import '../native/dial.ts';\n",
    'src/transport/local/side.ts:1: imports transport/native/dial.ts; transport/local and transport/native are siblings',
  ],
  [
    'a command line that goes round the face',
    'src/cli/deep.ts',
    "import '../engine/plan.ts';\n",
    'src/cli/deep.ts:1: imports engine/plan.ts; cli sees only index.ts, simulator, output, util',
  ],
  [
    'an import from outside src',
    'src/util/out.ts',
    "import '../../test/help.ts';\n",
    'src/util/out.ts:1: imports ../test/help.ts; that is outside src',
  ],
  [
    'a re-export',
    'src/engine/barrel.ts',
    "export * from './plan.ts';\n",
    'src/engine/barrel.ts:1: re-exports engine/plan.ts; only src/index.ts may',
  ],
  [
    'a re-export of names',
    'src/engine/barrel.ts',
    "export type {\n  Plan,\n} from './plan.ts';\n",
    'src/engine/barrel.ts:1: re-exports engine/plan.ts; only src/index.ts may',
  ],
  [
    'a re-export in two steps',
    'src/engine/barrel.ts',
    "import { type Plan as P, other } from './plan.ts';\nexport { P };\n",
    'src/engine/barrel.ts:1: re-exports engine/plan.ts; only src/index.ts may',
  ],
  [
    'a room that is not in the table',
    'src/misc/a.ts',
    'export const a = 1;\n',
    'src/misc: has no level; add it to the table in scripts/check-imports.ts',
  ],
  [
    'a file that imports itself',
    'src/util/self.ts',
    "import './self.ts';\n",
    'cycle at run time: src/util/self.ts > src/util/self.ts',
  ],
  [
    'a file over its budget',
    'src/util/long.ts',
    '\n'.repeat(601),
    'src/util/long.ts: 601 lines; a file has at most 600',
  ],
  [
    'a test file over its budget',
    'test/util/long.test.ts',
    '\n'.repeat(601),
    'test/util/long.test.ts: 601 lines; a file has at most 600',
  ],
  [
    'a function over its budget',
    'scripts/long.ts',
    `const before = 1;\nfunction long() {\n${'  step();\n'.repeat(79)}}\n`,
    'scripts/long.ts:2: "function long() {": 81 lines; a function has at most 80',
  ],
];

describe('the guard fails', () => {
  test.each(BAD)('on %s', (_what, path, text, find) => {
    expect(findsIn({ ...GOOD, [path]: text })).toEqual([find]);
  });

  test('on a cycle at run time, by its shortest way', () => {
    const finds = findsIn({
      ...GOOD,
      'src/util/a.ts': "import './b.ts';\n",
      'src/util/b.ts': "import './c.ts';\nimport './d.ts';\n",
      'src/util/c.ts': "import './d.ts';\n",
      'src/util/d.ts': "const late = () => import('./a.ts');\n",
    });
    expect(finds).toEqual(['cycle at run time: src/util/a.ts > src/util/b.ts > src/util/d.ts > src/util/a.ts']);
  });

  test('on a cycle that only types close, and says so', () => {
    const finds = findsIn({
      ...GOOD,
      'src/util/a.ts': "import './b.ts';\n",
      'src/util/b.ts': "import { type A, type B } from './a.ts';\n",
    });
    expect(finds).toEqual(['cycle of types: src/util/a.ts > src/util/b.ts > src/util/a.ts']);
  });
});

test('a file and a function at their budget pass', () => {
  const text = `function long() {\n${'  step();\n'.repeat(78)}}\n${'\n'.repeat(520)}`;
  expect(findsIn({ ...GOOD, 'src/util/long.ts': text })).toEqual([]);
});

test.each([
  ['  task.stop = (reason) => halt(reason);', 1],
  ['  this.#stop = async () => {', 1],
  ['  list[0] = function () {', 1],
  ['  this.#later ??= () => {', 1],
  ['  watch.stop = halt;', 0],
  ['  const stop = (reason: Error) => halt(reason);', 0],
  ['  run({ stop: () => halt() });', 0],
  ['  // task.stop = () => halt();', 0],
])('a function that is born old: %s', (line, finds) => {
  expect(findsIn({ ...GOOD, 'src/util/line.ts': `${line}\n` })).toHaveLength(finds);
});
