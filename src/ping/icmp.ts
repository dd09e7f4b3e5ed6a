/** An ICMP sweep as the main thread sees it: a thread that does it, or for few probes this one, and its blocks as they end. */
import { randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { MyriadError } from '../contracts/errors.ts';
import type { PackedAddresses } from './addresses.ts';
import type { BlockRules } from './block.ts';
import { chunkOf, type PingChunk } from './chunk.ts';
import type { IcmpBlock, IcmpLoopData } from './icmp_loop.ts';
import type { FromIcmpThread } from './icmp_thread.ts';
import { CONTROL, type Counts, Shared } from './shared.ts';
import type { PingSweep } from './sweep.ts';

export interface IcmpOptions {
  readonly addresses: PackedAddresses;
  readonly rules: BlockRules;
  /** Probes per second; Infinity: as many as go. */
  readonly rate: number;
  readonly order: 'random' | 'input';
  readonly kinds: readonly ('raw' | 'datagram')[];
  readonly skipped?: IcmpLoopData['skipped'];
}

/** Compiled, the file beside this one has another ending. */
const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './icmp_thread.ts' : './icmp_thread.js', import.meta.url);
/** The thread has no strings and few objects: what it allocates dies young. */
const THREAD_MEMORY = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 };

/** No socket for ICMP can be had: the reasons, one per kind that was tried. */
export class NoIcmp extends Error {
  readonly reasons: readonly string[];

  constructor(reasons: readonly string[]) {
    super(reasons.join('; '));
    this.name = 'NoIcmp';
    this.reasons = reasons;
  }
}

/** Probes of a sweep that goes in this thread: another one takes longer to start than they take. */
const HERE = 1_024;

/** Where the loop runs: how to end it at once, and when it has ended. */
interface Running {
  readonly kind: 'raw' | 'datagram';
  readonly ended: Promise<void>;
  end(): Promise<unknown>;
}

export class IcmpPing implements PingSweep {
  readonly kind: 'raw' | 'datagram';
  readonly #count: number;
  readonly #shared: Shared;
  readonly #running: Running;
  /** At most SLOTS: the loop has no more to give. */
  readonly #blocks: IcmpBlock[];
  #over = false;
  #wake: (() => void) | undefined;

  /** Starts it. Throws NoIcmp where there is no socket for it. */
  static async start(options: IcmpOptions): Promise<IcmpPing> {
    const count = options.addresses.starts.at(-1)!;
    const { passes } = options.rules;
    const shape = { count, passes };
    const shared = new Shared(shape);
    const random = randomBytes(16);
    const secret = [0, 4, 8, 12].map((at) => random.readUInt32LE(at)) as [number, number, number, number];
    const data: IcmpLoopData = { ...options, shape, memory: shared.memory, secret };
    const blocks: IcmpBlock[] = [];
    let ping: IcmpPing | undefined;
    const onBlock = (block: IcmpBlock) => {
      blocks.push(block);
      if (ping) ping.#awake();
    };
    const running = await (count * passes <= HERE ? runHere(data, onBlock) : runThread(data, onBlock));
    ping = new IcmpPing(count, shared, running, blocks);
    return ping;
  }

  private constructor(count: number, shared: Shared, running: Running, blocks: IcmpBlock[]) {
    this.kind = running.kind;
    this.#count = count;
    this.#shared = shared;
    this.#running = running;
    this.#blocks = blocks;
    const over = () => {
      this.#over = true;
      this.#awake();
    };
    running.ended.then(over, over);
  }

  async *chunks(): AsyncGenerator<PingChunk> {
    const { block: size, control, slots } = this.#shared;
    while (!this.#over || this.#blocks.length > 0) {
      const block = this.#blocks.shift();
      if (!block) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      const chunk = chunkOf(slots[block.place]!, block.number * size, block.count);
      Atomics.add(control, CONTROL.returned, 1);
      yield chunk;
    }
    await this.#running.ended;
  }

  *live(): Generator<PingChunk> {
    const { block: size, control, slots } = this.#shared;
    const begun = Atomics.load(control, CONTROL.begun);
    for (let number = Atomics.load(control, CONTROL.returned); number < begun; number++) {
      const base = number * size;
      yield chunkOf(slots[number % slots.length]!, base, Math.min(size, this.#count - base));
    }
  }

  #awake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  stop(): void {
    Atomics.store(this.#shared.control, CONTROL.stop, 1);
  }

  get counts(): Counts {
    return this.#shared.allCounts();
  }

  get histogram(): Float64Array {
    return this.#shared.histogram;
  }

  get times(): Float64Array {
    return this.#shared.times;
  }

  async close(): Promise<void> {
    this.stop();
    await this.#running.end();
  }
}

async function runThread(workerData: IcmpLoopData, onBlock: (block: IcmpBlock) => void): Promise<Running> {
  const worker = new Worker(ENTRY, { name: 'icmp', workerData, argv: [], resourceLimits: THREAD_MEMORY });
  const opened = Promise.withResolvers<'raw' | 'datagram'>();
  worker.on('message', (message: FromIcmpThread) => {
    if (message.type === 'open') opened.resolve(message.kind);
    else if (message.type === 'failed') opened.reject(new NoIcmp(message.reasons));
    else onBlock(message);
  });
  const ended = new Promise<void>((resolve, reject) => {
    worker.on('error', (cause) => reject(new MyriadError('internal', 'the thread of the sweep failed', { cause })));
    worker.on('exit', () => resolve());
  });
  ended.catch((error: unknown) => opened.reject(error));
  return { kind: await opened.promise, ended, end: () => worker.terminate() };
}

async function runHere(data: IcmpLoopData, onBlock: (block: IcmpBlock) => void): Promise<Running> {
  const { openLoop } = await import('./icmp_loop.ts');
  const loop = await openLoop(data, onBlock);
  if (Array.isArray(loop)) throw new NoIcmp(loop);
  let over = false;
  const ended = loop.runBeside(() => over);
  // Whoever is told of it is not there yet.
  ended.catch(() => {});
  const end = () => {
    over = true;
    return ended.catch(() => {});
  };
  return { kind: loop.kind, ended, end };
}
