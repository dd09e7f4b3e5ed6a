import { afterAll, afterEach } from 'vitest';
import { ThreadsExecutor } from '../../src/engine/threads/threads_executor.ts';
import { FakeWorkers, FakeWorld } from '../engine/threads/fake_world.ts';
import { settling } from '../util/manual_clock.ts';
import { claimsSuite, recorded } from './executor_claims.ts';
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
