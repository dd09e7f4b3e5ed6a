/**
 * A run in threads, seen from the main thread: it keeps the plan, gives tasks out as threads ask for them, and takes results.
 *
 *   going ──pause──▶ paused ──unpause──▶ going        paused: no task is given out; threads are told
 *   going, paused ──cancel, stop, deadline──▶ stopped   what threads have ends there, the rest is `not-run` from here
 *   any ──every task given out has its result──▶ ending   threads are told that there is no more
 *   ending ──every thread is over──▶ finished
 *
 * A task is in one place: not given out yet or taken back (`supply.ts`), in a lane, or ended. When a thread dies, those of its
 * tasks that may have begun end as `lost(crash)`, the others are taken back; a new thread takes its place.
 */
import type { TaskOutputEvent } from '../../contracts/events.ts';
import type { Clock } from '../../contracts/limits.ts';
import type { Outcome } from '../../contracts/outcome.ts';
import type { Target, TaskResult } from '../../contracts/task.ts';
import type { ExecutorHooks, ExecutorRun, ExecutorStatus, RunRequest } from '../executor.ts';
import { Blockage } from '../limits.ts';
import { ResultQueue, type ResultSource } from '../result_queue.ts';
import { RunDeadline } from '../run_deadline.ts';
import { textOf } from '../task_outcome.ts';
import { claimAll } from './claims.ts';
import { Lane } from './lane.ts';
import { OUTPUT, RESULT, START, Unpacker } from './packing.ts';
import type { ThreadRequest } from './protocol.ts';
import { aheadOf, shareOf } from './shares.ts';
import { mergedLimit, mergedStatus } from './status.ts';
import { HeldStreams } from './streams.ts';
import { Supply } from './supply.ts';
import type { RunMessage, SlotRun, ThreadSlot } from './thread_slot.ts';

/** Results that may wait for the reader, however small the fanout is. */
const MIN_UNREAD = 1024;
/** Results of tasks that do not run, made at once. */
const LATE_BATCH = 1024;

const NOT_RUN = { kind: 'not-run', began: 'no' } as const;

export interface ThreadsRunParts {
  /** Between the executor and its threads. */
  readonly id: number;
  readonly request: RunRequest;
  readonly hooks: ExecutorHooks;
  readonly slots: readonly ThreadSlot[];
  readonly clock: Clock;
  readonly warn: (text: string) => void;
  readonly onFinished: (run: ThreadsRun) => void;
}

export class ThreadsRun implements ExecutorRun, ResultSource {
  readonly results: ResultQueue;
  readonly #parts: ThreadsRunParts;
  readonly #request: RunRequest;
  readonly #lanes: readonly Lane[];
  readonly #supply: Supply;
  readonly #deadline: RunDeadline;
  readonly #deadlineAt: number;
  readonly #reader: Blockage;
  readonly #maxUnread: number;
  readonly #streams: HeldStreams;
  /** Bytes that consumers of output took since threads were last told, per lane. */
  readonly #taken = new Map<Lane, number[]>();
  #mode: 'opening' | 'going' | 'ending' | 'finished' = 'opening';
  #paused = false;
  #stopped: ExecutorStatus['stopped'] = 'no';
  #stopReason: string | undefined;
  #noThread: string | undefined;
  #cap = Infinity;
  #lagTold = false;

