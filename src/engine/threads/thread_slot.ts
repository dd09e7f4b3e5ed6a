/**
 * The place of one thread: the thread that is in it now, and the next one where that dies.
 *
 *   empty ──needed──▶ starting ──ready──▶ up ──died──▶ empty       the runs in it hear of it, and may need it again
 *   starting ──died──▶ empty                                       who waited hears why
 *   any ──close──▶ closed
 *
 * Among all slots at most three threads a minute take the place of one that died; the next one waits.
 */
import { MyriadError } from '../../contracts/errors.ts';
import type { Clock } from '../../contracts/limits.ts';
import { CallDesk, type Services } from './link.ts';
import { errorOf, type FromThread, type ThreadRequest, type ToThread } from './protocol.ts';
import type { Spawn, Spawned } from './spawn.ts';

/** Messages of one run in one thread. */
export type RunMessage = Extract<FromThread, { readonly run: number }>;

/** A run in a thread, as the slot sees it. */
export interface SlotRun {
  heard(message: RunMessage): void;
  died(reason: string): void;
}

const RESTARTS = 3;
const RESTARTS_MS = 60_000;

/** When threads died, over all slots. */
export class Restarts {
  readonly #clock: Clock;
  #at: number[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds until one more may start; it is counted. */
  next(): number {
    const now = this.#clock.now();
    this.#at = this.#at.filter((at) => at > now - RESTARTS_MS);
    const at = this.#at.length < RESTARTS ? now : this.#at.at(-RESTARTS)! + RESTARTS_MS;
    this.#at.push(at);
    return at - now;
  }
}

interface Ready {
  resolve(): void;
  reject(error: unknown): void;
}

export interface SlotParts {
  readonly name: string;
  readonly spawn: Spawn;
  readonly services: Services;
  readonly clock: Clock;
  readonly restarts: Restarts;
}

export class ThreadSlot {
  readonly name: string;
  readonly #parts: SlotParts;
  readonly #runs = new Map<number, SlotRun>();
  readonly #calls = new Map<number, Ready>();
  #thread: Spawned | undefined;
  #desk: CallDesk | undefined;
  #ready: Promise<void> | undefined;
  #onReady: Ready | undefined;
  #lastCall = 0;
  #died = false;
  #closing = false;
  #gone: (() => void) | undefined;
  /** Ends the wait for a new thread. */
  #goOn: (() => void) | undefined;

  constructor(parts: SlotParts) {
    this.name = parts.name;
    this.#parts = parts;
  }

  /** Begins a run in the thread, which is started where there is none. Rejects with why it cannot be. */
  async open(run: number, request: ThreadRequest, listener: SlotRun): Promise<void> {
    this.#ready ??= this.#start();
    await this.#ready;
    this.#runs.set(run, listener);
    this.#thread?.hold(true);
    this.#lastCall += 1;
    const call = this.#lastCall;
    const answered = new Promise<void>((resolve, reject) => this.#calls.set(call, { resolve, reject }));
    this.post({ type: 'open', call, run, request });
    try {
      await answered;
    } catch (error) {
      this.#forget(run);
      throw error;
    }
  }

  post(message: ToThread, transfer?: readonly ArrayBuffer[]): void {
    this.#thread?.post(message, transfer);
  }

  /** Lets the thread go once its runs are over. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#goOn?.();
    this.#onReady?.reject(new MyriadError('closed', `${this.name} is closed`));
    const thread = this.#thread;
    if (thread === undefined) return;
    thread.hold(true);
    const gone = new Promise<void>((resolve) => {
      this.#gone = resolve;
    });
    thread.post({ type: 'close' });
    await gone;
    await thread.terminate();
    this.#desk?.close();
    this.#thread = undefined;
  }

  async #start(): Promise<void> {
    const delay = this.#died ? this.#parts.restarts.next() : 0;
    if (delay > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#parts.clock.setTimer(delay, resolve);
        const goOn = () => {
          timer.cancel();
          resolve();
        };
        this.#goOn = goOn;
      });
    }
    if (this.#closing) throw new MyriadError('closed', `${this.name} is closed`);
    await new Promise<void>((resolve, reject) => {
      this.#onReady = { resolve, reject };
      const thread = this.#parts.spawn(this.name, {
        onMessage: (message) => this.#heard(message),
        onExit: (reason) => this.#exited(reason),
      });
      this.#thread = thread;
      this.#desk = new CallDesk(this.#parts.services, (message) => thread.post(message));
    });
    this.#onReady = undefined;
  }

  #heard(message: FromThread): void {
    if (message.type === 'ready') this.#onReady?.resolve();
    else if (message.type === 'closed') this.#gone?.();
    else if (message.type === 'ask') void this.#desk?.asked(message.call, message.service, message.value);
    else if (message.type === 'drop') this.#desk?.dropped(message.call);
    else if (message.type === 'tell') this.#desk?.told(message.service, message.value);
    else if (message.type === 'answer') this.#answered(message);
    else {
      this.#runs.get(message.run)?.heard(message);
      if (message.type === 'over') this.#forget(message.run);
    }
  }

  #answered({ call, error }: Extract<FromThread, { type: 'answer' }>): void {
    const waiting = this.#calls.get(call);
    this.#calls.delete(call);
    if (error === undefined) waiting?.resolve();
    else waiting?.reject(errorOf(error));
  }

  #forget(run: number): void {
    this.#runs.delete(run);
    if (this.#runs.size === 0) this.#thread?.hold(false);
  }

  #exited(reason: string): void {
    this.#died = true;
    this.#thread = undefined;
    this.#ready = undefined;
    this.#desk?.close();
    this.#gone?.();
    const error = new MyriadError('internal', `${this.name} ended: ${reason}`);
    this.#onReady?.reject(error);
    this.#onReady = undefined;
    for (const call of this.#calls.values()) call.reject(error);
    this.#calls.clear();
    const runs = [...this.#runs.values()];
    this.#runs.clear();
    for (const run of runs) run.died(reason);
  }
}
