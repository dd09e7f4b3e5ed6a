import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { withUsualDescriptors } from '../../src/util/usual_descriptors.ts';

const SHOW = withUsualDescriptors('ulimit -S -n; exit 3');

test.each([
  [2_000, '1024'],
  [1_024, '1024'],
  [300, '300'],
])('under a hard limit of %d a shell has %s descriptors, and no word is said', (hard, soft) => {
  const line = `ulimit -n ${hard}; exec /bin/sh -c "$0" 2>&1`;
  expect(execFileSync('/bin/sh', ['-c', `(${line}) || echo "status $?"`, SHOW]).toString()).toBe(`${soft}\nstatus 3\n`);
});
