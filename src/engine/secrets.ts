/**
 * Secrets that must not be seen in what hosts say: passwords and answers that were sent to them. Each is looked for as it is, and
 * as programs write it again: quoted for a shell, in JSON, in a URL, and in base64 by itself.
 */

/** Shorter ones are words that stand everywhere. In characters. */
const SHORTEST = 4;
/** Of a form, in bytes: half a window of `redact.ts`. Longest password that sshd takes: 1,024. */
const LONGEST = 8 * 1024;
/** Secrets at once, the oldest go first: more than tasks in progress, so that those of hosts that still talk are there. */
const MOST = 20_000;
/** Up to so many forms are looked for one by one, which is faster. */
const FEW = 16;

export class Secrets {
  /** By their value, in the order in which they came. */
  readonly #forms = new Map<string, readonly Buffer[]>();
  /** All forms, by their first four bytes. */
  readonly #byStart = new Map<number, Buffer[]>();
  #count = 0;

  /** Forms that are looked for. */
  get size(): number {
    return this.#count;
  }

  add(secret: string): void {
    // Output is searched by the line.
    for (const line of secret.split(/[\r\n]+/)) {
      if ([...line].length < SHORTEST || this.#forms.has(line)) continue;
      const forms = formsOf(line);
      this.#forms.set(line, forms);
      for (const form of forms) this.#file(form);
      if (this.#forms.size > MOST) this.#forget(this.#forms.keys().next().value!);
    }
  }

  clear(): void {
    this.#forms.clear();
    this.#byStart.clear();
    this.#count = 0;
  }

  /** Appends the place of every secret in `bytes`, as start and end. */
  find(bytes: Buffer, found: [number, number][]): void {
    if (this.#count > FEW) {
      this.#scan(bytes, found);
      return;
    }
    for (const forms of this.#byStart.values()) {
      for (const form of forms) {
        for (let at = bytes.indexOf(form); at !== -1; at = bytes.indexOf(form, at + 1)) {
          found.push([at, at + form.length]);
        }
      }
    }
  }

  /** One pass, however many secrets there are. */
  #scan(bytes: Buffer, found: [number, number][]): void {
    let start = 0;
    for (let at = 0; at < bytes.length; at++) {
      start = ((start << 8) | bytes[at]!) >>> 0;
      if (at < 3) continue;
      for (const form of this.#byStart.get(start) ?? []) {
        const from = at - 3;
        const end = from + form.length;
        if (end <= bytes.length && form.compare(bytes, from, end) === 0) found.push([from, end]);
      }
    }
  }

  #file(form: Buffer): void {
    const start = form.readUInt32BE(0);
    const same = this.#byStart.get(start);
    if (same === undefined) this.#byStart.set(start, [form]);
    else same.push(form);
    this.#count++;
  }

  #forget(line: string): void {
    for (const form of this.#forms.get(line) ?? []) {
      const start = form.readUInt32BE(0);
      const left = this.#byStart.get(start)!.filter((other) => other !== form);
      if (left.length === 0) this.#byStart.delete(start);
      else this.#byStart.set(start, left);
      this.#count--;
    }
    this.#forms.delete(line);
  }
}

function formsOf(secret: string): Buffer[] {
  const base64 = Buffer.from(secret).toString('base64').replace(/=+$/, '');
  const texts = new Set([
    secret,
    secret.replaceAll("'", "'\\''"),
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
    base64,
    base64.replaceAll('+', '-').replaceAll('/', '_'),
  ]);
  return [...texts].map((text) => Buffer.from(text).subarray(0, LONGEST));
}
