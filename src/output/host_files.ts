/**
 * Outputs in files, one for each host (`--outdir`, `--errdir`): as they come, or when a task has ended.
 *
 * A file is emptied when its task writes for the first time, and every task that was tried has one in the end, so that what stands in
 * it is of this run. Tasks that were not (`not-run`, `skipped`) leave it as it is.
 */
import { hash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunEvent, TaskOutputEvent } from '../contracts/events.ts';
import type { StreamName, TaskResult } from '../contracts/task.ts';
import { makeFolder } from '../util/make_folder.ts';
import { formatNumberOf } from './format.ts';

export interface HostFilesOptions {
  readonly outdir?: string | undefined;
  readonly errdir?: string | undefined;
  /** Output comes in pieces, while tasks run. */
  readonly live: boolean;
  /** Tasks of one round over all hosts; index modulo it is the host, the rest the repetition. */
  readonly hosts: number;
  /** Bytes that may wait before `full`. @default 32 MiB */
  readonly bound?: number | undefined;
}

/** Files written at once. */
const LANES = 8;
/** What a piece costs besides its bytes. */
const PIECE_COST = 512;
/** Bytes of a name that file systems take (255), without room for the repetition. */
const MOST_NAME = 200;
const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND, O_NOFOLLOW } = constants;
const ANEW = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW;
const MORE = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW;

/**
 * A name that is a file in its folder, whatever the label: what is not a letter, a digit or one of `_ . @ : + = , -` becomes `%` and
 * its hexadecimal bytes, as does a dot at the beginning. Different labels have different names. A long one is cut and ends with a hash.
 */
export function fileName(label: string): string {
  const name = Array.from(label, (character, at) =>
    /[A-Za-z0-9_.@:+=,-]/.test(character) && !(at === 0 && character === '.')
      ? character
      : Array.from(Buffer.from(character), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  ).join('');
  // No name that fits has a `~` in it.
  return name.length <= MOST_NAME ? name : `${name.slice(0, MOST_NAME - 33)}~${hash('sha256', label).slice(0, 32)}`;
}

/** Makes a folder where there is none; throws what the system says where it cannot, or where nothing can be written to it. */
export async function openFolder(folder: string): Promise<void> {
  makeFolder(folder);
  await access(folder, constants.W_OK | constants.X_OK);
}

export class HostFiles {
  readonly #options: HostFilesOptions;
  readonly #bound: number;
  readonly #lanes: Promise<void>[] = Array.from({ length: LANES }, () => Promise.resolve());
  /** Tasks with files in progress: attempt, and the streams that have been written to. */
  readonly #live = new Map<number, { attempt: number; readonly begun: Set<StreamName> }>();
  #pending = 0;
  #waiters: (() => void)[] = [];
  #failed = 0;
  #failure = '';

  constructor(options: HostFilesOptions) {
    this.#options = options;
    this.#bound = options.bound ?? 32 * 1024 * 1024;
  }

  /** Bytes that wait, the cost of pieces included. */
  get pending(): number {
    return this.#pending;
  }

  get full(): boolean {
    return this.#pending > this.#bound;
  }

  /** What could not be written, in one sentence; empty where all was. */
  get failure(): string {
    const count = formatNumberOf(this.#failed, 'piece of output was', 'pieces of output were');
    return this.#failed === 0 ? '' : `${count} not written to files: ${this.#failure}`;
  }

  /** Resolves once at most half the bound waits. */
  drained(): Promise<void> {
    if (!this.full) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  readonly listener = (event: RunEvent): void => {
    if (event.type === 'task:output') this.#onOutput(event);
    else if (event.type === 'task:end') this.#onEnd(event.result);
  };

  /** Resolves when all is written. */
  async end(): Promise<void> {
    await Promise.all(this.#lanes);
  }

  #folder(stream: StreamName): string | undefined {
    return stream === 'stdout' ? this.#options.outdir : this.#options.errdir;
  }

  #onOutput({ index, attempt, host, stream, data }: TaskOutputEvent): void {
    if (this.#folder(stream) === undefined) return;
    let live = this.#live.get(index);
    if (live === undefined || live.attempt !== attempt) {
      live = { attempt, begun: new Set() };
      this.#live.set(index, live);
    }
    this.#write(stream, host.label, index, Buffer.from(data), live.begun.has(stream) ? MORE : ANEW);
    live.begun.add(stream);
  }

  #onEnd({ index, attempt, host, outcome, stdout, stderr }: TaskResult): void {
    const live = this.#live.get(index);
    this.#live.delete(index);
    if (outcome.kind === 'not-run' || outcome.kind === 'skipped') return;
    for (const [stream, { bytes }] of [['stdout', stdout] as const, ['stderr', stderr] as const]) {
      if (this.#options.live && live?.attempt === attempt && live.begun.has(stream)) continue;
      this.#write(stream, host.label, index, bytes, ANEW);
    }
  }

  #write(stream: StreamName, label: string, index: number, bytes: Buffer, flags: number): void {
    const folder = this.#folder(stream);
    if (folder === undefined) return;
    const repetition = Math.floor(index / this.#options.hosts);
    const path = join(folder, repetition === 0 ? fileName(label) : `${fileName(label)}~${repetition + 1}`);
    const cost = bytes.length + PIECE_COST;
    this.#pending += cost;
    // Pieces of one task are written one after the other.
    const lane = index % LANES;
    this.#lanes[lane] = this.#lanes[lane]!.then(() => put(path, bytes, flags))
      .catch((error: Error) => {
        this.#failed += 1;
        this.#failure ||= error.message;
      })
      .then(() => this.#left(cost));
  }

  #left(cost: number): void {
    this.#pending -= cost;
    if (this.#pending > this.#bound / 2) return;
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}

/** A name is opened for each piece: as many tasks as there are may write, and descriptors are for hosts. */
async function put(path: string, bytes: Buffer, flags: number): Promise<void> {
  const file = await open(path, flags, 0o666);
  try {
    await file.writeFile(bytes);
  } finally {
    await file.close();
  }
}
