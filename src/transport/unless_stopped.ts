/** Waiting for something that cannot be stopped itself, in an attempt that can. */
import type { Watch } from './transport.ts';

/** Waits for `promise`, and for `first` where it holds the attempt back before; rejects at once when the attempt is stopped. */
export async function unlessStopped<T>(
  watch: Watch,
  promise: Promise<T>,
  first?: () => Promise<void> | undefined,
): Promise<T> {
  const stopped = Promise.withResolvers<never>();
  const stop = (reason: Error) => stopped.reject(reason);
  watch.stop = stop;
  // Whoever settles first, the other may still reject.
  promise.catch(() => {});
  stopped.promise.catch(() => {});
  const held = first?.();
  return Promise.race([held ? held.then(() => promise) : promise, stopped.promise]);
}
