/** Which connections are kept, for whom, and for how long. */
import { describe, expect, it } from 'vitest';
import type { Profile, Route } from '../../../src/transport/native/route.ts';
import { type Restable, WarmPool } from '../../../src/transport/native/warm_pool.ts';

class Clock {
  #now = 0;
  timers: { at: number; callback: () => void; ref: boolean }[] = [];

  now(): number {
    return this.#now;
  }

  epoch(): number {
    return this.#now;
  }

  setTimer(delayMs: number, callback: () => void) {
    const timer = { at: this.#now + delayMs, callback, ref: true };
    this.timers.push(timer);
    return {
      cancel: () => {
        this.timers = this.timers.filter((other) => other !== timer);
      },
      unref: () => {
        timer.ref = false;
      },
    };
  }

  pass(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#now = Math.max(this.#now, due.at);
      this.timers.splice(this.timers.indexOf(due), 1);
      due.callback();
    }
    this.#now = end;
  }
}

class Connection implements Restable {
  idle = true;
  closed = 0;
  gone: (() => void) | undefined;

  rest(gone: () => void): boolean {
    this.gone = gone;
    return this.idle;
  }

  close(): void {
    this.closed += 1;
    this.gone?.();
  }
}

const PROFILE = { hostKeys: 'a verifier' } as unknown as Profile;
const KEYS: Route['credentials']['keys'] = [];
const NO_HOPS: readonly Route[] = [];

function routeTo(name: string, more: Partial<Route> = {}): Route {
  return {
    label: name,
    name,
    port: 22,
    credentials: { user: 'root', keys: KEYS },
    keyHost: { name, port: 22 },
    profile: PROFILE,
    via: NO_HOPS,
    ...more,
  };
}

function setup(most = 10, idleMs?: number, ageMs?: number) {
  const clock = new Clock();
  const pool = new WarmPool<Connection>({ most, idleMs, ageMs }, clock);
  const put = (route: Route, bornAt = clock.now()) => {
    const client = new Connection();
    return { client, kept: pool.put({ client, route, address: route.name, bornAt }) };
  };
  return { clock, pool, put };
}