  constructor(parts: ThreadsRunParts) {
    const { request, clock } = parts;
    const { limits, plan } = request;
    this.#parts = parts;
    this.#request = request;
    this.#supply = new Supply(request, clock);
    this.#lanes = parts.slots.map((slot, place) => new Lane(slot, this.#threadRequest(place)));
    this.#reader = new Blockage(() => clock.now());
    this.#maxUnread = Math.max(limits.fanout, MIN_UNREAD);
    this.results = new ResultQueue(this);
    this.#streams = new HeldStreams(
      (event) => this.#deliver(event),
      (index, bytes) => this.#outputTaken(index, bytes),
      (result) => this.results.push(result),
    );
    const advance = () => this.#advance();
    if (plan.feed) plan.feed.more = advance;
    this.#deadline = new RunDeadline(clock, () => this.#late());
    this.#deadlineAt = clock.now() + (limits.deadlines.runMs ?? Infinity);
  }

  /** Opens the run in all threads. Rejects with what the first one says that cannot. */
  async open(): Promise<void> {
    const opened = await Promise.allSettled(this.#lanes.map((lane) => this.#openLane(lane)));
    const failed = opened.find((each) => each.status === 'rejected');
    if (failed !== undefined) {
      for (const lane of this.#lanes) lane.slot.post({ type: 'drop-run', run: this.#parts.id });
      throw failed.reason;
    }
    const { runMs } = this.#request.limits.deadlines;
    if (runMs !== null) this.#deadline.arm(runMs);
    // Not before the caller has the run: it may announce it before anything connects.
    setImmediate(() => {
      if (this.#mode === 'opening') this.#mode = 'going';
      this.#advance();
    });
  }

  pause(): void {
    this.#paused = true;
    this.#tell({ type: 'pause', run: this.#parts.id });
  }

  unpause(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#tell({ type: 'unpause', run: this.#parts.id });
    this.#advance();
  }

  cancel(running: 'terminate' | 'leave'): void {
    if (this.#mode === 'finished') return;
    if (this.#stopped === 'no') this.#stopped = 'cancelled';
    this.#request.plan.feed?.stopped?.();
    this.#deadline.cancel();
    this.#tell({ type: 'cancel', run: this.#parts.id, running });
    this.#streams.letGo();
    this.#advance();
  }

  stop(reason: string): void {
    if (this.#mode === 'finished' || this.#stopped !== 'no') return;
    this.#stopped = 'guard';
    this.#stopReason = reason;
    this.#request.plan.feed?.stopped?.();
    this.#tell({ type: 'stop', run: this.#parts.id, reason });
    this.#advance();
  }

  /** What a thread was given counts, started or not: it may start at any time. */
  cap(unfinished: number): void {
    this.#cap = unfinished;
    this.#advance();
  }

  resume(index: number): void {
    this.#streams.resume(index);
    this.#tellTaken();
    this.#advance();
  }

  status(slowest: number): ExecutorStatus {
    const over = this.#mode === 'finished';
    const merged = mergedStatus(over ? [] : this.#lanes, slowest, this.#parts.clock.now());
    const limitedBy = !over && this.#reader.blocked > 0 ? 'unread results' : mergedLimit(this.#lanes, over);
    return {
      ...merged,
      waiting: merged.waiting + this.#supply.left,
      limitedBy,
      stopped: this.#stopped,
      stopReason: this.#stopReason,
    };
  }

  /** The run's own deadline; that of what threads have is theirs. */
  #late(): void {
    if (this.#stopped === 'no') this.#stopped = 'deadline';
    this.#request.plan.feed?.stopped?.();
    this.#streams.letGo();
    this.#advance();
  }

  get finished(): boolean {
    return this.#mode === 'finished' && this.#supply.left === 0;
  }

  lateResults(): TaskResult[] {
    const late: TaskResult[] = [];
    if (this.#stopped === 'no' && this.#noThread === undefined) return late;
    const outcome: Outcome =
      this.#stopped !== 'no' ? NOT_RUN : { kind: 'error', began: 'no', code: 'internal', message: this.#noThread! };
    while (late.length < LATE_BATCH && this.#supply.left > 0) {
      const result = this.#supply.nextEnds(outcome);
      late.push(result);
      this.#parts.hooks.onEnd?.(result);
    }
    return late;
  }

  taken(): void {
    this.#advance();
  }

  abandoned(): void {
    this.cancel('terminate');
    this.#supply.drop();
    this.#advance();
  }

  #threadRequest(place: number): ThreadRequest {
    const { plan, limits, ...request } = this.#request;
    const { hooks, slots } = this.#parts;
    const share = shareOf(limits, place, slots.length);
    return {
      ...request,
      limits: share,
      planned: plan.planned ?? plan.count,
      hosts: plan.hosts,
      started: this.#supply.started.buffer,
      begun: this.#supply.begun.buffer,
      ahead: aheadOf(share.fanout),
      secrets: hooks.secret !== undefined,
      claims: hooks.claim !== undefined,
      redact: hooks.redactor?.patterns,
    };
  }

  async #openLane(lane: Lane): Promise<void> {
    const { limits } = lane.request;
    const runMs = limits.deadlines.runMs && Math.max(1, this.#deadlineAt - this.#parts.clock.now());
    const request = { ...lane.request, limits: { ...limits, deadlines: { ...limits.deadlines, runMs } } };
    const listener: SlotRun = {
      heard: (message) => this.#heard(lane, message),
      died: (reason) => this.#died(lane, reason),
    };
    lane.state = 'opening';
    await lane.slot.open(this.#parts.id, request, listener);
    if (this.#mode === 'ending' || this.#mode === 'finished') {
      lane.state = 'over';
      lane.slot.post({ type: 'end', run: this.#parts.id });
      return;
    }
    lane.state = 'up';
    if (this.#paused) lane.slot.post({ type: 'pause', run: this.#parts.id });
  }

  #heard(lane: Lane, message: RunMessage): void {
    if (message.type === 'out') {
      if (message.pack !== undefined) this.#unpack(lane, message.pack, message.length);
      lane.told(message.started, message.want);
    } else if (message.type === 'status') {
      lane.status = message.status;
      lane.statusAt = this.#parts.clock.now();
    } else if (message.type === 'returned') this.#supply.takeBack(lane.returned(message.indices));
    else if (message.type === 'claims') {
      const { deaths } = lane;
      claimAll(this.#parts.hooks, message, (error) => {
        // The next thread in its place has groups of its own.
        if (deaths !== lane.deaths) return;
        lane.slot.post({ type: 'claimed', run: this.#parts.id, group: message.group, error });
      });
      return;
    } else if (message.type === 'lag') this.#lag(lane, message);
    else if (message.type === 'over') {
      lane.state = 'over';
      lane.limitedBy = message.limitedBy;
    }
    this.#advance();
  }

  #unpack(lane: Lane, pack: ArrayBuffer, length: number): void {
    const records = new Unpacker(pack, length);
    for (let type = records.next(); type !== undefined; type = records.next()) {
      if (type === RESULT) this.#ended(lane, records);
      else if (type === START) this.#begins(lane, records);
      else if (type === OUTPUT) {
        const { stream, data } = records.output();
        const host = lane.open.get(records.index);
        if (host !== undefined) {
          this.#streams.output({ type: 'task:output', ...this.#identity(records), host, stream, data });
        }
      }
    }
    this.#tellTaken();
  }

  #identity({ index, attempt, time }: Unpacker): Pick<TaskOutputEvent, 'time' | 'run' | 'round' | 'index' | 'attempt'> {
    const { run, round } = this.#request;
    return { time, run, round, index, attempt };
  }

  #begins(lane: Lane, records: Unpacker): void {
    const host = lane.open.get(records.index);
    if (host === undefined) return;
    try {
      this.#parts.hooks.onStart({ type: 'task:start', ...this.#identity(records), host });
    } catch {
      // A hook that throws never harms the run.
    }
  }

  #ended(lane: Lane, records: Unpacker): void {
    const packed = records.result();
    const host = lane.ended(packed.index);
    if (host === undefined) return;
    const { run, round } = this.#request;
    const result = { run, round, host, iteration: host.iteration, executor: lane.slot.name, ...packed };
    if (!this.#streams.result(result)) this.results.push(result);
    else if (this.#stopped === 'cancelled' || this.#stopped === 'deadline') this.#streams.letGo();
    this.#parts.hooks.onEnd?.(result);
  }

  #deliver(event: TaskOutputEvent): boolean {
    try {
      return this.#parts.hooks.onOutput(event);
    } catch {
      return true;
    }
  }

  #outputTaken(index: number, bytes: number): void {
    const lane = this.#lanes.find(({ open }) => open.has(index));
    if (lane === undefined) return;
    const pairs = this.#taken.get(lane);
    if (pairs === undefined) this.#taken.set(lane, [index, bytes]);
    else pairs.push(index, bytes);
  }

  #tellTaken(): void {
    for (const [lane, pairs] of this.#taken) lane.slot.post({ type: 'taken', run: this.#parts.id, pairs });
    this.#taken.clear();
  }

  #lag(lane: Lane, { ms, job }: Extract<RunMessage, { type: 'lag' }>): void {
    if (this.#lagTold) return;
    this.#lagTold = true;
    this.#parts.warn(`the job "${job}" kept ${lane.slot.name} for ${ms} ms: all other hosts of the thread waited`);
  }

  /** The thread of a lane died. */
  #died(lane: Lane, reason: string): void {
    // Who opens it hears of it, too.
    if (lane.state === 'opening') return;
    for (const target of lane.clear()) {
      this.#streams.forget(target.index);
      const result = this.#supply.orphaned(target, lane.slot.name, reason);
      if (result !== undefined) this.#made(result);
    }
    if (this.#mode === 'finished' || this.#mode === 'ending') lane.state = 'over';
    else void this.#openLane(lane).catch((error: unknown) => this.#laneLost(lane, error));
    this.#advance();
  }

  #laneLost(lane: Lane, error: unknown): void {
    lane.state = 'lost';
    if (this.#lanes.every(({ state }) => state === 'lost')) this.#noThread = `no thread is left: ${textOf(error)}`;
    if (this.#noThread !== undefined) this.#request.plan.feed?.stopped?.();
    this.#advance();
  }

  /** Does whatever can be done now. */
  #advance(): void {
    if (this.#mode === 'opening' && this.#stopped === 'no') return;
    this.#giveOut();
    this.#checkEnd();
    if (this.#stopped !== 'no' || this.#noThread !== undefined) this.results.wake();
  }

  #giveOut(): void {
    const goesOn = !this.#paused && this.#stopped === 'no' && this.#mode === 'going';
    let room = 0;
    if (goesOn) {
      room = this.#maxUnread - this.results.unread;
      for (const lane of this.#lanes) room -= lane.waiting;
    }
    this.#reader.set(goesOn && room <= 0 && this.results.unread > 0 && this.#supply.left > 0);
    room = Math.min(room, this.#cap - this.#given);
    while (room > 0 && this.#supply.left > 0) {
      const lane = this.#neediest();
      if (lane === undefined) break;
      const { left } = this.#supply;
      const share = this.#lanes.length === 1 ? left : Math.ceil(left / (2 * this.#lanes.length));
      const targets = this.#takeTargets(Math.min(lane.want, room, share));
      if (targets.length > 0) lane.give(this.#parts.id, targets);
      room -= targets.length;
    }
    if (goesOn && this.#supply.left === 0) this.#recall();
  }

  /** Tasks that threads have. */
  get #given(): number {
    return this.#lanes.reduce((sum, { open }) => sum + open.size, 0);
  }

  /** Who has most free places of those that ask. */
  #neediest(): Lane | undefined {
    let found: Lane | undefined;
    for (const lane of this.#lanes) {
      if (lane.state === 'up' && lane.want > 0 && (found === undefined || lane.idle > found.idle)) found = lane;
    }
    return found;
  }

  /** At the end of the plan: tasks that wait in a thread go to one that has nothing to do. */
  #recall(): void {
    if (!this.#lanes.some((lane) => lane.state === 'up' && lane.want > 0 && lane.waiting === 0 && lane.idle > 0))
      return;
    for (const lane of this.#lanes) {
      if (lane.waiting === 0 || lane.idle > 0 || lane.recalled || lane.state !== 'up') continue;
      lane.recalled = true;
      lane.slot.post({ type: 'recall', run: this.#parts.id });
    }
  }

  #takeTargets(count: number): Target[] {
    const targets: Target[] = [];
    for (let i = 0; i < count && this.#supply.left > 0; i++) {
      const target = this.#supply.next();
      if ('outcome' in target) this.#made(target);
      else targets.push(target);
    }
    return targets;
  }

  #made(result: TaskResult): void {
    this.results.push(result);
    this.#parts.hooks.onEnd?.(result);
  }

  #checkEnd(): void {
    const noMore = this.#supply.over || this.#stopped !== 'no' || this.#noThread !== undefined;
    if (
      (this.#mode === 'going' || this.#mode === 'opening') &&
      noMore &&
      this.#lanes.every(({ open }) => open.size === 0)
    ) {
      this.#mode = 'ending';
      this.#deadline.cancel();
      this.#tell({ type: 'end', run: this.#parts.id });
    }
    if (this.#mode !== 'ending' || this.#lanes.some(({ state }) => state === 'up') || !this.#streams.empty) return;
    this.#mode = 'finished';
    this.results.wake();
    this.#parts.onFinished(this);
  }

  #tell(message: Parameters<ThreadSlot['post']>[0]): void {
    for (const lane of this.#lanes) if (lane.state === 'up') lane.slot.post(message);
  }
}
