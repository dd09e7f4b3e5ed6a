/**
 * The main thread's side of the writer: packs what comes into batches and hands them to the thread.
 *
 *   idle ──first record──▶ filling ──256 records, 256 KiB, at most 10 ms (25 in a busy process)──▶ waiting ──▶ sent ──▶ committed
 *
 * A batch waits while claims are on their way, and until those that were committed have had a turn to begin: a process
 * that is killed leaves at most one group of claims whose tasks had not begun. Where little happens no timer is waited
 * for: a batch goes out at the end of the turn, so that a run of one host after the other is not slowed down. All claims of
 * a batch share one promise.
 */
import { Worker } from 'node:worker_threads';
import { MyriadError } from '../../contracts/errors.ts';
import type { Summary } from '../../contracts/summary.ts';
import type { Host, StreamName, TaskResult } from '../../contracts/task.ts';
import { BLOCK_HOSTS, MAX_ROUNDS, MAX_TASKS, packHost, packResult, STREAMS, TAG } from '../codec.ts';
import type { JournalWriter } from '../journal.ts';
import { Packer, sharedRoom } from '../packing.ts';
import type { Answer, Request, WriterData } from './protocol.ts';

/** A batch costs 0.15 to 0.4 ms of CPU in both threads together, whatever is in it: at most 100 a second, after a burst. */
const BATCH_MS = 10;
/** Where this thread has no time to spare, tasks wait for it anyway: 40 a second then, and looked at so often. */
const BUSY_BATCH_MS = 25;
const BUSY = 0.9;
const PACE_MS = 250;
const BURST = 32;
/** Results that no claim takes along wait so long: nobody waits for them. */
const RESULTS_MS = 100;
const GROUP_RECORDS = 256;
const GROUP_BYTES = 256 * 1024;
/** Bytes on their way to the thread; above this `result` and `output` ask to wait. */
const MAX_ON_WAY = 8 * 1024 * 1024;
const BUFFER_BYTES = 64 * 1024;
const MAX_SPARES = 4;
/** Blocks of the plan on their way. */
const BLOCKS_ON_WAY = 8;

interface Deferred {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: Error): void;
}

