/** A worker that many threads of tests live in, one after the other: each with a clock and a transport of its own. */
import { type MessagePort, parentPort } from 'node:worker_threads';
import { serveThread } from '../../../src/engine/threads/thread.ts';
import type { Port } from '../../../src/engine/threads/thread_parts.ts';
import { ManualClock, settle } from '../../util/manual_clock.ts';
import { FakeTransport } from '../fake_transport.ts';
import { KINDS } from '../support.ts';

/** One thread to be: its ports to the executor, to who moves its time, and to who looks at it while he stands still. */
export interface FakeThread {
  readonly name: string;
  readonly engine: MessagePort;
  readonly control: MessagePort;
  readonly eye: MessagePort;
  readonly seen: SharedArrayBuffer;
}

/** What became of a thread. */
export interface FakeState {
  readonly sent: number;
  readonly received: number;
  readonly timers: number;
  readonly nextAt: number;
  readonly sockets: { readonly now: number; readonly most: number };
  readonly handshakes: { readonly now: number; readonly most: number };
  readonly processes: { readonly now: number; readonly most: number };
  readonly unauthenticated: ReadonlyMap<string, { readonly now: number; readonly most: number }>;
  readonly attempts: ReadonlyMap<string, number>;
  readonly commands: readonly string[];
  readonly terminated: readonly string[];
}

parentPort?.on('message', (thread: FakeThread) => serve(thread));

function serve({ name, engine, control, eye, seen }: FakeThread): void {
  const clock = new ManualClock();
  const transport = new FakeTransport(clock);
  const counts = { sent: 0, received: 0 };
  const port: Port = {
    postMessage: (message, transfer = []) => {
      counts.sent += 1;
      engine.postMessage(message, transfer as ArrayBuffer[]);
    },
    on: (_, listener) =>
      engine.on('message', (message) => {
        counts.received += 1;
        listener(message);
      }),
    close: () => {},
  };
  const state = (): FakeState => {
    const { sockets, handshakes, processes, unauthenticated, attempts, commands, terminated } = transport;
    const gauges = {
      sockets: { ...sockets },
      handshakes: { ...handshakes },
      processes: { ...processes },
      unauthenticated: new Map([...unauthenticated].map(([address, gauge]) => [address, { ...gauge }])),
    };
    return { ...counts, timers: clock.timers, nextAt: clock.nextAt, ...gauges, attempts, commands, terminated };
  };
  control.on('message', async (to: number | undefined) => {
    if (to !== undefined) {
      clock.jump(to - clock.now());
      clock.fireDue();
    }
    await settle();
    control.postMessage({ ...counts, nextAt: clock.nextAt });
  });
  eye.on('message', () => {
    eye.postMessage(state());
    Atomics.store(new Int32Array(seen), 0, 1);
    Atomics.notify(new Int32Array(seen), 0);
  });
  const make = () => {
    const transports = new Map([['native' as const, transport]]);
    return { kinds: KINDS, transports, clock, random: () => 0.5, close: async () => {} };
  };
  void serveThread(port, name, make, { packMs: 0, statusMs: 0 });
}
