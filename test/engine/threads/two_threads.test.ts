/** Two threads at once: what the executor suite, whose runs are small, has in one. */
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { ThreadsExecutor } from '../../../src/engine/threads/threads_executor.ts';
import { TEMPERS } from '../../contract/executor_cases.ts';
import { expectNothingLeft } from '../../contract/executor_world.ts';
import { settle, settling } from '../../util/manual_clock.ts';
import { NO_HOOKS, planOf, Reader, requestOf } from '../support.ts';
import { FakeWorkers, FakeWorld } from './fake_world.ts';

const workers = new FakeWorkers();
let world: FakeWorld;

function setUp(): ThreadsExecutor {
  world = new FakeWorld(workers);
  settling.also = () => world.quiet();
  return new ThreadsExecutor({ threads: 2, spawn: world.spawn, clock: world, warn: () => {} });
}

afterEach(() => {
  settling.also = undefined;
  world.close();
});
afterAll(() => workers.close());

describe('two threads', () => {
  test('planned is the sum of all outcomes, within the limits, whatever hosts do and whoever stops the run', async () => {
    const hosts = fc.array(fc.constantFrom(...TEMPERS), { minLength: 60, maxLength: 160 });
    await fc.assert(
      fc.asyncProperty(hosts, fc.integer({ min: 0, max: 4 }), async (names, how) => {
        const executor = setUp();
        const plan = planOf(names.map((host, i) => (i % 3 === 0 ? `shared/${host}.${i}` : `${host}.${i}`)));
        const deadlines = { commandMs: 5_000, runMs: how === 4 ? 1_000 : null };
        const limits = { fanout: 40, perAddress: 4, handshakes: 9, connections: 50, deadlines };
        const run = await executor.run(requestOf(plan, { limits }), NO_HOOKS);
        const reader = new Reader(run);
        await world.advance(300);
        if (how === 1) run.pause();
        if (how === 2) run.cancel('terminate');
        if (how === 3) run.stop('a guard said so');
        await world.advance(600);
        run.unpause();
        for (let step = 0; !reader.finished && step < 500; step++)
          await world.advance(Math.min(20_000, world.nextAt - world.now()));
        expect(reader.results.map(({ index }) => index).sort((a, b) => a - b)).toEqual(names.map((_, i) => i));
        for (const { host, index } of reader.results) expect(host.name).toBe(`${names[index]}.${index}`);
        const { transport } = world;
        expect(transport.sockets.most).toBeLessThanOrEqual(50);
        expect(transport.unauthenticated.get('shared:22')?.most ?? 0).toBeLessThanOrEqual(4);
        expectNothingLeft(transport);
        await executor.close();
        world.close();
      }),
      { numRuns: 25 },
    );
  });

  test('output that nobody takes holds its host back, and waits here by the window only', async () => {
    const executor = setUp();
    let pieces = 0;
    const hooks = { onStart: () => {}, onOutput: () => ++pieces < 1 };
    const run = await executor.run(requestOf(planOf(['flood-300.0']), { gather: 'stream' }), hooks);
    const reader = new Reader(run);
    await settle();
    expect([pieces, world.transport.processes.now, reader.finished]).toEqual([1, 1, false]);
    for (let i = 0; i < 299; i++) {
      run.resume(0);
      await settle(1);
    }
    expect([pieces, reader.finished]).toEqual([300, false]);
    run.resume(0);
    expect((await reader.done)[0]).toMatchObject({ outcome: { kind: 'ok' }, stdout: { total: 150 * 1024 } });
    await executor.close();
  });

  test('what lives on the main thread is refused by its name', async () => {
    const executor = setUp();
    const hooks = { ...NO_HOOKS, lent: { stdin: { read: () => undefined } } };
    await expect(executor.run(requestOf(planOf(['ok.0'])), hooks)).rejects.toMatchObject({
      code: 'usage',
      message: 'stdin: it stays on the main thread, and cannot be lent to threads',
    });
  });
});
