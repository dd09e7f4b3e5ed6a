/**
 * A run in a thread: the tasks that come are the plan of an inline run; what becomes of them goes back in packs.
 *
 * Tasks are asked for while fewer than half of `ahead` wait to start. A pack leaves when 64 results or 256 KiB are in it, when
 * tasks are asked for, or 10 ms after its first record. Of an output that is streamed at most 64 KiB and one piece per task are
 * under way to their consumer: then the task's output is held back until it has taken half of them.
 */
import type { TaskOutputEvent, TaskStartEvent } from '../../contracts/events.ts';
import type { Target } from '../../contracts/task.ts';
import type { Executor, ExecutorHooks, ExecutorRun } from '../executor.ts';
import { LagWatch } from '../lag.ts';
import type { Plan, PlanFeed } from '../plan.ts';
import { Redactor } from '../redact.ts';
import { Secrets } from '../secrets.ts';
import { SharedBits } from './bits.ts';
import { RemoteClaims } from './claims.ts';
import type { ThreadLink } from './link.ts';
import { Packer } from './packing.ts';
import { type FromThread, type ThreadRequest, type ToThread, unpackTargets } from './protocol.ts';
import { remoteSecret } from './remote_secret.ts';
import type { ThreadPace, ThreadParts } from './thread_parts.ts';

const PACK_RESULTS = 64;
const PACK_BYTES = 256 * 1024;
/** Per task, of streamed output that its consumer has not taken. */
const WINDOW = 64 * 1024;
/** The oldest tasks that a status names. */
const SLOWEST = 16;

export interface ThreadRunParts {
  readonly id: number;
  readonly request: ThreadRequest;
  readonly post: (message: FromThread, transfer?: readonly ArrayBuffer[]) => void;
  readonly link: ThreadLink;
  readonly parts: ThreadParts;
  readonly pace: ThreadPace;
  readonly onOver: () => void;
}

type RunMessage = Exclude<ToThread, { type: 'answer' | 'tell' | 'close' | 'open' }>;

export class ThreadRun implements PlanFeed {
  more: (() => void) | undefined = undefined;
  ended = false;
  readonly #parts: ThreadRunParts;
  readonly #started: SharedBits;
  readonly #begun: SharedBits;
  readonly #claims: RemoteClaims;
  readonly #packer = new Packer();
  readonly #lag: LagWatch;
  /** Tasks that wait, from plan place `#read` on. */
  #waiting: Target[] = [];
  #taken = 0;
  #read = 0;
  #asked = false;
  #results = 0;
  #flushing: 'no' | 'later' | 'soon' = 'no';
  #later: NodeJS.Timeout | undefined;
  #status: NodeJS.Timeout | undefined;
  #run: ExecutorRun | undefined;
  /** Bytes under way to their consumer, by task; held: no more until it has taken some. */
  readonly #underWay = new Map<number, { bytes: number; held: boolean }>();

  constructor(parts: ThreadRunParts) {
    this.#parts = parts;
    this.#started = new SharedBits(parts.request.started);
    this.#begun = new SharedBits(parts.request.begun);
    this.#claims = new RemoteClaims(parts.id, parts.post);
    this.#lag = new LagWatch((ms) => parts.post({ type: 'lag', run: parts.id, ms, job: this.#called() }));
  }

