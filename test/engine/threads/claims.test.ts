/** Claims of threads: what an answer is good for. */
import { expect, test } from 'vitest';
import { RemoteClaims } from '../../../src/engine/threads/claims.ts';
import type { FromThread, ToThread } from '../../../src/engine/threads/protocol.ts';
import type { SpawnHooks } from '../../../src/engine/threads/spawn.ts';
import { ThreadsExecutor } from '../../../src/engine/threads/threads_executor.ts';
import { ManualClock, settle } from '../../util/manual_clock.ts';
import { NO_HOOKS, planOf, Reader, requestOf } from '../support.ts';

/** A thread that says nothing by itself. */
class Mute {
  readonly heard: ToThread[] = [];
  readonly #hooks: SpawnHooks;

  constructor(hooks: SpawnHooks) {
    this.#hooks = hooks;
    queueMicrotask(() => this.say({ type: 'ready' }));
  }

  say(message: FromThread): void {
    this.#hooks.onMessage(message);
  }

  die(): void {
    this.#hooks.onExit('gone');
  }

  post(message: ToThread): void {
    this.heard.push(message);
    if (message.type === 'open') queueMicrotask(() => this.say({ type: 'answer', call: message.call }));
    if (message.type === 'close') queueMicrotask(() => this.say({ type: 'closed' }));
  }

  claim(group: number, index: number): void {
    this.say({ type: 'claims', run: 1, group, tasks: new Float64Array([index, 1]) });
  }

  get claimed(): ToThread[] {
    return this.heard.filter(({ type }) => type === 'claimed');
  }
}

test('the answer to a thread that died is none for the one in its place', async () => {
  const threads: Mute[] = [];
  const clock = new ManualClock();
  const executor = new ThreadsExecutor({
    threads: 1,
    spawn: (_name, hooks) => {
      const thread = new Mute(hooks);
      threads.push(thread);
      return { post: (message) => thread.post(message), hold: () => {}, terminate: async () => {} };
    },
    clock,
    warn: () => {},
  });
  const commits: PromiseWithResolvers<void>[] = [];
  const claim = () => {
    const commit = Promise.withResolvers<void>();
    commits.push(commit);
    return commit.promise;
  };
  const reader = new Reader(await executor.run(requestOf(planOf(['ok.0'])), { ...NO_HOOKS, claim }));
  const want = { type: 'out', run: 1, pack: undefined, length: 0, started: 0, want: 8 } as const;
  await settle();
  threads[0]!.say(want);
  threads[0]!.claim(1, 0);
  threads[0]!.die();
  await clock.advance(0);
  threads[1]!.say(want);
  threads[1]!.claim(1, 0);
  commits[0]!.resolve();
  await settle();
  expect(threads.map(({ claimed }) => claimed)).toEqual([[], []]);
  commits[1]!.resolve();
  await settle();
  expect(threads[1]!.claimed).toEqual([{ type: 'claimed', run: 1, group: 1, error: undefined }]);
  threads[1]!.say({ type: 'over', run: 1, limitedBy: '' });
  threads[1]!.die();
  void reader;
});

test('what is claimed in one turn goes as one group, each has its answer', async () => {
  const posted: Extract<FromThread, { type: 'claims' }>[] = [];
  const claims = new RemoteClaims(7, (message) => posted.push(message));
  const first = [claims.claim(3, 1), claims.claim(5, 2)];
  await settle();
  const second = claims.claim(8, 1);
  await settle();
  expect(posted.map(({ run, group, tasks }) => [run, group, [...tasks]])).toEqual([
    [7, 1, [3, 1, 5, 2]],
    [7, 2, [8, 1]],
  ]);
  claims.answered({ type: 'claimed', run: 7, group: 2, error: { of: 'myriad', code: 'journal', message: 'full' } });
  await expect(second).rejects.toMatchObject({ code: 'journal', message: 'full' });
  claims.answered({ type: 'claimed', run: 7, group: 1, error: undefined });
  await Promise.all(first);
});
