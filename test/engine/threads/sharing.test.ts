/** What the main thread says to threads, where the test says what they say. */
import { expect, test } from 'vitest';
import { Bytes } from '../../../src/contracts/task.ts';
import { Packer } from '../../../src/engine/threads/packing.ts';
import type { FromThread, ToThread } from '../../../src/engine/threads/protocol.ts';
import type { Spawn } from '../../../src/engine/threads/spawn.ts';
import { ThreadsExecutor } from '../../../src/engine/threads/threads_executor.ts';
import { ManualClock, settle } from '../../util/manual_clock.ts';
import { NO_HOOKS, planOf, Reader, requestOf } from '../support.ts';

class Script {
  /** Indices given to it and not taken back, in their order. */
  given: number[] = [];
  readonly heard: ToThread['type'][] = [];
  say: (message: FromThread) => void = () => {};

  hear(message: ToThread): void {
    this.heard.push(message.type);
    if (message.type === 'open') this.say({ type: 'answer', call: message.call });
    if (message.type === 'tasks') {
      this.given.push(...message.targets.numbers.filter((_, place) => place % 3 === 0));
    }
    if (message.type === 'end') this.say({ type: 'over', run: 1, limitedBy: '' });
    if (message.type === 'close') this.say({ type: 'closed' });
  }

  /** So many are started, it would take `want`, and these have ended. */
  out(started: number, want: number, ended: readonly number[] = []): void {
    const packer = new Packer();
    for (const index of ended) {
      const outcome = { kind: 'ok', began: 'yes', status: 0 } as const;
      const times = { startedAt: 0, durationMs: 1, phases: {} };
      const output = { stdout: Bytes.empty, stderr: Bytes.empty, notes: [] };
      packer.result({ index, attempt: 1, outcome, reached: undefined, ...times, ...output });
    }
    const { length } = packer;
    this.say({ type: 'out', run: 1, pack: length > 0 ? packer.take() : undefined, length, started, want });
  }
}

test('tasks that wait in a thread whose places are full go to one that has nothing to do', async () => {
  const scripts: Script[] = [];
  const spawn: Spawn = (_name, { onMessage }) => {
    const script = new Script();
    script.say = onMessage;
    scripts.push(script);
    setImmediate(() => onMessage({ type: 'ready' }));
    return { post: (message) => script.hear(message), hold: () => {}, terminate: async () => {} };
  };
  const executor = new ThreadsExecutor({ threads: 2, spawn, clock: new ManualClock(), warn: () => {} });
  const plan = planOf(Array.from({ length: 48 }, (_, i) => `ok.${i}`));
  const limits = { fanout: 32, perAddress: 8 };
  const reader = new Reader(await executor.run(requestOf(plan, { limits }), NO_HOOKS));
  await settle();
  const [full, free] = scripts as [Script, Script];
  for (const started of [0, 8, 16]) full.out(started, 8);
  expect(full.given).toHaveLength(24);
  for (const started of [0, 8, 16]) free.out(started, 8);
  // At the end of the plan a thread gets a fourth of what is left, so that no one has all of it.
  while (free.given.length < 24) free.out(Math.min(16, free.given.length), 8);
  expect([full.given.length, free.given.length, free.heard.includes('recall')]).toEqual([24, 24, false]);

  free.out(24, 8, free.given);
  expect(full.heard.filter((type) => type === 'recall')).toHaveLength(1);
  const back = full.given.slice(16);
  full.given.length = 16;
  full.say({ type: 'returned', run: 1, indices: back });
  expect(free.given.slice(24)).toEqual(back);
  // Nor do they go to and fro.
  full.out(16, 8);
  expect(full.given).toHaveLength(16);

  free.out(32, 8, back);
  full.out(16, 8, full.given);
  const results = await reader.done;
  expect(results.map(({ index }) => index).sort((a, b) => a - b)).toEqual(Array.from({ length: 48 }, (_, i) => i));
  expect(results.filter(({ executor: thread }) => thread === 'thread-1')).toHaveLength(16);
  await executor.close();
});
