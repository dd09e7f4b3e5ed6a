/** A job of the caller's own on its way into a run: a function as it is, or one of a module by its place. */
import { resolve } from 'node:path';
import { MyriadError } from '../contracts/errors.ts';
import type { JobSpec } from '../jobs/job.ts';
import type { CustomTask, OwnJob } from '../jobs/own_face.ts';
import { EXECUTION_OPTIONS } from './execution.ts';
import { LOCK_OPTIONS } from './lock.ts';
import type { RunOptions } from './options.ts';

/** A run of a function. What only a command has is not among it: the function's commands are its own. */
export interface EachOptions<Options = unknown> extends RunOptions {
  /** What tasks get as `task.options`; of a module's function JSON, at most 1 MiB. @default undefined */
  readonly jobOptions?: Options;
}

/** What a run is made of. */
export interface ResolvedOwn {
  readonly spec: JobSpec;
  /** What no spec can hold. */
  readonly own: OwnJob | undefined;
  readonly run: RunOptions;
}

const NOT_TAKEN = ['stdin', 'tty', 'variables', 'template', 'okStatus', ...LOCK_OPTIONS, ...EXECUTION_OPTIONS] as const;

/** Throws `usage` for what is no function, and options that it would not heed. */
export function resolveOwn(
  work: ((task: CustomTask) => unknown) | string | URL,
  { jobOptions, ...run }: EachOptions,
): ResolvedOwn {
  const given = NOT_TAKEN.filter((name) => Reflect.get(run, name) !== undefined);
  if (given.length > 0) throw new MyriadError('usage', `${given.join(', ')}: a job of your own gets none`);
  if (typeof work === 'function') {
    const title = work.name.trim() === '' ? 'a function' : `function ${work.name}`;
    return {
      spec: { kind: 'inline', version: 1, options: { title } },
      own: { perform: work, options: jobOptions },
      run,
    };
  }
  const text = work instanceof URL ? work.href : work;
  if (typeof text !== 'string') {
    throw new MyriadError('usage', 'each: expected a function, or a module and its export as "./probe.js#check"');
  }
  const options = { ...moduleOf(text), ...(jobOptions !== undefined && { options: jobOptions }) };
  return { spec: { kind: 'custom', version: 1, options }, own: undefined, run };
}

/** `./probe.js#check`, relative to the folder one is in; without an export it is the default one. */
function moduleOf(text: string): { readonly module: string; readonly export: string } {
  const hash = text.lastIndexOf('#');
  const file = hash < 0 ? text : text.slice(0, hash);
  const name = hash < 0 ? 'default' : text.slice(hash + 1);
  if (file === '' || name === '') {
    throw new MyriadError('usage', `job "${text}": expected a module and its export, as "./probe.js#check"`);
  }
  return { module: file.startsWith('file:') ? file : resolve(file), export: name };
}
