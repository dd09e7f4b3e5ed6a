/** The jobs `command` and `local`: their options, and how they run a process (outcomes: see the executor suite). */
import { describe, expect, test } from 'vitest';
import { InlineExecutor } from '../../src/engine/inline_executor.ts';
import { commandKind } from '../../src/jobs/command.ts';
import type { JobKind, JobSpec } from '../../src/jobs/job.ts';
import { localKind } from '../../src/jobs/local.ts';
import { FakeTransport } from '../engine/fake_transport.ts';
import { KINDS, NO_HOOKS, planOf, Reader, requestOf, spec } from '../engine/support.ts';
import { ManualClock } from '../util/manual_clock.ts';

async function runOn(names: readonly string[], job: JobSpec, repeat = 1) {
  const clock = new ManualClock();
  const transport = new FakeTransport(clock);
  const kinds = new Map(KINDS).set('local', localKind as JobKind);
  const executor = new InlineExecutor({ kinds, transports: () => transport, clock, random: () => 0 });
  const reader = new Reader(await executor.run(requestOf(planOf(names, repeat), { job }), NO_HOOKS));
  await clock.advance(10);
  return { transport, results: await reader.done };
}

describe('options of command', () => {
  test('defaults', () => {
    expect(commandKind.validate({ command: 'date' })).toEqual({
      command: 'date',
      okStatus: [0],
      template: false,
      shell: 'sh',
      stdin: undefined,
    });
    expect(commandKind.title({ command: 'uptime -p' })).toBe('uptime -p');
  });

  test.each([
    [undefined, 'must be an object, not undefined'],
    [[], 'must be an object'],
    [{}, 'option "command" must be a string, not undefined'],
    [{ command: 7 }, 'not 7'],
    [{ command: '' }, 'is empty'],
    [{ command: ' \t\n' }, 'is empty'],
    [{ command: 'a\0b' }, 'NUL at position 2'],
    [{ command: 'x', comand: 'y' }, 'there is no option "comand"; there are: command, okStatus, template, variables,'],
    [{ command: 'x', okStatus: 0 }, 'option "okStatus"'],
    [{ command: 'x', okStatus: [] }, 'option "okStatus"'],
    [{ command: 'x', okStatus: [-1] }, 'not [-1]'],
    [{ command: 'x', okStatus: [2 ** 32] }, 'option "okStatus"'],
    [{ command: 'x', okStatus: ['nnoe'] }, 'not ["nnoe"]'],
    [{ command: 'x', template: 'yes' }, 'option "template" must be true or false, not "yes"'],
    [{ command: '{nmae}', template: true }, 'nothing is known as "{nmae}"'],
    [{ command: 'x', stdin: 'text' }, 'option "stdin" must be bytes'],
  ])('%j is refused: %s', (options, words) => {
    expect(() => commandKind.validate(options)).toThrow(words);
    expect(() => commandKind.validate(options)).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  test('the caller keeps its objects', () => {
    const okStatus = Object.freeze([1, 2] as const);
    const options = Object.freeze({ command: 'x', okStatus });
    expect(commandKind.validate(options).okStatus).not.toBe(okStatus);
  });
});

describe('command', () => {
  test('sends the line as it is, without a template', async () => {
    const { transport } = await runOn(['ok.0'], spec('command', { command: 'echo {host} {{' }));
    expect(transport.commands).toEqual(['ok.0: echo {host} {{']);
    expect(transport.stdin).toEqual(['<end>']);
  });

  test('fills the template per task', async () => {
    const { transport } = await runOn(
      ['ok.0', 'ok.1'],
      spec('command', { command: '{host} {rank}/{count} {i}', template: true }),
      2,
    );
    expect(transport.commands.sort()).toEqual([
      'ok.0: ok.0 0/4 1',
      'ok.0: ok.0 2/4 2',
      'ok.1: ok.1 1/4 1',
      'ok.1: ok.1 3/4 2',
    ]);
  });

  test('sends stdin in pieces, waiting where the channel is full, and ends it', async () => {
    const text = Array.from({ length: 60_000 }, (_, i) => `line ${i}\n`).join('');
    const job = { kind: 'command', version: 1, options: { command: 'cat', stdin: Buffer.from(text) } };
    const { transport } = await runOn(['slow-5.0'], structuredClone(job));
    expect(transport.stdin.at(-1)).toBe('<end>');
    expect(transport.stdin.length).toBeGreaterThan(5);
    expect(transport.stdin.slice(0, -1).join('')).toBe(text);
  });
});

describe('options of local', () => {
  test('defaults and title', () => {
    expect(localKind.validate({ program: 'scp' })).toEqual({ program: 'scp', args: [], okStatus: [0] });
    expect(localKind.title({ program: 'scp', args: ['a b', '{host}:'] })).toBe("scp 'a b' '{host}:'");
  });

  test.each([
    [{}, 'option "program" must be a string'],
    [{ program: '' }, 'is empty'],
    [{ program: 'x', args: 'y' }, 'option "args" must be a list of strings, not "y"'],
    [{ program: 'x', args: [1] }, 'option "args[0]" must be a string, not 1'],
    [{ program: 'x', args: ['a\0'] }, 'NUL at position 2'],
    [{ program: 'x', args: ['ok', '{nope}'] }, 'args[1]: nothing is known as "{nope}"'],
    [{ program: 'x', shell: true }, 'there is no option "shell"'],
  ])('%j is refused: %s', (options, words) => {
    expect(() => localKind.validate(options)).toThrow(words);
    expect(() => localKind.validate(options)).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  test('fills each word, quotes nothing, keeps empty words', async () => {
    const job = spec('local', { program: '{name}', args: ['{user}@{host}', '', '{{}}'] });
    const { transport } = await runOn(['ok.0'], job);
    expect(transport.commands).toEqual(['ok.0: ok.0 @ok.0  {}']);
  });
});
