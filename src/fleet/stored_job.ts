/**
 * A run's job and options as the journal keeps them, to be resumed by: without secrets. Values of variables, passwords, stdin and
 * patterns of what is redacted are not there; they must be given again. What a pattern or a secret matches is not there either, and
 * nothing can take its place: it would be another job.
 */
import { resolve } from 'node:path';
import { MyriadError } from '../contracts/errors.ts';
import type { Redactor } from '../engine/redact.ts';
import type { ExecutionOptions as ExecutionSpec } from '../jobs/execution.ts';
import type { JobSpec } from '../jobs/job.ts';
import type { FleetOptions, RunOptions } from './options.ts';
import { WAVE_OPTIONS } from './waves.ts';

export interface StoredJob extends JobSpec {
  readonly options: Readonly<Record<string, unknown>>;
  readonly fleet: FleetOptions;
  readonly run: RunOptions;
  readonly needs: Needs;
}

/** What must be given again. */
interface Needs {
  /** Names of variables of the environment. */
  readonly env: readonly string[];
  readonly stdin: boolean;
  readonly sudoPassword: boolean;
  readonly redact: boolean;
  /** Variables of hosts, a function. */
  readonly variables: boolean;
  /** What was taken out, as options of a job or run. */
  readonly withheld: readonly string[];
}

/** How hosts are reached and in what number; secrets and what only this process has are not among them. */
const FLEET: readonly (keyof FleetOptions)[] = [
  'user',
  'port',
  'family',
  'resolver',
  'config',
  'configOptions',
  'transport',
  'jump',
  'agent',
  'identity',
  'hostKeys',
  'knownHosts',
  'fanout',
  'rate',
  'threads',
  'handshakes',
  'perAddress',
  'retries',
  'deadlines',
];
/** Of these, paths: the one who resumes may stand elsewhere. */
const PATHS: ReadonlySet<keyof FleetOptions> = new Set(['config', 'identity', 'knownHosts'] as const);

const RUN: readonly (keyof RunOptions)[] = [
  'gather',
  'maxOutput',
  'repeat',
  'shell',
  'commandMs',
  'idleMs',
  'runMs',
  'lingerMs',
  'graceMs',
  'onStop',
  'tty',
  'journalOutput',
  'lock',
  'lockMs',
  'everyMs',
  'extract',
  ...WAVE_OPTIONS,
];

/** The options of a run that stand in the journal, and cannot be others when it is resumed. */
const FIXED: readonly (keyof RunOptions)[] = [
  'repeat',
  'template',
  'okStatus',
  'variables',
  'cwd',
  'umask',
  'exportIdentity',
  'shell',
  'lock',
  'lockMs',
];

type Fields = Record<string, unknown>;

/** What of a run is stored. */
export function storeJob(job: JobSpec, fleet: FleetOptions, run: RunOptions, redactor: Redactor): StoredJob {
  const { stdin, lentStdin, execution, ...options } = job.options as Fields;
  const { env, ...surroundings } = (execution ?? {}) as ExecutionSpec;
  const withheld: string[] = [];
  const kept = (fields: Fields) => withoutSecrets(fields, redactor, withheld);
  const given = { ...options, ...(execution === undefined ? {} : { execution: surroundings }) };
  return {
    kind: job.kind,
    version: job.version,
    options: kept(given),
    fleet: kept(reachOf(fleet)),
    run: kept(pick(run, RUN)),
    needs: {
      env: Object.keys(env ?? {}),
      stdin: run.stdin !== undefined,
      sudoPassword: surroundings.sudo?.asks === true,
      redact: (run.redact ?? []).length > 0,
      variables: options.hostVariables === true,
      withheld,
    },
  };
}

/** Host keys that nobody verifies are a matter of one command line. */
function reachOf(fleet: FleetOptions): Fields {
  const fields = pick(fleet, FLEET);
  if (fields.hostKeys === 'off') delete fields.hostKeys;
  // A socket of this login is of no use to another.
  if (fields.agent !== false) delete fields.agent;
  for (const name of PATHS) if (fields[name] !== undefined) fields[name] = absolute(fields[name]);
  return fields;
}

function absolute(path: unknown): unknown {
  if (Array.isArray(path)) return path.map(absolute);
  return typeof path !== 'string' || path === 'none' || path.startsWith('~') ? path : resolve(path);
}

function pick<T extends object>(from: T, names: readonly (keyof T & string)[]): Fields {
  return Object.fromEntries(names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]));
}

/** The fields as JSON takes them; one in which there is something to redact is left out, and named. */
function withoutSecrets(fields: Fields, redactor: Redactor, withheld: string[]): Fields {
  const kept: Fields = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (isClean(value, redactor)) kept[name] = plain(value);
    else withheld.push(name);
  }
  return kept;
}

function isClean(value: unknown, redactor: Redactor): boolean {
  if (typeof value === 'string') return redactor.text(value) === value;
  if (value instanceof Uint8Array) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return !redactor.active || redactor.clean(bytes) === bytes;
  }
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([name, item]) => isClean(name, redactor) && isClean(item, redactor));
}

