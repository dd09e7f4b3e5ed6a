import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Bottleneck } from '../../src/engine/bottleneck.ts';
import { AddressLimits, Blockage, Slots, type Waiter } from '../../src/engine/limits.ts';

class TestWaiter implements Waiter {
  waitNext: Waiter | null = null;
  waitPrev: Waiter | null = null;
  waitIn: Slots | null = null;
  grants = 0;
  onGrant: (() => void) | undefined = undefined;

  granted(): void {
    this.grants += 1;
    this.onGrant?.();
  }
}

const blockage = () => new Blockage(() => 0);

describe('slots', () => {
  test('wait in the order of their coming, and may leave', () => {
    const slots = new Slots(1, blockage());
    const [a, b, c, d] = [new TestWaiter(), new TestWaiter(), new TestWaiter(), new TestWaiter()];
    expect([a, b, c, d].map((waiter) => slots.take(waiter))).toEqual([true, false, false, false]);
    slots.leave(c);
    slots.leave(c);
    slots.release();
    expect([b.grants, c.grants, d.grants]).toEqual([1, 0, 0]);
    slots.release();
    expect([b.grants, c.grants, d.grants]).toEqual([1, 0, 1]);
    slots.release();
    expect([slots.used, slots.free]).toEqual([0, true]);
  });

  test('nobody passes those who wait', () => {
    const slots = new Slots(1, blockage());
    const [a, b] = [new TestWaiter(), new TestWaiter()];
    slots.take(a);
    slots.take(b);
    expect(slots.tryTake()).toBe(false);
    slots.release();
    expect([b.grants, slots.tryTake()]).toEqual([1, false]);
  });

  test('fewer slots let holders finish, more let waiters in', () => {
    const slots = new Slots(2, blockage());
    const waiters = Array.from({ length: 5 }, () => new TestWaiter());
    for (const waiter of waiters) slots.take(waiter);
    slots.setLimit(1);
    slots.release();
    expect(waiters[2]!.grants).toBe(0);
    slots.release();
    expect(waiters[2]!.grants).toBe(1);
    slots.setLimit(3);
    expect(waiters.map((waiter) => waiter.grants)).toEqual([0, 0, 1, 1, 1]);
  });

  test('a slot given back while it is granted goes on to the next', () => {
    const slots = new Slots(1, blockage());
    const waiters = Array.from({ length: 4 }, () => new TestWaiter());
    for (const waiter of waiters) {
      waiter.onGrant = () => slots.release();
      slots.take(waiter);
    }
    slots.release();
    expect(waiters.map((waiter) => waiter.grants)).toEqual([0, 1, 1, 1]);
    expect(slots.used).toBe(0);
  });

  test('behave as a list of holders and a queue under any sequence', () => {
    const command = fc.record({ op: fc.constantFrom('take', 'release', 'leave', 'limit'), n: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
        const slots = new Slots(3, blockage());
        let [limit, used] = [3, 0];
        const queue: TestWaiter[] = [];
        const granted: TestWaiter[] = [];
        const grant = (): void => {
          for (; used < limit && queue.length > 0; used++) granted.push(queue.shift()!);
        };
        const seen: TestWaiter[] = [];
        for (const { op, n } of commands) {
          if (op === 'take') {
            const waiter = new TestWaiter();
            waiter.onGrant = () => seen.push(waiter);
            const free = used < limit && queue.length === 0;
            expect(slots.take(waiter)).toBe(free);
            if (free) used += 1;
            else queue.push(waiter);
          } else if (op === 'release' && used > 0) {
            used -= 1;
            grant();
            slots.release();
          } else if (op === 'leave' && queue.length > 0) {
            slots.leave(queue.splice(n % queue.length, 1)[0]!);
          } else if (op === 'limit') {
            limit = n + 1;
            grant();
            slots.setLimit(limit);
          }
          expect(slots.used).toBe(used);
          expect(seen).toEqual(granted);
        }
      }),
    );
  });
});

describe('limits per address', () => {
  test('an address that nobody refers to is forgotten', () => {
    const limits = new AddressLimits(8, blockage());
    const [one, same, other] = [limits.refer('a:22'), limits.refer('a:22'), limits.refer('b:22')];
    expect(one).toBe(same);
    expect(limits.size).toBe(2);
    limits.drop(one);
    limits.drop(other);
    expect(limits.size).toBe(1);
    limits.drop(same);
    expect(limits.size).toBe(0);
  });

  test('throttling halves, four successes win one back', () => {
    const entry = new AddressLimits(8, blockage()).refer('a:22');
    const limits: number[] = [];
    for (let i = 0; i < 5; i++) {
      entry.throttled();
      limits.push(entry.limit);
    }
    expect(limits).toEqual([4, 2, 1, 1, 1]);
    for (let i = 0; i < 3; i++) entry.succeeded();
    expect(entry.limit).toBe(1);
    entry.succeeded();
    expect(entry.limit).toBe(2);
    for (let i = 0; i < 100; i++) entry.succeeded();
    expect(entry.limit).toBe(8);
  });
});

describe('bottleneck', () => {
  test('names what holds back now, the narrowest first, and what held back for long over all', () => {
    let now = 0;
    const bottleneck = new Bottleneck(() => now);
    expect(bottleneck.now()).toBe('');
    bottleneck.fanout.set(true);
    bottleneck.fanout.set(true);
    expect(bottleneck.now()).toBe('fanout');
    now = 50;
    bottleneck.handshakes.begin();
    expect(bottleneck.now()).toBe('handshakes');
    now = 51;
    bottleneck.handshakes.end();
    expect(bottleneck.now()).toBe('fanout');
    bottleneck.fanout.set(false);
    now = 100;
    expect(bottleneck.now()).toBe('');
    expect(bottleneck.overall()).toBe('fanout');
  });

  test('names the address that throttled most', () => {
    const bottleneck = new Bottleneck(() => 1);
    bottleneck.noteThrottle('a:22', 1);
    bottleneck.noteThrottle('b:22', 1);
    bottleneck.noteThrottle('b:22', 2);
    bottleneck.noteThrottle('a:22', 1);
    bottleneck.throttled.begin();
    expect(bottleneck.now()).toBe('MaxStartups at b:22 (throttled 2 times)');
  });
});
