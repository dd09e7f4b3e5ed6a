/**
 * The lock of a run, on this machine: while a run lives, no other run of this user with the same lock begins on a host of its own
 * without being asked. (On the hosts it is a lease, see `jobs/lease.ts`, which other machines and users meet, too.)
 *
 *   free ──no living run has hosts of ours──▶ held ──end of the run──▶ free
 *   free ──some have──▶ asked ──yes──▶ free      looks again: those that were asked about do not count any more
 *                       asked ──no, nobody to ask──▶ refused
 *
 * A file LOCK@RUN per run: one line of JSON that says who, then the hosts. Looking and writing is one step under the file lock `@LOCK`,
 * so that of two runs that start at once the second one sees the first. A file whose process is gone (its number and its start say
 * so) is removed by whoever finds it.
 */
import { chmodSync, closeSync, lstatSync, openSync, readdirSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { MyriadError } from '../contracts/errors.ts';
import type { HostSet } from '../hostset/hostset.ts';
import type { JobSpec } from '../jobs/job.ts';
import { checkLockName, type LeaseSpec } from '../jobs/lease.ts';
import { whoRuns } from '../journal/who.ts';
import { isAlive, processStart, withLockFile } from '../ssh/lock_file.ts';
import { makeFolder } from '../util/make_folder.ts';
import { linesOf, namesOnly, overlapIn, writeHosts } from './lock_hosts.ts';

/** How runs stay out of each other's way. */
export interface LockOptions {
  /**
   * Two runs with one lock do not meet: on this machine none begins while another of the same user has hosts of it, and on each host
   * none begins while a command of another runs there as the same user. Up to 64 letters, digits, `.`, `_` and `-`. @default none
   */
  readonly lock?: string;
  /** How long it holds on a host at most, in milliseconds. @default the command's deadline and a minute, else an hour */
  readonly lockMs?: number;
  /** Asked where other runs here have the lock on hosts of this one; true: begin all the same. @default rejects with `locked` */
  readonly onLocked?: (holders: readonly LockHolder[], sentence: string) => boolean | Promise<boolean>;
}

export const LOCK_OPTIONS = ['lock', 'lockMs', 'onLocked'] as const;

/** A run that has a lock. */
export interface LockHolder {
  readonly run: string;
  /** Who logged in to start it. */
  readonly user: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly hosts: number;
  /** Hosts that both runs have, by their names. */
  readonly overlap: number;
  readonly pid: number;
  readonly hostName: string;
}

const HOUR_MS = 3_600_000;
const MARGIN_MS = 60_000;
/** Of the line that says who. */
const MOST_HEADER = 4096;

/** What goes to the hosts of the lock. Throws `usage`. */
export function leaseSpec(options: LockOptions, commandMs: number | null | undefined): LeaseSpec | undefined {
  const { lock, lockMs } = options;
  if (lock === undefined) {
    if (lockMs === undefined) return undefined;
    throw new MyriadError('usage', 'lockMs: there is no lock');
  }
  const name = checkLockName(lock, 'lock');
  if (lockMs !== undefined && !(Number.isFinite(lockMs) && lockMs > 0)) {
    throw new MyriadError('usage', `lockMs: expected milliseconds above 0, got ${lockMs}`);
  }
  const ms = lockMs ?? (commandMs ? commandMs + MARGIN_MS : HOUR_MS);
  return { name, seconds: Math.max(1, Math.ceil(ms / 1000)), user: whoRuns().loginUser };
}

export interface LockRequest {
  readonly name: string;
  readonly run: string;
  readonly hosts: HostSet;
  readonly onLocked?: LockOptions['onLocked'] | undefined;
  /** @default the user's own, see `lockFolder` */
  readonly folder?: string | undefined;
}

/** Takes a lock; what comes back frees it. Rejects with MyriadError `locked`, one sentence that names who has it. */
export async function takeLock(request: LockRequest): Promise<() => void> {
  const { name, run, onLocked } = request;
  const folder = request.folder ?? lockFolder();
  const hosts = namesOnly(request.hosts);
  const accepted = new Set<string>();
  for (;;) {
    const step = await underGuard(folder, name, () => {
      const holders = holdersOf(folder, name, hosts, accepted);
      return holders.length > 0 ? holders : write(folder, `${name}@${run}`, run, hosts);
    });
    if (typeof step === 'function') return step;
    const sentence = sentenceOf(name, step);
    if (!(await onLocked?.(step, sentence))) {
      throw new MyriadError('locked', `${sentence}; nothing was connected`);
    }
    for (const holder of step) accepted.add(holder.run);
  }
}

async function underGuard<T>(folder: string, name: string, work: () => T): Promise<T> {
  try {
    return await withLockFile(join(folder, `@${name}`), async () => work());
  } catch (cause) {
    if (cause instanceof MyriadError && cause.code === 'locked') throw cause;
    throw unusable(folder, (cause as Error).message, cause);
  }
}

function sentenceOf(name: string, holders: readonly LockHolder[]): string {
  const [{ run, user, since, hostName, overlap, pid }] = holders as readonly [LockHolder];
  const time = new Date(since).toISOString().replace(/\.\d+Z$/, 'Z');
  const where = hostName === hostname() ? `process ${pid}` : `process ${pid} on ${hostName}`;
  const more = holders.length > 1 ? `, and ${holders.length - 1} more` : '';
  const count = overlap === 1 ? '1 host' : `${overlap} hosts`;
  return `lock "${name}": run ${run} of ${user} (${where}), since ${time}, has it on ${count} of this run${more}`;
}

/** Living runs with the lock and hosts of ours, which were not accepted. Removes what dead ones left. */
function holdersOf(folder: string, name: string, hosts: HostSet, accepted: ReadonlySet<string>): LockHolder[] {
  const found: LockHolder[] = [];
  for (const file of readdirSync(folder)) {
    if (!file.startsWith(`${name}@`)) continue;
    const path = join(folder, file);
    // Written under the guard, which we have: its writer is no more.
    const who = file.endsWith(NEW) ? undefined : ownerOf(path, hosts);
    if (who === undefined || !lives(who)) unlinkSync(path);
    else if (who.overlap > 0 && !accepted.has(who.run)) found.push(who);
  }
  return found;
}

const NEW = '.new';

interface Owner extends LockHolder {
  readonly start: string;
}

function ownerOf(path: string, hosts: HostSet): Owner | undefined {
  const file = openSync(path, 'r');
  try {
    const [line = ''] = linesOf(file);
    const owner = headerOf(line.slice(0, MOST_HEADER));
    if (owner === undefined) throw new MyriadError('locked', `${path} is no lock that is understood here; remove it`);
    return { ...owner, overlap: lives(owner) ? overlapIn(file, Buffer.byteLength(line) + 1, hosts) : 0 };
  } finally {
    closeSync(file);
  }
}

type Header = Omit<Owner, 'overlap'>;

function headerOf(line: string): Header | undefined {
  try {
    const owner = JSON.parse(line) as Header;
    const texts = [owner.run, owner.user, owner.hostName, owner.start];
    const numbers = [owner.since, owner.hosts, owner.pid];
    const whole = texts.every((text) => typeof text === 'string') && numbers.every(Number.isSafeInteger);
    return whole ? owner : undefined;
  } catch {
    return undefined;
  }
}

/** Of another machine (a home that several share) it cannot be known. */
function lives({ pid, start, hostName }: Header): boolean {
  return hostName !== hostname() || (isAlive(pid) && processStart(pid) === start);
}

/** Writes the file, and gives what removes it. */
function write(folder: string, name: string, run: string, hosts: HostSet): () => void {
  const path = join(folder, name);
  const { loginUser, pid, hostName } = whoRuns();
  const start = processStart(pid);
  const owner: Header = { run, user: loginUser, since: Date.now(), hosts: hosts.count, pid, start, hostName };
  const file = openSync(`${path}${NEW}`, 'wx', 0o600);
  try {
    writeSync(file, `${JSON.stringify(owner)}\n`);
    writeHosts(file, hosts);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}${NEW}`, path);
  return () => {
    try {
      unlinkSync(path);
    } catch {
      // Somebody has cleaned up: it is free.
    }
  };
}

/** Where all runs of this user look, which is there afterwards. Throws MyriadError `locked`. */
export function lockFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const state = env.XDG_STATE_HOME;
  const base = state !== undefined && isAbsolute(state) ? state : join(env.HOME || homedir(), '.local/state');
  const folder = join(base, 'myriad/locks');
  try {
    makeFolder(folder, 0o700);
    const found = lstatSync(folder);
    if (!found.isDirectory()) throw new Error('it is not a directory');
    if (found.uid !== (process.getuid?.() ?? found.uid)) throw new Error(`it belongs to user ${found.uid}`);
    if ((found.mode & 0o077) !== 0) chmodSync(folder, 0o700);
  } catch (cause) {
    throw unusable(folder, (cause as Error).message, cause);
  }
  return folder;
}

function unusable(folder: string, why: string, cause: unknown): MyriadError {
  return new MyriadError('locked', `lock: the folder ${folder} cannot be used: ${why}; XDG_STATE_HOME names another`, {
    cause,
  });
}

/** The lock of one run on this machine: taken once, freed once. */
export class LocalLock {
  readonly #request: LockRequest;
  #free: (() => void) | undefined;
  #over = false;

  constructor(request: LockRequest) {
    this.#request = request;
  }

  async take(): Promise<void> {
    const free = await takeLock(this.#request);
    if (this.#over) free();
    else this.#free = free;
  }

  free(): void {
    this.#over = true;
    this.#free?.();
    this.#free = undefined;
  }
}

/** Throws `usage` where a run cannot have the lock that it is to have; undefined: it is to have none. */
export function lockOf(
  options: LockOptions,
  of: { readonly run: string; readonly hosts: HostSet; readonly repeat: number; readonly job: JobSpec },
): LocalLock | undefined {
  const { lock, onLocked } = options;
  if (lock === undefined) return undefined;
  const { run, hosts, repeat, job } = of;
  const { execution } = (job.options ?? {}) as { readonly execution?: { readonly lock?: unknown } };
  if (execution?.lock === undefined) throw new MyriadError('usage', `lock: a job of kind "${job.kind}" takes none`);
  if (repeat > 1) throw new MyriadError('usage', 'lock: with repeat the tasks of a host would lock each other out');
  return new LocalLock({ name: lock, run, hosts, onLocked });
}
