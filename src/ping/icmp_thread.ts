/** The thread of an ICMP sweep: opens the socket that it may have, and runs the loop. */
import { parentPort, workerData } from 'node:worker_threads';
import type { PackedAddresses } from './addresses.ts';
import type { BlockRules } from './block.ts';
import { IcmpSocket, SocketError } from './ffi.ts';
import { IcmpSweep } from './icmp_sweep.ts';
import { Pace } from './pace.ts';
import { answersOnly, PROBE_SIZE, wantedTypes } from './packet.ts';
import { Shared, type SweepShape } from './shared.ts';

/** What the main thread starts it with. */
export interface IcmpThreadData {
  readonly addresses: PackedAddresses;
  readonly shape: SweepShape;
  readonly memory: SharedArrayBuffer;
  readonly rules: BlockRules;
  /** Probes per second; Infinity: as many as go. */
  readonly rate: number;
  readonly order: 'random' | 'input';
  readonly secret: readonly [number, number, number, number];
  /** Sockets that may be used, the best first. */
  readonly kinds: readonly ('raw' | 'datagram')[];
}

/** What it says. The last is `failed`, or the thread's end. */
export type FromIcmpThread =
  | { readonly type: 'open'; readonly kind: 'raw' | 'datagram' }
  | { readonly type: 'block'; readonly place: number; readonly number: number; readonly count: number }
  | { readonly type: 'failed'; readonly reasons: readonly string[] };

async function open({ addresses, kinds, secret }: IcmpThreadData): Promise<IcmpSocket | string[]> {
  const reasons: string[] = [];
  const { family } = addresses;
  for (const kind of kinds) {
    try {
      const filter = answersOnly(family, secret[3] & 0xffff);
      return await IcmpSocket.open({ family, kind, types: wantedTypes(family), filter });
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      reasons.push(error.message);
    }
  }
  return reasons;
}

const data = workerData as IcmpThreadData;
const say = (message: FromIcmpThread) => parentPort?.postMessage(message);
const opened = await open(data);
if (Array.isArray(opened)) say({ type: 'failed', reasons: opened });
else {
  using socket = opened;
  say({ type: 'open', kind: socket.kind });
  socket.setLength(PROBE_SIZE);
  const identifier = socket.kind === 'raw' ? data.secret[3] & 0xffff : socket.identifier;
  const start = performance.now();
  const micros = () => (performance.now() - start) * 1000;
  const { addresses, rules, order, secret } = data;
  new IcmpSweep({
    addresses,
    shared: new Shared(data.shape, data.memory),
    socket,
    identifier,
    rules,
    pace: new Pace(data.rate, 0),
    order,
    secret,
    micros,
    onBlock: (place, number, count) => say({ type: 'block', place, number, count }),
  }).run();
}
