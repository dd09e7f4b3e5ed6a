/** A stream whose other end stops reading when told to. */
import type { ByteStream } from '../../src/ssh/byte_stream.ts';

export class StalledStream implements ByteStream {
  readonly #stream: ByteStream;
  #kept: Buffer[] | undefined;
  /** Called when all has left, as a socket does. */
  onDrained: () => void = () => {};
  /** The most that ever waited. */
  most = 0;
  destroyed = false;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  get waiting(): number {
    return this.#kept?.reduce((sum, { length }) => sum + length, 0) ?? 0;
  }

  stall(): void {
    this.#kept ??= [];
  }

  /** Lets all that waits go; from then on nothing waits, unless `stalled`. Without `told` the layer above hears of it later. */
  release({ stalled = false, told = true } = {}): void {
    const kept = this.#kept ?? [];
    this.#kept = stalled ? [] : undefined;
    for (const bytes of kept) this.#stream.write(bytes);
    if (told) this.onDrained();
  }

  write(bytes: Buffer): void {
    if (this.#kept === undefined) {
      this.#stream.write(bytes);
      return;
    }
    this.#kept.push(bytes);
    this.most = Math.max(this.most, this.waiting);
  }

  end(): void {
    this.#stream.end();
  }

  destroy(): void {
    this.destroyed = true;
    this.#stream.destroy();
  }
}
