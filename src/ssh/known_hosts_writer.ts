/**
 * The one writer of new host keys: lines that arrive while a batch is being written form the next batch, so that a thousand new
 * hosts cost a few appends. Each batch is one write in append mode under a lock file.
 */
import { open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder } from '../util/make_folder.ts';
import { withLockFile } from './lock_file.ts';

interface Waiting {
  readonly line: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class KnownHostsWriter {
  readonly #file: string;
  /** Bounded by the callers: each waits for its line. */
  #waiting: Waiting[] = [];
  #writing = false;

  constructor(file: string) {
    this.#file = file;
  }

  /** Resolves when the line, which ends with a line break, is in the file. Rejects with the system's error, or `file`. */
  append(line: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line, resolve, reject });
      if (!this.#writing) void this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await appendLocked(this.#file, batch.map(({ line }) => line).join(''));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#writing = false;
  }
}

/**
 * Appends whole lines, or what is made of the file as it stands. A new file is for its owner only (0600), and so is a new directory (0700).
 */
export async function appendLocked(file: string, made: string | ((text: Buffer) => string)): Promise<void> {
  makeFolder(dirname(file), 0o700);
  await withLockFile(`${file}.lock`, async () => {
    const handle = await open(file, 'a+', 0o600);
    try {
      const { size } = await handle.stat();
      const lines = typeof made === 'string' ? made : made(await readFile(file));
      if (lines === '') return;
      const bytes = Buffer.from((await endsOpen(handle, size)) ? `\n${lines}` : lines);
      try {
        for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten;
      } catch (error) {
        // Half a line (disk full) would damage the next one that is appended.
        await handle.truncate(size);
        throw error;
      }
    } finally {
      await handle.close();
    }
  });
}

/** Whether the last line of the file lacks its line break. */
async function endsOpen(handle: Awaited<ReturnType<typeof open>>, size: number): Promise<boolean> {
  if (size === 0) return false;
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] !== 10;
}
