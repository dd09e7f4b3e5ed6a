/** Executor suite: limits, pausing and stopping. */
import { describe, expect, test } from 'vitest';
import type { Plan } from '../../src/engine/plan.ts';
import { NO_HOOKS, planOf, Reader, requestOf } from '../engine/support.ts';
import { settle } from '../util/manual_clock.ts';
import { expectNothingLeft, type SetUp } from './executor_world.ts';

export function limitsSuite(name: string, setUp: SetUp): void {
  describe(`executor ${name}: limits`, () => {
    test('ten silent hosts first: a hundred good ones end before the first timeout', async () => {
      const { clock, executor, transport } = setUp();
      const silent = Array.from({ length: 10 }, (_, i) => `silent-connect.${i}`);
      const good = Array.from({ length: 100 }, (_, i) => `ok.${i}`);
      const run = await executor.run(requestOf(planOf([...silent, ...good]), { limits: { fanout: 8 } }), NO_HOOKS);
      const reader = new Reader(run);
      await clock.advance(9_000);
      expect(reader.results).toHaveLength(100);
      expect(reader.results.every((result) => result.outcome.kind === 'ok')).toBe(true);
      expect(run.status(99).slowest).toHaveLength(10);
      await clock.advance(2_000);
      await reader.done;
      expect(reader.results).toHaveLength(110);
      expectNothingLeft(transport);
    });

    test('a late identification takes a place again, ahead of tasks that have not started', async () => {
      const { clock, executor, transport } = setUp();
      const hosts = ['late-300.0', 'slow-1000.1', 'slow-1000.2', 'slow-1000.3'];
      const run = await executor.run(requestOf(planOf(hosts), { limits: { fanout: 1 } }), NO_HOOKS);
      const reader = new Reader(run);
      await clock.advance(260);
      expect(transport.attempts.size).toBe(2);
      await clock.advance(5_000);
      await reader.done;
      expect(transport.commands.map((line) => line.split(':')[0])).toEqual([hosts[1], hosts[0], hosts[2], hosts[3]]);
      expect(transport.processes.most).toBe(1);
    });

    test('a login that waits for somebody on this side has the rest of its deadline afterwards, and no more', async () => {
      const { clock, executor, transport } = setUp();
      const hosts = ['ask-600000.0', 'ask-600000.1'];
      const limits = { fanout: 2, deadlines: { authMs: 26_000 } };
      const reader = new Reader(await executor.run(requestOf(planOf(hosts), { limits }), NO_HOOKS));
      await clock.advance(700_000);
      await reader.done;
      expect([...reader.outcomes.values()].map(({ kind }) => kind)).toEqual(['ok', 'ok']);
      const late = { fanout: 2, deadlines: { authMs: 24_000 } };
      const second = new Reader(await executor.run(requestOf(planOf(hosts), { limits: late }), NO_HOOKS));
      await clock.advance(600_000 + 23_000);
      expect(second.finished).toBe(false);
      await clock.advance(2_000);
      await second.done;
      expect(second.outcomes.get(0)).toMatchObject({ kind: 'timeout', phase: 'auth' });
      expectNothingLeft(transport);
    });

    test('connections bounds the sockets, silent hosts included', async () => {
      const { clock, executor, transport } = setUp();
      const names = Array.from({ length: 30 }, (_, i) => `silent-connect.${i}`);
      const run = await executor.run(requestOf(planOf(names), { limits: { fanout: 4, connections: 7 } }), NO_HOOKS);
      const reader = new Reader(run);
      await clock.advance(5_000);
      expect(transport.sockets.most).toBe(7);
      expect(run.status(0)).toMatchObject({ limitedBy: 'connections', waiting: 23 });
      await clock.advance(60_000);
      await reader.done;
      expect(transport.sockets.most).toBe(7);
    });

    test('perAddress bounds unauthenticated connections; waiting there costs no deadline', async () => {
      const { clock, executor, transport } = setUp();
      const names = Array.from({ length: 30 }, (_, i) => `shared/late-4000.${i}`);
      const limits = { perAddress: 2, handshakes: 64 };
      const reader = new Reader(await executor.run(requestOf(planOf(names), { limits }), NO_HOOKS));
      await clock.advance(4_000 * 15 + 100);
      await reader.done;
      expect(transport.unauthenticated.get('shared:22')!.most).toBe(2);
      expect(reader.results.every((result) => result.outcome.kind === 'ok')).toBe(true);
    });

    test('late hosts of one address and those that wait for it do not hold each other up', async () => {
      const { clock, executor, transport } = setUp();
      const names = Array.from({ length: 30 }, (_, i) => `shared/late-300.${i}`);
      const limits = { fanout: 4, perAddress: 2 };
      const reader = new Reader(await executor.run(requestOf(planOf(names), { limits }), NO_HOOKS));
      await clock.advance(60_000);
      await reader.done;
      expect(reader.results.every((result) => result.outcome.kind === 'ok')).toBe(true);
      expect(transport.unauthenticated.get('shared:22')!.most).toBeLessThanOrEqual(2);
      expect(transport.processes.most).toBeLessThanOrEqual(4);
      expectNothingLeft(transport);
    });

    test('late hosts behind a jump host and those that wait for their turn there do not hold each other up', async () => {
      const { clock, executor, transport } = setUp();
      const names = Array.from({ length: 30 }, (_, i) => `behind-4000.${i}`);
      const reader = new Reader(await executor.run(requestOf(planOf(names), { limits: { fanout: 4 } }), NO_HOOKS));
      // Fifteen turns of four seconds: what is waited for at the jump host is no time of the connect deadline.
      await clock.advance(4_000 * 15 + 100);
      await reader.done;
      expect(reader.results.filter(({ outcome }) => outcome.kind === 'ok')).toHaveLength(30);
      expect(transport.processes.most).toBeLessThanOrEqual(4);
      expectNothingLeft(transport);
    });

    test('a peer that is silent in its handshake lends its slot after a second', async () => {
      const { clock, executor } = setUp();
      const run = await executor.run(
        requestOf(planOf(['silent-handshake.0', 'ok.1', 'ok.2']), { limits: { handshakes: 1 } }),
        NO_HOOKS,
      );
      const reader = new Reader(run);
      await clock.advance(900);
      expect(reader.results).toHaveLength(0);
      expect(run.status(0)).toMatchObject({ handshaking: 1, limitedBy: 'handshakes' });
      await clock.advance(200);
      expect(reader.results.map((result) => result.index)).toEqual([1, 2]);
      await clock.advance(15_000);
      await reader.done;
    });

    test('throttling halves the connections to the address, and is named', async () => {
      const { clock, executor, transport } = setUp();
      const names = Array.from({ length: 40 }, (_, i) => `shared/throttled-2.${i}`);
      const run = await executor.run(requestOf(planOf(names)), NO_HOOKS);
      const reader = new Reader(run);
      await clock.advance(0);
      expect(run.status(0).limitedBy).toMatch(/^MaxStartups at shared:22 \(throttled \d+ times\)$/);
      await clock.advance(60_000);
      await reader.done;
      expect(reader.results.every((result) => result.outcome.kind === 'ok' && result.attempt === 3)).toBe(true);
      expect(transport.attempts.size).toBe(40);
      expect(run.status(0).limitedBy).toMatch(/^MaxStartups at shared:22/);
    });

    test('a reader that does not read holds back new tasks', async () => {
      const { clock, executor } = setUp();
      let read = 0;
      const base = planOf(['ok']);
      const plan: Plan = {
        count: 50_000,
        hosts: 50_000,
        at: (index) => {
          read += 1;
          return { ...base.at(0), index };
        },
      };
      const run = await executor.run(requestOf(plan, { limits: { fanout: 16 } }), NO_HOOKS);
      const iterator = run.results[Symbol.asyncIterator]();
      await settle(300);
      expect(read).toBeGreaterThanOrEqual(1024);
      expect(read).toBeLessThan(1024 + 64);
      expect(run.status(0).limitedBy).toBe('unread results');
      const held = read;
      const first = await iterator.next();
      expect(first.value).toHaveLength(held);
      await settle(300);
      expect(read).toBeLessThan(2 * 1024 + 128);
      await iterator.return?.();
      await clock.advance(10);
    });

    test('100,000 tasks: never more in being than the fanout and the queue hold', async () => {
      const { executor, transport } = setUp();
      let read = 0;
      const plan: Plan = {
        count: 100_000,
        hosts: 100_000,
        at: (index) => {
          read += 1;
          return { label: 'ok', name: 'ok', index, iteration: 1 };
        },
      };
      const limits = { fanout: 200, perAddress: 200 };
      const run = await executor.run(requestOf(plan, { limits, gather: 'discard' }), NO_HOOKS);
      let [count, ahead] = [0, 0];
      for await (const batch of run.results) {
        ahead = Math.max(ahead, read - count);
        count += batch.length;
      }
      expect(count).toBe(100_000);
      expect(ahead).toBeLessThanOrEqual(200 + 1024);
      expect(transport.processes.most).toBeLessThanOrEqual(200);
    });
  });

  describe(`executor ${name}: stopping`, () => {
    const hosts = ['silent-command.0', 'silent-connect.1', 'ok.2', 'ok.3', 'ok.4'];

    test.each([
      ['terminate', 'killed', ['silent-command.0']],
      ['leave', 'left-running', []],
    ] as const)('cancel(%s)', async (how, remote, terminated) => {
      const { clock, executor, transport } = setUp();
      const run = await executor.run(requestOf(planOf(hosts), { limits: { fanout: 2 } }), NO_HOOKS);
      const reader = new Reader(run);
      await clock.advance(100);
      expect(run.status(5)).toMatchObject({
        connecting: 1,
        running: 1,
        waiting: 3,
        limitedBy: 'fanout',
        stopped: 'no',
      });
      expect(run.status(1).slowest).toEqual([{ index: 0, label: 'silent-command.0', phase: 'command', ageMs: 100 }]);
      run.cancel(how);
      await reader.done;
      const { outcomes } = reader;
      expect(outcomes.get(0)).toEqual({ kind: 'cancelled', began: 'yes', remote });
      expect(outcomes.get(1)).toEqual({ kind: 'cancelled', began: 'no', remote: 'none' });
      for (const index of [2, 3, 4]) expect(outcomes.get(index)).toEqual({ kind: 'not-run', began: 'no' });
      expect(run.status(0).stopped).toBe('cancelled');
      expect(transport.terminated).toEqual(terminated);
      expect([...transport.attempts.keys()]).toEqual(['silent-command.0', 'silent-connect.1']);
    });

    test('stop(reason) lets what has begun go on, begins nothing, and leaves the rest not-run', async () => {
      const { clock, executor, transport } = setUp();
      const limits = { fanout: 2, deadlines: { runMs: 60_000 } };
      const run = await executor.run(requestOf(planOf(hosts), { limits }), NO_HOOKS);
      const reader = new Reader(run);
      await clock.advance(100);
      run.stop('a guard said so');
      await clock.advance(10);
      const notRun = { kind: 'not-run', began: 'no' };
      expect([...reader.outcomes]).toEqual([
        [1, notRun],
        [2, notRun],
        [3, notRun],
        [4, notRun],
      ]);
      expect(run.status(1)).toMatchObject({ running: 1, stopped: 'guard', stopReason: 'a guard said so' });
      // The run's own deadline still counts for what goes on, and so does the user.
      run.cancel('terminate');
      await reader.done;
      expect(reader.outcomes.get(0)).toEqual({ kind: 'cancelled', began: 'yes', remote: 'killed' });
      expect(run.status(0)).toMatchObject({ stopped: 'guard', stopReason: 'a guard said so' });
      expect([...transport.attempts.keys()]).toEqual(['silent-command.0', 'silent-connect.1']);
    });

    test('stop(reason) opens no gate: a job that waits at it does not begin', async () => {
      const { clock, executor, transport } = setUp();
      const run = await executor.run(requestOf(planOf(['ok.0', 'ok.1']), { limits: { fanout: 1 } }), NO_HOOKS);
      const reader = new Reader(run);
      run.pause();
      run.stop('a guard said so');
      run.unpause();
      await clock.advance(100);
      await reader.done;
      expect([...reader.outcomes.values()].map(({ kind }) => kind)).toEqual(['not-run', 'not-run']);
      expect(transport.processes.most).toBe(0);
    });

    test('the deadline of the run ends what goes on after stop(reason)', async () => {
      const { clock, executor } = setUp();
      const limits = { fanout: 1, deadlines: { runMs: 5_000 } };
      const run = await executor.run(requestOf(planOf(['silent-command.0', 'ok.1']), { limits }), NO_HOOKS);
      const reader = new Reader(run);
      await clock.advance(10);
      run.stop('a guard said so');
      await clock.advance(5_010);
      await reader.done;
      expect(reader.outcomes.get(0)).toMatchObject({ kind: 'timeout', phase: 'run' });
      expect(run.status(0).stopped).toBe('guard');
    });

    test('cancel before anything started touches no host, for a million tasks in batches', async () => {
      const { executor, transport } = setUp();
      const plan = {
        count: 1_000_000,
        hosts: 1,
        at: (index: number) => ({ label: 'ok', name: 'ok', index, iteration: 1 }),
      };
      const run = await executor.run(requestOf(plan), NO_HOOKS);
      run.cancel('terminate');
      let [count, largest] = [0, 0];
      for await (const batch of run.results) {
        count += batch.length;
        largest = Math.max(largest, batch.length);
        expect(batch[0]!.outcome.kind).toBe('not-run');
      }
      expect(count).toBe(1_000_000);
      expect(largest).toBeLessThanOrEqual(4096);
      expect(transport.attempts.size).toBe(0);
    });

    test('the deadline of the run leaves the rest not-run', async () => {
      const { clock, executor } = setUp();
      const limits = { fanout: 1, deadlines: { runMs: 5_000 } };
      const run = await executor.run(requestOf(planOf(['silent-command.0', 'ok.1']), { limits }), NO_HOOKS);
      const reader = new Reader(run);
      await clock.advance(5_010);
      await reader.done;
      expect(reader.outcomes.get(0)).toEqual({ kind: 'timeout', began: 'yes', phase: 'run', remote: 'killed' });
      expect(reader.outcomes.get(1)!.kind).toBe('not-run');
      expect(run.status(0).stopped).toBe('deadline');
    });

    test('cancel(leave) ends what cancel(terminate) waits for', async () => {
      const { clock, executor } = setUp();
      const run = await executor.run(requestOf(planOf(['deaf.0'])), NO_HOOKS);
      const reader = new Reader(run);
      await clock.advance(10);
      run.cancel('terminate');
      await clock.advance(10);
      expect(reader.finished).toBe(false);
      run.cancel('leave');
      expect((await reader.done)[0]!.outcome).toEqual({ kind: 'cancelled', began: 'yes', remote: 'unknown' });
    });

    test('what will not run is known at once, however long the rest takes to end', async () => {
      const { clock, executor } = setUp();
      const run = await executor.run(requestOf(planOf(['deaf.0', 'ok.1']), { limits: { fanout: 1 } }), NO_HOOKS);
      const reader = new Reader(run);
      await clock.advance(10);
      run.cancel('terminate');
      await clock.advance(10);
      expect(reader.results.map((result) => [result.index, result.outcome.kind])).toEqual([[1, 'not-run']]);
      await clock.advance(10_000);
      expect((await reader.done)[1]!.outcome).toMatchObject({ kind: 'cancelled', remote: 'unknown' });
    });

    test('a job that is being stopped does not begin any more', async () => {
      const { clock, executor, transport } = setUp();
      const reader = new Reader(await executor.run(requestOf(planOf(['deaf-16000.0'])), NO_HOOKS));
      await clock.advance(30_000);
      const [result] = await reader.done;
      expect(result!.outcome).toEqual({ kind: 'timeout', began: 'no', phase: 'open', remote: 'none' });
      expect(transport.terminated).toEqual(['deaf-16000.0']);
      expect(transport.commands).toEqual([]);
    });

    test('pause: nothing starts, what is connected does not begin, what began goes on', async () => {
      const { clock, executor, transport } = setUp();
      const run = await executor.run(
        requestOf(planOf(['slow-500.0', 'late-100.1', 'ok.2']), { limits: { fanout: 2 } }),
        NO_HOOKS,
      );
      const reader = new Reader(run);
      await clock.advance(50);
      run.pause();
      await clock.advance(60_000);
      expect(reader.results.map((result) => result.index)).toEqual([0]);
      expect(transport.commands).toEqual(['slow-500.0: true']);
      expect(run.status(1).slowest[0]!.phase).toBe('paused');
      run.unpause();
      await reader.done;
      expect(transport.commands).toEqual(['slow-500.0: true', 'late-100.1: true', 'ok.2: true']);
      expect(reader.outcomes.get(1)!.kind).toBe('ok');
    });

    test('cancel while paused: what stood at the gate has not begun', async () => {
      const { clock, executor, transport } = setUp();
      const run = await executor.run(requestOf(planOf(['late-100.0'])), NO_HOOKS);
      const reader = new Reader(run);
      await clock.advance(50);
      run.pause();
      await clock.advance(100);
      run.cancel('terminate');
      run.unpause();
      expect((await reader.done)[0]!.outcome).toEqual({ kind: 'cancelled', began: 'no', remote: 'none' });
      expect(transport.commands).toEqual([]);
    });
  });
}
