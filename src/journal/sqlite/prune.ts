/** Retention: runs that are over go when they are old, and the oldest of them when all together are too large. */
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MyriadError } from '../../contracts/errors.ts';
import { listRunFiles, type RunFiles, startedAt } from '../folder.ts';
import type { PruneOptions, PruneReport, Who } from '../journal.ts';
import { isLive, RunLock } from './lock.ts';
import { openForReading } from './open.ts';

const DAY_MS = 86_400_000;
const KEEP_MS = 30 * DAY_MS;
const KEEP_BYTES = 2 * 1024 ** 3;

interface Candidate {
  readonly files: RunFiles;
  readonly bytes: number;
  /** When it was over, as far as that can be told. */
  readonly overAt: number;
}

export function prune(folder: string, who: Who, now: number, options: PruneOptions): PruneReport {
  const { olderThanMs = KEEP_MS, maxBytes = KEEP_BYTES, dryRun = false } = options;
  const live: string[] = [];
  const removed: { id: string; path: string; bytes: number }[] = [];
  const problems: string[] = [];
  const over: Omit<Candidate, 'overAt'>[] = [];
  let left = 0;
  for (const files of listRunFiles(folder)) {
    const bytes = pathsOf(files).reduce((sum, path) => sum + sizeOf(path), 0);
    left += bytes;
    if (isLive(files.lock)) live.push(files.id);
    else over.push({ files, bytes });
  }
  // What began less long ago cannot have been over for longer: thousands of young runs need not be opened.
  const asked = left > maxBytes ? over : over.filter(({ files }) => now - startedAt(files) >= olderThanMs);
  const candidates: Candidate[] = asked.map((each) => ({ ...each, overAt: overAt(each.files) }));
  for (const { files, bytes, overAt: at } of candidates.sort((a, b) => a.overAt - b.overAt)) {
    if (now - at < olderThanMs && left <= maxBytes) continue;
    const problem = dryRun ? undefined : remove(files, who, now);
    if (problem !== undefined) {
      problems.push(problem);
      continue;
    }
    removed.push({ id: files.id, path: files.db, bytes });
    left -= bytes;
  }
  return { removed, leftBytes: left, live, problems };
}

/** A run that crashed, or whose file cannot be read, was over when it was last written. */
function overAt(files: RunFiles): number {
  try {
    const { db, run } = openForReading(files.db);
    db.close();
    if (run.ended_at !== null) return run.ended_at;
  } catch {
    // It is as old as its file.
  }
  return Math.max(...[files.db, `${files.db}-wal`].map((path) => modifiedAt(path)));
}

/** Under its lock, so that nobody goes on with it meanwhile. The file itself goes first: without it there is no run. */
function remove(files: RunFiles, who: Who, now: number): string | undefined {
  try {
    const lock = RunLock.take(files.lock, { who, since: now });
    try {
      for (const path of pathsOf(files)) if (path !== files.lock) rmSync(path, { recursive: true, force: true });
    } finally {
      lock.remove();
    }
    return undefined;
  } catch (error) {
    if (error instanceof MyriadError) return error.message;
    return `the journal ${files.db} could not be removed: ${(error as Error).message}`;
  }
}

/** All that belongs to a run. */
export function pathsOf({ db, lock, outputs }: RunFiles): string[] {
  return [db, `${db}-wal`, `${db}-shm`, `${db}-journal`, outputs, lock];
}

function modifiedAt(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function sizeOf(path: string): number {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 0;
  if (!found.isDirectory()) return found.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(dirname(path), basename(path), name)), 0);
}
