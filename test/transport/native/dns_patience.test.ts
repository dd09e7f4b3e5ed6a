/** The resolver and servers that lose, fail or are not there; time is moved by hand, so that nothing waits. */
import { describe, expect, test } from 'vitest';
import { ManualClock, settle } from '../../util/manual_clock.ts';
import { both, bothOf, faultOf, realClock, resolverOf, serve } from './resolver_kit.ts';
import { answerTo, ScriptedNameServer, zone } from './scripted_name_server.ts';

describe('lost packets', () => {
  test('the other type was answered: asked again after 50 ms, and only what is missing', async () => {
    const clock = new ManualClock();
    let drops = 1;
    const server = await serve((question) => (question.type === 'A' && drops-- > 0 ? 'drop' : both(question)));
    const waiting = resolverOf([server], { clock }).resolve('web1.example', 'any');
    await server.seen(2);
    await settle();
    clock.advanceSync(60);
    expect(await waiting).toEqual(bothOf);
    expect(server.asked.filter((each) => each.endsWith(' A'))).toHaveLength(2);
    expect(server.asked).toHaveLength(3);
  });

  test('nothing was answered: asked again after 400 ms, then after twice the time each', async () => {
    const clock = new ManualClock();
    const server = await serve(() => 'drop');
    const waiting = faultOf(resolverOf([server], { clock }).resolve('web1.example', 'any'));
    await server.seen(2);
    for (const [at, queries] of [
      [390, 2],
      [410, 4],
      [1190, 4],
      [1220, 6],
      [2790, 6],
      [2830, 8],
    ] as const) {
      clock.advanceSync(at - clock.now());
      await server.seen(queries);
      await settle();
      expect([at, server.asked.length]).toEqual([at, queries]);
    }
    // Two attempts of five seconds are what resolv.conf grants.
    clock.advanceSync(10_010 - clock.now());
    expect(await waiting).toMatchObject({ fault: 'silent' });
    expect((await waiting).message).toContain(`no answer from 127.0.0.1:${server.address.port} within 10 s`);
    expect(clock.timers).toBe(0);
  });

  test('one of the first names is lost: what the answers to others took decides, not 400 ms', async () => {
    const clock = new ManualClock();
    let lost = 1;
    const server = await serve((question) => (question.name === 'old.example' && lost-- > 0 ? 'drop' : both(question)));
    const resolver = resolverOf([server], { clock });
    const waiting = resolver.resolve('old.example', 4);
    expect(await resolver.resolve('web1.example', 4)).toEqual(['192.0.2.1', '192.0.2.2']);
    clock.advanceSync(90);
    await settle();
    expect(server.asked).toHaveLength(2);
    clock.advanceSync(20);
    expect(await waiting).toEqual(['192.0.2.3']);
    expect(server.asked).toHaveLength(3);
  });

  test('a late answer counts', async () => {
    const clock = new ManualClock();
    const early: Buffer[] = [];
    const server = await serve((question) => {
      early.push(answerTo(question, { records: [{ type: 'A', value: '192.0.2.1' }] }));
      return early.length === 1 ? 'drop' : [early[0]!];
    });
    const waiting = resolverOf([server], { clock }).resolve('web1.example', 4);
    await server.seen(1);
    clock.advanceSync(410);
    expect(await waiting).toEqual(['192.0.2.1']);
  });

  test('one type is never answered: the addresses of the other are enough after three copies', async () => {
    const clock = new ManualClock();
    const server = await serve((question) => (question.type === 'AAAA' ? 'drop' : both(question)));
    const waiting = resolverOf([server], { clock }).resolve('web1.example', 'any');
    await server.seen(2);
    await settle();
    clock.advanceSync(60);
    await server.seen(3);
    clock.advanceSync(500);
    await server.seen(4);
    clock.advanceSync(1000);
    expect(await waiting).toEqual(['192.0.2.1', '192.0.2.2']);
    expect(server.asked).toHaveLength(4);
  });

  test('a thousand names, one query in a hundred lost: all are answered', async () => {
    let state = 7;
    const random = (): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      return (state >>> 8) % 100;
    };
    let lost = 0;
    const server = await serve(({ name, type }) => {
      if (random() === 0) {
        lost += 1;
        return 'drop';
      }
      const number = Number(name.slice(1, name.indexOf('.')));
      return { records: type === 'A' ? [{ type, value: `127.1.${number >> 8}.${number & 255}` }] : [] };
    });
    const resolver = resolverOf([server], { clock: realClock });
    const all = await Promise.all(Array.from({ length: 1000 }, (_, i) => resolver.resolve(`h${i}.example`, 'any')));
    expect(all).toEqual(Array.from({ length: 1000 }, (_, i) => [`127.1.${i >> 8}.${i & 255}`]));
    expect(lost).toBeGreaterThan(0);
    expect(server.asked.length).toBeGreaterThanOrEqual(2000 + lost);
  });

  test('a port is used for 1,024 queries at most, and all names are answered all the same', async () => {
    const server = await serve(both);
    const resolver = resolverOf([server], { clock: realClock, conf: 'options ndots:1' });
    for (let i = 0; i < 3000; i += 100) {
      const some = Array.from({ length: 100 }, (_, n) => faultOf(resolver.resolve(`h${i + n}.example`, 4)));
      expect((await Promise.all(some)).every(({ fault }) => fault === 'no-name')).toBe(true);
    }
    const uses = new Map<number, number>();
    for (const { from } of server.questions) uses.set(from, (uses.get(from) ?? 0) + 1);
    expect(uses.size).toBeGreaterThanOrEqual(3);
    expect(Math.max(...uses.values())).toBeLessThanOrEqual(1024);
  });

  test('128 names are fresh at once; the others go out as they are answered or late', async () => {
    const clock = new ManualClock();
    const server = await serve(() => 'drop');
    const resolver = resolverOf([server], { clock });
    const all = Array.from({ length: 300 }, (_, i) => faultOf(resolver.resolve(`h${i}.example`, 4)));
    await server.seen(128);
    await settle();
    expect(server.asked).toHaveLength(128);
    clock.advanceSync(410);
    await server.seen(3 * 128);
    await settle();
    expect(new Set(server.asked).size).toBe(256);
    resolver.close();
    expect((await Promise.all(all)).every(({ fault }) => fault === 'closed')).toBe(true);
    expect(clock.timers).toBe(0);
  });

  test('a promise that nobody waits for settles into nothing', async () => {
    const clock = new ManualClock();
    const server = await serve(() => 'drop');
    void resolverOf([server], { clock }).resolve('web1.example', 4);
    await server.seen(1);
    await clock.advance(20_000);
    expect(clock.timers).toBe(0);
  });
});

