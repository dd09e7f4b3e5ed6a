/** The exit code of a run, from its summary alone: architecture's table, one place. */
import { MyriadError } from '../contracts/errors.ts';
import { OUTCOME_KINDS } from '../contracts/outcome.ts';
import type { Summary } from '../contracts/summary.ts';

export interface ExitCodeOptions {
  /** `-S`: the largest remote status, 255 if a host was not reached. @default false */
  readonly largestStatus?: boolean;
}

/** What does not add up in a summary, in one sentence; undefined where all does. A violation is a mistake of ours. */
export function accountingError(summary: Summary): string | undefined {
  let sum = 0;
  for (const kind of OUTCOME_KINDS) sum += summary.outcomes[kind];
  if (sum !== summary.planned) return `${summary.planned} tasks were planned, but ${sum} outcomes were counted`;
  let caused = 0;
  for (const cause of summary.causes) caused += cause.count;
  return caused === sum ? undefined : `${sum} outcomes were counted, but ${caused} by cause`;
}

/**
 * 0 all ok · 1 internal, or not all could be recorded · 3 cut off by a deadline · 4 some host not reached · 5 failed, signalled or
 * without a status · 6 stopped early, some not run · 7 some may have run, result not known · 130 interrupted. Where several apply: 130, 1,
 * 6, 7, 4, 3, 5 (2, usage, never comes from a run). 0 only where every task is `ok` or `skipped`.
 * Throws MyriadError `internal` for a summary without tasks: an empty selection is refused before a run.
 */
export function exitCode(summary: Summary, options: ExitCodeOptions = {}): number {
  if (summary.planned === 0) throw new MyriadError('internal', 'a run of no tasks came to its end');
  const code = codeOf(summary);
  if (options.largestStatus !== true || code === 130 || code === 1) return code;
  if (hasUnreached(summary)) return 255;
  // RFC 4254 sends 32 bits: 256 must not become the 0 that the kernel would make of it. A largest status of 0 does not
  // hide what else went wrong.
  const largest = Math.min(255, summary.maxStatus ?? 0);
  return largest > 0 ? largest : code;
}

function codeOf(summary: Summary): number {
  const { outcomes } = summary;
  if (summary.stopped === 'cancelled' || outcomes.cancelled > 0) return 130;
  if (accountingError(summary) !== undefined || outcomes.error > 0 || summary.stopped === 'journal') return 1;
  if (outcomes['not-run'] > 0 || summary.stopped === 'guard') return 6;
  if (outcomes.lost > 0 || summary.uncertain > 0) return 7;
  if (hasUnreached(summary)) return 4;
  if (summary.cutOff > 0 || outcomes.timeout > 0) return 3;
  if (outcomes.ok + outcomes.skipped === summary.planned) return 0;
  // `protocol` after the job began and not counted as uncertain would be the only other kind left.
  return outcomes.protocol > 0 ? 7 : 5;
}

/** Counted by kind where the kind alone says so; `timeout` and `protocol` may come before the job began or after. */
function hasUnreached(summary: Summary): boolean {
  const { outcomes } = summary;
  const never = outcomes.refused + outcomes.unreachable + outcomes['auth-failed'] + outcomes['host-key'];
  return never > 0 || (summary.unreached > 0 && outcomes.timeout + outcomes.protocol > 0);
}
