/** Outcomes that the engine writes itself, and results of tasks that never started. */
import { MyriadError } from '../contracts/errors.ts';
import { type Began, OUTCOME_KINDS, type Outcome, type RemoteFate } from '../contracts/outcome.ts';
import { Bytes, type Host, type TaskResult } from '../contracts/task.ts';
import type { Transport } from '../transport/transport.ts';
import type { StopCause } from './task_run.ts';

const KINDS: ReadonlySet<unknown> = new Set(OUTCOME_KINDS);

/** What came from a job or transport is an outcome. */
export function isOutcome(value: unknown): value is Outcome {
  return typeof value === 'object' && value !== null && 'kind' in value && KINDS.has(value.kind);
}

/** The transport has the first look at what was thrown; what is not its own is a fault of ours. */
export function outcomeOfError(transport: Transport, error: unknown, began: Began): Outcome {
  let message = textOf(error);
  try {
    const outcome = transport.classify(error, began);
    if (isOutcome(outcome) && (outcome.kind !== 'error' || !(error instanceof MyriadError))) return outcome;
  } catch (failure) {
    message = `${message}; and it could not be classified: ${textOf(failure)}`;
  }
  return { kind: 'error', began, code: error instanceof MyriadError ? error.code : 'internal', message };
}

/**
 * What a performance failed with. `unreachable` and `refused` say that nothing began; where something may have, that would let it
 * be repeated: the one is `lost` then; the other says that the server took a job of several commands, but not all of them.
 */
export function outcomeOfPerformance(transport: Transport, error: unknown, began: Began): Outcome {
  const outcome = outcomeOfError(transport, error, began);
  if (outcome.kind === 'refused' && began === 'yes') {
    return { kind: 'failed', began, status: null, cause: 'job', message: `${outcome.what} refused: ${outcome.reason}` };
  }
  if (outcome.kind !== 'unreachable' || began === 'no') return outcome;
  return { kind: 'lost', began, cause: outcome.cause === 'reset' ? 'reset' : 'peer-closed', message: outcome.message };
}

/** A task that was stopped. */
export function stoppedOutcome(cause: StopCause, began: Began, remote: RemoteFate): Outcome {
  if (cause === 'guard' && began === 'no') return { kind: 'not-run', began };
  if (cause === 'cancelled' || cause === 'guard') return { kind: 'cancelled', began, remote };
  return { kind: 'timeout', began, phase: cause, remote };
}

/** The message of whatever was thrown; never throws itself. */
export function textOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message || error.name : String(error);
  } catch {
    return 'something that has no text was thrown';
  }
}

/** The result of a task that no host heard of. */
export function untouchedResult(
  identity: { readonly run: string; readonly round: number; readonly index: number },
  host: Host,
  iteration: number,
  outcome: Outcome,
  startedAt: number,
  executor: string,
): TaskResult {
  return {
    run: identity.run,
    round: identity.round,
    index: identity.index,
    attempt: 1,
    host,
    iteration,
    outcome,
    reached: undefined,
    startedAt,
    durationMs: 0,
    phases: {},
    executor,
    stdout: Bytes.empty,
    stderr: Bytes.empty,
    notes: [],
  };
}
