/**
 * In a mount namespace of its own, on a small tmpfs at argv[2]: a run whose disk is full while it goes on, then resumed with space
 * again. The options of the fleet come on stdin. Prints what was found as JSON.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fleet, openJournal } from '../../src/index.ts';
import { exitCode } from '../../src/output/exit_code.ts';

const folder = process.argv[2]!;
const ballast = join(folder, 'ballast');
/** Commands that begin while there is space. */
const BEGUN = 100;

const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder], { encoding: 'utf8' });
if (status !== 0) throw new Error(`mount: ${stderr}`);

/** Takes what space there is. */
function fill(): void {
  for (const size of [1_000_000, 4_096, 512]) {
    try {
      while (true) appendFileSync(ballast, Buffer.alloc(size));
    } catch {
      // No block of this size is left.
    }
  }
}

const hosts = fleet({ ...JSON.parse(readFileSync(0, 'utf8')), journal: folder });
const run = hosts.run('hostname');
let begun = 0;
run.on(({ type }) => {
  if (type === 'task:start' && ++begun === BEGUN) fill();
});
const full = await run.summary();
await hosts.close();
rmSync(ballast);
const reader = openJournal({ folder }).read('last');
const { state } = reader.info;
const { done, lost } = reader.resumeState();
reader.close();
await using again = fleet({ resume: 'last', journal: folder });
const resumed = await again.resume().summary();
const { stopped, stopReason, outcomes, planned } = full;
const crashed = { state, done: done.size, lost: lost.size };
const after = { outcomes: resumed.outcomes, stopped: resumed.stopped, resumed: resumed.resumed };
console.log(JSON.stringify({ stopped, stopReason, outcomes, planned, begun, code: exitCode(full), crashed, after }));
