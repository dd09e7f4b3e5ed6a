/** One attempt of a task to connect: what the engine lends to the transport. */
import type { ConnectPhase, Watch } from '../transport/transport.ts';

/** The task behind an attempt; it knows which of its attempts is the present one. */
export interface AttemptedTask {
  enter(
    watch: Attempt,
    phase: ConnectPhase,
    address: string | undefined,
    ownMs: number | undefined,
  ): Promise<void> | undefined;
  hold(watch: Attempt): () => void;
  queues(watch: Attempt, what: string): () => void;
}

/** The watch of one attempt; deaf once the attempt is over. */
export class Attempt implements Watch {
  readonly #task: AttemptedTask;
  #stop: ((reason: Error) => void) | undefined = undefined;
  #reason: Error | undefined = undefined;

  constructor(task: AttemptedTask) {
    this.#task = task;
  }

  get stop(): ((reason: Error) => void) | undefined {
    return this.#stop;
  }

  /** A transport that could not be stopped when it should have been is stopped as soon as it can be. */
  set stop(stop: ((reason: Error) => void) | undefined) {
    if (this.#reason === undefined) this.#stop = stop;
    else stop?.(this.#reason);
  }

  enter(phase: ConnectPhase, address?: string, ownMs?: number): Promise<void> | undefined {
    return this.#task.enter(this, phase, address, ownMs);
  }

  hold(): () => void {
    return this.#task.hold(this);
  }

  queues(what: string): () => void {
    return this.#task.queues(this, what);
  }

  /** Tells the transport that the attempt is over. */
  halt(reason: Error): void {
    const stop = this.#stop;
    this.#reason = reason;
    this.#stop = undefined;
    try {
      stop?.(reason);
    } catch {
      // The attempt is over for us, whatever its transport makes of it.
    }
  }
}