function plain(value: unknown): unknown {
  return value instanceof Uint8Array ? { base64: Buffer.from(value).toString('base64') } : value;
}

/** The job of a recorded run. Throws MyriadError `journal` for what is none. */
export function storedJob(run: string, job: unknown): StoredJob {
  const stored = job as Partial<StoredJob> | null;
  if (stored?.kind === 'inline') {
    const what = 'its job was a function of a program, which no journal holds';
    throw new MyriadError(
      'journal',
      `run ${run} cannot be resumed: ${what}; run that program on the hosts that are left`,
    );
  }
  if (stored?.needs !== undefined && stored.fleet !== undefined && stored.run !== undefined) return stored as StoredJob;
  throw new MyriadError('journal', `run ${run} cannot be resumed: its record does not say how it was made`);
}

/** Throws `usage`, one sentence, for what must be given again, or cannot be given. */
export function checkGiven(run: string, stored: StoredJob, fleet: FleetOptions, given: RunOptions): void {
  const { needs } = stored;
  const lost = needs.withheld.filter((name) => !isGiven(fleet, name) && !isGiven(given, name));
  if (lost.length > 0) {
    const what = `its ${lost.join(', ')} held something that was redacted, and is not in the journal`;
    throw new MyriadError('usage', `run ${run} cannot be resumed: ${what}; run it again on the hosts that are left`);
  }
  const fixed = FIXED.filter((name) => given[name] !== undefined);
  if (fixed.length > 0) {
    throw new MyriadError('usage', `${fixed.join(', ')}: run ${run} goes on with what it was started with`);
  }
  const env = Object.keys(given.env ?? {});
  const missing = [
    ...needs.env.filter((name) => !env.includes(name)).map((name) => `env ${name}`),
    ...(needs.sudoPassword && given.sudo?.password === undefined && given.sudo?.passwordFile === undefined
      ? ['the sudo password']
      : []),
    ...(needs.stdin && given.stdin === undefined ? ['stdin'] : []),
    ...(needs.redact && given.redact === undefined ? ['what to redact'] : []),
    ...(needs.variables && fleet.variables === undefined ? ['the variables of its hosts (an inventory, -i)'] : []),
  ];
  if (missing.length > 0) {
    const what = `the journal holds no secrets: give ${missing.join(', ')} again`;
    throw new MyriadError('usage', `run ${run} cannot be resumed as it is: ${what}`);
  }
  const more = [
    ...env.filter((name) => !needs.env.includes(name)).map((name) => `env ${name}`),
    ...(given.stdin !== undefined && !needs.stdin ? ['stdin'] : []),
    ...(given.sudo !== undefined && !needs.sudoPassword ? ['sudo'] : []),
  ];
  if (more.length > 0) throw new MyriadError('usage', `${more.join(', ')}: run ${run} was started without`);
}

function isGiven(options: object, name: string): boolean {
  return Object.entries(options).some(([given, value]) => given === name && value !== undefined);
}

/** The job with what was given again. */
export function restoreJob(stored: StoredJob, given: RunOptions): JobSpec {
  const { kind, version } = stored;
  // What a job of the caller's own has as options is JSON, whatever it looks like.
  const restored = (value: unknown) => (kind === 'custom' ? value : whole(value));
  const options = Object.fromEntries(Object.entries(stored.options).map(([name, value]) => [name, restored(value)]));
  const { env, stdin } = given;
  if (env !== undefined) options.execution = { ...(options.execution as ExecutionSpec), env };
  if (stdin instanceof Uint8Array) options.stdin = stdin;
  else if (stdin !== undefined && kind === 'script') options.lentStdin = true;
  return { kind, version, options };
}

function whole(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('base64' in value)) return value;
  return Buffer.from(String(value.base64), 'base64');
}

const WITHOUT = '[redacted]';
/** Options whose value is none of the journal's business; of `--env` the name is. */
const HIDDEN: ReadonlySet<string> = new Set(['--env', '--redact', '--password-command']);

/** The words of a command line as they may be kept. */
export function recordedArgv(argv: readonly string[], redactor: Redactor): string[] {
  const end = argv.indexOf('--');
  return argv.map((word, place) => {
    const before = argv[place - 1] ?? '';
    const option = end < 0 || place < end;
    const equals = word.indexOf('=');
    const name = word.slice(0, equals);
    if (option && HIDDEN.has(before)) return hidden(before, word);
    if (option && equals > 0 && HIDDEN.has(name)) return `${name}=${hidden(name, word.slice(equals + 1))}`;
    return redactor.text(word);
  });
}

function hidden(option: string, value: string): string {
  const equals = value.indexOf('=');
  if (option !== '--env') return WITHOUT;
  return equals < 0 ? value : `${value.slice(0, equals)}=${WITHOUT}`;
}
