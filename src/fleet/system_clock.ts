/** The clock of this machine. */
import type { Clock } from '../contracts/limits.ts';

export const systemClock: Clock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer), unref: () => void timer.unref() };
  },
};
