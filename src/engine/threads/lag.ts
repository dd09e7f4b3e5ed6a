/**
 * Finds a thread's loop standing still for more than 100 ms while it computes: a job that keeps the thread for itself, and with it
 * all other hosts. What the machine takes away from it does not count. Told once.
 */
const LAG_MS = 100;
const LOOK_MS = 50;

export class LagWatch {
  readonly #tell: (ms: number) => void;
  #timer: NodeJS.Timeout | undefined;
  #lookedAt = 0;
  #used = 0;

  constructor(tell: (ms: number) => void) {
    this.#tell = tell;
  }

  start(): void {
    this.#note();
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #note(): void {
    const { user, system } = process.threadCpuUsage();
    this.#used = (user + system) / 1000;
    this.#lookedAt = performance.now();
  }

  #look(): void {
    const [before, since] = [this.#used, this.#lookedAt];
    this.#note();
    const late = this.#lookedAt - since - LOOK_MS;
    const ms = Math.min(late, this.#used - before);
    if (late <= LAG_MS || ms <= LAG_MS) return;
    this.stop();
    this.#tell(Math.round(ms));
  }
}
