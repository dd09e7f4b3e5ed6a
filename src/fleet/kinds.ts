/** The job kinds, registered once for every thread and node alike. */
import { checkKind } from '../jobs/check.ts';
import { commandKind } from '../jobs/command.ts';
import { customKind } from '../jobs/custom.ts';
import { hostKeysKind } from '../jobs/host_keys.ts';
import { inlineKind } from '../jobs/inline.ts';
import type { JobKind, JobKinds } from '../jobs/job.ts';
import { localKind } from '../jobs/local.ts';
import { scriptKind } from '../jobs/script.ts';
import { submittedKind } from '../jobs/submitted.ts';

export function jobKinds(): JobKinds {
  const kinds: JobKind[] = [
    commandKind as JobKind,
    localKind as JobKind,
    scriptKind as JobKind,
    checkKind as JobKind,
    customKind as JobKind,
    inlineKind as JobKind,
    submittedKind as JobKind,
    hostKeysKind as JobKind,
  ];
  return new Map(kinds.map((kind) => [kind.kind, kind]));
}
