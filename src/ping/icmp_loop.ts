/** The loop of an ICMP sweep with the socket that it may have: in a thread of its own, or among other things in this one. */
import type { PackedAddresses } from './addresses.ts';
import type { BlockRules } from './block.ts';
import { IcmpSocket, SocketError } from './ffi.ts';
import { IcmpSweep } from './icmp_sweep.ts';
import { Pace } from './pace.ts';
import { answersOnly, PROBE_SIZE, wantedTypes } from './packet.ts';
import { Shared, type SweepShape } from './shared.ts';
import { Skipped, type SkippedParts } from './skipped.ts';

/** What it is started with. */
export interface IcmpLoopData {
  readonly addresses: PackedAddresses;
  readonly shape: SweepShape;
  readonly memory: SharedArrayBuffer;
  readonly rules: BlockRules;
  /** Probes per second; Infinity: as many as go. */
  readonly rate: number;
  readonly order: 'random' | 'input';
  readonly secret: readonly [number, number, number, number];
  /** Addresses that are not asked, and the place of the first of `addresses` among all. */
  readonly skipped?: { readonly parts: SkippedParts; readonly base: number } | undefined;
  /** Sockets that may be used, the best first. */
  readonly kinds: readonly ('raw' | 'datagram')[];
}

/** A block that is done. */
export interface IcmpBlock {
  readonly place: number;
  readonly number: number;
  readonly count: number;
}

export interface IcmpLoop {
  readonly kind: 'raw' | 'datagram';
  /** Until all is done; holds this thread up. */
  run(): void;
  /** Until all is done, or `isOver` says that nobody waits for it, while this thread does other things, too. */
  runBeside(isOver: () => boolean): Promise<void>;
}

/** Steps in a row before others have their turn. */
const STEPS = 16;

/** The reasons, one per kind that was tried, where there is no socket for it. */
export async function openLoop(data: IcmpLoopData, onBlock: (block: IcmpBlock) => void): Promise<IcmpLoop | string[]> {
  const opened = await open(data);
  if (Array.isArray(opened)) return opened;
  const { addresses, rules, order, secret, skipped } = data;
  opened.setLength(PROBE_SIZE);
  const start = performance.now();
  const sweep = new IcmpSweep({
    addresses,
    shared: new Shared(data.shape, data.memory),
    socket: opened,
    identifier: opened.kind === 'raw' ? secret[3] & 0xffff : opened.identifier,
    rules,
    pace: new Pace(data.rate, 0),
    order,
    secret,
    skipped: skipped && new Skipped(skipped.parts, skipped.base),
    micros: () => (performance.now() - start) * 1000,
    onBlock: (place, number, count) => onBlock({ place, number, count }),
  });
  return {
    kind: opened.kind,
    run() {
      using _socket = opened;
      sweep.run();
    },
    async runBeside(isOver) {
      using socket = opened;
      let steps = 0;
      for (let wait = sweep.step(); wait !== undefined && !isOver(); wait = sweep.step()) {
        if (wait > 0) await socket.waitBeside(wait);
        else if (++steps % STEPS === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

async function open({ addresses, kinds, secret }: IcmpLoopData): Promise<IcmpSocket | string[]> {
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