describe('keeping', () => {
  it('gives a connection to the next task on the same host, once', () => {
    const { pool, put } = setup();
    const { client } = put(routeTo('a'));
    expect(pool.take(routeTo('b'))).toBeUndefined();
    expect(pool.take(routeTo('a'))?.client).toBe(client);
    expect(pool.take(routeTo('a'))).toBeUndefined();
    expect(client.closed).toBe(0);
  });

  it('forgets names whose connections are gone, all but a thousand, and no other', () => {
    const { pool, put } = setup(5000);
    const all = Array.from({ length: 5000 }, (_, i) => ({ name: `h${i}`, ...put(routeTo(`h${i}`)) }));
    for (const { client } of all.slice(0, 4500)) client.close();
    expect(pool.size).toBe(500);
    expect(pool.names).toBeLessThanOrEqual(2 * 500 + 1024);
    for (const { name, client } of all.slice(4500)) expect(pool.take(routeTo(name))?.client).toBe(client);
    expect([pool.size, pool.take(routeTo('h0'))]).toEqual([0, undefined]);
    // A name that was forgotten is known again as soon as it is kept.
    const { client } = put(routeTo('h0'));
    expect(pool.take(routeTo('h0'))?.client).toBe(client);
  });

  it('takes back what it gave as the same thing, so that nothing is made anew each round', () => {
    const { clock, pool, put } = setup(10, 1000);
    const { client } = put(routeTo('a'));
    const first = pool.take(routeTo('a'))!;
    const gone = client.gone;
    for (let round = 0; round < 3; round++) {
      clock.pass(600);
      expect([pool.put(first), pool.size]).toEqual([true, 1]);
      expect(client.gone).toBe(gone);
      expect([pool.take(routeTo('a')), pool.size]).toEqual([first, 0]);
    }
    // Its time counts from when it rests last.
    pool.put(first);
    clock.pass(2000);
    expect([client.closed, pool.size]).toEqual([1, 0]);
  });

  it('does not miss one that rests again, is over, or comes among others of its host', () => {
    const { pool, put } = setup();
    const clients = [put(routeTo('a')).client, put(routeTo('a')).client, put(routeTo('a')).client];
    const last = pool.take(routeTo('a'))!;
    const middle = pool.take(routeTo('a'))!;
    expect([last.client, middle.client]).toEqual([clients[2], clients[1]]);
    pool.put(last);
    pool.put(middle);
    clients[2]!.gone!();
    expect(pool.size).toBe(2);
    expect([pool.take(routeTo('a'))?.client, pool.take(routeTo('a'))?.client]).toEqual([clients[1], clients[0]]);
    expect(pool.take(routeTo('a'))).toBeUndefined();
  });

  it('keeps several of one host apart, and gives out the one that came last first', () => {
    const { pool, put } = setup();
    const clients = [put(routeTo('a')).client, put(routeTo('a')).client, put(routeTo('a')).client];
    clients[1]!.gone!();
    expect(pool.size).toBe(2);
    expect(pool.take(routeTo('a'))?.client).toBe(clients[2]);
    expect(pool.take(routeTo('a'))?.client).toBe(clients[0]);
    expect(pool.size).toBe(0);
  });

  it('does not keep what cannot rest', () => {
    const { pool } = setup();
    const client = new Connection();
    client.idle = false;
    expect(pool.put({ client, route: routeTo('a'), address: 'a', bornAt: 0 })).toBe(false);
    expect(pool.size).toBe(0);
    expect(client.closed).toBe(0);
  });

  it('keeps no more than its bound, and what is there stays', () => {
    const { pool, put } = setup(2);
    expect([put(routeTo('a')).kept, put(routeTo('b')).kept, put(routeTo('c')).kept]).toEqual([true, true, false]);
    expect(pool.take(routeTo('a'))).toBeDefined();
    expect(put(routeTo('c')).kept).toBe(true);
    expect(pool.size).toBe(2);
  });

  it('gives nothing to a route with another login', () => {
    const { pool, put } = setup();
    const hop = routeTo('jump');
    put(routeTo('a'));
    const others: Partial<Route>[] = [
      { port: 23 },
      { credentials: { user: 'other', keys: KEYS } },
      { credentials: { user: 'root', keys: [{}] as unknown as Route['credentials']['keys'] } },
      { profile: { ...PROFILE } },
      { keyHost: { name: 'alias', port: 22 } },
      { keyHost: { name: 'a', port: 23 } },
      { via: [hop] },
    ];
    for (const other of others) expect(pool.take(routeTo('a', other)), JSON.stringify(other)).toBeUndefined();
    expect(pool.take(routeTo('a'))).toBeDefined();
  });

  it('keeps none that may use our agent, and none over a program', () => {
    const { put } = setup();
    expect(put(routeTo('a', { profile: { ...PROFILE, forwardAgent: '/agent' } })).kept).toBe(false);
    expect(put(routeTo('a', { proxyCommand: 'nc a 22' })).kept).toBe(false);
  });

  it('keeps none to a host that opens one session a connection', () => {
    const { pool, put } = setup();
    const [first, other] = [put(routeTo('a')), put(routeTo('b'))];
    pool.single(routeTo('a'));
    expect([first.client.closed, other.client.closed]).toEqual([1, 0]);
    expect(put(routeTo('a')).kept).toBe(false);
    expect(put(routeTo('a', { port: 23 })).kept).toBe(true);
  });

  it('drops what leads to the same host as one that was dead', () => {
    const { pool, put } = setup();
    const [first, second, other] = [put(routeTo('a')), put(routeTo('a')), put(routeTo('a', { port: 23 }))];
    pool.drop(routeTo('a'));
    expect([first, second, other].map(({ client }) => client.closed)).toEqual([1, 1, 0]);
    expect(pool.size).toBe(1);
  });
});

