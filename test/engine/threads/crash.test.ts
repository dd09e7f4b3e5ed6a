/** Real workers, and jobs that end them. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Clock } from '../../../src/contracts/limits.ts';
import { outcomeLabel } from '../../../src/contracts/outcome.ts';
import { type Spawn, workers } from '../../../src/engine/threads/spawn.ts';
import { Restarts } from '../../../src/engine/threads/thread_slot.ts';
import { ThreadsExecutor } from '../../../src/engine/threads/threads_executor.ts';
import { ManualClock } from '../../util/manual_clock.ts';
import { NO_HOOKS, planOf, Reader, requestOf, spec } from '../support.ts';

const clock: Clock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

const job = spec('dying', { command: 'true' });
const alive = new Set<string>();
const warnings: string[] = [];

function executorOf(threads: number, data?: string): ThreadsExecutor {
  const module = new URL('./dying_thread.ts', import.meta.url).href;
  const real = workers({ module, export: 'makeDying', data });
  let count = 0;
  const spawn: Spawn = (name, hooks) => {
    const id = `${name} #${++count}`;
    alive.add(id);
    return real(name, {
      ...hooks,
      onExit: (reason) => {
        alive.delete(id);
        hooks.onExit(reason);
      },
    });
  };
  return new ThreadsExecutor({ threads, spawn, clock, warn: (text) => warnings.push(text) });
}

afterEach(() => {
  warnings.length = 0;
  expect([...alive]).toEqual([]);
});

describe('a thread that dies', () => {
  test.each([
    ['exit', 'exit code 3'],
    ['throw', 'the job broke'],
  ])('by %s: what began is lost, what had not begun runs once, the run goes on', async (how, reason) => {
    const executor = executorOf(2);
    const names = Array.from({ length: 400 }, (_, i) => (i === 150 ? `${how}.${i}` : `slow-${i % 7}.${i}`));
    const starts: number[] = [];
    const hooks = { onStart: ({ index }: { index: number }) => void starts.push(index), onOutput: () => true };
    const run = await executor.run(requestOf(planOf(names), { job }), hooks);
    const results = await new Reader(run).done;
    expect(results.map(({ index }) => index).sort((a, b) => a - b)).toEqual(names.map((_, i) => i));
    const lost = results.filter(({ outcome }) => outcome.kind !== 'ok');
    for (const { outcome } of lost) expect(outcomeLabel(outcome)).toBe('lost(crash)');
    const killer = lost.find(({ index }) => index === 150)!;
    expect(killer.outcome).toMatchObject({ began: 'maybe', message: expect.stringContaining(reason) });
    // No more than that thread had in progress, and what had ended in the same turn, whose results went with it.
    expect(lost.length).toBeLessThanOrEqual(2 * 50);
    expect(new Set(lost.map(({ executor: thread }) => thread)).size).toBe(1);
    // A job that is begun is begun once.
    expect(new Set(starts).size).toBe(starts.length);
    for (const { index, host } of results) expect(host.name).toBe(names[index]);
    expect(new Set(results.map(({ executor: thread }) => thread))).toEqual(new Set(['thread-1', 'thread-2']));
    await executor.close();
  });

  test('of a host before its job began: that host is given up after three threads, the others are ok', async () => {
    const executor = executorOf(1);
    const names = [...Array.from({ length: 40 }, (_, i) => `ok.${i}`), 'exit-early.40'];
    const results = await new Reader(await executor.run(requestOf(planOf(names), { job }), NO_HOOKS)).done;
    const bad = results.filter(({ outcome }) => outcome.kind !== 'ok');
    expect(bad.map(({ index }) => index)).toContain(40);
    const poison = results.find(({ index }) => index === 40)!;
    expect(poison.outcome).toMatchObject({ kind: 'error', began: 'no', code: 'internal' });
    expect(poison.outcome).toMatchObject({ message: expect.stringContaining('3 threads ended') });
    expect(results).toHaveLength(41);
    await executor.close();
  });

  test('while it is made: the run is refused with its words', async () => {
    const executor = executorOf(2, 'broken');
    await expect(executor.run(requestOf(planOf(['ok.0', 'ok.1']), { job }), NO_HOOKS)).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringMatching(/^thread-[12] ended: no such luck$/),
    });
    await executor.close();
  });

  test('takes what it is asked for by others along, and no thread is left after close', async () => {
    const executor = executorOf(2);
    const names = Array.from({ length: 60 }, (_, i) => `silent-command.${i}`);
    const reader = new Reader(await executor.run(requestOf(planOf(names), { job }), NO_HOOKS));
    await executor.close();
    const results = await reader.done;
    expect(results).toHaveLength(60);
    for (const { outcome } of results) expect(['cancelled', 'not-run']).toContain(outcome.kind);
  });
});

test('a job that keeps its thread for itself is named once', async () => {
  const executor = executorOf(1);
  const names = ['hog.0', 'hog.1', 'slow-300.2'];
  await new Reader(await executor.run(requestOf(planOf(names), { job }), NO_HOOKS)).done;
  await executor.close();
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(/^the job "dying" kept thread-1 for \d+ ms: all other hosts of the thread waited$/);
});

test('three threads a minute take the place of one that died', () => {
  const time = new ManualClock();
  const restarts = new Restarts(time);
  const waits = [restarts.next(), restarts.next()];
  time.jump(10_000);
  waits.push(restarts.next(), restarts.next(), restarts.next(), restarts.next());
  expect(waits).toEqual([0, 0, 0, 50_000, 50_000, 60_000]);
  time.jump(200_000);
  expect(restarts.next()).toBe(0);
});
