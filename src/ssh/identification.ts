/** Identification strings, RFC 4253 §4.2: reads the peer's, tolerating the lines a server may send before it. */
import { protocolError } from './errors.ts';

/** Without CR LF. */
export const IDENTIFICATION = 'SSH-2.0-Myriad_0.1';

/** Of all that may come before and with the identification; OpenSSH's own limit per line is the same. */
const MAX_BYTES = 8 * 1024;
const MAX_LINE = 255;

export class IdentificationReader {
  /** The lines before the identification, for messages: `Exceeded MaxStartups` comes this way. */
  #text = '';
  #line = '';
  #total = 0;

  /** Text that came instead of an identification, printable, at most 200 characters. */
  get received(): string {
    return `${this.#text}${this.#line}`
      .replace(/[^\x20-\x7e]+/g, ' ')
      .trim()
      .slice(0, 200);
  }

  /**
   * Takes bytes from `offset`. Returns the offset after the identification's line end, or -1 when all was taken and
   * more is needed; then `identification` is set. Servers send lines before it, clients must not.
   */
  read(chunk: Buffer, offset: number, serverSide: boolean): number {
    for (let at = offset; ; ) {
      const newline = chunk.indexOf(10, at);
      const end = newline < 0 ? chunk.length : newline;
      // Line ends count too: empty lines are as endless as long ones.
      this.#total += (newline < 0 ? end : end + 1) - at;
      if (this.#total > MAX_BYTES) throw protocolError(`expected an identification within ${MAX_BYTES} bytes`);
      this.#line += chunk.toString('latin1', at, end);
      if (newline < 0) return -1;
      at = newline + 1;
      const line = this.#line.endsWith('\r') ? this.#line.slice(0, -1) : this.#line;
      this.#line = '';
      if (line.startsWith('SSH-')) {
        this.identification = checkIdentification(line);
        return at;
      }
      if (serverSide) throw protocolError('expected an identification as the first line');
      this.#text += `${line}\n`;
    }
  }

  identification = '';
}

/** Gives `line` back. Throws `protocol` for one that is too long or of another version. */
function checkIdentification(line: string): string {
  if (line.length > MAX_LINE || line.includes('\0'))
    throw protocolError('expected an identification of at most 255 characters');
  if (!line.startsWith('SSH-2.0-') && !line.startsWith('SSH-1.99-')) {
    throw protocolError(`expected protocol version 2.0, got ${JSON.stringify(line.slice(0, 40))}`);
  }
  return line;
}
