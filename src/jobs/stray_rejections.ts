/**
 * Rejections that nobody handles, in functions of the caller's: without an owner they would end the thread, and all of its tasks with it.
 * The process tells of them in one place, which is why this is one place, too: it listens while such functions are at work, and takes
 * what comes out of them; what comes from elsewhere goes its usual way.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

/** Who hears of what got lost in his function. */
export interface StrayOwner {
  stray(error: unknown): void;
}

const owners = new AsyncLocalStorage<StrayOwner>();
let working = 0;
/** Of one process: a mistake is the same on all hosts. */
const MOST_WARNINGS = 10;
let warnings = 0;

/** Runs `work`; until `leaveStrays` is called its owner is listened for. */
export function enterStrays<T>(owner: StrayOwner, work: () => T): T {
  if (working === 0) process.on('unhandledRejection', heard);
  working += 1;
  return owners.run(owner, work);
}

/** Once per `enterStrays`. What comes later is still this owner's, as long as anybody is listened for. */
export function leaveStrays(): void {
  // A rejection of this very turn is told of after all of its promises.
  setImmediate(() => {
    working -= 1;
    if (working === 0) process.off('unhandledRejection', heard);
  });
}

/** For a rejection after the end of its task: the outcome stands. */
export function warnOfStray(label: string, words: string): void {
  if (warnings === MOST_WARNINGS) return;
  warnings += 1;
  process.emitWarning(`a job on ${label} left a rejection that nobody handled: ${words}`);
}

function heard(error: unknown): void {
  const owner = owners.getStore();
  if (owner !== undefined) owner.stray(error);
  // Nobody else listens: without us it would have been thrown.
  else if (process.listenerCount('unhandledRejection') === 1) throw error;
}
