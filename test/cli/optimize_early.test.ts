import { cachedDataVersionTag } from 'node:v8';
import { expect, test } from 'vitest';
import { optimizeEarly } from '../../src/cli/optimize_early.ts';
import type { Run, RunEvent } from '../../src/index.ts';

/** V8 makes it of its version and of the flags as they are. */
const flags = (): number => cachedDataVersionTag();

/** What a run tells of its beginning and its end. */
function runOf(planned: number): { readonly run: Run; tell(type: 'run:start' | 'run:end'): void } {
  const listeners: ((event: RunEvent) => void)[] = [];
  const run = { planned, on: (listener: (event: RunEvent) => void) => listeners.push(listener) };
  return {
    run: run as unknown as Run,
    tell: (type) => {
      for (const listener of listeners) listener({ type } as RunEvent);
    },
  };
}

test('a large run is compiled early, from its start to its end', () => {
  const usual = flags();
  const { run, tell } = runOf(1_000);
  optimizeEarly(run);
  expect(flags()).toBe(usual);
  tell('run:start');
  expect(flags()).not.toBe(usual);
  tell('run:end');
  expect(flags()).toBe(usual);
});

test('a small run leaves the flags alone', () => {
  const usual = flags();
  const { run, tell } = runOf(999);
  optimizeEarly(run);
  tell('run:start');
  expect(flags()).toBe(usual);
});
