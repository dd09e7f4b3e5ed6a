/** The resolver contract: names to addresses, once per run. */
import type { Family } from './addresses.ts';

/**
 * `name`: it cannot be a host's name · `no-name`: it does not exist · `no-address`: it does, without an address of the
 * family that is wanted · `server`: the name servers failed, or cannot be reached · `silent`: no answer within the time ·
 * `local-limit`: out of descriptors, memory or room · `closed`: the resolver was closed.
 */
export type ResolveFault = 'name' | 'no-name' | 'no-address' | 'server' | 'silent' | 'local-limit' | 'closed';

/** A name that has no address, or could not be asked about. The message quotes the name, and what the server said. */
export class ResolveError extends Error {
  readonly fault: ResolveFault;

  constructor(name: string, fault: ResolveFault, why: string, options?: ErrorOptions) {
    super(`name "${name}" does not resolve: ${why}`, options);
    this.name = 'ResolveError';
    this.fault = fault;
  }
}

/** What resolves the names of a run. */
export interface NameResolver {
  /**
   * The addresses of `name`, at least one, in the order in which they should be tried; at once where they are known. It
   * never throws: it rejects with ResolveError, also where the fault is known at once. There is no way to cancel: a promise
   * that nobody waits for any more settles into nothing.
   */
  resolve(name: string, family: Family): readonly string[] | Promise<readonly string[]>;
  /** Rejects what is open, and what comes after. */
  close(): void;
}

/**
 * Nobody need hear of its rejection: its caller may have gone away at its deadline, or may not look at it before other
 * things are done. For those who do, nothing changes.
 */
export function quiet(promise: Promise<unknown>): void {
  promise.catch(() => {});
}

/** A promise that is rejected, and quiet. */
export function rejected(error: ResolveError): Promise<never> {
  const promise = Promise.reject(error);
  quiet(promise);
  return promise;
}
