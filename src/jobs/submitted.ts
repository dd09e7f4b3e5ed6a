/** The job `submitted`: whatever job was handed in for this task. It is lent, and stays on the main thread. */
import { MyriadError } from '../contracts/errors.ts';
import type { Outcome } from '../contracts/outcome.ts';
import { type JobKind, StoppedError, type TaskContext } from './job.ts';
import { checkOptions } from './process_job.ts';

async function perform(_prepared: unknown, task: TaskContext): Promise<Outcome> {
  const submitted = task.lent.submitted?.(task.target.index);
  if (submitted === undefined) throw new MyriadError('internal', 'nothing was handed in for this task');
  const { kind, prepared, signal } = submitted;
  if (signal?.aborted) return { kind: 'cancelled', began: 'no', remote: 'none' };
  let stopped = false;
  const stop = (): void => {
    const { stop: halt } = task;
    // From here on the engine's own stop has nothing to add.
    task.stop = undefined;
    stopped = halt !== undefined;
    halt?.();
  };
  signal?.addEventListener('abort', stop, { once: true });
  try {
    return await kind.perform(prepared, task);
  } catch (error) {
    if (!stopped || !(error instanceof StoppedError)) throw error;
    const { remote } = error;
    // A function of the caller's begins when it is called, before anything of it could be stopped.
    const began = remote === 'none' && kind.called === undefined ? 'no' : 'yes';
    return { kind: 'cancelled', began, remote };
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

export const submittedKind: JobKind<Record<string, unknown>, undefined> = {
  kind: 'submitted',
  version: 1,
  transport: 'native',
  session: true,
  validate: (options) => checkOptions('submitted', options, []),
  prepare: () => undefined,
  title: () => 'submitted',
  perform,
};
