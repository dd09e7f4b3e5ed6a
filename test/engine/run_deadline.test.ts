import { describe, expect, test } from 'vitest';
import { RunDeadline } from '../../src/engine/run_deadline.ts';
import { ManualClock } from '../util/manual_clock.ts';

function setUp() {
  const clock = new ManualClock();
  const passed: number[] = [];
  return { clock, passed, deadline: new RunDeadline(clock, () => passed.push(clock.now())) };
}

describe('the deadline of a run', () => {
  test('counts the time, too, in which the loop stood still', async () => {
    const { clock, passed, deadline } = setUp();
    deadline.arm(1000);
    clock.jump(3000);
    await clock.advance(0);
    expect(passed).toEqual([3000]);
    expect(clock.timers).toBe(0);
  });

  test('lets what has come be read first', async () => {
    const { clock, passed, deadline } = setUp();
    deadline.arm(1000);
    clock.jump(1000);
    clock.fireDue();
    expect(passed).toEqual([]);
    deadline.cancel();
    await clock.advance(1000);
    expect(passed).toEqual([]);
  });

  test('may be sixty days', async () => {
    const { clock, passed, deadline } = setUp();
    const days60 = 60 * 86_400_000;
    deadline.arm(days60);
    await clock.advance(days60 - 1);
    expect(passed).toEqual([]);
    await clock.advance(1);
    expect(passed).toEqual([days60]);
  });
});
