/** sshd's MaxStartups: of unauthenticated connections, drops a growing share from `begin` on, and all from `full` on. */
import { MyriadError } from '../contracts/errors.ts';
import type { Random } from '../contracts/limits.ts';

export class MaxStartups {
  readonly #begin: number;
  readonly #rate: number;
  readonly #full: number;
  readonly #random: Random;
  #open = 0;

  /** @param text `begin:rate:full` as in sshd_config, `10:30:100`. Throws `usage`. */
  constructor(text: string, random: Random) {
    const match = /^(\d+):(\d+):(\d+)$/.exec(text);
    if (!match) throw new MyriadError('usage', `MaxStartups "${text}": expected BEGIN:RATE:FULL, such as 10:30:100`);
    this.#begin = Number(match[1]);
    this.#rate = Number(match[2]);
    this.#full = Number(match[3]);
    this.#random = random;
  }

  /** True when a new connection is let in; then `leave` must follow once. */
  enter(): boolean {
    if (this.#drops()) return false;
    this.#open++;
    return true;
  }

  leave(): void {
    this.#open--;
  }

  /** sshd's own rule: the share grows linearly from `rate` % at `begin` to 100 % at `full`. */
  #drops(): boolean {
    if (this.#open < this.#begin) return false;
    if (this.#open >= this.#full) return true;
    const share = this.#rate + ((100 - this.#rate) * (this.#open - this.#begin)) / (this.#full - this.#begin);
    return this.#random() * 100 < share;
  }
}
