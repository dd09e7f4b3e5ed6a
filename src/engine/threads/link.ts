/** Calls between a thread and the main thread: for what cannot cross, such as functions of the caller. */
import { MyriadError } from '../../contracts/errors.ts';
import { errorOf, type FromThread, type PlainError, plainError, type ToThread } from './protocol.ts';

/** The thread's side. */
export interface ThreadLink {
  /** Rejects with what the service throws; with the signal's reason where that comes first. */
  ask(service: string, value: unknown, signal?: AbortSignal): Promise<unknown>;
  tell(service: string, value: unknown): void;
  /** What the main thread tells of `service` goes to `handler`. */
  on(service: string, handler: (value: unknown) => void): void;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** As many calls wait as tasks are in progress. */
export class Calls implements ThreadLink {
  readonly #post: (message: FromThread) => void;
  readonly #waiting = new Map<number, Waiting>();
  readonly #handlers = new Map<string, (value: unknown) => void>();
  #last = 0;

  constructor(post: (message: FromThread) => void) {
    this.#post = post;
  }

  ask(service: string, value: unknown, signal?: AbortSignal): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    this.#last += 1;
    const call = this.#last;
    this.#post({ type: 'ask', call, service, value });
    return new Promise((resolve, reject) => {
      const left = (): void => {
        this.#waiting.delete(call);
        this.#post({ type: 'drop', call });
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', left, { once: true });
      const over = (): void => signal?.removeEventListener('abort', left);
      this.#waiting.set(call, {
        resolve: (answer) => {
          over();
          resolve(answer);
        },
        reject: (error) => {
          over();
          reject(error);
        },
      });
    });
  }

  tell(service: string, value: unknown): void {
    this.#post({ type: 'tell', service, value });
  }

  on(service: string, handler: (value: unknown) => void): void {
    this.#handlers.set(service, handler);
  }

  answered(message: Extract<ToThread, { type: 'answer' }>): void {
    const waiting = this.#waiting.get(message.call);
    this.#waiting.delete(message.call);
    if (message.error === undefined) waiting?.resolve(message.value);
    else waiting?.reject(errorOf(message.error));
  }

  told(message: Extract<ToThread, { type: 'tell' }>): void {
    this.#handlers.get(message.service)?.(message.value);
  }
}

/** Who asks. */
export interface Caller {
  /** Aborts when the thread takes the call back, or dies. */
  readonly signal: AbortSignal;
  /** Aborts when the thread dies. */
  readonly thread: AbortSignal;
}

/** What the main thread does for threads, by name. */
export type Services = ReadonlyMap<string, (value: unknown, caller: Caller) => unknown>;

/** The main thread's side of the calls of one thread. */
export class CallDesk {
  readonly #services: Services;
  readonly #post: (message: ToThread) => void;
  readonly #open = new Map<number, AbortController>();
  readonly #gone = new AbortController();

  constructor(services: Services, post: (message: ToThread) => void) {
    this.#services = services;
    this.#post = post;
  }

  async asked(call: number, service: string, value: unknown): Promise<void> {
    const dropped = new AbortController();
    this.#open.set(call, dropped);
    const answer = (more: { value?: unknown; error?: PlainError }): void => {
      if (this.#open.delete(call) && !this.#gone.signal.aborted) this.#post({ type: 'answer', call, ...more });
    };
    try {
      const serve = this.#services.get(service);
      if (serve === undefined) throw new MyriadError('internal', `the main thread has no service "${service}"`);
      const signal = AbortSignal.any([dropped.signal, this.#gone.signal]);
      answer({ value: await serve(value, { signal, thread: this.#gone.signal }) });
    } catch (error) {
      answer({ error: plainError(error) });
    }
  }

  dropped(call: number): void {
    this.#open.get(call)?.abort(new MyriadError('aborted', 'the attempt was stopped'));
    this.#open.delete(call);
  }

  told(service: string, value: unknown): void {
    void this.#services.get(service)?.(value, { signal: this.#gone.signal, thread: this.#gone.signal });
  }

  /** The thread is gone: so is whoever waited. */
  close(): void {
    this.#open.clear();
    this.#gone.abort(new MyriadError('aborted', 'the thread that asked has ended'));
  }
}
