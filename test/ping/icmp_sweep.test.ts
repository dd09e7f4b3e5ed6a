/** The loop of a sweep on a network that is not there: what is an answer, what is not, and that all is accounted for. */
import { describe, expect, it } from 'vitest';
import { packAddresses } from '../../src/ping/addresses.ts';
import type { BlockRules } from '../../src/ping/block.ts';
import { chunkOf, type PingChunk } from '../../src/ping/chunk.ts';
import { IcmpSweep } from '../../src/ping/icmp_sweep.ts';
import { Pace } from '../../src/ping/pace.ts';
import { CONTROL, Shared } from '../../src/ping/shared.ts';
import { Skipped } from '../../src/ping/skipped.ts';
import { ADDRESS_STATES } from '../../src/ping/state.ts';
import { type Back, type Echo, error, FakeNetwork, reply, up } from './fake_network.ts';

const LOW = 0x0a010000;
const IDENTIFIER = 0x1234;

interface Options {
  readonly count: number;
  readonly passes?: number;
  readonly mode?: BlockRules['mode'];
  readonly gapMs?: number;
  readonly timeoutMs?: number;
  readonly rate?: number;
  readonly order?: 'random' | 'input';
  readonly skipped?: Skipped;
  readonly setUp?: (network: FakeNetwork, shared: Shared) => void;
}

function sweep(respond: (echo: Echo) => readonly Back[], options: Options) {
  const {
    count,
    passes = 1,
    mode = 'retry',
    gapMs = 100,
    timeoutMs = 100,
    rate = Infinity,
    order = 'random',
  } = options;
  const network = new FakeNetwork(respond);
  const shared = new Shared({ count, passes });
  const chunks: PingChunk[] = [];
  options.setUp?.(network, shared);
  const loop = new IcmpSweep({
    addresses: packAddresses(4, [{ low: LOW, count }]),
    shared,
    socket: network,
    identifier: IDENTIFIER,
    rules: { passes, mode, gap: 1000 * gapMs, timeout: 1000 * timeoutMs },
    pace: new Pace(rate, 0),
    order,
    secret: [1, 2, 3, 4],
    skipped: options.skipped,
    micros: network.micros,
    onBlock: (place, number, size) => {
      chunks.push(chunkOf(shared.slots[place]!, number * shared.block, size));
      Atomics.add(shared.control, CONTROL.returned, 1);
    },
  });
  loop.run();
  const states = chunks.flatMap(({ state }) => [...state].map((code) => ADDRESS_STATES[code]!));
  return { network, chunks, states, counts: shared.allCounts() };
}

const only = (counts: object) => Object.fromEntries(Object.entries(counts).filter(([, value]) => value > 0));
const tally = (states: readonly string[]) =>
  Object.fromEntries(
    Map.groupBy(states, (state) => state)
      .entries()
      .map(([state, all]) => [state, all.length]),
  );

describe('answers', () => {
  it('makes each address up once, in whatever order it was asked', () => {
    const { states, counts, network } = sweep(up(), { count: 1000 });
    expect(tally(states)).toEqual({ up: 1000 });
    expect(only(counts)).toEqual({ sent: 1000, answers: 1000, up: 1000, done: 1000 });
    expect(new Set(network.sent.map(({ to }) => to)).size).toBe(1000);
    expect(network.sent.slice(0, 20).map(({ to }) => to)).not.toEqual(Array.from({ length: 20 }, (_, i) => LOW + i));
  });

  it('asks in the order of the addresses where that is wanted', () => {
    const { network } = sweep(up(), { count: 300, order: 'input' });
    expect(network.sent.map(({ to }) => to)).toEqual(Array.from({ length: 300 }, (_, i) => LOW + i));
  });

  it('ends as soon as all have answered, and else after the timeout of the last', () => {
    expect(sweep(up(3), { count: 100, timeoutMs: 5000 }).network.now).toBeLessThan(20_000);
    const { network, states } = sweep(() => [], { count: 100, timeoutMs: 5000 });
    expect(tally(states)).toEqual({ 'no-answer': 100 });
    expect(network.now).toBeGreaterThan(5_000_000);
    expect(network.now).toBeLessThan(5_020_000);
  });

  it('measures the round trip of each', () => {
    const { chunks } = sweep(({ to, request }) => [{ icmp: reply(request), from: to, afterMs: 1 + (to % 16) }], {
      count: 16,
    });
    chunks[0]!.rtt.forEach((micros, i) => {
      expect(micros).toBeGreaterThanOrEqual(1000 * (1 + i));
      expect(micros).toBeLessThan(1000 * (2 + i));
    });
  });

  it('takes blocks one after the other and gives them in order', () => {
    const { chunks, states } = sweep(up(), { count: 2 ** 16 + 5, passes: 2 });
    expect(chunks.map(({ base, count }) => [base, count])).toEqual([
      [0, 2 ** 16],
      [2 ** 16, 5],
    ]);
    expect(tally(states)).toEqual({ up: 2 ** 16 + 5 });
  });
});

