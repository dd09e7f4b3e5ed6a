/** Runs whose limits change while they go on, on a clock that is moved by hand. */
import { describe, expect, test } from 'vitest';
import type { Adaptation } from '../../src/contracts/limits.ts';
import { InlineExecutor } from '../../src/engine/inline_executor.ts';
import { expectNothingLeft } from '../contract/executor_world.ts';
import { ManualClock } from '../util/manual_clock.ts';
import { FakeTransport } from './fake_transport.ts';
import { KINDS, NO_HOOKS, type Overrides, planOf, Reader, requestOf } from './support.ts';

/** A transport whose hosts are all at this address, where there is one. */
class LocatedTransport extends FakeTransport {
  readonly #at: string | undefined;

  constructor(clock: ManualClock, at?: string) {
    super(clock);
    this.#at = at;
  }

  override address(target: { readonly name: string }): string {
    return this.#at ?? `${target.name}:22`;
  }
}

async function start(names: readonly string[], adapt: Adaptation, more: Overrides['limits'] = {}, at?: string) {
  const clock = new ManualClock();
  const transport = new LocatedTransport(clock, at);
  const busy = { ms: 0 };
  const executor = new InlineExecutor({
    kinds: KINDS,
    transports: new Map([['native', transport]]),
    clock,
    random: () => 0.5,
    busyMs: () => busy.ms,
  });
  const run = await executor.run(requestOf(planOf(names), { limits: { ...more, adapt } }), NO_HOOKS);
  const reader = new Reader(run);
  return { clock, transport, run, reader, busy };
}

