/** The pool of jump hosts over clients that are only played; what real ones do with it is in test/real. */
import { expect, test } from 'vitest';
import type { SshClient } from '../../../src/ssh/client.ts';
import { SshError } from '../../../src/ssh/errors.ts';
import type { ClientStream, SocketUser } from '../../../src/ssh/socket.ts';
import { abandon, type Dial, type Hop, JumpError, JumpPool, type Way } from '../../../src/transport/native/jump.ts';
import { ManualClock, settle } from '../../util/manual_clock.ts';

const hopOf = (name: string): Hop => ({ id: `u@${name}:22`, label: `u@${name}`, name, port: 22 });
const jump = hopOf('jump');

/** One connection to a jump host, and the channels that were opened in it. */
class PlayedClient {
  closed = false;
  readonly targets: string[] = [];
  readonly users: SocketUser[] = [];
  #onClosed: (() => void) | undefined;

  whenClosed(callback: () => void): void {
    this.#onClosed = callback;
  }

  close(): void {
    this.closed = true;
    this.#onClosed?.();
  }

  forward(host: string, port: number, user: SocketUser): ClientStream {
    this.targets.push(`${host}:${port}`);
    this.users.push(user);
    if (this.closed) user.ended(new SshError('closed', 'gone'));
    return { write() {}, waiting: 0, end() {}, destroy() {} };
  }
}

interface Login {
  readonly hop: Hop;
  readonly dial: Dial | undefined;
  readonly client: PlayedClient;
  accept(): void;
  refuse(error: Error): void;
}

/** A pool whose logins wait to be decided. */
function played() {
  const clock = new ManualClock();
  const logins: Login[] = [];
  const pool = new JumpPool(
    (hop, dial) => {
      const { promise, resolve, reject } = Promise.withResolvers<SshClient>();
      const client = new PlayedClient();
      logins.push({ hop, dial, client, accept: () => resolve(client as unknown as SshClient), refuse: reject });
      return promise;
    },
    clock,
    () => 0.5,
  );
  return { pool, clock, logins };
}

class Deaf implements SocketUser {
  ends = 0;
  connected(): void {}
  received(): void {}
  drained(): void {}
  ended(): void {
    this.ends += 1;
  }
}

/** How many of these have settled by now. */
async function ready(ways: readonly Promise<unknown>[]): Promise<number> {
  let count = 0;
  for (const way of ways) {
    way.then(
      () => count++,
      () => count++,
    );
  }
  await settle();
  return count;
}

test('a thousand targets: five connections, 64 targets at once', async () => {
  const { pool, logins } = played();
  const ways = Array.from({ length: 1000 }, () => pool.way([jump]));
  await settle();
  expect(logins).toHaveLength(5);
  for (const login of logins) login.accept();
  let done = 0;
  const loads: number[] = [];
  let atOnce = 0;
  for (const way of ways) {
    void way.then(async (open) => {
      atOnce += 1;
      loads.push(atOnce);
      open.dial(`host-${done++}`, 22)(new Deaf());
      await settle(1);
      atOnce -= 1;
      open.settled();
      open.settled();
    });
  }
  await Promise.all(ways);
  await settle();
  expect(done).toBe(1000);
  expect(Math.max(...loads)).toBe(64);
  expect(logins).toHaveLength(5);
  expect(logins.map(({ client }) => client.targets.length)).toEqual([200, 200, 200, 200, 200]);
});

test('a jump host that is down is dialled once in ten seconds, and named for all', async () => {
  const { pool, clock, logins } = played();
  const ways = Array.from({ length: 20 }, () => pool.way([jump]));
  await settle();
  logins[0]!.refuse(new SshError('connect', 'connection refused'));
  const errors = await Promise.all(ways.map((way) => way.catch((error) => error)));
  expect(new Set(errors).size).toBe(1);
  expect(errors[0]).toBeInstanceOf(JumpError);
  expect(errors[0].message).toBe('jump host u@jump: connection refused');
  await expect(pool.way([jump])).rejects.toBe(errors[0]);
  expect(logins).toHaveLength(1);
  await clock.advance(10_000);
  const later = pool.way([jump]);
  await settle();
  logins[1]!.accept();
  expect((await later).client).toBe(logins[1]!.client);
});

test('a drop before the identification is MaxStartups: again, six times', async () => {
  const { pool, clock, logins } = played();
  const way = pool.way([jump]).catch((error: Error) => error);
  for (let tries = 1; tries <= 6; tries++) {
    await settle();
    expect(logins).toHaveLength(tries);
    logins[tries - 1]!.refuse(new SshError('banner-closed', 'dropped'));
    await clock.advance(1000);
  }
  expect(await way).toBeInstanceOf(JumpError);
  expect(logins).toHaveLength(6);
});

