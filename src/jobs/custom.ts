/** The job `custom`: a function of a module of the caller's, by its place, so that it goes to threads. */
import { basename } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { MyriadError } from '../contracts/errors.ts';
import type { JobKind } from './job.ts';
import type { OwnJob } from './own_face.ts';
import { performOwn } from './own_task.ts';
import { textOf } from './own_verdict.ts';
import { checkOptions, shown } from './process_job.ts';

export interface CustomOptions {
  /** An absolute path, or a `file:` URL. */
  readonly module: string;
  /** The name of a function that it exports. @default 'default' */
  readonly export?: string;
  /** What its tasks get as `task.options`: JSON, at most 1 MiB. @default undefined */
  readonly options?: unknown;
}

const KNOWN = ['module', 'export', 'options'] as const;
/** Characters of JSON: they go to every thread, and into the journal. */
const MOST_OPTIONS = 1024 * 1024;

function validate(given: unknown): CustomOptions {
  const { module, export: name = 'default', options } = checkOptions('custom', given, KNOWN);
  if (typeof module !== 'string' || !/^(\/|[A-Za-z]:[\\/]|file:\/\/)/.test(module) || module.includes('\0')) {
    throw new MyriadError(
      'usage',
      `job "custom": option "module" must be an absolute path or a file: URL, not ${shown(module)}`,
    );
  }
  if (typeof name !== 'string' || name === '') {
    throw new MyriadError('usage', `job "custom": option "export" must be the name of a function, not ${shown(name)}`);
  }
  const plain = options === undefined ? undefined : jsonValue(options);
  return { module, export: name, ...(plain !== undefined && { options: plain }) };
}

/** A copy of what JSON keeps of it. */
function jsonValue(options: unknown): unknown {
  let text: string | undefined;
  try {
    text = JSON.stringify(options);
  } catch (cause) {
    const [why] = textOf(cause).split('\n', 1);
    throw new MyriadError('usage', `job "custom": option "options" must be JSON: ${why}`, { cause });
  }
  if (text === undefined)
    throw new MyriadError('usage', `job "custom": option "options" must be JSON, not ${typeof options}`);
  if (text.length > MOST_OPTIONS) {
    throw new MyriadError(
      'usage',
      `job "custom": option "options" has ${text.length} characters of JSON; 1 MiB at most`,
    );
  }
  return JSON.parse(text) as unknown;
}

/** Loads the module, once per thread. Throws MyriadError `usage`, one sentence. */
async function prepare({ module, export: name = 'default', options }: CustomOptions): Promise<OwnJob> {
  const url = module.startsWith('file:') ? module : pathToFileURL(module).href;
  let loaded: Readonly<Record<string, unknown>>;
  try {
    loaded = (await import(url)) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    const why = textOf(cause)
      .split('\n', 1)[0]!
      .replace(/ imported from .*$/, '');
    throw new MyriadError('usage', `job module "${pathOf(module)}" cannot be loaded: ${why}`, { cause });
  }
  const found = Object.hasOwn(loaded, name) ? loaded[name] : undefined;
  if (typeof found === 'function') return { perform: found as OwnJob['perform'], options: frozen(options) };
  if (found !== undefined) {
    throw new MyriadError(
      'usage',
      `job module "${pathOf(module)}": its export "${name}" is no function, but ${shown(found)}`,
    );
  }
  const functions = Object.keys(loaded).filter((key) => typeof loaded[key] === 'function');
  throw new MyriadError(
    'usage',
    `job module "${pathOf(module)}" has no export "${name}"; its functions are: ${functions.join(', ') || 'none'}`,
  );
}

/** All tasks of a thread share it. */
function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  for (const each of Object.values(value)) frozen(each);
  return Object.freeze(value);
}

function pathOf(module: string): string {
  return module.startsWith('file:') ? fileURLToPath(module) : module;
}

function called({ module, export: name = 'default' }: CustomOptions): string {
  return `${basename(pathOf(module))}#${name}`;
}

export const customKind: JobKind<CustomOptions, OwnJob> = {
  kind: 'custom',
  version: 1,
  transport: 'native',
  session: true,
  validate,
  prepare,
  check: async (options) => void (await prepare(options)),
  title: (options) =>
    options.options === undefined ? called(options) : `${called(options)} ${shown(options.options)}`,
  called,
  perform: performOwn,
};