const names = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}.${i}`);
const allOk = (reader: Reader) => reader.results.every(({ outcome }) => outcome.kind === 'ok');

describe('the rate', () => {
  test('holds tasks back, and is named', async () => {
    const { clock, transport, run, reader } = await start(names('ok', 120), { rate: 20 });
    await clock.advance(1_000);
    expect(transport.attempts.size).toBeGreaterThanOrEqual(20);
    expect(transport.attempts.size).toBeLessThanOrEqual(22);
    expect(run.status(0).limitedBy).toBe('rate 20/s');
    await clock.advance(5_100);
    await reader.done;
    expect(allOk(reader)).toBe(true);
    expect(run.status(0).limitedBy).toBe('rate 20/s');
    expect(clock.timers).toBe(0);
  });

  test('counts what is tried again', async () => {
    const { clock, transport, reader } = await start(names('reset-1', 10), { rate: 10 });
    const tries = () => [...transport.attempts.values()].reduce((sum, each) => sum + each, 0);
    for (let second = 1; second <= 3; second++) {
      await clock.advance(1_000);
      expect(tries()).toBeLessThanOrEqual(10 * second + 3);
    }
    await reader.done;
    expect([tries(), allOk(reader)]).toEqual([20, true]);
  });

  test('off loopback: 50 in the first second, twice as many each further one while logins stay fast', async () => {
    const { clock, transport, run, reader } = await start(names('login-100', 1_000), { rate: 'ramp' }, { fanout: 500 });
    const started: number[] = [];
    for (let second = 0; second < 4; second++) {
      const before = transport.attempts.size;
      await clock.advance(1_000);
      started.push(transport.attempts.size - before);
    }
    // Within a burst, a look of 250 ms and the timer's grain.
    for (const [second, rate] of [50, 100, 200, 400].entries()) {
      expect(started[second]).toBeGreaterThanOrEqual(rate * 0.9);
      expect(started[second]).toBeLessThanOrEqual(rate * 1.1 + 3);
    }
    expect(run.status(0).limitedBy).toMatch(/^rate (400|800)\/s, growing$/);
    await clock.advance(1_000);
    await reader.done;
    expect(allOk(reader)).toBe(true);
  });

  test.each([
    ['127.0.0.1:22', 'ramp', 300],
    ['10.0.0.1:22', undefined, 300],
    ['10.0.0.1:22', 'ramp', 53],
  ] as const)('hosts at %s, rate %s: %d start in a second', async (at, rate, most) => {
    const limits = { fanout: 300, perAddress: 300 };
    const { clock, transport, run } = await start(names('silent-auth', 300), { rate }, limits, at);
    await clock.advance(1_000);
    expect(transport.attempts.size).toBeGreaterThan(most - 4);
    expect(transport.attempts.size).toBeLessThanOrEqual(most);
    run.cancel('leave');
  });
});

describe('what gives way', () => {
  test('the fanout grows while commands run and the loop is idle', async () => {
    const { clock, transport, reader } = await start(names('slow-60000', 2_000), { fanoutMost: 1_000 });
    await clock.advance(5_000);
    expect(transport.processes.most).toBe(1_000);
    await clock.advance(120_000);
    await reader.done;
    expect(transport.processes.most).toBe(1_000);
    expect(allOk(reader)).toBe(true);
  });

  test('not while it computes', async () => {
    const { clock, transport, run, busy } = await start(names('slow-60000', 2_000), { fanoutMost: 1_000 });
    for (let i = 0; i < 20; i++) {
      busy.ms += 250;
      await clock.advance(250);
    }
    expect(transport.processes.most).toBe(100);
    expect(run.status(0).limitedBy).toBe('fanout');
    run.cancel('leave');
  });

  test('a late loop takes a quarter of it, and is named', async () => {
    const { clock, transport, run } = await start(names('slow-2000', 2_000), { fanoutMost: 1_000 });
    await clock.advance(240);
    clock.jump(200);
    await clock.advance(5);
    expect(run.status(0).limitedBy).toBe('loop lag');
    await clock.advance(1_800);
    expect(transport.processes.now).toBe(75);
    run.cancel('leave');
  });

  test('a fanout that falls while tasks wait for one address leaves nobody behind', async () => {
    const limits = { fanout: 150, perAddress: 4 };
    const late = names('late-300', 300);
    const { clock, transport, run, reader } = await start(late, { fanoutMost: 150 }, limits, 'shared:22');
    for (let i = 0; i < 12; i++) {
      clock.jump(400);
      await clock.advance(600);
    }
    expect(run.status(0).limitedBy).not.toBe('');
    await clock.advance(60_000);
    await reader.done;
    expect([reader.results.length, allOk(reader)]).toEqual([300, true]);
    expect(transport.unauthenticated.get('shared:22')!.most).toBeLessThanOrEqual(4);
    expectNothingLeft(transport);
    expect(clock.timers).toBe(0);
  });

  test('descriptors that run out fail no task, and are named', async () => {
    const { clock, transport, run, reader } = await start(names('emfile-2', 300), {}, { fanout: 200, retries: 0 });
    await clock.advance(1);
    expect(run.status(0).limitedBy).toBe('local limit (EMFILE)');
    await clock.advance(30_000);
    await reader.done;
    expect(reader.results.filter(({ outcome, attempt }) => outcome.kind === 'ok' && attempt === 3)).toHaveLength(300);
    expectNothingLeft(transport);
    expect(clock.timers).toBe(0);
  });

  test('a session without room is asked for again', async () => {
    const { clock, reader, transport } = await start(names('crowded-3', 20), {}, { retries: 3 });
    await clock.advance(10_000);
    await reader.done;
    expect(reader.results.every(({ outcome, attempt }) => outcome.kind === 'ok' && attempt === 4)).toBe(true);
    expect(transport.commands).toHaveLength(20);
  });

  test('hosts off loopback that are silent fill the neighbour table up to its bound', async () => {
    const limits = { fanout: 8, connecting: 30 };
    const { clock, transport, run, reader } = await start(names('silent-connect', 100), {}, limits, undefined);
    await clock.advance(9_000);
    expect(transport.sockets.most).toBeLessThanOrEqual(30);
    expect(transport.sockets.most).toBeGreaterThan(20);
    expect(run.status(0).limitedBy).toBe('neighbour table (gc_thresh3)');
    await clock.advance(60_000);
    await reader.done;
    expect(reader.results).toHaveLength(100);
  });
});

describe('a penalty', () => {
  const tries = (transport: FakeTransport) => [...transport.attempts.values()].reduce((sum, each) => sum + each, 0);

  test('keeps everybody from its address for 15 s, and fails no task', async () => {
    const { clock, transport, run, reader } = await start(
      names('barred-14000', 20),
      {},
      { perAddress: 1 },
      'shared:22',
    );
    await clock.advance(2_000);
    const refused = run.status(0).limitedBy;
    expect(refused).toMatch(/^PerSourcePenalties at shared:22 \(throttled \d+ times\)$/);
    const before = tries(transport);
    await clock.advance(12_900);
    // Nobody has tried since: those who wait for the address hold no socket.
    expect([tries(transport), run.status(0).limitedBy, transport.sockets.now]).toEqual([before, refused, 0]);
    await clock.advance(20_000);
    await reader.done;
    expect(allOk(reader)).toBe(true);
    expect(run.status(0).limitedBy).toBe(refused);
    expect(clock.timers).toBe(0);
  });

  test('is not what MaxStartups says in the same words', async () => {
    const limits = { perAddress: 16 };
    const { clock, transport, run, reader } = await start(names('startups-3', 200), {}, limits, 'shared:22');
    await clock.advance(14_000);
    await reader.done;
    expect(allOk(reader)).toBe(true);
    expect(tries(transport)).toBeGreaterThan(210);
    expect(run.status(0).limitedBy).toMatch(/^MaxStartups at shared:22/);
  });

  test('concerns no other address', async () => {
    const { clock, reader } = await start(['barred-14000.0', ...names('ok', 50)], { fanoutMost: 200 });
    await clock.advance(100);
    expect(reader.results).toHaveLength(50);
    await clock.advance(25_000);
    await reader.done;
    expect(allOk(reader)).toBe(true);
  });
});
