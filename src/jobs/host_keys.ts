/** The job `host-keys`: what a host showed of its keys, as one line of JSON on stdout. Nothing logs in. */
import { MyriadError } from '../contracts/errors.ts';
import type { Outcome } from '../contracts/outcome.ts';
import type { JobKind, TaskContext } from './job.ts';
import { checkOptions, shown } from './process_job.ts';

export interface HostKeysOptions {
  /** Hosts that are known, too: whether they still have the key that is known. @default false: they are `skipped` */
  readonly all?: boolean;
}

const OK: Outcome = { kind: 'ok', began: 'yes', status: null };

function validate(options: unknown): HostKeysOptions {
  const { all = false } = checkOptions('host-keys', options, ['all']);
  if (typeof all === 'boolean') return { all };
  throw new MyriadError('usage', `job "host-keys": option "all" must be true or false, not ${shown(all)}`);
}

async function perform(_prepared: undefined, task: TaskContext): Promise<Outcome> {
  const keys = task.connection.shown;
  if (keys === undefined) throw new MyriadError('internal', 'job "host-keys": the transport shows no keys');
  await task.begin();
  task.sink.write('stdout', Buffer.from(`${JSON.stringify(keys)}\n`));
  return OK;
}

export const hostKeysKind: JobKind<HostKeysOptions, undefined> = {
  kind: 'host-keys',
  version: 1,
  transport: 'scan',
  session: false,
  validate,
  prepare: () => undefined,
  title: ({ all }) => (all ? 'look at the host keys of all' : 'look at host keys'),
  perform,
};
