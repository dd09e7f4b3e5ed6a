/** All that can be said of the sources without running them; the last steps build dist/ and look at the package. */
import { runSteps } from './steps.ts';

const passed = runSteps([
  { name: 'format and lint', program: 'biome', args: ['check', '--error-on-warnings', '.'] },
  { name: 'types', program: 'tsc', args: ['--noEmit'] },
  { name: 'imports and sizes', program: 'node', args: ['scripts/check-imports.ts'] },
  { name: 'dead code', program: 'knip', args: [] },
  { name: 'build', program: 'node', args: ['scripts/build.ts'] },
  { name: 'package', program: 'publint', args: ['--strict'] },
]);
process.exit(passed ? 0 : 1);
