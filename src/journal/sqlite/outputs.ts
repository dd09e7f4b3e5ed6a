/**
 * Outputs on their way into the file: equal ones are stored once, large ones beside the file.
 *
 *   arriving ──more──▶ arriving ──finish──▶ finished ──committed──▶ (gone)
 *
 * Of an arriving output the first 16 KiB are in memory; with `all` the rest goes to a part file, so that memory is bounded
 * by tasks in progress × 16 KiB. A finished one stays until its commit, since a commit that fails is tried again.
 */
import { createHash, type Hash, hash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../util/make_folder.ts';
import { STREAMS } from '../codec.ts';
import type { KeptOutput } from '../journal.ts';
import { Recent } from '../recent.ts';
import type { WriterStatements } from './statements.ts';

const HEAD_BYTES = 16 * 1024;
/** Above this an output is a file of its own. */
const SPILL_BYTES = 1024 * 1024;
/** The last output is compared with, up to so many bytes: of many hosts most say the same. */
const SAME_BYTES = 1024;
/** Distinct outputs that are remembered, 150 bytes each; one that comes again later than that is stored again. */
const REMEMBERED = 16_384;

class Arriving {
  head: Buffer = Buffer.alloc(0);
  length = 0;
  readonly hash: Hash = createHash('sha256');
  part: string | undefined = undefined;
}

interface Finished {
  readonly sha256: Buffer;
  readonly length: number;
  /** Null where it stands in a file. */
  readonly bytes: Uint8Array | null;
}

/** Whose output it is: `stream` is its place in STREAMS. */
export interface OutputOf {
  readonly round: number;
  readonly index: number;
  readonly stream: number;
}

function keyOf({ round, index, stream }: OutputOf): string {
  return `${round}-${index}-${STREAMS[stream]}`;
}

export class OutputStore {
  readonly #statements: WriterStatements;
  readonly #folder: string;
  readonly #kept: KeptOutput;
  readonly #arriving = new Map<string, Arriving>();
  readonly #finished = new Map<string, Finished>();
  /** Row by hash. */
  #known = new Recent<string, number>(REMEMBERED);
  /** The last that came with its result, and its row. */
  #last: { readonly bytes: Buffer; readonly row: number } | undefined;
  /** Not yet committed. */
  #fresh: string[] = [];
  #spent: string[] = [];

  constructor(statements: WriterStatements, folder: string, kept: KeptOutput) {
    this.#statements = statements;
    this.#folder = folder;
    this.#kept = kept;
  }

  /** Output ahead of its result. */
  add(of: OutputOf, bytes: Uint8Array): void {
    this.#add(keyOf(of), bytes);
  }

  #add(key: string, bytes: Uint8Array): void {
    let arriving = this.#arriving.get(key);
    if (arriving === undefined) {
      arriving = new Arriving();
      this.#arriving.set(key, arriving);
    }
    arriving.hash.update(bytes);
    arriving.length += bytes.length;
    if (arriving.part === undefined && arriving.head.length < HEAD_BYTES) {
      const room = this.#kept === 'all' ? bytes.length : HEAD_BYTES - arriving.head.length;
      arriving.head = Buffer.concat([arriving.head, bytes.subarray(0, room)]);
    } else if (this.#kept === 'all') this.#append(arriving, key, bytes);
  }

  #append(arriving: Arriving, key: string, bytes: Uint8Array): void {
    if (arriving.part === undefined) {
      makeFolder(this.#folder, 0o700);
      arriving.part = join(this.#folder, `${key}.part`);
      writeFileSync(arriving.part, arriving.head, { mode: 0o600 });
      arriving.head = Buffer.alloc(0);
    }
    appendFileSync(arriving.part, bytes);
  }

  /** The row of an output whose result has come; null where nothing of it is kept. In a transaction. */
  store(of: OutputOf, bytes: Uint8Array): number | null {
    if (this.#arriving.size === 0 && this.#finished.size === 0) return this.#storeWhole(bytes);
    const key = keyOf(of);
    if (!this.#arriving.has(key) && !this.#finished.has(key)) return this.#storeWhole(bytes);
    const output = this.#finish(key, bytes);
    return output.length === 0 ? null : this.#rowOf(output);
  }

  /** Of an output that came with its result. */
  #storeWhole(bytes: Uint8Array): number | null {
    if (bytes.length === 0) return null;
    if (this.#last?.bytes.equals(bytes)) return this.#last.row;
    const row = this.#rowOf(this.#whole(bytes));
    this.#last = bytes.length <= SAME_BYTES ? { bytes: Buffer.from(bytes), row } : undefined;
    return row;
  }

  #rowOf(output: Finished): number {
    const id = output.sha256.toString('latin1');
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const row = this.#statements.insertOutput(output.sha256, output.length, output.bytes);
    this.#remember(id, row);
    return row;
  }

  #finish(key: string, bytes: Uint8Array): Finished {
    const finished = this.#finished.get(key);
    if (finished !== undefined) return finished;
    if (bytes.length > 0) this.#add(key, bytes);
    const arriving = this.#arriving.get(key)!;
    const sha256 = arriving.hash.digest();
    const made = { sha256, length: arriving.length, bytes: this.#settle(arriving, sha256) };
    this.#arriving.delete(key);
    this.#finished.set(key, made);
    this.#spent.push(key);
    return made;
  }

  /** An output that came with its result. */
  #whole(bytes: Uint8Array): Finished {
    const sha256 = hash('sha256', bytes, 'buffer');
    const { length } = bytes;
    if (this.#kept === 'head') return { sha256, length, bytes: bytes.subarray(0, HEAD_BYTES) };
    if (length <= SPILL_BYTES) return { sha256, length, bytes };
    const file = this.#fileOf(sha256);
    if (!existsSync(file)) {
      makeFolder(this.#folder, 0o700);
      writeFileSync(`${file}.part`, bytes, { mode: 0o600 });
      renameSync(`${file}.part`, file);
    }
    return { sha256, length, bytes: null };
  }

  /** What of it goes into the file; its part file ends. */
  #settle({ part, head, length }: Arriving, sha256: Buffer): Uint8Array | null {
    if (part === undefined) return head;
    if (length > SPILL_BYTES) {
      renameSync(part, this.#fileOf(sha256));
      return null;
    }
    const bytes = readFileSync(part);
    rmSync(part);
    return bytes;
  }

  #fileOf(sha256: Buffer): string {
    return join(this.#folder, sha256.toString('hex'));
  }

  #remember(id: string, row: number): void {
    this.#known.set(id, row);
    this.#fresh.push(id);
  }

  /** What comes from here on shares nothing with what was stored before. */
  forget(): void {
    this.#known = new Recent(REMEMBERED);
    this.#last = undefined;
  }

  /** What was stored stands. */
  committed(): void {
    for (const key of this.#spent) this.#finished.delete(key);
    this.#fresh = [];
    this.#spent = [];
  }

  /** What was stored does not stand; its results come again. */
  rolledBack(): void {
    for (const id of this.#fresh) this.#known.delete(id);
    this.#fresh = [];
    this.#last = undefined;
  }
}
