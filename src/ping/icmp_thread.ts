/** The thread of an ICMP sweep: opens the socket that it may have, and runs the loop. */
import { parentPort, workerData } from 'node:worker_threads';
import { type IcmpBlock, type IcmpLoopData, openLoop } from './icmp_loop.ts';

/** What it says. The last is `failed`, or the thread's end. */
export type FromIcmpThread =
  | { readonly type: 'open'; readonly kind: 'raw' | 'datagram' }
  | ({ readonly type: 'block' } & IcmpBlock)
  | { readonly type: 'failed'; readonly reasons: readonly string[] };

const say = (message: FromIcmpThread) => parentPort?.postMessage(message);
const loop = await openLoop(workerData as IcmpLoopData, (block) => say({ type: 'block', ...block }));
if (Array.isArray(loop)) say({ type: 'failed', reasons: loop });
else {
  say({ type: 'open', kind: loop.kind });
  loop.run();
}
