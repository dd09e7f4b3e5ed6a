/**
 * The start of a command with a terminal. A client that has none itself asks for one without a size and with all modes off, so the
 * host is told in words that all shells take; what is typed before they have worked would be read as in another mode. So input waits
 * until the host has said a word that is known here only.
 */
import { randomBytes } from 'node:crypto';
import type { Terminal } from '../transport.ts';

/** Of what a login shell's own files print before that. */
const MAX_EARLY = 64 * 1024;

export class TerminalStart {
  /** Goes before the command. */
  readonly prefix: string;
  readonly #word = `myriad-${randomBytes(16).toString('hex')}`;
  readonly #write: (chunk: Buffer) => boolean;
  #early: Buffer | undefined = Buffer.alloc(0);

  constructor({ columns, rows, raw }: Terminal, write: (chunk: Buffer) => boolean) {
    const modes = raw ? 'raw -echo' : 'sane';
    this.prefix = `stty ${modes} rows ${rows} columns ${columns}; echo ${this.#word}; `;
    this.#write = write;
  }

  /** Passes output on, without the word; `ready`: it has been said, or never will be. False: the consumer is full. */
  heard(chunk: Buffer, ready: () => void): boolean {
    if (this.#early === undefined) return this.#write(chunk);
    const early = Buffer.concat([this.#early, chunk]);
    const at = early.indexOf(this.#word);
    const end = at === -1 ? -1 : early.indexOf('\n', at);
    this.#early = early;
    if (end === -1 && early.length <= MAX_EARLY) return true;
    this.#early = undefined;
    const more = end === -1 ? this.#pass(early) : this.#pass(early.subarray(0, at), early.subarray(end + 1));
    ready();
    return more;
  }

  /** No more comes: the word was never said. */
  end(): void {
    const early = this.#early;
    this.#early = undefined;
    if (early !== undefined) this.#pass(early);
  }

  #pass(...parts: Buffer[]): boolean {
    const bytes = Buffer.concat(parts);
    return bytes.length === 0 || this.#write(bytes);
  }
}
