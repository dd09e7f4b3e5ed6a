/** The job kinds, registered once for every thread and node alike. */
import { commandKind } from '../jobs/command.ts';
import type { JobKind, JobKinds } from '../jobs/job.ts';
import { localKind } from '../jobs/local.ts';

export function jobKinds(): JobKinds {
  const kinds: JobKind[] = [commandKind as JobKind, localKind as JobKind];
  return new Map(kinds.map((kind) => [kind.kind, kind]));
}
