/** What a thread is made of, and how it is connected. */
import type { Clock, Random } from '../../contracts/limits.ts';
import type { JobKinds, Lent } from '../../jobs/job.ts';
import type { Transport, TransportName } from '../../transport/transport.ts';
import type { Secrets } from '../secrets.ts';
import type { ThreadLink } from './link.ts';
import type { ToThread } from './protocol.ts';

/** What a thread is made of, by the function that its source names. */
export interface ThreadParts {
  readonly kinds: JobKinds;
  readonly transports: ReadonlyMap<TransportName, Transport>;
  readonly clock: Clock;
  readonly random: Random;
  /** What tasks get on loan in this thread. */
  readonly lent?: Lent | undefined;
  /** Learns every secret that passes through; what it holds is taken out of outputs. */
  readonly secrets?: Secrets | undefined;
  /** Lets go of everything, the transports included. */
  close(): Promise<void>;
}

export type MakeThread = (data: unknown, link: ThreadLink) => ThreadParts | Promise<ThreadParts>;

/** Real time: how long small packs and news of the status wait for more, in milliseconds. */
export interface ThreadPace {
  readonly packMs: number;
  readonly statusMs: number;
}

export const USUAL_PACE: ThreadPace = { packMs: 10, statusMs: 200 };

/** One end of a channel between threads. */
export interface Port {
  postMessage(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  on(event: 'message', listener: (message: ToThread) => void): unknown;
  close(): void;
}
