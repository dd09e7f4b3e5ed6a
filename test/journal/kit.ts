/** Journals of tests: a folder of its own, runs and results as they might be. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { MyriadError } from '../../src/contracts/errors.ts';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A folder that is gone after the test. */
export function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'myriad-journal-'));
  folders.push(folder);
  return folder;
}

/** The sentence of the MyriadError `journal` that `work` throws or rejects with. */
export async function sentence(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof MyriadError && error.code === 'journal') return error.message;
    throw error;
  }
  throw new Error('nothing was thrown');
}