describe('ending', () => {
  it('says goodbye to what nobody took for so long, without keeping the process', () => {
    const { clock, pool, put } = setup(10, 60_000);
    const first = put(routeTo('a'));
    clock.pass(30_000);
    const second = put(routeTo('b'));
    expect(clock.timers.every(({ ref }) => !ref)).toBe(true);
    clock.pass(29_999);
    expect(first.client.closed).toBe(0);
    clock.pass(1);
    expect([first.client.closed, second.client.closed]).toEqual([1, 0]);
    clock.pass(30_000);
    expect(second.client.closed).toBe(1);
    expect(pool.size).toBe(0);
    expect(clock.timers).toEqual([]);
  });

  it('ends each by its age, however often it was used', () => {
    const { clock, pool, put } = setup(10, 60_000, 600_000);
    const { client } = put(routeTo('a'));
    for (let used = 0; used < 13; used++) {
      clock.pass(45_000);
      const kept = pool.take(routeTo('a'));
      expect(kept?.client).toBe(client);
      expect(pool.put(kept!)).toBe(true);
    }
    clock.pass(14_000);
    expect(client.closed).toBe(0);
    clock.pass(2_000);
    expect(client.closed).toBe(1);
    expect(put(routeTo('a'), clock.now() - 600_000).kept).toBe(false);
  });

  it('never gives out what is due', () => {
    const { clock, pool, put } = setup(10, 1_000);
    put(routeTo('a'));
    clock.pass(200);
    const late = put(routeTo('a'));
    // The first one's end sets the next look a second later.
    clock.pass(1_000);
    expect(late.client.closed).toBe(0);
    expect(pool.take(routeTo('a'))).toBeUndefined();
    clock.pass(1_000);
    expect(late.client.closed).toBe(1);
  });

  it('forgets a connection that its peer has ended', () => {
    const { pool, put } = setup(1);
    const { client } = put(routeTo('a'));
    client.gone!();
    expect(pool.size).toBe(0);
    expect(put(routeTo('b')).kept).toBe(true);
  });

  it('says goodbye to all when it is closed, and keeps none afterwards', () => {
    const { clock, pool, put } = setup();
    const all = [put(routeTo('a')), put(routeTo('a')), put(routeTo('b'))];
    pool.close();
    expect(all.map(({ client }) => client.closed)).toEqual([1, 1, 1]);
    expect(put(routeTo('c')).kept).toBe(false);
    expect(clock.timers).toEqual([]);
  });
});

it('connections of one moment are not all made anew at one moment', () => {
  const clock = new Clock();
  const pool = new WarmPool<Connection>({ most: 1000, idleMs: 10_000, ageMs: 1000 }, clock);
  const put = (n: number) => {
    const route = routeTo(`h${n}`);
    return pool.put({ client: new Connection(), route, address: 'a', bornAt: n / 10 });
  };
  for (let n = 0; n < 1000; n++) put(n);
  // Those that can still be used, after each tenth of the age.
  const left: number[] = [];
  for (let ms = 0; ms < 1100; ms += 100) {
    clock.pass(100);
    let taken = 0;
    for (let n = 0; n < 1000; n++) if (pool.take(routeTo(`h${n}`)) !== undefined && put(n)) taken += 1;
    left.push(taken);
  }
  // None before half of the age, and then as many in each tenth.
  expect(left.slice(0, 4)).toEqual([1000, 1000, 1000, 1000]);
  const lost = left.slice(4).map((size, at) => (left[at + 3] ?? 0) - size);
  expect(Math.max(...lost)).toBeLessThan(260);
  expect(left.at(-1)).toBe(0);
});

it('keeps more, and longer, from when it is told to; never less', () => {
  const clock = new Clock();
  const pool = new WarmPool<Connection>({ most: 1, idleMs: 100 }, clock);
  const put = (name: string) =>
    pool.put({ client: new Connection(), route: routeTo(name), address: 'a', bornAt: clock.now() });
  expect([put('a'), put('b')]).toEqual([true, false]);
  pool.grow({ most: 2, idleMs: 5000 });
  pool.grow({ most: 1, idleMs: 1 });
  expect(put('b')).toBe(true);
  clock.pass(4000);
  expect(pool.take(routeTo('a'))).toBeUndefined();
  expect(pool.take(routeTo('b'))).toBeDefined();
});
