/** Limits that follow what is measured: pure, with the time as an argument. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Adaptation, Limits } from '../../src/contracts/limits.ts';
import { Controller, isLoopback, type RunView } from '../../src/engine/adaptive.ts';
import { Climb, type View } from '../../src/engine/climb.ts';
import { Ramp } from '../../src/engine/ramp.ts';
import { TokenBucket } from '../../src/engine/token_bucket.ts';
import { LIMITS } from './support.ts';

describe('token bucket', () => {
  test.each([
    [50, 2.5],
    [1, 1],
    [0.1, 1],
    [10_000, 500],
  ])('%d a second: at most %d at once', (rate, burst) => {
    const bucket = new TokenBucket(rate, 0);
    let taken = 0;
    for (; bucket.waitMs(1e9) === 0; taken++) bucket.take(1e9);
    expect(taken).toBe(Math.floor(burst));
  });

  test('says how long to wait, and is then ready', () => {
    const bucket = new TokenBucket(2, 0);
    bucket.take(0);
    expect(bucket.waitMs(0)).toBe(500);
    expect(bucket.waitMs(300)).toBe(200);
    expect(bucket.waitMs(500)).toBe(0);
  });

  test('a debt is a second at most', () => {
    const bucket = new TokenBucket(10, 0);
    for (let i = 0; i < 100; i++) bucket.take(0);
    expect(bucket.waitMs(0)).toBe(1100);
  });

  test('never gives more than the rate and one burst, whenever it is asked', () => {
    const asks = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 300 });
    fc.assert(
      fc.property(asks, fc.integer({ min: 1, max: 2_000 }), (gaps, rate) => {
        const bucket = new TokenBucket(rate, 0);
        let [now, taken] = [0, 0];
        for (const gap of gaps) {
          now += gap;
          for (; bucket.waitMs(now) === 0; taken++) bucket.take(now);
        }
        const most = (rate * now) / 1000 + Math.max(1, rate / 20);
        expect(taken).toBeLessThanOrEqual(most + 0.01);
      }),
    );
  });

  test('who waits as long as it says has the whole rate', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2_000 }), (rate) => {
        const bucket = new TokenBucket(rate, 0);
        let [now, taken] = [0, 0];
        while (now < 10_000) {
          now += bucket.waitMs(now);
          bucket.take(now);
          taken += 1;
        }
        expect(taken).toBeGreaterThanOrEqual(10 * rate - 1);
      }),
    );
  });
});

/** Seconds of a ramp: logins took so long, or none came while so many were awaited. */
interface Second {
  readonly ms?: number;
  readonly awaited?: number;
  readonly logins?: number;
  readonly hungUp?: boolean;
  readonly idle?: boolean;
}

function rates(seconds: readonly Second[], ramp = new Ramp(0)): number[] {
  ramp.reached(false, 0);
  return seconds.map(({ ms, awaited = 0, logins = 20, hungUp, idle }, at) => {
    if (ms !== undefined) for (let i = 0; i < logins; i++) ramp.loggedIn(ms);
    if (hungUp) ramp.hungUp();
    if (!idle) ramp.heldBack();
    ramp.tick((at + 1) * 1000, awaited);
    return ramp.rate;
  });
}

