/** Executor suite: nothing begins that is not recorded. */
import { describe, expect, test } from 'vitest';
import type { Executor, ExecutorHooks } from '../../src/engine/executor.ts';
import { NO_HOOKS, planOf, Reader, requestOf } from '../engine/support.ts';
import { settle } from '../util/manual_clock.ts';
import type { SetUp } from './executor_world.ts';

/** Records claims by the group, as a journal does. */
class Claims {
  readonly asked: string[] = [];
  readonly hooks: ExecutorHooks;
  #group = Promise.withResolvers<void>();

  constructor() {
    this.#group.promise.catch(() => {});
    const claim = (index: number, attempt: number) => {
      this.asked.push(`${index}.${attempt}`);
      return this.#group.promise;
    };
    this.hooks = { ...NO_HOOKS, claim };
  }

  /** Commits what was claimed so far, or refuses it. */
  async answer(error?: Error): Promise<void> {
    const group = this.#group;
    this.#group = Promise.withResolvers<void>();
    this.#group.promise.catch(() => {});
    if (error === undefined) group.resolve();
    else group.reject(error);
    await settle();
  }
}

/** The same executor for a caller that records: each group of claims is committed at the end of a turn. */
export function recorded(setUp: SetUp): SetUp {
  return () => {
    const world = setUp();
    const { executor } = world;
    let group: Promise<void> | undefined;
    const claim = (): Promise<void> => {
      group ??= new Promise((resolve) => {
        setImmediate(() => {
          group = undefined;
          resolve();
        });
      });
      return group;
    };
    const recording: Executor = {
      name: executor.name,
      run: (request, hooks) => executor.run(request, { ...hooks, claim }),
      sweep: (plan, probe, signal) => executor.sweep(plan, probe, signal),
      close: () => executor.close(),
    };
    return { ...world, executor: recording };
  };
}

export function claimsSuite(name: string, setUp: SetUp): void {
  describe(`executor ${name}: claims`, () => {
    test('no command leaves before its start is recorded, and no deadline passes meanwhile', async () => {
      const { clock, transport, executor } = setUp();
      const claims = new Claims();
      const reader = new Reader(await executor.run(requestOf(planOf(['ok.0', 'ok.1', 'exit-3.2'])), claims.hooks));
      await clock.advance(60_000);
      expect([...claims.asked].sort()).toEqual(['0.1', '1.1', '2.1']);
      expect(transport.commands).toEqual([]);
      expect(reader.results).toEqual([]);
      await claims.answer();
      const results = await reader.done;
      expect(results.map(({ outcome }) => outcome.kind).sort()).toEqual(['failed', 'ok', 'ok']);
      expect(transport.commands).toHaveLength(3);
      expect(claims.asked).toHaveLength(3);
    });

    test('each attempt that comes so far is recorded by itself', async () => {
      const { clock, executor } = setUp();
      const claims = new Claims();
      const reader = new Reader(await executor.run(requestOf(planOf(['reset-open.0'])), claims.hooks));
      await clock.advance(200);
      await claims.answer();
      expect(await reader.done).toMatchObject([{ attempt: 2, outcome: { kind: 'ok' } }]);
      expect(claims.asked).toEqual(['0.1', '0.2']);
    });

    test('hosts that are not reached are not recorded', async () => {
      const { clock, executor } = setUp();
      const claims = new Claims();
      const hosts = planOf(['unreachable-refused.0', 'auth-failed.1', 'silent-auth.2']);
      const reader = new Reader(await executor.run(requestOf(hosts), claims.hooks));
      await clock.advance(60_000);
      await reader.done;
      expect(claims.asked).toEqual([]);
    });

    test('what cannot be recorded does not begin', async () => {
      const { clock, transport, executor } = setUp();
      const claims = new Claims();
      const reader = new Reader(await executor.run(requestOf(planOf(['ok.0', 'ok.1'])), claims.hooks));
      await clock.advance(10);
      await claims.answer(new Error('the disk is full'));
      expect((await reader.done).map(({ outcome }) => outcome)).toEqual([
        { kind: 'not-run', began: 'no' },
        { kind: 'not-run', began: 'no' },
      ]);
      expect(transport.commands).toEqual([]);
    });

    test('the record comes while the run is paused: the command waits for the run', async () => {
      const { clock, transport, executor } = setUp();
      const claims = new Claims();
      const run = await executor.run(requestOf(planOf(['ok.0'])), claims.hooks);
      const reader = new Reader(run);
      await clock.advance(10);
      run.pause();
      await settle();
      await claims.answer();
      await clock.advance(60_000);
      expect(transport.commands).toEqual([]);
      run.unpause();
      await settle();
      expect(await reader.done).toMatchObject([{ outcome: { kind: 'ok' } }]);
      expect(claims.asked).toEqual(['0.1']);
    });

    test.each(['cancel', 'stop'] as const)(
      '%s while the record is made: nothing begins, whatever comes of it',
      async (how) => {
        const { clock, transport, executor } = setUp();
        const claims = new Claims();
        const run = await executor.run(requestOf(planOf(['ok.0'])), claims.hooks);
        const reader = new Reader(run);
        await clock.advance(10);
        if (how === 'cancel') run.cancel('terminate');
        else run.stop('enough');
        const [result] = await reader.done;
        expect(result!.outcome).toMatchObject({ kind: how === 'cancel' ? 'cancelled' : 'not-run', began: 'no' });
        // A host was reached: the journal holds a claim, and must hear how it ended.
        expect(result!.reached).toBeDefined();
        await claims.answer();
        expect(transport.commands).toEqual([]);
      },
    );
  });
}
