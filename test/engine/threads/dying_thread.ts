/**
 * Threads that jobs end: made in real workers. The kind `dying` does what its host's name says: `exit` and `throw` end the thread once
 * the job has begun, `exit-early` before it has; `hog` computes for 200 ms; all others do what they do in any fake fleet.
 */

import type { Clock } from '../../../src/contracts/limits.ts';
import type { ThreadParts } from '../../../src/engine/threads/thread_parts.ts';
import { commandKind } from '../../../src/jobs/command.ts';
import type { JobKind } from '../../../src/jobs/job.ts';
import { FakeTransport } from '../fake_transport.ts';

const clock: Clock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

const command = commandKind as JobKind;

const dyingKind: JobKind = {
  ...command,
  kind: 'dying',
  async perform(prepared, task) {
    const [what] = task.target.name.split('.');
    if (what === 'exit-early') process.exit(3);
    if (what === 'hog') hog();
    if (what === 'exit' || what === 'throw') {
      await task.begin();
      if (what === 'exit') process.exit(3);
      setImmediate(() => {
        throw new Error('the job broke');
      });
      return new Promise(() => {});
    }
    return command.perform(prepared, task);
  },
};

/** By what it takes, not by the clock: a busy machine must not change it. */
function hog(): void {
  const start = process.threadCpuUsage();
  for (;;) {
    const { user, system } = process.threadCpuUsage(start);
    if (user + system > 200_000) return;
  }
}

export function makeDying(data: unknown): ThreadParts {
  if (data === 'broken') throw new Error('no such luck');
  const transport = new FakeTransport(clock);
  return {
    kinds: new Map([['dying', dyingKind]]),
    transports: new Map([['native', transport]]),
    clock,
    random: Math.random,
    close: () => transport.close(),
  };
}
