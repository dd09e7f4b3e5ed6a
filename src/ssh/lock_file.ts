/**
 * A lock between processes: a file that exists while the lock is held, with `pid start host` of its owner.
 *
 *   free ──link──▶ held ──unlink by the owner──▶ free
 *                  held ──owner is gone; unlink under LOCK.break──▶ free
 *
 * It appears complete (written aside, then linked), so nobody reads half an owner. Only the holder of LOCK.break removes another's lock,
 * and reads it again before: two processes that find the same stale lock cannot remove the lock that follows it.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, open, readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { MyriadError } from '../contracts/errors.ts';

/** How long to wait for a living owner, which holds the lock for milliseconds. */
const WAIT_MS = 30_000;
/** A lock of another machine (a shared home directory) is stale after this long: its owner cannot be asked. */
const FOREIGN_STALE_MS = 300_000;
/** The holder of LOCK.break needs three system calls. */
const BREAK_STALE_MS = 10_000;
const POLL_MS = 5;

/** Runs `work` while holding the lock `path`. Rejects with `file` when a living owner does not let go for `waitMs` (30 s). */
export async function withLockFile<T>(path: string, work: () => Promise<T>, waitMs = WAIT_MS): Promise<T> {
  await acquire(path, waitMs);
  try {
    return await work();
  } finally {
    await unlessMissing(unlink(path));
  }
}

async function acquire(path: string, waitMs: number): Promise<void> {
  const aside = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  await writeFile(aside, `${process.pid} ${processStart(process.pid)} ${hostname()}\n`, { flag: 'wx', mode: 0o600 });
  try {
    const until = performance.now() + waitMs;
    while (!(await tryLink(aside, path))) {
      if (await isStale(path)) await breakLock(path);
      else if (performance.now() > until) throw await heldBy(path, waitMs);
      else await sleep(POLL_MS + Math.random() * POLL_MS);
    }
  } finally {
    await unlink(aside);
  }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

async function heldBy(path: string, waitMs: number): Promise<MyriadError> {
  const [pid, , host] = (await readOwner(path)) ?? [];
  const owner = `process ${pid ?? '?'} on ${host ?? '?'}`;
  const waited = `${path} was held by ${owner} for ${waitMs / 1000} s`;
  return new MyriadError('file', `${waited}; remove it if that process is no longer there`);
}

async function readOwner(path: string): Promise<string[] | undefined> {
  const text = await unlessMissing(readFile(path, 'latin1'));
  return text?.slice(0, 500).trim().split(' ');
}

async function isStale(path: string): Promise<boolean> {
  const owner = await readOwner(path);
  if (owner === undefined) return false;
  const [pidText, start, host] = owner;
  const pid = Number(pidText);
  if (host !== hostname() || !Number.isSafeInteger(pid) || pid <= 0) return isOlder(path, FOREIGN_STALE_MS);
  return !isAlive(pid) || processStart(pid) !== start;
}

async function isOlder(path: string, ms: number): Promise<boolean> {
  const found = await unlessMissing(stat(path));
  return found !== undefined && Date.now() - found.mtimeMs > ms;
}

async function breakLock(path: string): Promise<void> {
  const breaker = `${path}.break`;
  try {
    await (await open(breaker, 'wx', 0o600)).close();
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    if (await isOlder(breaker, BREAK_STALE_MS)) await unlessMissing(unlink(breaker));
    else await sleep(POLL_MS);
    return;
  }
  try {
    if (await isStale(path)) await unlessMissing(unlink(path));
  } finally {
    await unlessMissing(unlink(breaker));
  }
}

/** Whether there is a process with this number, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}

/** When the process started, in the kernel's ticks: tells a process from a later one with its number. '-' where there is no /proc. */
export function processStart(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field, the program's name, may contain blanks and brackets; the 22nd follows its last bracket.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '-';
  } catch {
    return '-';
  }
}

async function unlessMissing<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