describe('what is settled already', () => {
  it('is not asked: single addresses, and whole blocks', () => {
    const few = new Uint8Array(65_536 / 8).fill(0b11110000);
    const parts = new Map<number, Uint8Array | true>([
      [0, true],
      [1, few],
    ]);
    const { states, counts, network } = sweep(up(), { count: 2 ** 16 + 40, passes: 2, skipped: new Skipped(parts, 0) });
    expect(tally(states)).toEqual({ 'not-probed': 2 ** 16 + 20, up: 20 });
    expect(only(counts)).toEqual({ sent: 20, answers: 20, up: 20, done: 2 ** 16 + 40 });
    expect(network.sent.map(({ to }) => (to - LOW) % 8).every((bit) => bit < 4)).toBe(true);
  });
});

describe('what is no answer', () => {
  const oneUp = { count: 1 };

  it('is told apart: from another address', () => {
    const { states, counts } = sweep(({ to, request }) => [{ icmp: reply(request), from: to + 1, afterMs: 1 }], oneUp);
    expect(states).toEqual(['no-answer']);
    expect(only(counts)).toEqual({ sent: 1, fromOthers: 1, done: 1 });
  });

  it('is told apart: a duplicate', () => {
    const twice = (echo: Echo) => [...up(1)(echo), ...up(1)(echo), ...up(2)({ ...echo })];
    const { states, counts } = sweep(twice, { count: 2 });
    expect(states).toEqual(['up', 'up']);
    // What comes after all is done is not waited for.
    expect(counts.answers).toBe(2);
    expect(counts.duplicates).toBeGreaterThanOrEqual(2);
  });

  it('is told apart: a late answer', () => {
    const late = (echo: Echo) => (echo.to === LOW ? up(150)(echo) : echo.to === LOW + 1 ? [] : up(1)(echo));
    // The second pass keeps the block open until the answer to the first has come.
    const { states, counts } = sweep(late, { count: 2, passes: 3, mode: 'count', gapMs: 100, timeoutMs: 100 });
    expect(states).toEqual(['no-answer', 'no-answer']);
    expect(counts.late).toBeGreaterThanOrEqual(1);
    expect(counts.answers).toBe(0);
  });

  it.each([
    ['tag', 8],
    ['position', 15],
    ['block', 19],
    ['pass', 23],
    ['time', 27],
  ])('is told apart: made up, another %s', (_what, at) => {
    const forged = ({ to, request }: Echo) => {
      const icmp = reply(request);
      icmp[at]! ^= 1;
      return [{ icmp, from: to, afterMs: 1 }];
    };
    const { states, counts } = sweep(forged, { count: 2 });
    expect(states).toEqual(['no-answer', 'no-answer']);
    expect(only(counts)).toEqual({ sent: 2, foreign: 2, done: 2 });
  });

  it('is told apart: of an older sweep, cut short, or of another program', () => {
    const odd = ({ to, request }: Echo) => {
      const [short, other] = [reply(request).subarray(0, 20), reply(request)];
      other[4]! ^= 1;
      const ours = { from: to, afterMs: 1 };
      return [
        { icmp: short, ...ours },
        { icmp: other, ...ours },
        { icmp: new Uint8Array(3), ...ours },
        { icmp: Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0), ...ours },
      ];
    };
    const { states, counts } = sweep(odd, { count: 1 });
    expect(states).toEqual(['no-answer']);
    expect(only(counts)).toEqual({ sent: 1, foreign: 1, done: 1 });
  });
});

