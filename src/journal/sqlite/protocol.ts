/** What the main thread and the writer thread say to each other. Requests are answered in their order. */
import type { ErrorCode } from '../../contracts/errors.ts';
import type { RunFiles } from '../folder.ts';
import type { KeptOutput, KeptRounds } from '../journal.ts';
import type { Owner } from './lock.ts';

/** The row of a run that begins. */
export interface NewRun {
  readonly id: string;
  readonly started_at: number;
  readonly record: string;
  readonly plan_kind: 'set' | 'rows';
  readonly plan_text: string;
  readonly hosts: number;
  readonly repeat: number;
}

/** The thread's `workerData`. */
export interface WriterData {
  readonly files: RunFiles;
  readonly owner: Owner;
  /** Undefined: an existing run is gone on with. */
  readonly run: NewRun | undefined;
  readonly outputs: KeptOutput;
  /** Undefined: all rounds stay. */
  readonly keep: KeptRounds | undefined;
  /** A bound in pages of 4 KiB, for tests; 0 for none. */
  readonly maxPages: number;
}

export type Request =
  | {
      readonly kind: 'batch';
      /** Of both threads: until the answer it is the writer's. */
      readonly batch: Uint8Array<SharedArrayBuffer>;
      readonly hasClaims: boolean;
      readonly hasOutputs: boolean;
    }
  | { readonly kind: 'plan'; readonly first: number; readonly hosts: Uint8Array }
  | { readonly kind: 'running'; readonly hosts: number }
  | { readonly kind: 'reopen' }
  | { readonly kind: 'flush' }
  | { readonly kind: 'round-end'; readonly round: number }
  | { readonly kind: 'end'; readonly at: number; readonly summary: string }
  | { readonly kind: 'close' };

/** One per request, and a first one when the file is open. */
export interface Answer {
  readonly error?: { readonly code: ErrorCode; readonly message: string } | undefined;
}
