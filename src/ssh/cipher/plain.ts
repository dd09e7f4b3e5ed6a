/** No protection. */
import type { Writer } from '../wire.ts';
import { checkLength, newOpened, type Opened, type Opener, pad, type Sealer, unpad } from './packet.ts';

/** Before the first NEWKEYS. */
export class PlainCipher implements Sealer, Opener {
  readonly #opened = newOpened();

  seal(packet: Writer, _sequence: number, out: Writer): void {
    pad(packet, 8, true, undefined);
    out.raw(packet.view());
  }

  size(buffer: Buffer, offset: number, available: number): number {
    if (available < 4) return 0;
    return 4 + checkLength(buffer.readUInt32BE(offset), 8, true);
  }

  open(buffer: Buffer, offset: number, size: number): Opened {
    return unpad(this.#opened, buffer, offset + 4, size - 4);
  }
}
