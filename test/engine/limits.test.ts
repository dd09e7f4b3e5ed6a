import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Bottleneck } from '../../src/engine/bottleneck.ts';
import { AddressLimits, Blockage, Slots, type Waiter } from '../../src/engine/limits.ts';
import { TimerWheel } from '../../src/util/timer_wheel.ts';
import { ManualClock } from '../util/manual_clock.ts';

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

/** Holders of slots by what they are at: at work, resting, and without a slot that they had. */
class Holders {
  readonly slots: Slots;
  atWork = 0;
  resting = 0;
  #without = 0;

  constructor(limit: number) {
    this.slots = new Slots(limit, blockage());
  }

  start(): void {
    if (this.slots.tryTake()) this.atWork += 1;
  }

  end(): void {
    if (this.atWork === 0) return;
    this.atWork -= 1;
    this.slots.release();
  }

  rest(): void {
    if (this.atWork === 0) return;
    this.atWork -= 1;
    this.resting += 1;
    this.slots.rest();
  }

  rouse(): void {
    if (this.resting === 0) return;
    this.resting -= 1;
    if (this.slots.rouse()) this.atWork += 1;
    else this.#without += 1;
  }

  again(): void {
    if (this.#without === 0) return;
    this.#without -= 1;
    const waiter = new TestWaiter();
    waiter.onGrant = () => {
      this.atWork += 1;
    };
    if (this.slots.take(waiter)) waiter.granted();
  }
}

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

  test('a holder that rests lets the queue pass, not who comes new; its slot may be gone when it goes on', () => {
    const slots = new Slots(1, blockage());
    const [a, b, c] = [new TestWaiter(), new TestWaiter(), new TestWaiter()];
    expect([slots.take(a), slots.take(b)]).toEqual([true, false]);
    slots.rest();
    expect([b.grants, slots.used, slots.tryTake()]).toEqual([1, 2, false]);
    // Another does the work meanwhile.
    expect([slots.rouse(), slots.used]).toEqual([false, 1]);
    slots.rest();
    expect(slots.rouse()).toBe(true);
    slots.rest();
    expect(slots.take(c)).toBe(true);
  });

  test('never are more at work than there are slots, whoever rests', () => {
    const command = fc.constantFrom('start', 'rest', 'rouse', 'again', 'end');
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), fc.integer({ min: 1, max: 5 }), (commands, limit) => {
        const holders = new Holders(limit);
        for (const each of commands) {
          holders[each]();
          expect(holders.atWork).toBeLessThanOrEqual(limit);
          expect(holders.slots.used).toBe(holders.atWork + holders.resting);
        }
      }),
    );
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

describe('an address under a penalty', () => {
  test('is left alone for as long as it lasts, then met by one at a time', () => {
    const clock = new ManualClock();
    const limits = new AddressLimits(8, blockage(), new TimerWheel(clock, (callback) => callback()));
    const entry = limits.refer('a:22');
    const [holder, first, second] = [new TestWaiter(), new TestWaiter(), new TestWaiter()];
    expect(entry.take(holder)).toBe(true);
    entry.penalised(15_000);
    entry.release();
    expect([entry.take(first), entry.take(second)]).toEqual([false, false]);
    // What was under way when it began changes nothing.
    entry.throttled();
    for (let i = 0; i < 8; i++) entry.succeeded();
    clock.advanceSync(14_990);
    expect([first.grants, second.grants]).toEqual([0, 0]);
    clock.advanceSync(20);
    expect([first.grants, second.grants, entry.limit]).toEqual([1, 0, 1]);
  });

  test('is told by refusals of a lone connection, one after the other', () => {
    const entry = new AddressLimits(8, blockage()).refer('a:22');
    const refuse = (times: number, others: number) => {
      for (let i = 0; i <= others; i++) entry.take(new TestWaiter());
      for (let i = 0; i < times; i++) entry.throttled();
      for (let i = 0; i <= others; i++) entry.release();
      return entry.refusesAll;
    };
    // With others at the same time it may be MaxStartups, however often.
    expect(refuse(20, 1)).toBe(false);
    entry.setLimit(8);
    expect(refuse(4, 0)).toBe(false);
    entry.succeeded();
    expect(refuse(4, 0)).toBe(false);
    expect(refuse(1, 0)).toBe(true);
  });

  test('leaves no timer behind when no task refers to it', () => {
    const clock = new ManualClock();
    const limits = new AddressLimits(8, blockage(), new TimerWheel(clock, (callback) => callback()));
    const entry = limits.refer('a:22');
    entry.penalised(15_000);
    limits.drop(entry);
    clock.advanceSync(60_000);
    expect([clock.timers, entry.limit]).toEqual([0, 0]);
  });
});

