/** A run of its own process that journals and is killed by SIGKILL in the middle: see crash.ts. */
import { appendFileSync } from 'node:fs';
import type { Host } from '../../src/contracts/task.ts';
import type { CrashPlan } from './crash.ts';
import { made, result } from './runs.ts';

const { folder, count, fanout, killAt, killIn, log } = JSON.parse(process.argv[2]!) as CrashPlan;
const { journal, record } = made(folder, { id: 'crash', count });

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  // The signal ends the process before this call returns to it.
  throw new Error('still alive');
}

function* hosts(): Generator<Host> {
  for (let i = 0; i < count; i++) {
    if (killIn === 'plan' && i === killAt) die();
    yield { label: `h${i + 1}`, name: `h${i + 1}` };
  }
}

const writer = await journal.create(record, { kind: 'rows', hosts: hosts(), repeat: 1 });
let next = 0;
let executed = 0;

/** What the server sees: one line per command that ran. */
function execute(index: number): void {
  appendFileSync(log, `x${index}\n`);
  executed += 1;
  if (killIn === 'tasks' && executed === killAt) die();
}

async function lane(): Promise<void> {
  while (next < count) {
    const index = next++;
    await writer.claim(index, 1);
    execute(index);
    for (let turns = index % 7; turns > 0; turns--) await new Promise(setImmediate);
    await writer.result(result('crash', index));
    if (index % 500 !== 499) continue;
    await writer.flush();
    appendFileSync(log, `f${index}\n`);
  }
}

await Promise.all(Array.from({ length: fanout }, lane));
await writer.close();
