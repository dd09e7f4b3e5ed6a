/** What an SSH server says of itself before anything else (RFC 4253 §4.2), from bytes that nobody vouches for. */

/** Of all that may come before and with it; OpenSSH's own limit per line is the same. */
const MAX_BYTES = 8 * 1024;
const MAX_LINE = 255;

export class Banner {
  #text = '';
  #total = 0;

  /** The software that is named, without `SSH-2.0-`; empty: it is no SSH server; undefined: more bytes are needed. */
  read(chunk: Buffer): string | undefined {
    this.#text += chunk.toString('latin1', 0, MAX_BYTES - this.#total);
    this.#total = Math.min(MAX_BYTES, this.#total + chunk.length);
    for (;;) {
      const end = this.#text.indexOf('\n');
      if (end < 0) return this.#total >= MAX_BYTES ? '' : undefined;
      const line = this.#text.slice(0, end).replace(/\r$/, '');
      this.#text = this.#text.slice(end + 1);
      // Servers may send lines before it; empty ones are as endless as long ones, so all count.
      if (!line.startsWith('SSH-')) continue;
      const software = line.length <= MAX_LINE ? /^SSH-(?:2\.0|1\.99)-([\x20-\x7e]+)$/.exec(line)?.[1] : undefined;
      return software ?? '';
    }
  }
}
