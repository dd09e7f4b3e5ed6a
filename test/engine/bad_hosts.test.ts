/** What bad hosts cost the good ones, by a clock that is moved by hand: places and limits alone, no CPU. */
import { describe, expect, test } from 'vitest';
import type { Adaptation } from '../../src/contracts/limits.ts';
import type { Target } from '../../src/contracts/task.ts';
import { InlineExecutor } from '../../src/engine/inline_executor.ts';
import type { Watch } from '../../src/transport/transport.ts';
import { ManualClock } from '../util/manual_clock.ts';
import { FakeTransport } from './fake_transport.ts';
import { KINDS, NO_HOOKS, planOf, Reader, requestOf } from './support.ts';

interface Setting {
  readonly hosts: number;
  readonly fanout: number;
  /** Of a good host. */
  readonly loginMs: number;
  /** One host in so many is bad. */
  readonly oneIn: number;
  readonly adapt?: Adaptation;
}

function open(names: readonly string[], fanout: number, adapt?: Adaptation, Kind = FakeTransport) {
  const clock = new ManualClock();
  const transport = new Kind(clock);
  const executor = new InlineExecutor({
    kinds: KINDS,
    transports: new Map([['native', transport]]),
    clock,
    random: () => 0.5,
    busyMs: () => 0,
  });
  const limits = adapt === undefined ? { fanout } : { fanout, adapt };
  return { clock, transport, start: () => executor.run(requestOf(planOf(names), { limits }), NO_HOOKS) };
}

/** Until the last good host was ok. */
async function msToLastGood(bad: string | undefined, setting: Setting): Promise<number> {
  const { hosts, fanout, loginMs, oneIn, adapt } = setting;
  const isBad = (i: number) => i % oneIn === oneIn >> 1;
  const names: string[] = [];
  for (let i = 0; i < hosts; i++) {
    if (!isBad(i)) names.push(`login-${loginMs}.${i}`);
    else if (bad !== undefined) names.push(`${bad}.${i}`);
  }
  const good = names.filter((name) => name.startsWith('login-')).length;
  const { clock, start } = open(names, fanout, adapt);
  const run = await start();
  const reader = new Reader(run);
  const ok = () => reader.results.filter(({ outcome }) => outcome.kind === 'ok').length;
  while (ok() < good) await clock.advance(loginMs);
  const taken = clock.now();
  run.cancel('leave');
  await clock.advance(60_000);
  await reader.done;
  expect(reader.results).toHaveLength(names.length);
  expect(clock.timers).toBe(0);
  return taken;
}

const KINDS_OF_BAD = [
  'silent-connect',
  'silent-handshake',
  'silent-auth',
  'unreachable-refused',
  'reset-99',
  'throttled-99',
] as const;

describe('one bad host in a hundred', () => {
  test.each([
    [64, 40],
    [64, 200],
    [16, 10],
    [4, 20],
  ])('costs the good ones a tenth at most, at fanout %d and %d ms a host', async (fanout, loginMs) => {
    const setting = { hosts: 1_200, fanout, loginMs, oneIn: 100 };
    const without = await msToLastGood(undefined, setting);
    for (const bad of KINDS_OF_BAD) {
      // A round of the lanes, where the number of hosts is no multiple of theirs.
      expect(await msToLastGood(bad, setting), bad).toBeLessThanOrEqual(1.1 * without + loginMs);
    }
  });
});

describe('limits that adapt', () => {
  // Nobody refuses more to these than one time: four tries of each would be a fifth of all tries, and more.
  test.each([25, 15, 10])('are not narrowed by one host in %d that resets, however often it does', async (oneIn) => {
    const adapt = { fanoutMost: 200, handshakesMost: 512 };
    const setting = { hosts: 2_000, fanout: 200, loginMs: 100, oneIn, adapt };
    const without = await msToLastGood(undefined, setting);
    for (const bad of ['reset-99', 'throttled-99']) {
      expect(await msToLastGood(bad, setting), bad).toBeLessThanOrEqual(1.1 * without + 100);
    }
  });

  test('are narrowed where one host in three resets', async () => {
    const names = Array.from({ length: 2_000 }, (_, i) => (i % 3 === 0 ? `reset-99.${i}` : `login-100.${i}`));
    const { clock, start } = open(names, 200, { fanoutMost: 200 });
    const run = await start();
    await clock.advance(1_000);
    expect(run.status(0).limitedBy).toMatch(/resets|MaxStartups|handshakes/);
    run.cancel('leave');
  });
});

/** Hosts whose keys are looked at, as nobody logs in to them. */
class Keys extends FakeTransport {
  override connect(target: Target, watch: Watch) {
    const withoutLogin: Watch = {
      enter: (phase, address, ownMs) => (phase === 'auth' ? undefined : watch.enter(phase, address, ownMs)),
      get stop() {
        return watch.stop;
      },
      set stop(stop) {
        watch.stop = stop;
      },
    };
    return super.connect(target, withoutLogin);
  }
}

describe('a host that hangs in its login', () => {
  test('lends its place where there is no login, too', async () => {
    const names = Array.from({ length: 300 }, (_, i) => `${i % 20 === 10 ? 'silent-handshake' : 'login-10'}.${i}`);
    const { clock, start } = open(names, 8, undefined, Keys);
    const reader = new Reader(await start());
    await clock.advance(5_000);
    expect(reader.results).toHaveLength(285);
    await clock.advance(60_000);
    await reader.done;
  });

  test('lends its place only where others get ahead: nobody is sent after many to a service that stands still', async () => {
    const names = Array.from({ length: 200 }, (_, i) => `silent-auth.${i}`);
    const { clock, transport, start } = open(names, 8);
    const run = await start();
    await clock.advance(29_000);
    expect(transport.sockets.most).toBe(8);
    run.cancel('leave');
  });

  test('takes its place again before its job begins', async () => {
    const names = Array.from({ length: 300 }, (_, i) => (i < 4 ? `login-5000.${i}` : `slow-50.${i}`));
    const { clock, transport, start } = open(names, 8);
    const reader = new Reader(await start());
    await clock.advance(20_000);
    await reader.done;
    expect(reader.results.every(({ outcome }) => outcome.kind === 'ok')).toBe(true);
    expect(transport.processes.most).toBeLessThanOrEqual(8);
    expect(transport.sockets.most).toBeGreaterThan(8);
  });
});

describe('a task that waits for its next attempt', () => {
  test('has given its place away at once', async () => {
    const names = ['reset-99.0', 'reset-99.1', ...Array.from({ length: 20 }, (_, i) => `ok.${i}`)];
    const { clock, start } = open(names, 2);
    const run = await start();
    const reader = new Reader(run);
    await clock.advance(10);
    expect(reader.results).toHaveLength(20);
    expect(run.status(9)).toMatchObject({ connecting: 2, slowest: [{ phase: 'backoff' }, { phase: 'backoff' }] });
    await clock.advance(10_000);
    await reader.done;
    expect(clock.timers).toBe(0);
  });
});