describe('bottleneck', () => {
  type Held = Exclude<keyof Bottleneck, 'now' | 'overall' | 'adapted' | 'queues' | 'noteThrottle' | 'noteLocalLimit'>;

  test.each<[Held, string]>([
    ['localLimit', 'local limit (EMFILE)'],
    ['addresses', 'connections per address'],
    ['rate', 'rate 50/s, growing'],
    ['handshakes', 'handshakes'],
    ['connections', 'local ports (ip_local_port_range has 28232)'],
    ['connecting', 'neighbour table (gc_thresh3)'],
    ['reader', 'unread results'],
    ['fanout', 'fanout'],
    ['places', 'fanout'],
  ])('%s is named "%s", now and afterwards', (name, words) => {
    let now = 0;
    const bottleneck = new Bottleneck(() => now, 'local ports (ip_local_port_range has 28232)');
    bottleneck.noteLocalLimit('EMFILE');
    bottleneck.adapted(undefined, 'rate 50/s, growing');
    bottleneck[name].begin();
    expect(bottleneck.now()).toBe(words);
    now = 10;
    bottleneck[name].end();
    expect(bottleneck.now()).toBe('');
    now = 100;
    expect(bottleneck.overall()).toBe(words);
    now = 101;
    expect(bottleneck.overall()).toBe('');
  });

  test('names the cause of a small fanout only while it holds tasks back', () => {
    let now = 0;
    const bottleneck = new Bottleneck(() => now);
    bottleneck.adapted('loop lag', 'rate');
    expect(bottleneck.now()).toBe('');
    bottleneck.fanout.set(true);
    expect(bottleneck.now()).toBe('fanout');
    bottleneck.adapted('loop lag', 'rate');
    expect(bottleneck.now()).toBe('loop lag');
    now = 40;
    bottleneck.adapted('resets', 'rate');
    expect(bottleneck.now()).toBe('resets');
    now = 50;
    bottleneck.adapted(undefined, 'rate');
    expect(bottleneck.now()).toBe('fanout');
    expect(bottleneck.overall()).toBe('loop lag');
  });

  test('names the queue in which attempts stood longest; a turn comes once', () => {
    let now = 0;
    const bottleneck = new Bottleneck(() => now);
    const [first, second] = [bottleneck.queues('jump host b1'), bottleneck.queues('jump host b2')];
    now = 10;
    first();
    first();
    expect(bottleneck.now()).toBe('jump host b2');
    now = 50;
    bottleneck.queues('jump host b1');
    second();
    expect(bottleneck.now()).toBe('jump host b1');
    expect(bottleneck.overall()).toBe('jump host b2');
  });

  test('keeps 64 queues at most', () => {
    const bottleneck = new Bottleneck(() => 0);
    for (let i = 0; i < 64; i++) bottleneck.queues(`jump host b${i}`)();
    bottleneck.queues('jump host c');
    expect(bottleneck.now()).toBe('');
  });

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
    bottleneck.noteThrottle('c:22', 3, 'PerSourcePenalties');
    expect(bottleneck.now()).toBe('PerSourcePenalties at c:22 (throttled 3 times)');
  });
});
