/** The small parts of a task: gathered output, waits between attempts, the plan over hosts. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Outcome, RefusedWhat, UnreachableCause } from '../../src/contracts/outcome.ts';
import type { StreamName, TaskNote } from '../../src/contracts/task.ts';
import { Gathered } from '../../src/engine/gather.ts';
import { HostPlan } from '../../src/engine/host_plan.ts';
import { InlineExecutor } from '../../src/engine/inline_executor.ts';
import { InlineRun } from '../../src/engine/inline_run.ts';
import { Backoff, localLimitOf, saysPenalty } from '../../src/engine/retry.ts';
import { outcomeOfError, textOf } from '../../src/engine/task_outcome.ts';
import { ManualClock } from '../util/manual_clock.ts';
import { FakeTransport } from './fake_transport.ts';
import { KINDS, LIMITS, NO_HOOKS, planOf, Reader, requestOf } from './support.ts';

describe('gathered output', () => {
  test('is the first bytes over both streams, whatever the pieces, and owns its bytes', () => {
    const piece = fc.record({
      stream: fc.constantFrom<StreamName>('stdout', 'stderr'),
      data: fc.uint8Array({ maxLength: 3000 }),
    });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.integer({ min: 0, max: 20_000 }), (pieces, keep) => {
        const gathered = new Gathered(keep);
        const expected = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
        const total = { stdout: 0, stderr: 0 };
        let left = keep;
        for (const { stream, data } of pieces) {
          const chunk = Buffer.from(data);
          const take = Math.min(left, chunk.length);
          left -= take;
          total[stream] += chunk.length;
          expected[stream] = Buffer.concat([expected[stream], data.subarray(0, take)]);
          gathered.add(stream, chunk);
          chunk.fill(0xff);
        }
        const notes: TaskNote[] = [];
        gathered.noteCuts(notes);
        for (const stream of ['stdout', 'stderr'] as const) {
          expect(gathered[stream].bytes.equals(expected[stream])).toBe(true);
          expect(gathered[stream].total).toBe(total[stream]);
          expect(notes.includes(`${stream} truncated`)).toBe(total[stream] > expected[stream].length);
        }
      }),
    );
  });

  test('bytes that come one by one keep no more room than they need', () => {
    const gathered = new Gathered(1 << 20);
    for (let i = 0; i < 70_000; i++) gathered.add('stdout', Uint8Array.of(i & 255));
    const { bytes } = gathered.stdout;
    expect(bytes.length).toBe(70_000);
    expect(bytes.buffer.byteLength).toBeLessThan(100_000);
  });
});

describe('retries', () => {
  const unreachable = (cause: UnreachableCause, message = ''): Outcome => {
    return { kind: 'unreachable', began: 'no', cause, message };
  };
  const refused = (what: RefusedWhat, reason: string): Outcome => ({ kind: 'refused', began: 'no', what, reason });

  test('a reset is tried again as often as asked, with growing jitter', () => {
    const backoff = new Backoff();
    const limits = { ...LIMITS, retries: 6 };
    const delays = Array.from({ length: 7 }, () => backoff.next(unreachable('reset'), 0, 0, limits, () => 1));
    expect(delays).toEqual([100, 200, 400, 800, 1600, 2000, undefined]);
    expect(new Backoff().next(unreachable('reset'), 0, 0, limits, () => 0)).toBe(0);
  });

  test.each([0, 1, 5])('a session without room is tried again as often as asked: %d times', (retries) => {
    for (const reason of ['connect failed: open failed', 'resource shortage: too many']) {
      const backoff = new Backoff();
      const delays = Array.from({ length: retries + 1 }, () =>
        backoff.next(refused('session', reason), 0, 0, { ...LIMITS, retries }, () => 0),
      );
      expect(delays).toEqual([...Array.from({ length: retries }, () => 0), undefined]);
    }
  });

  test('a host that was silent is tried again where that is wanted, other deadlines stand', () => {
    const silent = (phase: 'dns' | 'connect' | 'auth') =>
      ({ kind: 'timeout', began: 'no', phase, remote: 'none' }) as const;
    const limits = { ...LIMITS, retries: 2, retrySilent: true };
    const backoff = new Backoff();
    const delays = [0, 10_000, 20_000].map((now) => backoff.next(silent('connect'), now, 0, limits, () => 1));
    expect(delays).toEqual([100, 200, undefined]);
    for (const phase of ['dns', 'auth'] as const) {
      expect(new Backoff().next(silent(phase), 0, 0, limits, () => 1)).toBeUndefined();
    }
  });

  test('full jitter: any wait from nothing to the ceiling', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(30), (drawn, failures) => {
        const backoff = new Backoff();
        const limits = { ...LIMITS, retries: 100 };
        let delay: number | undefined;
        for (let i = 0; i <= failures; i++) delay = backoff.next(unreachable('reset'), 0, 0, limits, () => drawn);
        expect(delay).toBeCloseTo(drawn * Math.min(2_000, 100 * 2 ** failures));
      }),
    );
  });

  test.each([
    ['the server hung up before its identification, saying "Not allowed at this time"', 'perhaps'],
    ['kex_exchange_identification: banner line 0: Not allowed at this time', 'perhaps'],
    ['Connection refused: penalty: failed authentication', 'yes'],
    ['the server hung up before its identification, saying "Exceeded MaxStartups"', 'no'],
    ['the server hung up before its identification, without a word', 'no'],
  ])('%s: a penalty: %s', (message, says) => {
    expect(saysPenalty({ kind: 'unreachable', began: 'no', cause: 'throttled', message })).toBe(says);
  });

  test.each([
    [true, [15_000, 17_500, 20_000]],
    [false, [0, 50, 100]],
  ])('after a penalty (%s) nobody comes back within 15 s', (penalty, expected) => {
    const outcome = unreachable('throttled');
    const delays = [0, 0.5, 1].map((drawn) => new Backoff().next(outcome, 0, 0, LIMITS, () => drawn, penalty));
    expect(delays).toEqual(expected);
  });

  test('a penalty that would outlast the patience stands at once', () => {
    const limits = { ...LIMITS, deadlines: { ...LIMITS.deadlines, connectMs: 4_000 } };
    expect(new Backoff().next(unreachable('throttled'), 0, 0, limits, () => 0, true)).toBeUndefined();
  });

  test.each([
    ['connect EMFILE 10.0.0.1:22', 'EMFILE'],
    ['connect EADDRNOTAVAIL 10.0.0.1:22 - Local (0.0.0.0:0)', 'EADDRNOTAVAIL'],
    ['spawn ssh EAGAIN', 'EAGAIN'],
    ['Too many open files', 'descriptors'],
  ])('%s: %s', (message, of) => expect(localLimitOf(message)).toBe(of));

  test.each(['throttled', 'local-limit'] as const)(
    '%s goes on for three connect deadlines, waits left out',
    (cause) => {
      const backoff = new Backoff();
      const next = (now: number, waitedMs: number) =>
        backoff.next(unreachable(cause), now, waitedMs, { ...LIMITS, retries: 0 }, () => 0);
      expect(next(1_000, 700)).toBe(0);
      expect(next(31_000, 700)).toBe(0);
      expect(next(31_001, 700)).toBeUndefined();
      expect(next(41_000, 10_700)).toBe(0);
    },
  );

  test.each<Outcome>([
    unreachable('refused'),
    unreachable('dns'),
    unreachable('no-route'),
    unreachable('jump'),
    unreachable('proxy'),
    refused('session', 'administratively prohibited: no more sessions'),
    refused('exec', 'connect failed: open failed'),
    refused('algorithm', 'resource shortage'),
    { kind: 'timeout', began: 'no', phase: 'connect', remote: 'none' },
    { kind: 'auth-failed', began: 'no', tried: [], allowed: [] },
    { kind: 'host-key', began: 'no', cause: 'unknown', keyType: '', fingerprint: '', advice: '' },
    { kind: 'error', began: 'no', code: 'x', message: '' },
  ])('$kind stands', (outcome) => {
    expect(new Backoff().next(outcome, 0, 0, LIMITS, () => 0)).toBeUndefined();
  });
});

describe('a run that is over', () => {
  test('remembers no address, no gate, no held output', async () => {
    const clock = new ManualClock();
    const transport = new FakeTransport(clock);
    const executor = new InlineExecutor({ kinds: KINDS, transports: () => transport, clock, random: () => 0.5 });
    const names = ['ok.0', 'unreachable-refused.1', 'silent-connect.2', 'throttled-2.3', 'sly.4', 'silent-command.5'];
    const run = await executor.run(requestOf(planOf(names)), NO_HOOKS);
    const reader = new Reader(run);
    await clock.advance(20_000);
    run.cancel('terminate');
    await reader.done;
    if (!(run instanceof InlineRun)) expect.fail('not an inline run');
    expect([run.addresses.size, run.gated.size, run.held.size]).toEqual([0, 0, 0]);
    expect([run.places.used, run.handshakes.used, clock.timers]).toEqual([0, 0, 0]);
  });
});

describe('host plan', () => {
  const list = { count: 3, at: (i: number) => ({ label: `u@h${i}:2`, name: `h${i}`, user: 'u', port: 2 }) };

  test('all hosts in order, then all again', () => {
    const plan = new HostPlan(list, 2);
    expect([plan.count, plan.hosts]).toEqual([6, 3]);
    expect(plan.at(4)).toEqual({ label: 'u@h1:2', name: 'h1', user: 'u', port: 2, index: 4, iteration: 2 });
    expect([0, 1, 2, 3, 4, 5].map((i) => [plan.at(i).name, plan.at(i).iteration])).toEqual([
      ['h0', 1],
      ['h1', 1],
      ['h2', 1],
      ['h0', 2],
      ['h1', 2],
      ['h2', 2],
    ]);
  });

  test.each([-1, 6, 0.5 + 6, Number.NaN])('there is no task %s', (index) => {
    expect(() => new HostPlan(list, 2).at(index)).toThrow(RangeError);
  });

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53 - 1])('repeat %s is refused', (repeat) => {
    expect(() => new HostPlan(list, repeat)).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});

describe('errors as outcomes', () => {
  test('a classifier that throws or talks nonsense leaves an error', () => {
    const transport = new FakeTransport(new ManualClock());
    transport.classify = () => {
      throw new Error('classifier');
    };
    expect(outcomeOfError(transport, new Error('first'), 'maybe')).toMatchObject({
      kind: 'error',
      began: 'maybe',
      code: 'internal',
      message: 'first; and it could not be classified: classifier',
    });
    transport.classify = () => JSON.parse('{"kind":"dancing"}');
    expect(outcomeOfError(transport, 'a string', 'no')).toMatchObject({ kind: 'error', message: 'a string' });
  });

  test('whatever is thrown has a text', () => {
    expect([textOf(undefined), textOf(new TypeError()), textOf(Object.create(null))]).toEqual([
      'undefined',
      'TypeError',
      'something that has no text was thrown',
    ]);
  });
});
