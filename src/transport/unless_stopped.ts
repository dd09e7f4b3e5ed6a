/** Waiting for something that cannot be stopped itself, in an attempt that can. */
import type { Watch } from './transport.ts';

/** Waits for `promise`, and for `first` where it holds the attempt back before; rejects at once when the attempt is stopped. */
export function unlessStopped<T>(
  watch: Watch,
  promise: Promise<T>,
  first?: () => Promise<void> | undefined,
): Promise<T> {
  // One promise, and nothing raced: each host waits here twice, and `Promise.race` makes seven of them.
  return new Promise((resolve, reject) => {
    watch.stop = reject;
    const held = first?.();
    if (held === undefined) promise.then(resolve, reject);
    else {
      // It may fail while nobody waits for it yet.
      promise.catch(() => {});
      held.then(() => promise.then(resolve, reject), reject);
    }
  });
}
