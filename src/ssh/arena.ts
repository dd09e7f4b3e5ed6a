/** What the connections of one thread share, so that nothing is allocated or parsed per host that could be done once. */
import { randomFillSync } from 'node:crypto';
import { PublicKeyCache } from './public_key.ts';
import { Writer } from './wire.ts';

const RANDOM_POOL = 16 * 1024;

/** Channel windows come out of one budget: what the peers may send that we have not taken yet. */
export class WindowBudget {
  #free: number;

  constructor(bytes = 256 * 1024 * 1024) {
    this.#free = bytes;
  }

  /** True when `bytes` more were granted. */
  take(bytes: number): boolean {
    if (bytes > this.#free) return false;
    this.#free -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#free += bytes;
  }
}

export class Arena {
  /** The packet being built; sealed in the same turn it was begun. */
  readonly packet = new Writer(4096);
  /** For exchange hashes and signed data; used within one function only. */
  readonly scratch = new Writer(4096);
  /** Sockets are read into it; what is left over of it is copied before the callback ends. */
  readonly readBuffer = Buffer.allocUnsafeSlow(64 * 1024);
  readonly publicKeys = new PublicKeyCache();
  readonly windows: WindowBudget;
  readonly #random = Buffer.allocUnsafeSlow(RANDOM_POOL);
  #randomAt = RANDOM_POOL;

  constructor(windows = new WindowBudget()) {
    this.windows = windows;
  }

  /** Copies fresh random bytes, for what everybody may see: cookies and padding. Each is given out once. At most 16 KiB a call. */
  readonly fillRandom = (target: Buffer, offset: number, count: number): void => {
    if (this.#randomAt + count > RANDOM_POOL) {
      randomFillSync(this.#random);
      this.#randomAt = 0;
    }
    this.#random.copy(target, offset, this.#randomAt, this.#randomAt + count);
    this.#randomAt += count;
  };
}
