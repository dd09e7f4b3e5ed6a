/** Takes a lock and says so; keeps it until its stdin ends. */

import { takeLock } from '../../src/fleet/lock.ts';
import { parseHostSet } from '../../src/hostset/hostset.ts';

const [folder, run, hosts] = process.argv.slice(2) as [string, string, string];
// All of them begin at one word.
await new Promise((resolve) => process.stdin.once('data', resolve));
try {
  const free = await takeLock({ folder, run, hosts: parseHostSet(hosts), name: 'deploy' });
  process.stdout.write('taken\n');
  await new Promise((resolve) => process.stdin.once('end', resolve));
  free();
} catch (error) {
  process.stdout.write(`${(error as Error).message}\n`);
  process.stdin.destroy();
}
