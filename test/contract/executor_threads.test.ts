import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { ThreadsExecutor } from '../../src/engine/threads/threads_executor.ts';
import { NO_HOOKS, planOf, Reader, requestOf, spec } from '../engine/support.ts';
import { FakeWorkers, FakeWorld } from '../engine/threads/fake_world.ts';
import { settling } from '../util/manual_clock.ts';
import { claimsSuite, recorded } from './executor_claims.ts';
import { ownSuite } from './executor_own.ts';
import { executorSuite } from './executor_suite.ts';
import type { SetUp } from './executor_world.ts';

const workers = new FakeWorkers();
const worlds = new Set<FakeWorld>();

afterEach(() => {
  settling.also = undefined;
  for (const world of worlds) world.close();
  worlds.clear();
});
afterAll(() => workers.close());

function setUpThreads(threads: number): SetUp {
  return () => {
    const world = new FakeWorld(workers);
    worlds.add(world);
    settling.also = () => world.quiet();
    const executor = new ThreadsExecutor({ threads, spawn: world.spawn, clock: world, warn: () => {} });
    return { clock: world, transport: world.transport, executor };
  };
}

executorSuite('threads (1)', setUpThreads(1));
executorSuite('threads (2)', setUpThreads(2));
executorSuite('threads (1, recorded)', recorded(setUpThreads(1)));
executorSuite('threads (2, recorded)', recorded(setUpThreads(2)));
claimsSuite('threads (1)', setUpThreads(1));
claimsSuite('threads (2)', setUpThreads(2));
ownSuite('threads (1)', setUpThreads(1));
ownSuite('threads (2)', setUpThreads(2));
ownSuite('threads (2, recorded)', recorded(setUpThreads(2)));

it("a rejection that nobody handles is its task's fault, and no other's", async () => {
  const { executor } = setUpThreads(1)();
  const job = spec('custom', { module: join(import.meta.dirname, '../jobs/own_functions.ts'), export: 'strays' });
  const names = ['ok.0', 'stray.1', 'stray.2', 'ok.3', 'silent-command.4'];
  const reader = new Reader(await executor.run(requestOf(planOf(names), { job }), NO_HOOKS));
  await reader.done;
  const message = expect.stringMatching(
    /^a rejection that nobody handled: nobody waits for it \(own_functions\.ts:\d+\)$/,
  );
  expect([...reader.outcomes].sort()).toMatchObject([
    [0, { kind: 'ok' }],
    [1, { kind: 'error', began: 'yes', code: 'job', message }],
    [2, { kind: 'error', began: 'yes', code: 'job', message }],
    [3, { kind: 'ok' }],
    [4, { kind: 'error', message: 'the function ended while a command of it was running: await it' }],
  ]);
});
