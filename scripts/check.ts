/** All that can be said of the sources without running them, and of the package that is built of them. */
import { runSteps } from './steps.ts';

const passed = runSteps([
  { name: 'format and lint', program: 'biome', args: ['check', '--error-on-warnings', '.'] },
  // Before the types: the examples import the package by its name, which is what was built.
  { name: 'build', program: 'node', args: ['scripts/build.ts'] },
  { name: 'types', program: 'tsc', args: ['--noEmit'] },
  { name: 'imports and sizes', program: 'node', args: ['scripts/check-imports.ts'] },
  { name: 'dead code', program: 'knip', args: [] },
  { name: 'package', program: 'publint', args: ['--strict'] },
]);
process.exit(passed ? 0 : 1);
