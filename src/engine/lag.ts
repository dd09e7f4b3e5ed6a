/**
 * Whose code keeps a loop for itself, and with it all hosts of the thread: more than 100 ms at once is told, once for each cause.
 *
 * meter   around calls of code that is not ours: how long each took
 * watch   for what no call can be drawn around, such as the middle of a job: the loop stood still while the thread computed
 *
 * What the machine takes away from a thread does not count, but for calls that wait here for something else (`during`).
 */
const LAG_MS = 100;
const LOOK_MS = 50;
/** What the thread has computed is asked for that often at most: the question takes 0.6 µs, and calls come for every host. */
const USED_MS = 20;
/** Causes that are told of; listeners have names that anybody may give. */
const MOST_CAUSES = 100;

/** Real time, but in tests. */
export interface LagTime {
  now(): number;
  /** What the thread has computed so far, in milliseconds. */
  usedMs(): number;
  every(ms: number, look: () => void): { cancel(): void };
}

const REAL_TIME: LagTime = {
  now: () => performance.now(),
  usedMs() {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  },
  every(ms, look) {
    const timer = setInterval(look, ms).unref();
    return { cancel: () => clearInterval(timer) };
  },
};

export class LagMeter {
  readonly #time: LagTime;
  readonly #tell: (text: string) => void;
  readonly #told = new Set<string>();
  #lastAt = Number.NEGATIVE_INFINITY;
  #used = 0;
  #usedAt = Number.NEGATIVE_INFINITY;

  /** `tell`: hears one sentence a cause. */
  constructor(tell: (text: string) => void, time: LagTime = REAL_TIME) {
    this.#time = time;
    this.#tell = tell;
  }

  /** Just before a call that comes often; what comes back goes to `end`. */
  start(): number {
    const now = this.#time.now();
    if (now - this.#usedAt > USED_MS) {
      this.#used = this.#time.usedMs();
      this.#usedAt = now;
    }
    return now;
  }

  /** Just after it: `what` was called, of this name. */
  end(startedAt: number, what: string, name = ''): void {
    const ms = this.#time.now() - startedAt;
    if (ms <= LAG_MS || this.#time.usedMs() - this.#used <= LAG_MS) return;
    this.#kept(ms, name === '' ? what : `${what} "${name}"`);
  }

  /** Around a call that comes now and then; of a promise only the call counts. */
  during<T>(call: () => T, what: string): T {
    const startedAt = this.#time.now();
    try {
      return call();
    } finally {
      const ms = this.#time.now() - startedAt;
      if (ms > LAG_MS) this.#kept(ms, what);
    }
  }

  /** The loop stood still for `ms`, up to now; told only where no call was found that did it. */
  stoodStill(ms: number, job: string): void {
    if (this.#lastAt >= this.#time.now() - ms - 2 * LOOK_MS || !this.#first(`still: ${job}`)) return;
    this.#tell(`the main thread stood still for ${ms} ms while the job "${job}" ran: all other hosts waited`);
  }

  #kept(ms: number, cause: string): void {
    this.#lastAt = this.#time.now();
    if (this.#first(cause)) this.#tell(`${cause} kept the main thread for ${Math.round(ms)} ms: all hosts waited`);
  }

  #first(cause: string): boolean {
    if (this.#told.size >= MOST_CAUSES || this.#told.has(cause)) return false;
    this.#told.add(cause);
    return true;
  }
}

/** Tells once. */
export class LagWatch {
  readonly #tell: (ms: number) => void;
  readonly #time: LagTime;
  #timer: { cancel(): void } | undefined;
  #lookedAt = 0;
  #used = 0;

  constructor(tell: (ms: number) => void, time: LagTime = REAL_TIME) {
    this.#tell = tell;
    this.#time = time;
  }

  start(): void {
    this.#note();
    this.#timer = this.#time.every(LOOK_MS, () => this.#look());
  }

  /** Looks once more: what stood still last would not be seen otherwise. */
  stop(): void {
    if (this.#timer !== undefined) this.#look();
    this.#cancel();
  }

  #cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #note(): void {
    this.#used = this.#time.usedMs();
    this.#lookedAt = this.#time.now();
  }

  #look(): void {
    const [before, since] = [this.#used, this.#lookedAt];
    this.#note();
    const late = this.#lookedAt - since - LOOK_MS;
    const ms = Math.min(late, this.#used - before);
    if (late <= LAG_MS || ms <= LAG_MS) return;
    this.#cancel();
    this.#tell(Math.round(ms));
  }
}
