/**
 * What is asked, by the random 16-bit id it went out with.
 *
 * An array by the low bits of the id, and no Map: where entries come and go all the time a Map is rebuilt again and again, and
 * each rebuilt one keeps what was in it from being collected with the young (measured: 40 µs of CPU a name, 30 without). It
 * grows with what is in it: half a megabyte from the start is a cost to whoever asks for a hundred names.
 *
 * Invariants: its size is a power of two, and at least twice its entries; every entry has an id of its own low bits.
 */
import { randomFillSync } from 'node:crypto';

const IDS = 0x1_0000;
/** Places at first: the fresh queries of a client fill half of them. */
const PLACES = 512;
/** Ids drawn at once. */
const DRAWN = 4096;

export interface Identified {
  /** The table's. */
  id: number;
}

export class IdTable<T extends Identified> {
  #entries = new Array<T | undefined>(PLACES).fill(undefined);
  #size = 0;
  readonly #random = randomFillSync(new Uint16Array(DRAWN));
  #next = 0;

  /** Files `entry` under a free id that nobody can guess, its `id` from now on. At most 32,768 are in it at once. */
  add(entry: T): void {
    this.#size += 1;
    if (this.#size * 2 > this.#entries.length && this.#entries.length < IDS) this.#grow();
    const entries = this.#entries;
    const low = entries.length - 1;
    let id: number;
    do {
      if (this.#next === DRAWN) {
        randomFillSync(this.#random);
        this.#next = 0;
      }
      id = this.#random[this.#next++]!;
    } while (entries[id & low] !== undefined);
    entries[id & low] = entry;
    entry.id = id;
  }

  get(id: number): T | undefined {
    const entry = this.#entries[id & (this.#entries.length - 1)];
    return entry !== undefined && entry.id === id ? entry : undefined;
  }

  /** `entry` must be in it. */
  delete(entry: T): void {
    this.#size -= 1;
    this.#entries[entry.id & (this.#entries.length - 1)] = undefined;
  }

  /** All that are filed now. */
  all(): T[] {
    return this.#entries.filter((entry) => entry !== undefined);
  }

  #grow(): void {
    const all = this.all();
    const places = this.#entries.length * 2;
    this.#entries = new Array<T | undefined>(places).fill(undefined);
    for (const entry of all) this.#entries[entry.id & (places - 1)] = entry;
  }
}
