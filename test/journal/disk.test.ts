import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporary } from './kit.ts';
import { endedRun } from './runs.ts';

const ROOT = process.getuid?.() === 0;
/** Only root may mount, or who is root in a user namespace of its own. */
const UNSHARE = ROOT ? ['-m'] : ['-rm'];

function child(command: string, args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 60_000 });
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

it('a disk that is full stops what would begin, and loses nothing', () => {
  const folder = temporary();
  const script = join(import.meta.dirname, 'disk_child.ts');
  const found = child('unshare', [...UNSHARE, process.execPath, script, folder]);
  const isFull = /^the journal \/.* cannot grow: the disk is full; free some space and resume the run$/;
  expect(found).toMatchObject({
    full: expect.stringMatching(isFull),
    flushed: expect.stringMatching(isFull),
    other: expect.stringMatching(
      /^the journal \/.* (cannot be created: the disk is full|cannot grow: the disk is full)/,
    ),
    early: 'read',
  });
  expect(found.claimed).toBeGreaterThanOrEqual(2_000);
  // With space again all that was given is there, and claims are taken.
  expect([found.afterwards, found.claimedAgain]).toEqual(['', '']);
  expect([found.done, found.outputs]).toEqual([found.claimed, true]);
  // None of those whose claim was refused.
  expect(found.lost).toEqual([49_999]);
  expect(found.readOnly).toEqual({
    create: expect.stringMatching(/^the journal .* cannot be created: the file system is read-only; use --journal/),
    resume: expect.stringMatching(/^the journal .* read-only/),
    prune: [expect.stringMatching(/read-only/), expect.stringMatching(/read-only/)],
    states: ['run-1 crashed', 'before ended'],
  });
  expect(readdirSync(folder)).toEqual([]);
});

it('who may not, is told so', async () => {
  const folder = temporary();
  await endedRun(folder, 'run-1', 1);
  const found = child(process.execPath, [join(import.meta.dirname, 'access_child.ts'), folder]);
  if (!ROOT) chmodSync(folder, 0o700);
  for (const said of [found.create, found.read, found.resume, found.list]) {
    expect(said).toMatch(/^(the journal|journal folder) \/.* permission denied/i);
  }
});
