/** Lines out of a stream of bytes, in bounded memory. */

/** Of one line, in bytes; what is longer is cut there. OpenSSH's own log lines end at 1 KiB. */
const LINE_LIMIT = 4096;

export class Lines {
  readonly #take: (line: string) => void;
  #rest = '';

  /** `take` gets each line without its end, in printable ASCII. */
  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  feed(chunk: Uint8Array): void {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, from)) {
      this.#keep(chunk.subarray(from, at));
      this.#give();
      from = at + 1;
    }
    this.#keep(chunk.subarray(from));
  }

  /** Gives what came after the last end of a line. */
  end(): void {
    if (this.#rest !== '') this.#give();
  }

  #keep(piece: Uint8Array): void {
    const room = LINE_LIMIT - this.#rest.length;
    if (room > 0) this.#rest += Buffer.from(piece.subarray(0, room)).toString('latin1');
  }

  #give(): void {
    const line = this.#rest;
    this.#rest = '';
    // Half of what ssh prints came from the peer: no control bytes, no other alphabets.
    this.#take(line.replace(/[^\x20-\x7e]+/g, ' ').trimEnd());
  }
}