describe('ICMP errors', () => {
  const unreachable = (type: number, code: number, quoted?: number) => (echo: Echo) => [
    { icmp: error(echo, type, code, quoted), from: 0x0a0000fe, afterMs: 1 },
  ];

  it.each([
    [3, 0, 'net-unreachable'],
    [3, 1, 'host-unreachable'],
    [3, 13, 'prohibited'],
    [11, 0, 'time-exceeded'],
    [12, 0, 'icmp-error'],
  ])('type %i code %i: %s, and nobody waits any longer', (type, code, state) => {
    const { states, counts, network } = sweep(unreachable(type, code), { count: 3, timeoutMs: 5000 });
    expect(tally(states)).toEqual({ [state]: 3 });
    expect(only(counts)).toEqual({ sent: 3, errors: 3, done: 3 });
    expect(network.now).toBeLessThan(1_000_000);
  });

  it('are known by eight quoted bytes, too', () => {
    const { states, counts } = sweep(unreachable(3, 1, 8), { count: 40 });
    expect(tally(states)).toEqual({ 'host-unreachable': 40 });
    expect(counts.errors).toBe(40);
  });

  it("that quote what we did not send are nobody's", () => {
    const forged = (echo: Echo) => {
      const icmp = error(echo, 3, 1, 8);
      icmp[8 + 20 + 7]! ^= 1;
      const elsewhere = error({ ...echo, to: 0x0b000000 }, 3, 1, 8);
      return [
        { icmp, from: 1, afterMs: 1 },
        { icmp: elsewhere, from: 1, afterMs: 1 },
      ];
    };
    const { states, counts } = sweep(forged, { count: 1 });
    expect(states).toEqual(['no-answer']);
    expect(only(counts)).toEqual({ sent: 1, foreign: 2, done: 1 });
  });

  it('give way to an answer', () => {
    const both = (echo: Echo) => [...unreachable(3, 1)(echo), ...up(1)(echo)];
    const { states, counts } = sweep(both, { count: 1 });
    expect(states).toEqual(['up']);
    expect(only(counts)).toEqual({ sent: 1, errors: 1, answers: 1, up: 1, done: 1 });
  });
});

describe('several probes', () => {
  it('count: asks all, so often, an interval apart', () => {
    const lossy = (echo: Echo) => (echo.before === 1 ? [] : up(2)(echo));
    const { chunks, counts, network } = sweep(lossy, {
      count: 100,
      passes: 4,
      mode: 'count',
      gapMs: 500,
      timeoutMs: 100,
    });
    const { many, rtt } = chunks[0]!;
    expect([...many!.sent]).toEqual(new Array(100).fill(4));
    expect([...many!.received]).toEqual(new Array(100).fill(3));
    expect(only(counts)).toEqual({ sent: 400, answers: 300, up: 100, done: 100 });
    for (let i = 0; i < 100; i++) {
      expect(many!.least[i]).toBeLessThanOrEqual(rtt[i]!);
      expect(many!.most[i]).toBeGreaterThanOrEqual(rtt[i]!);
    }
    const times = network.sent.filter(({ to }) => to === LOW + 7).map(({ at }) => at);
    times.slice(1).forEach((at, i) => {
      expect(at - times[i]!).toBeGreaterThanOrEqual(500_000);
      expect(at - times[i]!).toBeLessThan(520_000);
    });
  });

  it('count: an interval is one for five addresses, too', () => {
    const { network } = sweep(up(1), { count: 5, passes: 5, mode: 'count', gapMs: 200 });
    const times = network.sent.filter(({ to }) => to === LOW + 2).map(({ at }) => at);
    expect(times).toHaveLength(5);
    for (const [i, at] of times.slice(1).entries()) expect(at - times[i]!).toBeGreaterThanOrEqual(200_000);
  });

  it('retry: asks only those again that have not answered', () => {
    const third = (echo: Echo) => (echo.to % 10 === 0 && echo.before < 2 ? [] : up(1)(echo));
    const { states, counts } = sweep(third, { count: 1000, passes: 4 });
    expect(tally(states)).toEqual({ up: 1000 });
    const dumb = Array.from({ length: 1000 }, (_, i) => LOW + i).filter((to) => to % 10 === 0).length;
    expect(counts.sent).toBe(1000 + 2 * dumb);
    expect(counts.answers).toBe(1000);
  });

  it('more than a word of them has bits for', () => {
    const { chunks } = sweep(up(1), { count: 3, passes: 70, mode: 'count', gapMs: 10 });
    expect([...chunks[0]!.many!.received]).toEqual([70, 70, 70]);
  });
});

