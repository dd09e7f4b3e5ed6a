/** What a sweep gives: addresses in order, a few bytes each. */
import type { Slot } from './shared.ts';
import { STATE } from './state.ts';

/** Results of `count` addresses from index `base` on; a chunk of a sweep as executors know it, and how each address ended. */
export interface PingChunk {
  readonly base: number;
  readonly count: number;
  /** One bit per address, least significant first: up. */
  readonly bits: Uint8Array;
  /** Round-trip time in microseconds, the mean where there were several; 0 where none came. */
  readonly rtt: Uint32Array;
  /** Of each address, as `ADDRESS_STATES` has them. */
  readonly state: Uint8Array;
  /** Where an address may be asked more than once. */
  readonly many?: ManyProbes | undefined;
  /** Of a banner sweep: the number of what the server said of itself; 0: nothing. */
  readonly software?: Uint16Array | undefined;
}

export interface ManyProbes {
  readonly sent: Uint16Array;
  readonly received: Uint16Array;
  /** Of the answers, in microseconds; 0 where there is none. */
  readonly least: Uint32Array;
  readonly most: Uint32Array;
}

/** A copy of what a slot holds: the slot goes back at once. */
export function chunkOf(slot: Slot, base: number, count: number): PingChunk {
  const state = slot.state.slice(0, count);
  const rtt = new Uint32Array(count);
  if (slot.words === 0) rtt.set(slot.rtt.subarray(0, count));
  else rtt.set(slot.rtt.subarray(0, count).map((sum, i) => sum / Math.max(1, slot.received[i]!)));
  const many = slot.words === 0 ? undefined : manyOf(slot, count);
  return { base, count, bits: bitsOf(state), rtt, state, many };
}

function manyOf({ sent, received, least, most }: Slot, count: number): ManyProbes {
  return {
    sent: sent.slice(0, count),
    received: received.slice(0, count),
    least: least.slice(0, count),
    most: most.slice(0, count),
  };
}

/** A bit per address that is up. */
export function bitsOf(state: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(state.length / 8));
  for (let i = 0; i < state.length; i++) if (state[i] === STATE.up) bits[i >> 3]! |= 1 << (i & 7);
  return bits;
}