describe('ramp', () => {
  const fast = { ms: 100 };
  const slow = { ms: 151 };
  test.each<[string, readonly Second[], number[]]>([
    ['twice as many each second while logins stay fast', [fast, fast, { ms: 150 }, fast], [100, 200, 400, 800]],
    ['slow logins take a quarter away', [fast, fast, slow, fast], [100, 200, 150, 150]],
    [
      'after three fast seconds a quarter more',
      [fast, fast, slow, fast, fast, fast, fast],
      [100, 200, 150, 150, 150, 150, 187.5],
    ],
    ['never below the start', [fast, slow, slow, slow, slow, slow], [100, 75, 56.25, 50, 50, 50]],
    ['no growth where the rate holds nobody back', [fast, { ms: 100, idle: true }, fast], [100, 100, 200]],
    ['hosts that hang up take a quarter away', [fast, { ms: 100, hungUp: true }, fast], [100, 75, 75]],
    [
      'too few logins say nothing: growth waits for those that are awaited',
      [fast, { ms: 900, logins: 7, awaited: 40 }],
      [100, 100],
    ],
    ['dead hosts are awaited by nobody', [{}, {}, {}], [100, 200, 400]],
    ['a start under 20 ms is taken for 20', [{ ms: 2 }, { ms: 30 }, { ms: 31 }], [100, 200, 150]],
    [
      'above 10,000 a second it is lifted',
      Array.from({ length: 8 }, () => fast),
      [100, 200, 400, 800, 1600, 3200, 6400, Infinity],
    ],
  ])('%s', (_name, seconds, expected) => {
    expect(rates(seconds)).toEqual(expected);
  });

  test('loopback is free, until a host is elsewhere', () => {
    const ramp = new Ramp(0);
    expect(ramp.rate).toBe(50);
    ramp.reached(true, 0);
    expect(ramp.rate).toBe(Infinity);
    ramp.reached(false, 5_000);
    expect(ramp.rate).toBe(50);
    ramp.reached(true, 5_000);
    expect(ramp.rate).toBe(50);
  });

  test('parts have their share of the start', () => {
    expect(rates([fast, fast], new Ramp(0, 4))).toEqual([25, 50]);
  });

  test('never below the start, never more than doubled, whatever happens', () => {
    const second = fc.record({
      ms: fc.integer({ min: 1, max: 10_000 }),
      awaited: fc.nat(100),
      logins: fc.nat(400),
      hungUp: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(second, { maxLength: 60 }), (seconds) => {
        let before = 50;
        for (const rate of rates(seconds)) {
          expect(rate).toBeGreaterThanOrEqual(50);
          if (rate !== Infinity) expect(rate).toBeLessThanOrEqual(2 * before);
          before = rate;
        }
      }),
    );
  });
});

const CALM: View = { wanted: true, wrong: false, busy: 0, done: 0 };

describe('climb', () => {
  test('grows while what is busy grows with it', () => {
    const climb = new Climb(512, 64, 2_000, 0);
    const seen = [250, 500, 750, 1000, 1250, 1500, 1750, 2000].map((now) => {
      climb.tick(now, { ...CALM, busy: climb.value });
      return climb.value;
    });
    expect(seen).toEqual([768, 768, 1152, 1152, 1728, 1728, 2000, 2000]);
  });

  test('goes back where growth brought nothing, and tries again after five seconds', () => {
    const climb = new Climb(512, 64, 8_000, 0);
    const at = (now: number) => {
      climb.tick(now, { ...CALM, busy: 500, done: now });
      return climb.value;
    };
    expect([at(1000), at(1250), at(2000), at(7000), at(7250)]).toEqual([768, 768, 512, 512, 768]);
  });

  test('keeps what got more done', () => {
    const climb = new Climb(64, 8, 512, 0);
    for (const [now, done] of [
      [1000, 100],
      [2000, 250],
    ] as const) {
      climb.tick(now, { ...CALM, done });
    }
    expect([climb.value, climb.state]).toEqual([96, 'growing']);
  });

  test('backs off by a quarter a second while something is wrong, then grows again', () => {
    const climb = new Climb(512, 64, 8_000, 0);
    const wrong = [0, 250, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000].map((now) => {
      climb.tick(now, { ...CALM, wrong: true });
      return climb.value;
    });
    expect(wrong).toEqual([384, 384, 288, 216, 162, 121, 90, 67, 64, 64]);
    climb.tick(9_750, CALM);
    expect(climb.value).toBe(64);
    climb.tick(10_000, CALM);
    climb.tick(10_250, CALM);
    expect(climb.value).toBe(96);
  });

  test('stays between its bounds, whatever happens', () => {
    const look = fc.record({ wanted: fc.boolean(), wrong: fc.boolean(), busy: fc.nat(10_000), done: fc.nat(1000) });
    fc.assert(
      fc.property(fc.array(look, { maxLength: 200 }), fc.integer({ min: 1, max: 600 }), (looks, start) => {
        const climb = new Climb(start, 64, 4_096, 0);
        let done = 0;
        looks.forEach((each, at) => {
          done += each.done;
          climb.tick(at * 250, { ...each, done });
          expect(climb.value).toBeGreaterThanOrEqual(Math.min(64, start));
          expect(climb.value).toBeLessThanOrEqual(4_096);
        });
      }),
    );
  });
});

