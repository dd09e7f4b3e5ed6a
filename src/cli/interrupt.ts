/**
 * Stopping from outside.
 *
 *   running ──^C on a terminal──▶ paused ──c──▶ running
 *   running, paused ──^C again, SIGTERM, SIGHUP, or ^C without a terminal──▶ stopping ──^C──▶ the process exits
 *
 * paused: no new command starts, the status is shown. stopping: what runs is ended, the rest is `not-run`.
 */
export interface Stoppable {
  pause(): void;
  unpause(): void;
  stop(): void;
  /** About what is in progress, for the terminal. */
  status(): string;
}

export class Interrupts {
  readonly #target: Stoppable;
  readonly #say: (line: string) => void;
  readonly #stdin: 'free' | 'taken';
  #mode: 'running' | 'paused' | 'stopping' = 'running';
  #raw = false;
  readonly #onInterrupt = () => this.#interrupt();
  readonly #onTerminate = () => this.#stop();
  readonly #onKey = (chunk: Buffer) => this.#key(chunk);

  /** `stdin` taken: it is read for something else, so no key can be; the first ^C stops then. */
  constructor(target: Stoppable, say: (line: string) => void, stdin: 'free' | 'taken' = 'free') {
    this.#target = target;
    this.#say = say;
    this.#stdin = stdin;
    process.on('SIGINT', this.#onInterrupt);
    process.on('SIGTERM', this.#onTerminate);
    process.on('SIGHUP', this.#onTerminate);
  }

  get paused(): boolean {
    return this.#mode === 'paused';
  }

  /** Gives signals and terminal back. */
  release(): void {
    process.off('SIGINT', this.#onInterrupt);
    process.off('SIGTERM', this.#onTerminate);
    process.off('SIGHUP', this.#onTerminate);
    this.#cooked();
  }

  #interrupt(): void {
    if (this.#mode === 'stopping') {
      this.#cooked();
      process.exit(130);
    }
    const keys = this.#stdin === 'free' && process.stdin.isTTY && !process.stdin.readableEnded;
    if (this.#mode === 'paused' || !keys) {
      this.#stop();
      return;
    }
    this.#mode = 'paused';
    this.#target.pause();
    process.stdin.setRawMode(true);
    this.#raw = true;
    this.#say(`${this.#target.status()}\npaused: no new command starts; c continues, ^C ends what is running\n`);
    // Whoever asked a question before has left it paused: it flows again only when it is told to.
    process.stdin.on('data', this.#onKey).resume();
  }

  #key(chunk: Buffer): void {
    for (const byte of chunk) {
      if (byte === 0x03) this.#interrupt();
      else if (byte === 0x63 && this.#mode === 'paused') {
        this.#mode = 'running';
        this.#cooked();
        this.#target.unpause();
        this.#say('continuing\n');
      }
    }
  }

  #stop(): void {
    if (this.#mode === 'stopping') return;
    this.#mode = 'stopping';
    this.#cooked();
    this.#say('stopping: ending what is running; ^C once more leaves at once\n');
    this.#target.stop();
  }

  #cooked(): void {
    if (!this.#raw) return;
    this.#raw = false;
    process.stdin.off('data', this.#onKey);
    process.stdin.setRawMode(false);
    process.stdin.pause();
  }
}
