/** The job `check`: a login, and nothing after it. Whatever stands in the way of one is the connection's outcome. */
import type { Outcome } from '../contracts/outcome.ts';
import type { JobKind } from './job.ts';
import { checkOptions } from './process_job.ts';

export type CheckOptions = Readonly<Record<string, never>>;

const READY: Outcome = { kind: 'ok', began: 'yes', status: null };

function validate(options: unknown): CheckOptions {
  checkOptions('check', options, []);
  return {};
}

export const checkKind: JobKind<CheckOptions, undefined> = {
  kind: 'check',
  version: 1,
  transport: 'native',
  session: false,
  validate,
  prepare: () => undefined,
  title: () => 'check',
  // The connection is authenticated: nothing is asked of the host any more, so that there is nothing that begins.
  perform: async () => READY,
};