const VIEW: RunView = {
  lateMs: 0,
  load: 0.2,
  wantsPlaces: true,
  wantsHandshakes: true,
  handshaking: 0,
  running: 0,
  ended: 0,
};

function controllerOf(adapt: Adaptation, more: Partial<Limits> = {}): Controller {
  return new Controller({ ...LIMITS, ...more, adapt }, 0);
}

describe('controller', () => {
  const adapt = { fanoutMost: 8_000, handshakesMost: 512 };
  const many = (times: number, action: () => void) => {
    for (let i = 0; i < times; i++) action();
  };

  test.each<[string, (controller: Controller) => void, Partial<RunView>, string | undefined, number, number]>([
    ['nothing wrong', () => {}, {}, undefined, 150, 96],
    ['a busy loop', () => {}, { load: 0.9 }, undefined, 100, 64],
    ['nobody waits', () => {}, { wantsPlaces: false, wantsHandshakes: false }, undefined, 100, 64],
    ['loop lag', () => {}, { lateMs: 101 }, 'loop lag', 75, 48],
    ['a late turn that is none', () => {}, { lateMs: 100 }, undefined, 150, 96],
    ['out of descriptors', (it) => it.ranOut('EMFILE', 90, 0), {}, 'local limit (EMFILE)', 75, 96],
    ['ten resets of fifty', (it) => [many(50, () => it.tries(0)), many(10, () => it.cutOff())], {}, 'resets', 75, 48],
    ['nine resets', (it) => [many(9, () => it.tries(0)), many(9, () => it.cutOff())], {}, undefined, 150, 96],
    [
      'ten resets of a hundred',
      (it) => [many(100, () => it.tries(0)), many(10, () => it.cutOff())],
      {},
      undefined,
      150,
      96,
    ],
    [
      'ten sessions of fifty',
      (it) => [many(50, () => it.tries(0)), many(10, () => it.refusedSession())],
      {},
      'refused sessions',
      75,
      96,
    ],
  ])('%s', (_name, happen, view, cause, fanout, handshakes) => {
    const controller = controllerOf(adapt);
    happen(controller);
    controller.tick(250, { ...VIEW, ...view });
    expect([controller.cause, controller.fanout, controller.handshakes]).toEqual([cause, fanout, handshakes]);
  });

  test('hosts that are tried again count once, and the rate counts each try', () => {
    const controller = controllerOf({ ...adapt, rate: 1_000 });
    many(40, () => controller.tries(0));
    many(10, () => controller.cutOff());
    many(30, () => controller.triesAgain(0));
    controller.tick(250, VIEW);
    expect(controller.cause).toBe('resets');
    // Seventy of a burst of fifty.
    expect(controller.waitMs(0)).toBeGreaterThan(20);
  });

  test('ten resets that come when nothing starts any more are measured by the hosts that let us in', () => {
    const controller = controllerOf(adapt);
    many(500, () => controller.tries(0));
    controller.tick(250, VIEW);
    many(490, () => controller.loggedIn(10));
    many(10, () => controller.cutOff());
    controller.tick(500, VIEW);
    expect(controller.cause).toBeUndefined();
  });

  test('ten resets that come before the first login are measured by the hosts that were tried', () => {
    const controller = controllerOf(adapt);
    many(500, () => controller.tries(0));
    controller.tick(250, VIEW);
    controller.tick(500, VIEW);
    many(10, () => controller.cutOff());
    controller.tick(750, VIEW);
    expect(controller.cause).toBeUndefined();
    many(90, () => controller.cutOff());
    controller.tick(1_000, VIEW);
    expect(controller.cause).toBe('resets');
  });

  test('a cause is named for two seconds', () => {
    const controller = controllerOf(adapt);
    controller.tick(250, { ...VIEW, lateMs: 300 });
    controller.tick(2_000, VIEW);
    expect(controller.cause).toBe('loop lag');
    controller.tick(2_250, VIEW);
    expect(controller.cause).toBeUndefined();
  });

  test('what was fixed stays', () => {
    const controller = controllerOf({});
    controller.tick(250, { ...VIEW, lateMs: 300 });
    controller.tick(5_000, VIEW);
    expect([controller.fanout, controller.handshakes, controller.waitMs(0)]).toEqual([100, 64, 0]);
  });

  test('connections: nine tenths of what was open when a limit was met, at most twice a second; then slowly more', () => {
    const controller = controllerOf(adapt, { connections: 1_000 });
    controller.ranOut('EMFILE', 500, 1_000);
    controller.ranOut('EMFILE', 400, 1_100);
    expect(controller.connections).toBe(450);
    controller.ranOut('EMFILE', 450, 1_500);
    expect(controller.connections).toBe(405);
    const regrown = [2_000, 2_500, 3_000, 3_500].map((now) => {
      controller.tick(now, VIEW);
      return controller.connections;
    });
    expect(regrown).toEqual([405, 426, 426, 448]);
    for (let now = 4_000; now < 60_000; now += 250) controller.tick(now, VIEW);
    expect(controller.connections).toBe(1_000);
    controller.ranOut('ENFILE', 3, 60_000);
    expect(controller.connections).toBe(16);
  });

  test.each([
    ['127.0.0.1:22', true],
    ['127.3.2.1:2222', true],
    ['::1:22', true],
    ['10.0.0.1:22', false],
    ['128.0.0.1:22', false],
    ['::12:22', false],
    ['127.0.0.1:22 through b1', false],
    ['web1:22 by ProxyCommand', false],
  ])('%s is loopback: %s', (address, loopback) => {
    expect(isLoopback(address)).toBe(loopback);
    const controller = controllerOf({ rate: 'ramp' }, { connecting: 9 });
    expect(controller.reached(address, 0)).toBe(true);
    expect(controller.connecting).toBe(loopback ? Infinity : 9);
    expect(controller.waitMs(0)).toBe(0);
    controller.tries(0);
    controller.tries(0);
    controller.tries(0);
    expect(controller.waitMs(0) > 0).toBe(!loopback);
  });

  test.each<[Adaptation, (controller: Controller) => void, string]>([
    [{ rate: 50 }, () => {}, 'rate 50/s'],
    [{ rate: 0.25, parts: 2 }, () => {}, 'rate 0.5/s'],
    [{ rate: 'ramp' }, () => {}, 'rate 50/s, growing'],
    [{ rate: 'ramp', parts: 3 }, () => {}, 'rate 50/s, growing'],
    [
      { rate: 'ramp' },
      (it) => {
        it.reached('10.0.0.1:22', 0);
        for (const [now, ms] of [
          [1_000, 100],
          [2_000, 210],
        ] as const) {
          many(10, () => it.loggedIn(ms));
          it.tick(now, VIEW);
        }
      },
      'rate 50/s, held: logins take 2.1 times as long as at the start',
    ],
    [
      { rate: 'ramp' },
      (it) => {
        it.reached('10.0.0.1:22', 0);
        many(10, () => it.tries(0));
        many(10, () => it.cutOff());
        it.tick(1_000, VIEW);
      },
      'rate 50/s, held: hosts hang up',
    ],
  ])('%o in words', (given, happen, words) => {
    const controller = controllerOf(given);
    happen(controller);
    expect(controller.rateText).toBe(words);
  });

  test('slow logins hold the handshakes, not the commands that run', () => {
    const controller = controllerOf({ ...adapt, rate: 'ramp' });
    controller.reached('10.0.0.1:22', 0);
    for (const [now, ms] of [
      [1_000, 100],
      [2_000, 300],
      [2_250, 300],
    ] as const) {
      many(10, () => controller.loggedIn(ms));
      controller.tick(now, { ...VIEW, wantsPlaces: false, wantsHandshakes: false });
    }
    expect([controller.cause, controller.fanout, controller.handshakes]).toEqual(['slow logins', 100, 48]);
  });
});
