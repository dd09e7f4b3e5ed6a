/** Specs of jobs, as a fleet makes them. */
import { MyriadError } from '../contracts/errors.ts';
import type { JobSpec } from '../jobs/job.ts';
import { type ExecutionOptions, resolveExecution } from './execution.ts';

/** A spec with only the options that are set. */
export function spec(kind: string, options: Readonly<Record<string, unknown>>): JobSpec {
  const set = Object.entries(options).filter(([, value]) => value !== undefined);
  return { kind, version: 1, options: Object.fromEntries(set) };
}

/** Throws `usage` where something is asked for that only a command on a host has. */
export function refuseExecution(what: string, options: ExecutionOptions): void {
  const { spec: asked } = resolveExecution(options);
  const given = [...Object.keys(asked ?? {}), ...(options.shell === undefined ? [] : ['shell'])];
  if (given.length > 0) throw new MyriadError('usage', `${given.join(', ')}: ${what} gets none`);
}
