/** Executor suite: jobs of the caller's own, by module and export. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { outcomeLabel } from '../../src/contracts/outcome.ts';
import type { TaskResult } from '../../src/contracts/task.ts';
import { NO_HOOKS, type Overrides, planOf, Reader, requestOf, spec } from '../engine/support.ts';
import { settle } from '../util/manual_clock.ts';
import { expectNothingLeft, type SetUp } from './executor_world.ts';

const MODULE = join(import.meta.dirname, '../jobs/own_functions.ts');

const own = (name: string, options?: unknown) => spec('custom', { module: MODULE, export: name, options });

interface Case {
  readonly of: string;
  readonly host?: string;
  readonly label: string;
  readonly message?: string | RegExp;
  readonly began?: string;
  readonly out?: string;
  readonly commands?: number;
}

const OK = { label: 'ok', began: 'yes' };
const FAULT = { label: 'error(job)', began: 'yes' };

const CASES: readonly Case[] = [
  { of: 'nothing', ...OK, out: '', commands: 0 },
  {
    of: 'value',
    ...OK,
    out: '{"label":"ok.0","name":"ok.0","user":"","port":22,"index":0,"iteration":1,"options":{"a":[1]}}\n',
  },
  { of: 'no', label: 'failed(job)', message: 'the pool is degraded', began: 'yes', out: '' },
  { of: 'fails', label: 'failed(job)', message: 'no room', began: 'yes' },
  { of: 'throws', ...FAULT, message: /^TypeError: x is not a function \(own_functions\.ts:\d+\)$/ },
  { of: 'cycle', ...FAULT, message: /^what the function returned cannot be printed: Converting circular structure/ },
  { of: 'twice', ...OK, out: 'out of ok.0\nout of ok.0\n0\n', commands: 2 },
  { of: 'status', host: 'exit-3.0', ...OK, out: '{"status":3,"signal":null,"stderr":""}\n' },
  { of: 'status', host: 'signal-TERM.0', ...OK, out: '{"status":null,"signal":"TERM","stderr":""}\n' },
  { of: 'expects', ...OK },
  { of: 'expects', host: 'exit-4.0', ...OK },
  { of: 'expects', host: 'exit-3.0', label: 'failed(3)', began: 'yes' },
  { of: 'expects', host: 'signal-KILL.0', label: 'signalled(KILL)', began: 'yes' },
  { of: 'expects', host: 'no-status.0', label: 'no-status', began: 'yes' },
  { of: 'status', host: 'lost.0', label: 'lost(peer-closed)', began: 'yes' },
  { of: 'wraps', host: 'lost.0', label: 'lost(peer-closed)', began: 'yes' },
  { of: 'handles', host: 'lost.0', ...OK, out: '"gone"\n' },
  { of: 'status', host: 'protocol-late.0', label: 'protocol', began: 'yes' },
  // The function was called: nothing of it is done again.
  { of: 'status', host: 'reset-open.0', label: 'lost(peer-closed)', began: 'yes' },
  {
    of: 'status',
    host: 'refused-session.0',
    label: 'failed(job)',
    message: 'session refused: no more sessions',
    began: 'yes',
  },
  { of: 'status', host: 'auth-failed.0', label: 'auth-failed', began: 'no', commands: 0 },
  { of: 'atOnce', ...FAULT, message: 'exec: a task runs one command at a time; await the one before', commands: 1 },
  {
    of: 'forgets',
    host: 'silent-command.0',
    ...FAULT,
    message: 'the function ended while a command of it was running: await it',
    out: '',
  },
  { of: 'badCommand', ...FAULT, message: /option "command" is empty/, commands: 0 },
  { of: 'bounded', host: 'flood-4.0', ...OK, out: '[[1024,2048,true],[476,2048,true]]\n' },
  { of: 'mutates', ...FAULT, message: /^TypeError: Cannot add property 1, object is not extensible/ },
];

const optionsOf = (name: string) => (name === 'mutates' ? { list: [0] } : { a: [1] });

export function ownSuite(name: string, setUp: SetUp): void {
  describe(`executor ${name}: jobs of one's own`, () => {
    test.each(CASES)('$of on $host: $label', async ({ of, host = 'ok.0', label, message, began, out, commands }) => {
      const { clock, transport, executor } = setUp();
      const request = requestOf(planOf([host]), { job: own(of, optionsOf(of)) });
      const reader = new Reader(await executor.run(request, NO_HOOKS));
      await clock.advance(100);
      const [result] = (await reader.done) as [TaskResult];
      expect(outcomeLabel(result.outcome)).toBe(label);
      expect(result.outcome.began).toBe(began);
      if (message !== undefined) expect(result.outcome).toHaveProperty('message', expect.stringMatching(message));
      if (out !== undefined) expect(result.stdout.text()).toBe(out);
      if (commands !== undefined) expect(transport.commands).toHaveLength(commands);
      expect(result.attempt).toBe(1);
      expect(transport.processes.now).toBe(0);
      expectNothingLeft(transport);
      await executor.close();
      expect(clock.timers).toBe(0);
    });

    test('the start of each task is told once, before its first command', async () => {
      const { executor } = setUp();
      const started: number[] = [];
      const hooks = { ...NO_HOOKS, onStart: ({ index }: { index: number }) => void started.push(index) };
      const plan = planOf(['ok.0', 'ok.1'], 2);
      const results = await new Reader(await executor.run(requestOf(plan, { job: own('twice') }), hooks)).done;
      expect(results.map(({ outcome }) => outcome.kind)).toEqual(Array(4).fill('ok'));
      expect(started.sort()).toEqual([0, 1, 2, 3]);
    });

    test.each([
      [
        'no such file',
        { module: '/nowhere/probe.js' },
        /^job module "\/nowhere\/probe\.js" cannot be loaded: Cannot find/,
      ],
      [
        'no such export',
        { module: MODULE, export: 'nothin' },
        /own_functions\.ts" has no export "nothin"; its functions are: .*nothing/,
      ],
      ['no own export', { module: MODULE, export: 'toString' }, /has no export "toString"/],
      ['no function', { module: MODULE, export: 'notAFunction' }, /its export "notAFunction" is no function, but 7$/],
      [
        'a relative path',
        { module: './x.js' },
        /option "module" must be an absolute path or a file: URL, not "\.\/x\.js"/,
      ],
      ['no module', {}, /option "module" must be an absolute path/],
      ['an empty export', { module: MODULE, export: '' }, /option "export" must be the name of a function, not ""/],
      [
        'too many options',
        { module: MODULE, options: 'x'.repeat(1 << 20) },
        /has 1048578 characters of JSON; 1 MiB at most/,
      ],
      ['an unknown option', { module: MODULE, exprot: 'x' }, /there is no option "exprot"/],
    ])('%s is refused before anything connects', async (_, options, message) => {
      const { transport, executor } = setUp();
      const started = executor.run(requestOf(planOf(['ok.0']), { job: spec('custom', options) }), NO_HOOKS);
      await expect(started).rejects.toMatchObject({ code: 'usage', message: expect.stringMatching(message) });
      expect([...transport.attempts]).toEqual([]);
    });

    test.each([
      ['waits', { limits: { deadlines: { commandMs: 500 } } }, 'timeout(command)', 510],
      ['never', { limits: { deadlines: { commandMs: 500 } } }, 'timeout(command)', 3_510],
      ['waits', { limits: { deadlines: { idleMs: 500 } } }, 'timeout(idle)', 510],
      ['waits', { limits: { deadlines: { runMs: 500 } } }, 'timeout(run)', 510],
      ['never', { onStop: 'leave', limits: { deadlines: { commandMs: 500 } } }, 'timeout(command)', 510],
    ] as [string, Overrides, string, number][])('%s is stopped by %o', async (of, overrides, label, ms) => {
      const { clock, executor } = setUp();
      const request = requestOf(planOf(['ok.0']), { job: own(of), ...overrides });
      const reader = new Reader(await executor.run(request, NO_HOOKS));
      await clock.advance(ms);
      const [result] = (await reader.done) as [TaskResult];
      expect(outcomeLabel(result.outcome)).toBe(label);
      // What it writes then counts no more.
      expect(result.stdout.total).toBe(0);
      await executor.close();
      expect(clock.timers).toBe(0);
    });

    test('a command that is stopped is ended, and what became of it is said', async () => {
      const { clock, transport, executor } = setUp();
      const hosts = planOf(['silent-command.0', 'stubborn.1']);
      const run = await executor.run(requestOf(hosts, { job: own('status') }), NO_HOOKS);
      const reader = new Reader(run);
      await clock.advance(50);
      run.cancel('terminate');
      await clock.advance(3_100);
      await reader.done;
      expect([...reader.outcomes].sort()).toEqual([
        [0, { kind: 'cancelled', began: 'yes', remote: 'killed' }],
        [1, { kind: 'cancelled', began: 'yes', remote: 'left-running' }],
      ]);
      expect([...transport.terminated].sort()).toEqual(['silent-command.0', 'stubborn.1']);
    });

    test('a guard lets a function go on that has begun, further commands too', async () => {
      const { clock, transport, executor } = setUp();
      const run = await executor.run(requestOf(planOf(['slow-500.0']), { job: own('twice') }), NO_HOOKS);
      const reader = new Reader(run);
      await clock.advance(100);
      run.stop('enough');
      await clock.advance(1_000);
      expect(await reader.done).toMatchObject([{ outcome: { kind: 'ok' } }]);
      expect(transport.commands).toHaveLength(2);
    });

    test('no function is called while the run is paused, nor after it was cancelled', async () => {
      const { clock, executor } = setUp();
      const started: number[] = [];
      const hooks = { ...NO_HOOKS, onStart: ({ index }: { index: number }) => void started.push(index) };
      const run = await executor.run(requestOf(planOf(['login-50.0']), { job: own('value') }), hooks);
      const reader = new Reader(run);
      await clock.advance(10);
      run.pause();
      await clock.advance(60_000);
      expect([reader.results, started]).toEqual([[], []]);
      run.cancel('terminate');
      await settle();
      expect(await reader.done).toMatchObject([{ outcome: { kind: 'cancelled', began: 'no' }, stdout: { total: 0 } }]);
      expect(started).toEqual([]);
    });

    test('output that is held back: a function waits, and its result comes after it', async () => {
      const { clock, executor } = setUp();
      const heard: string[] = [];
      const hooks = {
        ...NO_HOOKS,
        onOutput: ({ data }: { data: Uint8Array }) => {
          heard.push(Buffer.from(data).toString());
          return heard.length > 1;
        },
      };
      const run = await executor.run(requestOf(planOf(['ok.0']), { job: own('twice'), gather: 'stream' }), hooks);
      const reader = new Reader(run);
      await clock.advance(100);
      expect(heard[0]).toBe('out of ok.0\nout of ok.0\n');
      expect(reader.results).toEqual([]);
      run.resume(0);
      await clock.advance(10);
      expect(await reader.done).toMatchObject([{ outcome: { kind: 'ok' } }]);
      expect(heard.join('')).toBe('out of ok.0\nout of ok.0\n0\n');
    });
  });
}
