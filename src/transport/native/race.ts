/**
 * One of several addresses: the head start of RFC 8305. For TCP connections only: the handshake that follows is too dear
 * to be done twice.
 *
 *   racing —a dial succeeds→ won      the others are cancelled
 *   racing —every dial failed→ lost   with the error that says most
 *   racing —cancel→ cancelled         all dials are cancelled
 * While racing, the next address is dialled when the last one has had its head start, or at once when one fails.
 */

/** A connection that is being made. */
export interface Dialling<T> {
  readonly promise: Promise<T>;
  /** Gives it up: closes what is open, also after the promise was fulfilled, and rejects with `reason` where it was not. */
  cancel(reason: Error): void;
}

export type SetTimer = (delayMs: number, callback: () => void) => { cancel(): void };

/** RFC 8305 §5. */
const HEAD_START_MS = 250;

/** Dials `addresses` (one at least) in their order; a single one is simply dialled, and costs nothing more. */
export function race<T>(
  addresses: readonly string[],
  dial: (address: string) => Dialling<T>,
  setTimer: SetTimer,
  headStartMs: number = HEAD_START_MS,
): Dialling<T> {
  if (addresses.length === 1) return dial(addresses[0]!);
  return new Race(addresses, dial, setTimer, headStartMs);
}

class Race<T> implements Dialling<T> {
  readonly promise: Promise<T>;
  readonly #settled = Promise.withResolvers<T>();
  readonly #addresses: readonly string[];
  readonly #dial: (address: string) => Dialling<T>;
  readonly #setTimer: SetTimer;
  readonly #headStartMs: number;
  /** Those that are under way. */
  readonly #dials = new Set<Dialling<T>>();
  #state: 'racing' | 'won' | 'lost' | 'cancelled' = 'racing';
  #next = 0;
  #timer: { cancel(): void } | undefined;
  #error: unknown;
  /** The connection that won, as long as it can be given up. */
  #winner: Dialling<T> | undefined;

  constructor(
    addresses: readonly string[],
    dial: (address: string) => Dialling<T>,
    setTimer: SetTimer,
    headStartMs: number,
  ) {
    this.promise = this.#settled.promise;
    this.#addresses = addresses;
    this.#dial = dial;
    this.#setTimer = setTimer;
    this.#headStartMs = headStartMs;
    this.#start();
  }

  cancel(reason: Error): void {
    this.#winner?.cancel(reason);
    if (this.#state !== 'racing') return;
    this.#end('cancelled', reason);
    this.#settled.reject(reason);
  }

  #start(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const dial = this.#dial(this.#addresses[this.#next++]!);
    this.#dials.add(dial);
    if (this.#next < this.#addresses.length) {
      this.#timer = this.#setTimer(this.#headStartMs, () => this.#start());
    }
    dial.promise.then(
      (value) => this.#succeeded(dial, value),
      (error) => this.#failed(dial, error),
    );
  }

  #succeeded(dial: Dialling<T>, value: T): void {
    // A cancelled one closes itself.
    if (this.#state !== 'racing') return;
    this.#dials.delete(dial);
    this.#winner = dial;
    this.#end('won', new Error('another address was faster'));
    this.#settled.resolve(value);
  }

  #failed(dial: Dialling<T>, error: unknown): void {
    if (this.#state !== 'racing') return;
    this.#dials.delete(dial);
    if (this.#error === undefined || weight(error) >= weight(this.#error)) this.#error = error;
    if (this.#next < this.#addresses.length) this.#start();
    else if (this.#dials.size === 0) {
      this.#end('lost');
      this.#settled.reject(this.#error);
    }
  }

  #end(state: 'won' | 'lost' | 'cancelled', reason?: Error): void {
    this.#state = state;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (reason !== undefined) for (const dial of this.#dials) dial.cancel(reason);
    this.#dials.clear();
  }
}

/**
 * How much an error says about the host, from nothing on: this machine has no way there · the network has none · nobody
 * answered · the host itself said no · a limit of ours, which must not pass for the host's fault. Of equal ones the last counts.
 */
const WEIGHTS: readonly (readonly string[])[] = [
  ['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL', 'ENETUNREACH', 'ENETDOWN'],
  ['EHOSTUNREACH', 'EHOSTDOWN', 'EACCES', 'EPERM'],
  ['ETIMEDOUT'],
  ['ECONNREFUSED', 'ECONNRESET'],
  ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EAGAIN'],
];

function weight(error: unknown): number {
  const code = codeOf(error) ?? codeOf((error as { cause?: unknown } | null)?.cause);
  if (code === undefined) return WEIGHTS.length;
  const found = WEIGHTS.findIndex((codes) => codes.includes(code));
  // What is not listed was seen after the connection was there, or is ours: it says most.
  return found < 0 ? WEIGHTS.length : found;
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
