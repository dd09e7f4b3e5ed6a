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
  /** One line about what is in progress. */
  status(): string;
}

export class Interrupts {
  readonly #target: Stoppable;
  readonly #say: (line: string) => void;
  #mode: 'running' | 'paused' | 'stopping' = 'running';
  #raw = false;
  readonly #onInterrupt = () => this.#interrupt();
  readonly #onTerminate = () => this.#stop();
  readonly #onKey = (chunk: Buffer) => this.#key(chunk);

  constructor(target: Stoppable, say: (line: string) => void) {
    this.#target = target;
    this.#say = say;
    process.on('SIGINT', this.#onInterrupt);
    process.on('SIGTERM', this.#onTerminate);
    process.on('SIGHUP', this.#onTerminate);
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
    if (this.#mode === 'paused' || !process.stdin.isTTY) {
      this.#stop();
      return;
    }
    this.#mode = 'paused';
    this.#target.pause();
    this.#say(`${this.#target.status()}\npaused: no new command starts; c continues, ^C ends what is running\n`);
    process.stdin.setRawMode(true);
    this.#raw = true;
    process.stdin.on('data', this.#onKey);
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
