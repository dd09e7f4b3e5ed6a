/** 8 MiB to 100 hosts: whole, read once, in little memory. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { simulate } from '../kit/fleet.ts';

it('8 MiB to 100 hosts arrive whole, and the process grows by at most 64 MiB for it', async () => {
  await using hundred = await simulate({ hosts: 100 });
  const file = join(hundred.dir, 'input');
  const bytes = Buffer.alloc(8 * 1024 * 1024);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(at, at);
  writeFileSync(file, bytes);
  const argument = JSON.stringify({ options: hundred.options, file });
  const program = join(import.meta.dirname, 'stdin_memory_child.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [program, argument]);
  const { ok, bytes: got, sums, grownMiB } = JSON.parse(stdout);
  expect([ok, got]).toEqual([100, 100 * 68]);
  expect(sums).toEqual([`${createHash('sha256').update(bytes).digest('hex')}  -\n`]);
  expect(grownMiB).toBeLessThanOrEqual(64);
});
