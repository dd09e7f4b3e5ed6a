/** The job kinds, registered once for every thread and node alike. */
import { checkKind } from '../jobs/check.ts';
import { commandKind } from '../jobs/command.ts';
import { hostKeysKind } from '../jobs/host_keys.ts';
import type { JobKind, JobKinds } from '../jobs/job.ts';
import { localKind } from '../jobs/local.ts';
import { scriptKind } from '../jobs/script.ts';

export function jobKinds(): JobKinds {
  const kinds: JobKind[] = [
    commandKind as JobKind,
    localKind as JobKind,
    scriptKind as JobKind,
    checkKind as JobKind,
    hostKeysKind as JobKind,
  ];
  return new Map(kinds.map((kind) => [kind.kind, kind]));
}
