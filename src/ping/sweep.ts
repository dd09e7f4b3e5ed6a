/** The sweep contract: what asks many addresses whether they are up. */
import type { PingChunk } from './chunk.ts';
import type { Counts } from './shared.ts';

export interface PingSweep {
  /** Results in order. To be iterated once; it ends where the sweep does, or soon after it was stopped. */
  chunks(): AsyncIterable<PingChunk>;
  /** Copies of what is known so far of the addresses that are in progress. */
  live(): Iterable<PingChunk>;
  /** Nothing more is sent; what was sent has its time to be answered. */
  stop(): void;
  readonly counts: Counts;
  /** Round trips: how many in each of the places that `bucketOf` gives. */
  readonly histogram: Float64Array;
  /** Of all round trips: the sum, the least, the most, in microseconds. */
  readonly times: Float64Array;
  /** Ends it now. */
  close(): Promise<void>;
}
