/**
 * Addresses of a sweep as host sets, while they come: neighbours in one bracket, whole blocks as CIDR, wider runs from end to end. What is
 * held is one line per state. What comes out is taken by `-w`.
 */
import { foldHosts } from '../hostset/fold.ts';
import { ipv4Text } from '../ping/addresses.ts';

/** Takes a line: which state, and a host set. */
export type TakeLine = (state: number, set: string, count: number) => void;

/** Hosts with names of their own that share a line. */
const NAMES = 500;
/** Addresses of the networks that are gathered in one bracket: the last octet. */
const NETWORK = 256;

/** What is gathered of one state. */
interface Gathered {
  /** The first address of the network whose last octets stand in `parts`. */
  network: number;
  parts: string[];
  count: number;
  names: string[];
}

export class PingRanges {
  readonly #take: TakeLine;
  readonly #gathered = new Map<number, Gathered>();
  /** The run that may go on. */
  #state = 0;
  #low = 0;
  #count = 0;

  constructor(take: TakeLine) {
    this.#take = take;
  }

  /** The next address, in order. */
  add(state: number, address: number): void {
    if (this.#count > 0 && state === this.#state && address === this.#low + this.#count) {
      this.#count++;
      return;
    }
    this.#endRun();
    this.#state = state;
    this.#low = address;
    this.#count = 1;
  }

  /** The next host, which has a name, or an address that is no number. */
  addName(state: number, name: string): void {
    const gathered = this.#of(state);
    if (gathered.names.push(name) === NAMES) this.#endNames(state, gathered);
  }

  /** What is still held. */
  end(): void {
    this.#endRun();
    for (const [state, gathered] of [...this.#gathered].toSorted(([a], [b]) => a - b)) {
      this.#endNetwork(state, gathered);
      this.#endNames(state, gathered);
    }
  }

  #of(state: number): Gathered {
    let gathered = this.#gathered.get(state);
    if (!gathered) {
      gathered = { network: -1, parts: [], count: 0, names: [] };
      this.#gathered.set(state, gathered);
    }
    return gathered;
  }

  #endRun(): void {
    const [state, low, count] = [this.#state, this.#low, this.#count];
    this.#count = 0;
    if (count === 0) return;
    const gathered = this.#of(state);
    const first = low % NETWORK;
    if (first + count > NETWORK || count === NETWORK) {
      this.#endNetwork(state, gathered);
      this.#take(state, rangeText(low, count), count);
      return;
    }
    if (gathered.network !== low - first) {
      this.#endNetwork(state, gathered);
      gathered.network = low - first;
    }
    gathered.parts.push(count === 1 ? String(first) : `${first}-${first + count - 1}`);
    gathered.count += count;
  }

  #endNetwork(state: number, gathered: Gathered): void {
    const { network, parts, count } = gathered;
    if (parts.length === 0) return;
    gathered.parts = [];
    gathered.count = 0;
    const [only] = parts;
    if (parts.length === 1) {
      this.#take(state, rangeText(network + Number.parseInt(only!, 10), count), count);
      return;
    }
    this.#take(state, `${ipv4Text(network).replace(/\d+$/, '')}[${parts.join(',')}]`, count);
  }

  #endNames(state: number, gathered: Gathered): void {
    const { names } = gathered;
    if (names.length === 0) return;
    gathered.names = [];
    this.#take(state, foldHosts(names), names.length);
  }
}

/** Consecutive addresses in the fewest words: a block, a bracket, or from end to end. */
export function rangeText(low: number, count: number): string {
  const first = ipv4Text(low);
  if (count === 1) return first;
  const bits = 32 - Math.log2(count);
  if (Number.isInteger(bits) && low % count === 0) return `${first}/${bits}`;
  const last = ipv4Text(low + count - 1);
  const head = first.slice(0, first.lastIndexOf('.') + 1);
  if (last.startsWith(head)) return `${head}[${first.slice(head.length)}-${last.slice(head.length)}]`;
  return `${first}-${last}`;
}