describe('a machine that will not send', () => {
  it('counts what found no room, and sends it again', () => {
    let full = 50;
    const setUp = (network: FakeNetwork) => {
      network.refuse = () => (full-- > 0 && full % 2 === 0 ? 105 : 0);
    };
    const { states, counts } = sweep(up(), { count: 200, setUp });
    expect(tally(states)).toEqual({ up: 200 });
    expect(counts).toMatchObject({ sent: 200, sendFailures: 0 });
    expect(counts.fullBuffers).toBeGreaterThan(0);
  });

  it.each([
    [101, 'no-route'],
    [100, 'network-down'],
    [1, 'local-limit'],
  ])('errno %i: %s, and the others are asked', (errno, state) => {
    const setUp = (network: FakeNetwork) => {
      network.refuse = (to) => (to % 4 === 0 ? errno : 0);
    };
    const { states, counts } = sweep(up(), { count: 400, setUp });
    expect(tally(states)).toEqual({ up: 300, [state]: 100 });
    expect(counts).toMatchObject({ sent: 300, sendFailures: 100, answers: 300 });
  });

  it('sends that all fail leave none out', () => {
    const setUp = (network: FakeNetwork) => {
      network.refuse = () => 101;
    };
    expect(tally(sweep(up(), { count: 21, setUp }).states)).toEqual({ 'no-route': 21 });
  });

  it('an error of an earlier packet costs none', () => {
    let once = 0;
    const setUp = (network: FakeNetwork) => {
      network.refuse = (to) => (to === LOW + 3 && once++ === 0 ? 113 : 0);
    };
    const { states, counts } = sweep(up(), { count: 10, setUp });
    expect(tally(states)).toEqual({ up: 10 });
    expect(counts.sendFailures).toBe(0);
  });

  it('an interface that goes down half-way: what is known is kept, the rest is not called down', () => {
    let left = 500;
    const setUp = (network: FakeNetwork) => {
      network.refuse = () => (left-- > 0 ? 0 : 100);
    };
    const { states } = sweep(up(), { count: 1000, setUp });
    const { up: alive, 'network-down': unasked } = tally(states);
    expect(alive! + unasked!).toBe(1000);
    expect(alive).toBeGreaterThanOrEqual(490);
    expect(unasked).toBeGreaterThanOrEqual(490);
  });
});

describe('pace and stop', () => {
  it('sends no faster than it may', () => {
    const { network } = sweep(up(), { count: 1000, rate: 2000 });
    const { sent } = network;
    const seconds = (sent.at(-1)!.at - sent[0]!.at) / 1e6;
    expect(1000 / seconds).toBeLessThan(2100);
    expect(1000 / seconds).toBeGreaterThan(1800);
    for (let i = 100; i < 1000; i++) expect(sent[i]!.at - sent[i - 100]!.at).toBeGreaterThan(35_000);
  });

  it('a stop sends nothing more, waits for what was sent, and calls the rest not probed', () => {
    const setUp = (network: FakeNetwork, shared: Shared) => {
      network.onWait = () => {
        if (network.sent.length >= 300) Atomics.store(shared.control, CONTROL.stop, 1);
      };
    };
    const { states, counts, network } = sweep(up(20), { count: 1000, rate: 1000, setUp });
    const asked = network.sent.length;
    expect(asked).toBeLessThan(320);
    expect(tally(states)).toEqual({ up: asked, 'not-probed': 1000 - asked });
    expect(counts.answers).toBe(asked);
  });
});