test('nobody there: said with the code', async () => {
  const gone = await ScriptedNameServer.open(() => 'drop');
  await gone.close();
  const clock = new ManualClock();
  const resolver = resolverOf([gone], { clock });
  const waiting = faultOf(resolver.resolve('web1.example', 'any'));
  while (clock.nextAt < 10_000) await clock.advance(10);
  const error = await waiting;
  expect(error).toMatchObject({ fault: 'server' });
  expect(error.message).toMatch(/name server 127\.0\.0\.1:\d+: ECONNREFUSED$/);
});

describe('a machine without IPv6', () => {
  const mixed = zone({
    'web1.example': [
      { type: 'A', value: '192.0.2.1' },
      { type: 'AAAA', value: '2001:db8::1' },
    ],
    'six.example': [{ type: 'AAAA', value: '2001:db8::6' }],
    'empty.example': [],
  });

  test('asks for A alone', async () => {
    const server = await serve(mixed);
    expect(await resolverOf([server], { ipv6: false }).resolve('web1.example', 'any')).toEqual(['192.0.2.1']);
    expect(server.asked).toEqual(['web1.example A']);
  });

  test('is told of AAAA where there is no A, or where it wants nothing else', async () => {
    const server = await serve(mixed);
    const resolver = resolverOf([server], { ipv6: false });
    expect(await resolver.resolve('six.example', 'any')).toEqual(['2001:db8::6']);
    expect(await resolver.resolve('web1.example', 6)).toEqual(['2001:db8::1']);
    expect(server.asked).toEqual(['six.example A', 'six.example AAAA', 'web1.example AAAA']);
  });

  test('a name that has no A does not make room for another of the search list', async () => {
    const server = await serve(
      zone({ 'web.one': [{ type: 'AAAA', value: '2001:db8::6' }], 'web.two': [{ type: 'A', value: '192.0.2.9' }] }),
    );
    const resolver = resolverOf([server], { ipv6: false, conf: 'search one two' });
    expect(await resolver.resolve('web', 'any')).toEqual(['2001:db8::6']);
  });

  test.each([
    ['empty.example', 'no-address', 'the name has no address'],
    ['gone.example', 'no-name', 'no such name (NXDOMAIN)'],
  ])('%s: the same fault as elsewhere', async (name, fault, why) => {
    const server = await serve(mixed);
    const error = await faultOf(resolverOf([server], { ipv6: false }).resolve(name, 'any'));
    expect(error).toMatchObject({ fault, message: `name "${name}" does not resolve: ${why}` });
    expect(server.asked).toEqual([`${name} A`, `${name} AAAA`]);
  });

  test('what has failed is not asked for again as AAAA', async () => {
    const server = await serve(() => ({ code: 2 }));
    const clock = new ManualClock();
    const waiting = faultOf(resolverOf([server], { clock, ipv6: false }).resolve('web1.example', 'any'));
    await server.seen(1);
    await settle();
    clock.advanceSync(410);
    expect(await waiting).toMatchObject({ fault: 'server' });
    expect(server.asked.every((each) => each.endsWith(' A'))).toBe(true);
  });
});

