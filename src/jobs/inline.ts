/** The job `inline`: a function of the caller's as it is. It is lent, for no spec can hold it, and stays on the main thread. */
import { MyriadError } from '../contracts/errors.ts';
import type { JobKind } from './job.ts';
import { performOwn } from './own_task.ts';
import { checkOptions, checkText } from './process_job.ts';

export interface InlineOptions {
  /** What it is called, for people. */
  readonly title: string;
}

function validate(options: unknown): InlineOptions {
  const { title } = checkOptions('inline', options, ['title']);
  return { title: checkText('inline', 'title', title, 'refuse') };
}

export const inlineKind: JobKind<InlineOptions, undefined> = {
  kind: 'inline',
  version: 1,
  transport: 'native',
  session: true,
  validate,
  prepare: () => undefined,
  title: ({ title }) => title,
  called: ({ title }) => title,
  perform(_prepared, task) {
    const { own } = task.lent;
    if (own === undefined) throw new MyriadError('usage', 'job "inline": its function is not here');
    return performOwn(own, task);
  },
};
