/** Executor suite: what is refused, how output is gathered, sweeps. */
import { describe, expect, test } from 'vitest';
import type { TaskOutputEvent } from '../../src/contracts/events.ts';
import type { SweepChunk } from '../../src/engine/executor.ts';
import type { Plan } from '../../src/engine/plan.ts';
import { NO_HOOKS, type Overrides, planOf, Reader, requestOf, spec } from '../engine/support.ts';
import { settle } from '../util/manual_clock.ts';
import type { SetUp } from './executor_world.ts';

export function requestsSuite(name: string, setUp: SetUp): void {
  describe(`executor ${name}: requests`, () => {
    test.each([
      ['an unknown kind', { job: spec('dance', {}) }],
      ['an unknown version', { job: { kind: 'command', version: 2, options: {} } }],
      ['options that the kind refuses', { job: spec('command', { command: '' }) }],
      ['a fanout of nothing', { limits: { fanout: 0 } }],
      ['half a handshake', { limits: { handshakes: 0.5 } }],
      ['retries that are no number', { limits: { retries: Number.NaN } }],
    ] as [string, Overrides][])('%s is refused before anything connects', async (_, overrides) => {
      const { executor, transport } = setUp();
      await expect(executor.run(requestOf(planOf(['ok.0']), overrides), NO_HOOKS)).rejects.toMatchObject({
        code: 'usage',
      });
      expect(transport.attempts.size).toBe(0);
    });

    test('nothing connects before the caller has the run', async () => {
      const { executor, transport } = setUp();
      const run = await executor.run(requestOf(planOf(['ok.0'])), NO_HOOKS);
      expect(transport.attempts.size).toBe(0);
      await new Reader(run).done;
      expect(transport.attempts.size).toBe(1);
    });

    test('a closed executor takes nothing more', async () => {
      const { executor } = setUp();
      await executor.close();
      await expect(executor.run(requestOf(planOf(['ok.0'])), NO_HOOKS)).rejects.toMatchObject({ code: 'closed' });
    });

    test('closing ends what runs', async () => {
      const { clock, executor } = setUp();
      const reader = new Reader(await executor.run(requestOf(planOf(['silent-command.0'])), NO_HOOKS));
      await clock.advance(10);
      await executor.close();
      expect((await reader.done)[0]!.outcome).toMatchObject({ kind: 'cancelled', remote: 'killed' });
    });
  });

  describe(`executor ${name}: gathering`, () => {
    test('collect keeps up to maxOutput over both streams and counts the rest', async () => {
      const { executor } = setUp();
      const reader = new Reader(await executor.run(requestOf(planOf(['flood-5.0']), { maxOutput: 2500 }), NO_HOOKS));
      const [result] = await reader.done;
      expect(result!.stdout).toMatchObject({ total: 3072, truncated: true });
      expect(result!.stdout.text()).toBe('x'.repeat(1024 + 452));
      expect(result!.stderr.text()).toBe('x'.repeat(1024));
      expect(result!.stderr).toMatchObject({ total: 2048, truncated: true });
      expect(result!.notes).toEqual(['stdout truncated', 'stderr truncated']);
    });

    test('discard counts and keeps nothing', async () => {
      const { executor } = setUp();
      const reader = new Reader(await executor.run(requestOf(planOf(['flood-5.0']), { gather: 'discard' }), NO_HOOKS));
      const [result] = await reader.done;
      expect([result!.stdout.total, result!.stdout.bytes.length]).toEqual([3072, 0]);
      expect(result!.notes).toEqual([]);
    });

    test('stream hands pieces out, and a full consumer holds its host back alone', async () => {
      const { clock, executor } = setUp();
      const pieces: number[] = [];
      const hooks = {
        onStart: () => {},
        onOutput: (event: TaskOutputEvent) => {
          pieces.push(event.index);
          return event.index !== 0;
        },
      };
      const overrides = { gather: 'stream', limits: { deadlines: { idleMs: 1000 } } } as const;
      const run = await executor.run(requestOf(planOf(['flood-3.0', 'flood-3.1']), overrides), hooks);
      const reader = new Reader(run);
      await clock.advance(60_000);
      expect(pieces.filter((index) => index === 0)).toHaveLength(1);
      expect(reader.results.map((result) => result.index)).toEqual([1]);
      for (let i = 0; i < 3; i++) {
        run.resume(0);
        await settle();
      }
      const results = await reader.done;
      expect(pieces.filter((index) => index === 0)).toHaveLength(3);
      expect(results[1]).toMatchObject({ index: 0, outcome: { kind: 'ok' }, stdout: { total: 2048 } });
    });

    test('file is refused before anything connects', async () => {
      const { executor, transport } = setUp();
      const run = executor.run(requestOf(planOf(['ok.0']), { gather: 'file' }), NO_HOOKS);
      await expect(run).rejects.toMatchObject({ code: 'usage' });
      expect(transport.attempts.size).toBe(0);
    });
  });

  describe(`executor ${name}: sweep`, () => {
    const chunkOf = (base: number, count: number): SweepChunk => ({
      base,
      count,
      bits: new Uint8Array(Math.ceil(count / 8)),
      rtt: new Uint32Array(count),
    });
    const plan: Plan = { count: 10_000, hosts: 10_000, at: () => expect.fail('a sweep probes, it makes no tasks') };

    test('chunks come in order and cover the plan', async () => {
      const { executor } = setUp();
      const seen: [number, number][] = [];
      const probe = async (_: Plan, base: number, count: number) => chunkOf(base, count);
      for await (const chunk of executor.sweep(plan, probe, new AbortController().signal))
        seen.push([chunk.base, chunk.count]);
      expect(seen).toEqual([
        [0, 4096],
        [4096, 4096],
        [8192, 1808],
      ]);
    });

    test('the chunk in progress is the last when it is aborted', async () => {
      const { executor } = setUp();
      const controller = new AbortController();
      const seen: number[] = [];
      const probe = async (_: Plan, base: number, count: number) => {
        if (base > 0) controller.abort();
        return chunkOf(base, count);
      };
      for await (const chunk of executor.sweep(plan, probe, controller.signal)) seen.push(chunk.base);
      expect(seen).toEqual([0, 4096]);
    });

    test.each([
      ['base', { base: 1 }],
      ['count', { count: 4095 }],
      ['bits', { bits: new Uint8Array(511) }],
      ['rtt', { rtt: new Uint32Array(4097) }],
    ])('a chunk with a wrong %s is an internal error', async (_, wrong) => {
      const { executor } = setUp();
      const probe = async (__: Plan, base: number, count: number) => ({ ...chunkOf(base, count), ...wrong });
      const chunks = executor.sweep(plan, probe, new AbortController().signal)[Symbol.asyncIterator]();
      await expect(chunks.next()).rejects.toMatchObject({ code: 'internal' });
    });
  });
}
