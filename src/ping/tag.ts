/**
 * HalfSipHash-1-3: 32 bits that nobody can make who does not know the secret of the sweep. A probe carries them over what it says of
 * itself and over the address it went to, so that an answer that was made up, or belongs to another sweep, is known for what it is.
 */
export class Tagger {
  readonly #k0: number;
  readonly #k1: number;
  #v0 = 0;
  #v1 = 0;
  #v2 = 0;
  #v3 = 0;

  /** `secret`: two words. */
  constructor(secret: readonly [number, number]) {
    this.#k0 = secret[0] | 0;
    this.#k1 = secret[1] | 0;
  }

  /** The tag over four words of a probe and the words of its address. */
  tag(a: number, b: number, c: number, d: number, address: Uint32Array): number {
    this.#v0 = this.#k0;
    this.#v1 = this.#k1;
    this.#v2 = 0x6c796765 ^ this.#k0;
    this.#v3 = 0x74656462 ^ this.#k1;
    this.#take(a);
    this.#take(b);
    this.#take(c);
    this.#take(d);
    for (let i = 0; i < address.length; i++) this.#take(address[i]!);
    this.#take(((4 + address.length) << 26) | 0);
    this.#v2 ^= 0xff;
    this.#round();
    this.#round();
    this.#round();
    return (this.#v1 ^ this.#v3) >>> 0;
  }

  #take(word: number): void {
    this.#v3 ^= word;
    this.#round();
    this.#v0 ^= word;
  }

  #round(): void {
    let v0 = this.#v0;
    let v1 = this.#v1;
    let v2 = this.#v2;
    let v3 = this.#v3;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    this.#v0 = v0;
    this.#v1 = v1;
    this.#v2 = v2;
    this.#v3 = v3;
  }
}
