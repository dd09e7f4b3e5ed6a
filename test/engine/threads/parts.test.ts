/** What crosses between threads, and how limits are split. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MyriadError } from '../../../src/contracts/errors.ts';
import type { Limits } from '../../../src/contracts/limits.ts';
import { Bytes, type TaskResult } from '../../../src/contracts/task.ts';
import { SharedBits } from '../../../src/engine/threads/bits.ts';
import { OUTPUT, type PackedResult, Packer, RESULT, START, Unpacker } from '../../../src/engine/threads/packing.ts';
import { errorOf, packTargets, plainError, unpackTargets } from '../../../src/engine/threads/protocol.ts';
import { aheadOf, shareOf, threadsFor } from '../../../src/engine/threads/shares.ts';
import { SshError } from '../../../src/ssh/errors.ts';
import { LIMITS } from '../support.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 300 });
const bytes = fc.uint8Array({ maxLength: 40_000 }).map((array) => Buffer.from(array));
const span = fc.record({ start: fc.double({ noNaN: true }), end: fc.double({ noNaN: true }) });
const output = fc
  .tuple(bytes, fc.nat(1000))
  .map(([kept, more]) => (kept.length + more === 0 ? Bytes.empty : new Bytes(kept, kept.length + more)));
const outcome = fc.oneof(
  fc.record({
    kind: fc.constant('ok' as const),
    began: fc.constant('yes' as const),
    status: fc.option(fc.nat(0xffffffff)),
  }),
  fc.record({
    kind: fc.constant('error' as const),
    began: fc.constant('no' as const),
    code: fc.constant('internal'),
    message: text,
  }),
);
const result: fc.Arbitrary<PackedResult> = fc.record({
  index: fc.nat(Number.MAX_SAFE_INTEGER),
  attempt: fc.integer({ min: 1, max: 0xffffffff }),
  startedAt: fc.nat(2e12),
  durationMs: fc.double({ noNaN: true }),
  phases: fc.record({ dns: span, connect: span, command: span }, { requiredKeys: [] }),
  outcome,
  reached: fc.option(
    fc.record({
      transport: fc.constantFrom('native' as const, 'openssh' as const, 'local' as const),
      address: text,
      port: fc.nat(65_535),
      fingerprint: text,
      software: text,
    }),
    { nil: undefined },
  ),
  notes: fc.subarray<TaskResult['notes'][number]>([
    'output left open',
    'output cut',
    'stdout truncated',
    'stderr truncated',
  ]),
  stdout: output,
  stderr: output,
});

describe('packs', () => {
  test('give back what was put in, in its order', () => {
    const record = fc.oneof(
      result,
      fc.record({ index: fc.nat(), attempt: fc.nat(9), time: fc.nat(2e12) }),
      fc.record({ index: fc.nat(), attempt: fc.nat(9), time: fc.nat(2e12), data: bytes }),
    );
    fc.assert(
      fc.property(fc.array(record, { maxLength: 8 }), (records) => {
        const packer = new Packer();
        for (const each of records) {
          if ('outcome' in each) packer.result(each);
          else if ('data' in each) packer.output(each.index, each.attempt, each.time, 'stderr', each.data);
          else packer.start(each.index, each.attempt, each.time);
        }
        const { length } = packer;
        const unpacker = new Unpacker(packer.take(), length);
        for (const each of records) {
          const type = unpacker.next();
          const { index, attempt, time } = unpacker;
          if ('outcome' in each) expect([type, unpacker.result()]).toEqual([RESULT, each]);
          else {
            expect(type).toBe('data' in each ? OUTPUT : START);
            expect({ index, attempt, time }).toEqual({ index: each.index, attempt: each.attempt, time: each.time });
          }
          if ('data' in each) expect(unpacker.output()).toEqual({ stream: 'stderr', data: each.data });
        }
        expect(unpacker.next()).toBeUndefined();
        expect(packer.length).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test('targets', () => {
    const targets = [
      { label: 'root@web:22', name: 'web', user: 'root', port: 22, index: 0, iteration: 1 },
      { label: 'web', name: 'web', user: undefined, port: undefined, index: 2 ** 40, iteration: 7 },
      { label: 'x', name: 'x', user: '', port: 0, identity: '/keys/x', index: 3, iteration: 1 },
    ];
    expect(unpackTargets(structuredClone(packTargets(targets)))).toEqual(targets);
  });

  test('errors', () => {
    const ssh = new SshError('auth', 'no', { tried: ['key'], allowed: ['password'] });
    for (const error of [ssh, new MyriadError('file', 'gone'), new Error('other')]) {
      const crossed = errorOf(structuredClone(plainError(error)));
      expect(crossed).toEqual(error);
      expect(crossed.constructor).toBe(error.constructor);
    }
    expect(errorOf(plainError('a word')).message).toBe('a word');
  });
});

test('a bit per task', () => {
  const bits = SharedBits.of(100);
  for (const index of [0, 31, 32, 99]) bits.set(index);
  const same = new SharedBits(bits.buffer);
  same.clear(31);
  expect([...Array(100).keys()].filter((index) => bits.has(index))).toEqual([0, 32, 99]);
});

describe('limits', () => {
  test('of all threads are those of the run', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 16, max: 5000 }), (threads, fanout) => {
        const limits = { ...LIMITS, fanout, connections: Infinity, perAddress: 64 };
        const count = threadsFor(threads, limits, Infinity);
        const shares = Array.from({ length: count }, (_, place) => shareOf(limits, place, count));
        for (const name of ['fanout', 'handshakes', 'perAddress', 'connections'] as const) {
          expect(shares.reduce((sum, share) => sum + share[name], 0)).toBe(limits[name]);
          for (const share of shares) expect(share[name]).toBeGreaterThanOrEqual(1);
        }
        for (const share of shares) expect(share.fanout).toBeGreaterThanOrEqual(16);
      }),
    );
  });

  test.each<[string, Partial<Limits>, number, number, number]>([
    ['threads', {}, 3, Infinity, 3],
    ['a small fanout', { fanout: 31 }, 3, Infinity, 1],
    ['few per address', { perAddress: 4 }, 3, Infinity, 2],
    ['one handshake', { handshakes: 1 }, 3, Infinity, 1],
    ['two tasks', {}, 3, 2, 2],
    ['less than a task', {}, 3, 0.4, 1],
    ['a small rate', { adapt: { rate: 19 } }, 3, Infinity, 1],
    ['a rate for two', { adapt: { rate: 20 } }, 3, Infinity, 2],
    ['a ramp', { adapt: { rate: 'ramp' } }, 3, Infinity, 3],
  ])('%s', (_, limits, threads, tasks, expected) => {
    expect(threadsFor(threads, { ...LIMITS, ...limits }, tasks)).toBe(expected);
  });

  test('that change are split, too', () => {
    const adapt = { fanoutMost: 1_001, handshakesMost: 512, rate: 100 };
    const limits = { ...LIMITS, connecting: 921, adapt };
    const shares = [0, 1, 2, 3].map((place) => shareOf(limits, place, 4));
    const sum = (of: (share: Limits) => number | undefined) => shares.reduce((total, each) => total + of(each)!, 0);
    expect(sum(({ connecting }) => connecting)).toBe(921);
    expect(sum((share) => share.adapt!.fanoutMost)).toBe(1_001);
    expect(sum((share) => share.adapt!.handshakesMost)).toBe(512);
    expect(sum((share) => share.adapt!.rate as number)).toBe(100);
    expect(shares.map((share) => share.adapt!.parts)).toEqual([4, 4, 4, 4]);
    expect(shareOf({ ...LIMITS, adapt: { rate: 'ramp' } }, 0, 4).adapt).toEqual({ rate: 'ramp', parts: 4 });
    expect(shareOf(LIMITS, 0, 4).adapt).toBeUndefined();
  });

  test('few tasks wait in a thread', () => {
    expect([1, 100, 10_000].map(aheadOf)).toEqual([8, 25, 64]);
  });
});
