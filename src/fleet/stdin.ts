/**
 * Stdin of a run, from a file or a stream, for all its hosts.
 *
 * A file is read by position. What comes as a stream is written to a private file as it comes, one that has no name any more, and
 * is read from there: a host that is slow, or starts late, holds nobody up, at the price of the disk.
 *
 * Pieces are shared by hosts that are near each other: of a run there are the 256 newest, and of each task at most the one it waits
 * to send, so 8 MiB and 32 KiB a task.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { MyriadError } from '../contracts/errors.ts';
import { STDIN_PIECE, type StdinSource } from '../jobs/stdin_source.ts';

/** A file, read anew for every host, or what comes as a stream, read once. */
export type StdinStream = { readonly file: string } | AsyncIterable<Uint8Array>;

export interface OpenStdin extends StdinSource {
  /** Who still waits gets what is there, and then the end. */
  close(): Promise<void>;
}

/** Pieces that are kept. */
const KEPT = 256;

/** Rejects with MyriadError `file`, one sentence, for a file that cannot be read. `spoolDir`: where streams are kept. */
export async function openStdin(stdin: StdinStream, spoolDir: string): Promise<OpenStdin> {
  if (!('file' in stdin)) return Spool.open(stdin, 'stdin', spoolDir);
  const name = `stdin file ${JSON.stringify(stdin.file)}`;
  let handle: FileHandle;
  try {
    handle = await open(stdin.file, 'r');
  } catch (cause) {
    throw new MyriadError('file', `${name} cannot be read (${codeOf(cause)})`, { cause });
  }
  const stat = await handle.stat();
  if (stat.isFile()) return new StdinFile(handle, name, stat.size, stat.mtimeMs);
  if (!stat.isDirectory()) return Spool.open(handle.createReadStream(), name, spoolDir);
  await handle.close();
  throw new MyriadError('file', `${name} is a directory`);
}

