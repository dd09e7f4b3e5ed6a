/** The world of the executor suite, spread over threads: one time for all, and a look into each of them. */
import { once } from 'node:events';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { FromThread, ToThread } from '../../../src/engine/threads/protocol.ts';
import type { Spawned, SpawnHooks } from '../../../src/engine/threads/spawn.ts';
import { ManualClock } from '../../util/manual_clock.ts';
import type { FakeTransport } from '../fake_transport.ts';
import type { FakeState, FakeThread } from './fake_threads.ts';

/** Workers that live as long as the tests of a file. */
export class FakeWorkers {
  readonly #workers: Worker[] = [];

  post(place: number, thread: FakeThread): void {
    this.#workers[place] ??= new Worker(new URL('./fake_threads.ts', import.meta.url), { execArgv: [] });
    const { engine, control, eye } = thread;
    this.#workers[place].postMessage(thread, [engine, control, eye]);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

interface Seat {
  readonly control: MessagePort;
  readonly eye: MessagePort;
  readonly seen: Int32Array;
  readonly engine: MessagePort;
  sent: number;
  received: number;
  nextAt: number;
  arrived: boolean;
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 12; i++) await new Promise<void>((resolve) => setImmediate(resolve));
};

/** Time on the main thread, and the same time in all threads. */
export class FakeWorld extends ManualClock {
  readonly #workers: FakeWorkers;
  readonly #seats: Seat[] = [];

  constructor(workers: FakeWorkers) {
    super();
    this.#workers = workers;
  }

  spawn = (name: string, hooks: SpawnHooks): Spawned => {
    const [engine, control, eye] = [new MessageChannel(), new MessageChannel(), new MessageChannel()];
    const shared = new SharedArrayBuffer(4);
    const seat: Seat = {
      engine: engine.port1,
      control: control.port1,
      eye: eye.port1,
      seen: new Int32Array(shared),
      sent: 0,
      received: 0,
      nextAt: Number.POSITIVE_INFINITY,
      arrived: true,
    };
    const place = this.#seats.push(seat) - 1;
    seat.engine.on('message', (message: FromThread) => {
      seat.received += 1;
      hooks.onMessage(message);
    });
    this.#workers.post(place, { name, engine: engine.port2, control: control.port2, eye: eye.port2, seen: shared });
    return {
      post: (message: ToThread, transfer = []) => {
        seat.sent += 1;
        seat.engine.postMessage(message, transfer as ArrayBuffer[]);
      },
      hold: () => {},
      terminate: async () => seat.engine.unref(),
    };
  };

  /** What became of each thread, now: this thread stands still meanwhile. */
  states(): FakeState[] {
    return this.#seats.map((seat) => {
      Atomics.store(seat.seen, 0, 0);
      seat.eye.postMessage('look');
      Atomics.wait(seat.seen, 0, 0, 10_000);
      return receiveMessageOnPort(seat.eye)!.message as FakeState;
    });
  }

  override get timers(): number {
    return this.states().reduce((sum, { timers }) => sum + timers, super.timers);
  }

  override get nextAt(): number {
    return Math.min(super.nextAt, ...this.#seats.map(({ nextAt }) => nextAt));
  }

  /** Nothing is under way and nobody does anything. */
  async quiet(to?: number): Promise<void> {
    let [before, same] = ['', 0];
    for (let round = 0; same < 2 && round < 10_000; round++) {
      await turns();
      await Promise.all(this.#seats.map((seat) => this.#ask(seat, round === 0 ? to : undefined)));
      const now = JSON.stringify(this.#seats.map(({ sent, received, nextAt }) => [sent, received, nextAt]));
      const arrived = this.#seats.every(({ arrived }) => arrived);
      same = now === before && arrived ? same + 1 : 0;
      before = now;
    }
  }

  async #ask(seat: Seat, to: number | undefined): Promise<void> {
    const answer = once(seat.control, 'message');
    seat.control.postMessage(to);
    const [{ sent, received, nextAt }] = (await answer) as [Pick<FakeState, 'sent' | 'received' | 'nextAt'>];
    seat.nextAt = nextAt;
    seat.arrived = sent === seat.received && received === seat.sent;
  }

  override async advance(ms: number): Promise<void> {
    const end = this.now() + ms;
    await this.quiet();
    while (this.nextAt <= end) await this.#moveTo(Math.max(this.now(), this.nextAt));
    await this.#moveTo(end);
  }

  async #moveTo(time: number): Promise<void> {
    this.jump(time - this.now());
    this.fireDue();
    await this.quiet(time);
  }

  close(): void {
    for (const { engine, control, eye } of this.#seats) for (const port of [engine, control, eye]) port.close();
  }

  /** The transports of all threads as one. */
  get transport(): FakeTransport {
    return new SeenTransport(this) as unknown as FakeTransport;
  }
}

interface Seen {
  readonly now: number;
  readonly most: number;
}

/** Sums over all threads: of the most there ever were, too many rather than too few. */
class SeenTransport {
  readonly #world: FakeWorld;

  constructor(world: FakeWorld) {
    this.#world = world;
  }

  get sockets(): Seen {
    return this.#sum(({ sockets }) => sockets);
  }

  get handshakes(): Seen {
    return this.#sum(({ handshakes }) => handshakes);
  }

  get processes(): Seen {
    return this.#sum(({ processes }) => processes);
  }

  get unauthenticated(): Map<string, Seen> {
    const all = new Map<string, Seen>();
    for (const { unauthenticated } of this.#world.states()) {
      for (const [address, { now, most }] of unauthenticated) {
        const before = all.get(address) ?? { now: 0, most: 0 };
        all.set(address, { now: before.now + now, most: before.most + most });
      }
    }
    return all;
  }

  get attempts(): Map<string, number> {
    const all = new Map<string, number>();
    for (const { attempts } of this.#world.states()) {
      for (const [name, count] of attempts) all.set(name, (all.get(name) ?? 0) + count);
    }
    return all;
  }

  get commands(): string[] {
    return this.#world.states().flatMap(({ commands }) => commands);
  }

  get terminated(): string[] {
    return this.#world.states().flatMap(({ terminated }) => terminated);
  }

  #sum(of: (state: FakeState) => Seen): Seen {
    const all = this.#world.states().map(of);
    return { now: all.reduce((sum, { now }) => sum + now, 0), most: all.reduce((sum, { most }) => sum + most, 0) };
  }
}
