/** A fleet in a process that has hardly a descriptor left: prints its summary. Its options come on the command line. */
import { closeSync, openSync } from 'node:fs';
import { fleet } from '../../src/index.ts';

/** Descriptors that are left to the run. */
const LEFT = 24;

await using hosts = fleet(JSON.parse(process.argv[2]!));
const eaten: number[] = [];
try {
  for (;;) eaten.push(openSync('/dev/null', 'r'));
} catch {
  for (const descriptor of eaten.splice(-LEFT)) closeSync(descriptor);
}
const { outcomes, retries, limitedBy } = await hosts.run('echo hello').summary();
for (const descriptor of eaten) closeSync(descriptor);
process.stdout.write(`${JSON.stringify({ ok: outcomes.ok, retries, limitedBy })}\n`);
