/** A run that is killed, or whose disk is full: what is resumed comes out even, and no command runs twice. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { crashFleetAndResume } from '../journal/fleet_crash.ts';
import { simulate } from '../kit/fleet.ts';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'myriad-crash-'));
  folders.push(folder);
  return folder;
}

it.each([
  [1, 1],
  [2, 1],
  [3, 2],
])('killed at moment %i, threads %i: every host has one outcome, and none ran twice', async (seed, threads) => {
  const finding = await crashFleetAndResume({ folder: temporary(), hosts: 400, fanout: 150, threads, seed });
  expect(finding.problems).toEqual([]);
  // The command at whose start it was killed has no result.
  expect(finding.executed).toBeGreaterThanOrEqual(finding.killedAt);
  expect(finding.lost).toBeGreaterThan(0);
});

/** Only root may mount, or who is root in a user namespace of its own. */
const UNSHARE = process.getuid?.() === 0 ? ['-m'] : ['-rm'];

it('a disk that is full stops the run: nothing unrecorded begins, and it can be resumed', async () => {
  await using simulated = await simulate({ hosts: 1000 });
  const script = join(import.meta.dirname, '../journal/fleet_disk_child.ts');
  const args = [...UNSHARE, process.execPath, script, temporary()];
  const child = spawn('unshare', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify({ ...simulated.options, fanout: 64, threads: 1 }));
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  expect((await once(child, 'close'))[0]).toBe(0);
  const { begun, outcomes, ...found } = JSON.parse(said);
  expect(found).toMatchObject({
    planned: 1000,
    stopped: 'journal',
    stopReason: expect.stringMatching(
      /^the journal \/.* cannot grow: the disk is full; free some space and resume the run$/,
    ),
    code: 1,
  });
  expect(begun).toBeLessThan(1000);
  expect(outcomes.ok + outcomes['not-run']).toBe(1000);
  expect(outcomes.ok).toBe(begun);
  // What ended without a record may have run; nothing else is in doubt, and none ran twice.
  const { done, lost, state } = found.crashed;
  expect(state).toBe('crashed');
  expect(done).toBeLessThanOrEqual(begun);
  expect(done + lost).toBeGreaterThanOrEqual(begun);
  expect(found.after).toMatchObject({ stopped: 'no', resumed: done, outcomes: { ok: 1000 - lost, lost } });
  expect(simulated.simulator.stats.commands).toBe(begun + 1000 - done - lost);
});
