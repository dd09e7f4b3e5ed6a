import { expect, test } from 'vitest';
import type { Watch } from '../../src/transport/transport.ts';
import { unlessStopped } from '../../src/transport/unless_stopped.ts';
import { settle } from '../util/manual_clock.ts';

function watch(): Watch {
  return { enter: () => undefined, stop: undefined };
}

test('what is waited for, and its error', async () => {
  expect(await unlessStopped(watch(), Promise.resolve(1))).toBe(1);
  await expect(unlessStopped(watch(), Promise.reject(new Error('none')))).rejects.toThrow('none');
});

test('stopped: at once, and what comes later is nobody’s', async () => {
  const attempt = watch();
  const open = Promise.withResolvers<number>();
  const waiting = unlessStopped(attempt, open.promise);
  attempt.stop?.(new Error('over'));
  await expect(waiting).rejects.toThrow('over');
  // An unhandled rejection would fail the test run.
  open.reject(new Error('late'));
  await settle();
});

test('held back: what failed meanwhile is told afterwards; stopped meanwhile it ends at once', async () => {
  const hold = Promise.withResolvers<void>();
  const failed = unlessStopped(watch(), Promise.reject(new Error('none')), () => hold.promise);
  let over = false;
  failed.catch(() => {
    over = true;
  });
  await settle();
  expect(over).toBe(false);
  hold.resolve();
  await expect(failed).rejects.toThrow('none');

  const attempt = watch();
  const stopped = unlessStopped(attempt, Promise.reject(new Error('none')), () => new Promise<void>(() => {}));
  attempt.stop?.(new Error('over'));
  await expect(stopped).rejects.toThrow('over');
});

test('a hold that fails is the end, and so is one that cannot be asked for', async () => {
  const promise = new Promise<number>(() => {});
  await expect(unlessStopped(watch(), promise, () => Promise.reject(new Error('full')))).rejects.toThrow('full');
  const throws = () => {
    throw new Error('broken');
  };
  await expect(unlessStopped(watch(), promise, throws)).rejects.toThrow('broken');
});