function defer(): Deferred {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Whoever waits hears of it; a claim whose task was stopped in the meantime has nobody who does.
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/** A request, from when it is made until it is answered. */
interface Asked {
  readonly request: Request;
  readonly bytes: number;
  readonly answered: Deferred;
}

function hasClaims({ request }: Asked): boolean {
  return request.kind === 'batch' && request.hasClaims;
}

/** What a batch leaves behind is garbage at once: with V8's own 32 MiB for the young, a million hosts cost 70 MB more. */
const LIMITS = { maxYoungGenerationSizeMb: 4 };

/** The thread's file: beside this one, as TypeScript or compiled. */
const THREAD = new URL(`./writer_thread${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

export class SqliteWriter implements JournalWriter {
  readonly run: string;
  readonly path: string;
  readonly #worker: Worker;
  readonly #keepsOutput: boolean;
  readonly #packer = new Packer(BUFFER_BYTES, sharedRoom);
  readonly #spares: Buffer<SharedArrayBuffer>[] = [];
  /** In their order. */
  readonly #waiting: Asked[] = [];
  /** The answers come in the same order. */
  readonly #onWay: Asked[] = [];
  /** Of both. */
  #bytesOnWay = 0;
  #claimsOnWay = false;
  #records = 0;
  #claims: Deferred | undefined = undefined;
  #hasOutputs = false;
  #scheduled: NodeJS.Immediate | NodeJS.Timeout | undefined = undefined;
  /** Claims are among what is scheduled. */
  #prompt = false;
  /** What has been collected waits for the claims on their way: the longer a commit takes, the larger is the next. */
  #overdue = false;
  /** Batches that may go without a wait, and since when that has been so. */
  #allowed = BURST;
  #allowedAt = 0;
  /** How far apart batches are, since when, and what the event loop had been used by then. */
  #paceMs = BATCH_MS;
  #pacedAt = 0;
  #used = performance.eventLoopUtilization();
  #room: Deferred | undefined = undefined;
  #dead: MyriadError | undefined = undefined;

  private constructor(data: WriterData) {
    this.run = data.files.id;
    this.path = data.files.db;
    this.#keepsOutput = data.outputs !== 'none';
    this.#worker = new Worker(THREAD, { workerData: data, name: 'journal', execArgv: [], resourceLimits: LIMITS });
    this.#worker.on('message', (answer: Answer) => this.#answered(answer));
    this.#worker.on('error', (error) => this.#died(error));
    this.#worker.on('exit', () => this.#died(undefined));
  }

  /** Resolves when the file is open and locked. */
  static async open(data: WriterData): Promise<SqliteWriter> {
    const writer = new SqliteWriter(data);
    // The thread answers once by itself.
    const opened = defer();
    writer.#onWay.push({ request: { kind: 'flush' }, bytes: 0, answered: opened });
    try {
      await opened.promise;
    } catch (error) {
      await writer.#worker.terminate();
      throw error;
    }
    return writer;
  }

  /** Stores a plan that is a list, block by block. Resolves with the number of hosts. */
  async storePlan(hosts: Iterable<Host> | AsyncIterable<Host>): Promise<number> {
    const packer = new Packer(BUFFER_BYTES);
    const waiting: Promise<void>[] = [];
    let count = 0;
    const send = () => {
      const first = Math.floor((count - 1) / BLOCK_HOSTS) * BLOCK_HOSTS;
      waiting.push(this.#ask({ kind: 'plan', first, hosts: packer.sealed() }));
    };
    for await (const host of hosts) {
      packHost(packer, host);
      count += 1;
      if (count % BLOCK_HOSTS !== 0) continue;
      send();
      if (waiting.length >= BLOCKS_ON_WAY) await waiting.shift();
    }
    if (count % BLOCK_HOSTS !== 0) send();
    await Promise.all(waiting);
    return count;
  }

  /** The plan is stored: tasks may begin. */
  running(hosts: number): Promise<void> {
    return this.#ask({ kind: 'running', hosts });
  }

  /** A run that was over goes on: from here on it has not ended. */
  reopened(): Promise<void> {
    return this.#ask({ kind: 'reopen' });
  }

  claim(index: number, attempt: number, round = 0): Promise<void> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    this.#packClaim(index, attempt, round);
    this.#claims ??= defer();
    const { promise } = this.#claims;
    this.#added();
    return promise;
  }

  note(index: number, attempt: number, round = 0): void {
    if (this.#dead !== undefined) return;
    this.#packClaim(index, attempt, round);
    this.#added();
  }

  #packClaim(index: number, attempt: number, round: number): void {
    checkTask(index, round);
    this.#packer.u8(TAG.claim);
    this.#packer.u32(round);
    this.#packer.u32(index);
    this.#packer.u32(attempt);
  }

  output(index: number, stream: StreamName, bytes: Uint8Array, round = 0): Promise<void> | undefined {
    if (this.#dead !== undefined || !this.#keepsOutput || bytes.length === 0) return undefined;
    checkTask(index, round);
    this.#packer.u8(TAG.output);
    this.#packer.u32(round);
    this.#packer.u32(index);
    this.#packer.u8(STREAMS.indexOf(stream));
    this.#packer.bytes(bytes);
    this.#hasOutputs = true;
    this.#added();
    return this.#waitForRoom();
  }

  result(result: TaskResult): Promise<void> | undefined {
    if (this.#dead !== undefined || !leavesTrace(result)) return undefined;
    checkTask(result.index, result.round);
    packResult(this.#packer, result, this.#keepsOutput);
    this.#added();
    return this.#waitForRoom();
  }

  flush(): Promise<void> {
    return this.#ask({ kind: 'flush' });
  }

  /** Which rounds there are is told by their claims and results. */
  roundEnd(round: number): Promise<void> {
    return this.#ask({ kind: 'round-end', round });
  }

  end(summary: Summary): Promise<void> {
    return this.#ask({ kind: 'end', at: Date.now(), summary: JSON.stringify(summary) });
  }

  async close(): Promise<void> {
    if (this.#dead !== undefined) return;
    try {
      await this.#ask({ kind: 'close' });
    } finally {
      this.#dead ??= new MyriadError('journal', `the journal ${this.path} is closed`);
      await this.#worker.terminate();
    }
  }

  #added(): void {
    this.#records += 1;
    if (this.#records >= GROUP_RECORDS || this.#packer.length >= GROUP_BYTES) {
      this.#send();
      return;
    }
    const prompt = this.#claims !== undefined;
    if (this.#overdue || (this.#scheduled !== undefined && (this.#prompt || !prompt))) return;
    this.#unschedule();
    this.#prompt = prompt;
    const left = prompt ? this.#waitMs() : RESULTS_MS;
    this.#scheduled = left <= 0 ? setImmediate(() => this.#due()) : setTimeout(() => this.#due(), Math.ceil(left));
  }

  #due(): void {
    this.#unschedule();
    if (this.#claims !== undefined && this.#claimsOnWay) this.#overdue = true;
    else this.#send();
  }

  #unschedule(): void {
    clearImmediate(this.#scheduled as NodeJS.Immediate);
    clearTimeout(this.#scheduled as NodeJS.Timeout);
    this.#scheduled = undefined;
  }

  /** Until the next batch may go: 0 at the end of this turn. */
  #waitMs(): number {
    const now = performance.now();
    if (now - this.#pacedAt >= PACE_MS) this.#pace(now);
    this.#allowed = Math.min(BURST, this.#allowed + (now - this.#allowedAt) / this.#paceMs);
    this.#allowedAt = now;
    return Math.max(0, 1 - this.#allowed) * this.#paceMs;
  }

  #pace(now: number): void {
    const used = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(used, this.#used);
    this.#paceMs = utilization > BUSY ? BUSY_BATCH_MS : BATCH_MS;
    this.#used = used;
    this.#pacedAt = now;
  }

  /** Sends what has been collected. */
  #send(): void {
    this.#unschedule();
    this.#overdue = false;
    if (this.#records === 0 || this.#dead !== undefined) return;
    const batch = this.#packer.take(this.#spares.pop() ?? sharedRoom(BUFFER_BYTES));
    const answered = this.#claims ?? defer();
    const request: Request = {
      kind: 'batch',
      batch: batch as Buffer<SharedArrayBuffer>,
      hasClaims: this.#claims !== undefined,
      hasOutputs: this.#hasOutputs,
    };
    this.#records = 0;
    this.#claims = undefined;
    this.#hasOutputs = false;
    this.#allowed = Math.max(0, this.#allowed - 1);
    this.#post(request, batch.length, answered);
  }

  /** A request after all that was given before it. */
  #ask(request: Request): Promise<void> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    this.#send();
    const answered = defer();
    this.#post(request, 0, answered);
    return answered.promise;
  }

  #post(request: Request, bytes: number, answered: Deferred): void {
    // What is on its way keeps the process alive; an idle journal does not.
    if (this.#onWay.length === 0 && this.#waiting.length === 0) this.#worker.ref();
    this.#waiting.push({ request, bytes, answered });
    this.#bytesOnWay += bytes;
    this.#forward();
  }

  /** Sends what waits, up to and with the next claims. */
  #forward(): void {
    while (!this.#claimsOnWay && this.#waiting.length > 0) {
      const asked = this.#waiting.shift()!;
      this.#claimsOnWay = hasClaims(asked);
      this.#onWay.push(asked);
      this.#worker.postMessage(asked.request);
    }
  }

  /** Its claims are committed: their tasks begin before the next claims go. */
  #claimsAnswered(): void {
    setImmediate(() => {
      this.#claimsOnWay = false;
      if (this.#overdue) this.#send();
      this.#forward();
    });
  }

  #answered({ error }: Answer): void {
    const asked = this.#onWay.shift();
    if (asked === undefined) return;
    if (this.#onWay.length === 0 && this.#waiting.length === 0) this.#worker.unref();
    if (hasClaims(asked)) this.#claimsAnswered();
    this.#bytesOnWay -= asked.bytes;
    this.#regain(asked.request);
    if (error === undefined) asked.answered.resolve();
    else asked.answered.reject(new MyriadError(error.code, error.message));
    if (this.#bytesOnWay > MAX_ON_WAY / 2) return;
    this.#room?.resolve();
    this.#room = undefined;
  }

  /** The batch's room is this thread's again; one that a large output had made grow goes. */
  #regain(request: Request): void {
    if (request.kind !== 'batch' || this.#spares.length >= MAX_SPARES) return;
    const { buffer } = request.batch;
    if (buffer.byteLength <= GROUP_BYTES * 2) this.#spares.push(Buffer.from(buffer));
  }

  #waitForRoom(): Promise<void> | undefined {
    if (this.#bytesOnWay <= MAX_ON_WAY) return undefined;
    this.#room ??= defer();
    return this.#room.promise;
  }

  /** Without its thread nothing is recorded any more; nothing begins, and whoever waits hears of it. */
  #died(cause: unknown): void {
    const why = cause instanceof Error ? cause.message : 'its writer thread ended';
    this.#dead ??= new MyriadError('journal', `the journal ${this.path} failed: ${why}`, { cause });
    for (const { answered } of [...this.#onWay.splice(0), ...this.#waiting.splice(0)]) answered.reject(this.#dead);
    this.#claims?.reject(this.#dead);
    this.#claims = undefined;
    this.#room?.resolve();
    this.#room = undefined;
  }
}

/** What will not run is told by having no record; once its host was reached it may have been claimed, and needs one. */
function leavesTrace({ outcome, reached }: TaskResult): boolean {
  return outcome.kind !== 'not-run' || reached !== undefined;
}

function checkTask(index: number, round: number): void {
  if (index >= 0 && index < MAX_TASKS && round >= 0 && round < MAX_ROUNDS) return;
  throw new MyriadError('internal', `task ${index} of round ${round} has no place in a journal`);
}