/** The newest pieces of a file, by their position; hosts that want the same one at once read it once. */
class Pieces {
  readonly #handle: FileHandle;
  readonly #kept = new Map<number, Promise<Uint8Array>>();
  #reading = 0;
  #closed = false;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Up to the next multiple of a piece, so that those who came by different ways meet there; `most`: what there is. */
  at(position: number, most: number): Promise<Uint8Array> {
    const length = Math.min(STDIN_PIECE - (position % STDIN_PIECE), most);
    const known = this.#kept.get(position);
    if (known !== undefined) return known;
    const read = this.#read(position, length);
    // What is less than a piece may be more in a moment.
    const whole = (position + length) % STDIN_PIECE === 0;
    this.#kept.set(position, read);
    const forget = (): void => void (this.#kept.get(position) === read && this.#kept.delete(position));
    if (!whole) read.then(forget, forget);
    else read.catch(forget);
    if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    return read;
  }

  async #read(position: number, length: number): Promise<Uint8Array> {
    const buffer = Buffer.allocUnsafeSlow(length);
    this.#reading++;
    try {
      let done = 0;
      while (done < length) {
        const { bytesRead } = await this.#handle.read(buffer, done, length - done, position + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return buffer.subarray(0, done);
    } finally {
      this.#reading--;
      if (this.#closed && this.#reading === 0) await this.#handle.close();
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#kept.clear();
    if (this.#reading === 0) await this.#handle.close();
  }
}

class StdinFile implements OpenStdin {
  readonly #handle: FileHandle;
  readonly #pieces: Pieces;
  readonly #name: string;
  readonly #size: number;
  readonly #mtimeMs: number;
  #closed = false;

  constructor(handle: FileHandle, name: string, size: number, mtimeMs: number) {
    this.#handle = handle;
    this.#pieces = new Pieces(handle);
    this.#name = name;
    this.#size = size;
    this.#mtimeMs = mtimeMs;
  }

  async read(position: number): Promise<Uint8Array | undefined> {
    if (this.#closed) return undefined;
    try {
      if (position < this.#size) {
        const piece = await this.#pieces.at(position, this.#size - position);
        const wanted = Math.min(STDIN_PIECE - (position % STDIN_PIECE), this.#size - position);
        if (piece.length === wanted) return piece;
      }
      // Before its end is told: what was sent must be one state of the file.
      const { size, mtimeMs } = await this.#handle.stat();
      if (position >= this.#size && size === this.#size && mtimeMs === this.#mtimeMs) return undefined;
      throw new MyriadError(
        'file',
        `${this.#name} changed while it was sent: it had ${this.#size} bytes, it has ${size}`,
      );
    } catch (cause) {
      if (cause instanceof MyriadError || this.#closed) throw cause;
      throw new MyriadError('file', `${this.#name} cannot be read (${codeOf(cause)})`, { cause });
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#pieces.close();
  }
}

/**
 * A stream, kept in a file.
 *
 *   filling ──the stream ends──▶ whole
 *   filling ──the stream or the disk fails──▶ failed    whoever has read all that there is hears of it
 *   any ──close──▶ closed
 */
class Spool implements OpenStdin {
  readonly #handle: FileHandle;
  readonly #pieces: Pieces;
  readonly #name: string;
  readonly #stream: AsyncIterator<Uint8Array>;
  readonly #letGo: () => void;
  #mode: 'filling' | 'whole' | 'failed' | 'closed' = 'filling';
  #error: MyriadError | undefined;
  #length = 0;
  /** Resolved when there is more, or the end. */
  #more = Promise.withResolvers<void>();

  static async open(stream: AsyncIterable<Uint8Array>, name: string, dir: string): Promise<Spool> {
    const path = join(dir, `myriad-stdin-${randomBytes(12).toString('hex')}`);
    try {
      // Nobody else can open it: it is new, ours alone, and has no name from here on.
      const handle = await open(path, 'wx+', 0o600);
      await unlink(path);
      return new Spool(handle, name, stream);
    } catch (cause) {
      throw new MyriadError(
        'file',
        `${name} cannot be kept in ${dir} (${codeOf(cause)}); set TMPDIR to a folder that takes it`,
        {
          cause,
        },
      );
    }
  }

  private constructor(handle: FileHandle, name: string, stream: AsyncIterable<Uint8Array>) {
    this.#handle = handle;
    this.#pieces = new Pieces(handle);
    this.#name = name;
    this.#stream = stream[Symbol.asyncIterator]();
    // The iterator of a Node stream hears of nothing while it waits.
    const end = stream instanceof Readable ? () => void stream.destroy() : () => this.#stream.return?.();
    // What never answers is not waited for.
    const letGo = () => void Promise.resolve(end()).catch(() => {});
    this.#letGo = letGo;
    void this.#fill();
  }

  async read(position: number): Promise<Uint8Array | undefined> {
    while (position >= this.#length) {
      if (this.#mode === 'failed') throw this.#error;
      if (this.#mode !== 'filling') return undefined;
      await this.#more.promise;
    }
    if (this.#mode === 'closed') return undefined;
    try {
      return await this.#pieces.at(position, this.#length - position);
    } catch (cause) {
      throw new MyriadError('file', `${this.#name} cannot be read back (${codeOf(cause)})`, { cause });
    }
  }

  async #fill(): Promise<void> {
    try {
      for (;;) {
        const step = await this.#next();
        if (this.#mode !== 'filling') return;
        if (step.done) break;
        await this.#keep(step.value);
        this.#tell();
      }
      this.#mode = 'whole';
    } catch (error) {
      if (this.#mode !== 'filling') return;
      this.#mode = 'failed';
      this.#error = error as MyriadError;
    }
    this.#tell();
  }

  async #next(): Promise<IteratorResult<Uint8Array, unknown>> {
    try {
      const step = await this.#stream.next();
      if (step.done || step.value instanceof Uint8Array) return step;
      throw new TypeError('it gives something that is no Uint8Array');
    } catch (cause) {
      throw new MyriadError('file', `${this.#name} broke off after ${this.#length} bytes (${codeOf(cause)})`, {
        cause,
      });
    }
  }

  async #keep(bytes: Uint8Array): Promise<void> {
    try {
      let done = 0;
      while (done < bytes.length) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, this.#length + done);
        done += bytesWritten;
      }
      this.#length += bytes.length;
    } catch (cause) {
      throw new MyriadError(
        'file',
        `${this.#name} cannot be kept on disk after ${this.#length} bytes (${codeOf(cause)})`,
        {
          cause,
        },
      );
    }
  }

  #tell(): void {
    const { resolve } = this.#more;
    this.#more = Promise.withResolvers();
    resolve();
  }

  async close(): Promise<void> {
    if (this.#mode === 'closed') return;
    this.#mode = 'closed';
    this.#tell();
    this.#letGo();
    await this.#pieces.close();
  }
}

function codeOf(error: unknown): string {
  if (error instanceof Error) return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
  return 'unknown';
}