test('where a further connection fails, the open one carries more', async () => {
  const { pool, logins } = played();
  const first = pool.way([jump]);
  await settle();
  logins[0]!.accept();
  (await first).settled();
  const ways: Way[] = [];
  for (let i = 0; i < 200; i++) {
    const way = await pool.way([jump]);
    way.dial('host', 22)(new Deaf());
    way.settled();
    ways.push(way);
  }
  const more = [pool.way([jump]), pool.way([jump])];
  await settle();
  expect(logins).toHaveLength(2);
  logins[1]!.refuse(new SshError('connect', 'no more'));
  for (const way of await Promise.all(more)) expect(way.client).toBe(logins[0]!.client);
});

test('a second way avoids the first one', async () => {
  const { pool, logins } = played();
  const asked = pool.way([jump]);
  await settle();
  logins[0]!.accept();
  const first = await asked;
  first.settled();
  const again = pool.way([jump], first);
  await settle();
  logins[1]!.accept();
  expect((await again).client).toBe(logins[1]!.client);
});

test('channels that are dropped, end or are never opened make room', async () => {
  const { pool, logins } = played();
  const keep = pool.way([jump]);
  await settle();
  logins[0]!.accept();
  await keep;
  for (let i = 0; i < 600; i++) {
    const way = await pool.way([jump]);
    if (i % 3 > 0) {
      const stream = way.dial('host', 22)(new Deaf());
      if (i % 3 === 1) stream.destroy();
      else logins[0]!.client.users.at(-1)!.ended(undefined);
    }
    way.settled();
    expect(way.busy).toBe(true);
  }
  expect(logins).toHaveLength(1);
});

test('who went away while waiting holds nothing', async () => {
  const { pool, logins } = played();
  const waiting = Array.from({ length: 128 }, () => pool.way([jump]));
  for (const way of waiting) abandon(way);
  await settle();
  logins[0]!.accept();
  expect(await ready(waiting)).toBe(128);
  expect((await pool.way([jump])).busy).toBe(false);
});

test('a connection that goes down while a target waits for its place is not used', async () => {
  const { pool, logins } = played();
  const ways = Array.from({ length: 64 }, () => pool.way([jump]));
  await settle();
  logins[0]!.accept();
  const open = await Promise.all(ways);
  const late = pool.way([jump]);
  await settle();
  logins[0]!.client.close();
  open[0]!.settled();
  await settle();
  logins[1]!.accept();
  open[1]!.settled();
  expect((await late).client).toBe(logins[1]!.client);
});

test('one that went down before the dial is told after it', async () => {
  const { pool, logins } = played();
  const asked = pool.way([jump]);
  await settle();
  logins[0]!.accept();
  const way = await asked;
  logins[0]!.client.close();
  const user = new Deaf();
  way.dial('host', 22)(user);
  expect(user.ends).toBe(0);
  await settle();
  expect(user.ends).toBe(1);
});

test('a chain: the second hop is reached through the first, whose place is given back', async () => {
  const { pool, logins } = played();
  const far = hopOf('far');
  const asked = pool.way([jump, far]);
  await settle();
  expect(logins.map(({ hop }) => hop.name)).toEqual(['jump']);
  logins[0]!.accept();
  await settle();
  expect(logins.map(({ hop, dial }) => [hop.name, dial !== undefined])).toEqual([
    ['jump', false],
    ['far', true],
  ]);
  logins[1]!.dial!(new Deaf());
  expect(logins[0]!.client.targets).toEqual(['far:22']);
  logins[1]!.accept();
  expect((await asked).client).toBe(logins[1]!.client);
  const direct = Array.from({ length: 64 }, () => pool.way([jump]));
  expect(await ready(direct)).toBe(64);
});

test('two chains that are each other’s reverse do not wait for one another', async () => {
  const { pool, logins } = played();
  const far = hopOf('far');
  const ways = Array.from({ length: 200 }, (_, i) => pool.way(i % 2 === 0 ? [jump, far] : [far, jump]));
  for (const way of ways) void way.then((open) => open.settled());
  for (let turns = 0; turns < 10; turns++) {
    await settle();
    for (const login of logins) login.accept();
  }
  expect(await ready(ways)).toBe(200);
});

test('closed: every connection of a jump host is told goodbye', async () => {
  const { pool, logins } = played();
  const ways = Array.from({ length: 500 }, () => pool.way([jump]));
  await settle();
  for (const login of logins) login.accept();
  for (const way of ways) abandon(way);
  await Promise.all(ways);
  expect(logins).toHaveLength(3);
  pool.close();
  expect(logins.map(({ client }) => client.closed)).toEqual([true, true, true]);
});

test('closed: what is open is told goodbye, what comes later is refused', async () => {
  const { pool, logins } = played();
  const first = pool.way([jump]);
  await settle();
  logins[0]!.accept();
  await first;
  const opening = pool.way([hopOf('other')]);
  await settle();
  pool.close();
  expect(logins[0]!.client.closed).toBe(true);
  logins[1]!.accept();
  await expect(opening).rejects.toThrow('jump host u@other');
  expect(logins[1]!.client.closed).toBe(true);
  await expect(pool.way([jump])).rejects.toThrow('no longer needed');
});