describe('several servers', () => {
  test('one that answered and then goes away: the next after the first retry', async () => {
    const leaving = await ScriptedNameServer.open(both);
    const good = await serve(both);
    const clock = new ManualClock();
    const resolver = resolverOf([leaving, good], { clock });
    expect(await resolver.resolve('web1.example', 4)).toEqual(['192.0.2.1', '192.0.2.2']);
    await leaving.close();
    const waiting = resolver.resolve('old.example', 'any') as Promise<readonly string[]>;
    let over = false;
    void waiting.then(() => {
      over = true;
    });
    while (!over && clock.now() < 250) await clock.advance(10);
    expect(over).toBe(true);
    expect(await waiting).toEqual(['192.0.2.3']);
  });

  test('one that fails: the next at once', async () => {
    const bad = await serve(() => ({ code: 2 }));
    const good = await serve(both);
    expect(await resolverOf([bad, good]).resolve('web1.example', 'any')).toEqual(bothOf);
    expect(bad.asked).toHaveLength(2);
  });

  test('one that is not there: the next at once, and from then on', async () => {
    const gone = await ScriptedNameServer.open(() => 'drop');
    await gone.close();
    const good = await serve(both);
    const resolver = resolverOf([gone, good]);
    expect(await resolver.resolve('web1.example', 'any')).toEqual(bothOf);
    expect(await resolver.resolve('old.example', 'any')).toEqual(['192.0.2.3']);
  });

  test('all fail, in every round: their words', async () => {
    const clock = new ManualClock();
    const first = await serve(() => ({ code: 5 }));
    const second = await serve(() => ({ code: 2 }));
    const waiting = faultOf(resolverOf([first, second], { clock }).resolve('web1.example', 4));
    await second.seen(1);
    await settle();
    expect([first.asked.length, second.asked.length]).toEqual([1, 1]);
    clock.advanceSync(110);
    const error = await waiting;
    expect(error.fault).toBe('server');
    expect(error.message).toMatch(/name server 127\.0\.0\.1:\d+: SERVFAIL$/);
    expect([first.asked.length, second.asked.length]).toEqual([2, 2]);
  });

  test('one that is silent to everyone for a second is passed over', async () => {
    const clock = new ManualClock();
    const silent = await serve(() => 'drop');
    const good = await serve(both);
    const resolver = resolverOf([silent, good], { clock });
    const waiting = resolver.resolve('web1.example', 4);
    await silent.seen(1);
    clock.advanceSync(410);
    await silent.seen(2);
    clock.advanceSync(810);
    expect(await waiting).toEqual(['192.0.2.1', '192.0.2.2']);
    expect(await resolver.resolve('old.example', 4)).toEqual(['192.0.2.3']);
    expect(silent.asked).toHaveLength(2);
  });

  test('one that only is slow with a name keeps it for the configured timeout', async () => {
    const clock = new ManualClock();
    const slow = await serve((question) => (question.name === 'web1.example' ? 'drop' : both(question)));
    const other = await serve(() => ({ code: 3 }));
    const resolver = resolverOf([slow, other], { clock, conf: 'options timeout:2' });
    const waiting = faultOf(resolver.resolve('web1.example', 4));
    await slow.seen(1);
    for (let i = 0; i < 6; i++) {
      clock.advanceSync(250);
      // It answers others all the time.
      void resolver.resolve(`n${i}.example`, 4);
      await slow.seen(2 + i);
      await settle();
    }
    expect(other.asked).toEqual([]);
    clock.advanceSync(2500);
    expect(await waiting).toMatchObject({ fault: 'no-name' });
    resolver.close();
  });

  test('options rotate: by turns', async () => {
    const servers = [await serve(both), await serve(both)];
    const resolver = resolverOf(servers, { conf: 'options rotate' });
    await resolver.resolve('web1.example', 4);
    await resolver.resolve('old.example', 4);
    expect(servers.map(({ asked }) => asked)).toEqual([['web1.example A'], ['old.example A']]);
  });
});