  /** The job, as people are told of it. */
  #called(): string {
    const { kind, options } = this.#parts.request.job;
    return this.#parts.parts.kinds.get(kind)?.called?.(options) ?? kind;
  }

  /** Tasks that came. */
  get here(): number {
    return this.#read + this.#waiting.length - this.#taken;
  }

  /** Rejects with what the executor throws for a request that it cannot take. */
  async start(executor: Executor): Promise<void> {
    const { planned, hosts, ...request } = this.#parts.request;
    const plan: Plan = { count: planned, hosts, at: () => this.#next(), feed: this };
    this.#run = await executor.run({ ...request, plan }, this.#hooks());
    this.#lag.start();
    const { statusMs } = this.#parts.pace;
    if (statusMs > 0) this.#status = setInterval(() => this.#tellStatus(), statusMs).unref();
    void this.#forward(this.#run);
    this.#askForTasks();
  }

  take(message: RunMessage): void {
    const run = this.#run;
    if (run === undefined) {
      // Nothing but this can come before it is open.
      this.ended = message.type === 'drop-run';
      return;
    }
    if (message.type === 'tasks') this.#add(unpackTargets(message.targets));
    else if (message.type === 'recall') this.#giveBack();
    else if (message.type === 'pause') run.pause();
    else if (message.type === 'unpause') run.unpause();
    else if (message.type === 'cancel') run.cancel(message.running);
    else if (message.type === 'stop') run.stop(message.reason);
    else if (message.type === 'claimed') this.#claims.answered(message);
    else if (message.type === 'taken') this.#outputTaken(message.pairs);
    else {
      // `drop-run`: nobody wants to hear of it any more.
      if (message.type === 'drop-run') run.cancel('terminate');
      this.ended = true;
      this.more?.();
    }
    if (this.#parts.pace.statusMs === 0) this.#flushSoon();
  }

  #hooks(): ExecutorHooks {
    const { request, link, parts, id } = this.#parts;
    const secrets = parts.secrets ?? new Secrets();
    return {
      ...(request.claims && { claim: (index, attempt) => this.#claims.claim(index, attempt) }),
      onStart: (event) => this.#onStart(event),
      onOutput: (event) => this.#onOutput(event),
      ...(request.secrets && {
        secret: (name, target) =>
          remoteSecret(link, 'secret', { run: id, name, target }, (value) => secrets.add(value)),
      }),
      ...(parts.lent && { lent: parts.lent }),
      redactor: request.redact && new Redactor(request.redact, secrets),
    };
  }

  /** The run takes the next task; it asks only for what is here. */
  #next(): Target {
    const target = this.#waiting[this.#taken++]!;
    this.#read += 1;
    if (this.#taken === this.#waiting.length) {
      this.#waiting = [];
      this.#taken = 0;
    }
    this.#started.set(target.index);
    this.#askForTasks();
    return target;
  }

  #add(targets: readonly Target[]): void {
    this.#waiting = [...this.#waiting.slice(this.#taken), ...targets];
    this.#taken = 0;
    this.#asked = false;
    this.more?.();
    this.#askForTasks();
  }

  #giveBack(): void {
    const indices = this.#waiting.slice(this.#taken).map(({ index }) => index);
    this.#waiting = [];
    this.#taken = 0;
    this.#parts.post({ type: 'returned', run: this.#parts.id, indices });
    // Nobody reads now what is not there: the next question comes from here.
    this.#asked = !this.ended;
    this.#flush();
  }

  #askForTasks(): void {
    if (this.#asked || this.ended || 2 * (this.#waiting.length - this.#taken) >= this.#parts.request.ahead) return;
    this.#asked = true;
    this.#flushSoon();
  }

  /** Before the request leaves for the host. */
  #onStart(event: TaskStartEvent): void {
    this.#begun.set(event.index);
    this.#packer.start(event.index, event.attempt, event.time);
    this.#flushLater();
  }

  #onOutput(event: TaskOutputEvent): boolean {
    const { index, data } = event;
    this.#packer.output(index, event.attempt, event.time, event.stream, data);
    let way = this.#underWay.get(index);
    if (way === undefined) {
      way = { bytes: 0, held: false };
      this.#underWay.set(index, way);
    }
    way.bytes += data.length;
    way.held = way.bytes >= WINDOW;
    this.#flushLater();
    return !way.held;
  }

  #outputTaken(pairs: readonly number[]): void {
    for (let i = 0; i < pairs.length; i += 2) {
      const way = this.#underWay.get(pairs[i]!);
      if (way === undefined) continue;
      way.bytes -= pairs[i + 1]!;
      if (!way.held || 2 * way.bytes > WINDOW) continue;
      way.held = false;
      this.#run?.resume(pairs[i]!);
    }
  }

  async #forward(run: ExecutorRun): Promise<void> {
    for await (const batch of run.results) {
      for (const result of batch) {
        this.#underWay.delete(result.index);
        this.#packer.result(result);
        this.#results += 1;
        if (this.#results >= PACK_RESULTS) this.#flush();
      }
      this.#flushLater();
    }
    this.#close(run);
  }

  #close(run: ExecutorRun): void {
    clearInterval(this.#status);
    this.#lag.stop();
    this.#flush();
    this.#parts.onOver();
    this.#parts.post({ type: 'over', run: this.#parts.id, limitedBy: run.status(0).limitedBy });
  }

  #flushLater(): void {
    if (this.#packer.length >= PACK_BYTES) this.#flush();
    else if (this.#parts.pace.packMs === 0) this.#flushSoon();
    else if (this.#flushing === 'no') {
      this.#flushing = 'later';
      this.#later = setTimeout(() => this.#flush(), this.#parts.pace.packMs);
    }
  }

  /** At the end of this turn of the loop. */
  #flushSoon(): void {
    if (this.#flushing === 'soon') return;
    this.#flushing = 'soon';
    setImmediate(() => {
      if (this.#flushing === 'soon') this.#flush();
    });
  }

  #flush(): void {
    const { post, id, request, pace } = this.#parts;
    clearTimeout(this.#later);
    this.#flushing = 'no';
    this.#results = 0;
    const length = this.#packer.length;
    const pack = length > 0 ? this.#packer.take() : undefined;
    const want = this.#asked ? request.ahead - (this.#waiting.length - this.#taken) : 0;
    post({ type: 'out', run: id, pack, length, started: this.#read, want }, pack && [pack]);
    if (pace.statusMs === 0) this.#tellStatus();
  }

  #tellStatus(): void {
    if (this.#run) this.#parts.post({ type: 'status', run: this.#parts.id, status: this.#run.status(SLOWEST) });
  }
}
