/** An ICMP sweep as the main thread sees it: a thread that does it, and its blocks as they end. */
import { randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { MyriadError } from '../contracts/errors.ts';
import type { PackedAddresses } from './addresses.ts';
import type { BlockRules } from './block.ts';
import { chunkOf, type PingChunk } from './chunk.ts';
import type { FromIcmpThread, IcmpThreadData } from './icmp_thread.ts';
import { CONTROL, type Counts, Shared } from './shared.ts';
import type { PingSweep } from './sweep.ts';

export interface IcmpOptions {
  readonly addresses: PackedAddresses;
  readonly rules: BlockRules;
  /** Probes per second; Infinity: as many as go. */
  readonly rate: number;
  readonly order: 'random' | 'input';
  readonly kinds: readonly ('raw' | 'datagram')[];
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

type Block = Extract<FromIcmpThread, { type: 'block' }>;

export class IcmpPing implements PingSweep {
  readonly kind: 'raw' | 'datagram';
  readonly #shared: Shared;
  readonly #worker: Worker;
  /** At most SLOTS: the thread has no more to give. */
  readonly #blocks: Block[];
  readonly #ended: Promise<void>;
  #over = false;
  #wake: (() => void) | undefined;

  /** Starts it. Throws NoIcmp where there is no socket for it. */
  static async start(options: IcmpOptions): Promise<IcmpPing> {
    const count = options.addresses.starts.at(-1)!;
    const shape = { count, passes: options.rules.passes };
    const shared = new Shared(shape);
    const random = randomBytes(16);
    const secret = [0, 4, 8, 12].map((at) => random.readUInt32LE(at)) as [number, number, number, number];
    const workerData: IcmpThreadData = { ...options, shape, memory: shared.memory, secret };
    const worker = new Worker(ENTRY, { name: 'icmp', workerData, argv: [], resourceLimits: THREAD_MEMORY });
    const blocks: Block[] = [];
    let ping: IcmpPing | undefined;
    const opened = Promise.withResolvers<'raw' | 'datagram'>();
    worker.on('message', (message: FromIcmpThread) => {
      if (message.type === 'open') opened.resolve(message.kind);
      else if (message.type === 'failed') opened.reject(new NoIcmp(message.reasons));
      else {
        blocks.push(message);
        if (ping) ping.#awake();
      }
    });
    const ended = new Promise<void>((resolve, reject) => {
      worker.on('error', (cause) => reject(new MyriadError('internal', 'the thread of the sweep failed', { cause })));
      worker.on('exit', () => resolve());
    });
    ended.catch((error: unknown) => opened.reject(error));
    ping = new IcmpPing(await opened.promise, shared, worker, blocks, ended);
    return ping;
  }

  private constructor(kind: 'raw' | 'datagram', shared: Shared, worker: Worker, blocks: Block[], ended: Promise<void>) {
    this.kind = kind;
    this.#shared = shared;
    this.#worker = worker;
    this.#blocks = blocks;
    const over = () => {
      this.#over = true;
      this.#awake();
    };
    this.#ended = ended;
    ended.then(over, over);
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
    await this.#ended;
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
    await this.#worker.terminate();
  }
}
