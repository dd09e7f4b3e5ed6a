/** What the parts of the executor suite share. */
import { expect } from 'vitest';
import type { Executor } from '../../src/engine/executor.ts';
import type { JobKinds } from '../../src/jobs/job.ts';
import { FakeTransport } from '../engine/fake_transport.ts';
import { KINDS } from '../engine/support.ts';
import { ManualClock } from '../util/manual_clock.ts';

/** What an executor under test is made from. */
export interface World {
  readonly kinds: JobKinds;
  readonly transport: FakeTransport;
  readonly clock: ManualClock;
  readonly random: () => number;
}

export type MakeExecutor = (world: World) => Executor;

/** Makes an executor in a world of its own. */
export type SetUp = () => { clock: ManualClock; transport: FakeTransport; executor: Executor };

export function setUpWith(make: MakeExecutor): SetUp {
  return () => {
    const clock = new ManualClock();
    const transport = new FakeTransport(clock);
    return { clock, transport, executor: make({ kinds: KINDS, transport, clock, random: () => 0.5 }) };
  };
}

/** Nothing may be left of a run that is over. */
export function expectNothingLeft(transport: FakeTransport): void {
  expect(transport.sockets.now).toBe(0);
  expect(transport.handshakes.now).toBe(0);
  for (const gauge of transport.unauthenticated.values()) expect(gauge.now).toBe(0);
}
