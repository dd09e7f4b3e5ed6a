/** The threads of a fleet: when a run is worth them, and what the main thread does for them. */
import { availableParallelism } from 'node:os';
import { MyriadError } from '../contracts/errors.ts';
import type { Clock } from '../contracts/limits.ts';
import type { Services } from '../engine/threads/link.ts';
import { workers } from '../engine/threads/spawn.ts';
import { ThreadsExecutor } from '../engine/threads/threads_executor.ts';
import type { WarmOptions } from '../transport/native/warm_pool.ts';
import type { FleetOptions, RunOptions } from './options.ts';
import type { AnswerSource, LoginHost, Passwords } from './passwords.ts';
import type { LearnQuestion } from './reach/host_keys.ts';
import type { WantedKeys } from './reach/own_keys.ts';
import type { Router } from './reach/router.ts';
import type { FleetThreadData } from './thread_parts.ts';

/** Below it a thread is hardly worth its start, which takes 80 ms of CPU, as much as some 130 hosts; see `bench/threads.ts`. */
const TASKS_PER_THREAD = 2_000;
/** A thread's own heap and code, and what its part of the fanout needs: some 30 MB at a fanout of 512. */
const BYTES_PER_THREAD = 64 * 1024 * 1024;
/** What is young when it dies here is small: with V8's usual 48 MiB a thread took 50 MB more, and no less CPU. */
const RESOURCES = { maxYoungGenerationSizeMb: 16 };

const PARTS = new URL(import.meta.url.endsWith('.ts') ? './thread_parts.ts' : './thread_parts.js', import.meta.url);

/** One core stays for the main thread, the journal and output: where two cores were shared with a fleet, two threads were slower. */
function spareCores(): number {
  return Math.max(1, availableParallelism() - 1);
}

/** Threads for a run of so many tasks; 1: none, it stays on the main thread. */
export function threadsForRun(asked: number | 'auto', tasks: number): number {
  if (asked !== 'auto') return asked;
  const byMemory = Math.floor(process.availableMemory() / BYTES_PER_THREAD);
  return Math.max(1, Math.min(spareCores(), byMemory, Math.floor(tasks / TASKS_PER_THREAD)));
}

/** Of `each`. */
export const KEPT_FUNCTION = 'a function (as "./module.js#export" it would go there)';

/** Of what a run is given, what lives on the main thread only. */
export function keptHere(fleet: FleetOptions, run: RunOptions): string | undefined {
  if (run.stdin !== undefined && !(run.stdin instanceof Uint8Array)) return 'stdin from a file or stream';
  if (run.tty !== undefined) return 'tty';
  // Only a template asks for them.
  const { template = run.variables !== undefined } = run;
  return fleet.variables !== undefined && template ? 'variables' : undefined;
}

/** Throws `usage` where threads were asked for by number, and the run has what they cannot have. */
export function refuseKept(asked: number | 'auto', kept: string): void {
  if (asked === 'auto' || asked === 1) return;
  throw new MyriadError('usage', `threads ${asked}: ${kept} stays on the main thread; leave it out, or take threads 1`);
}

/** The same options, with a passphrase that is asked for once per file: each thread reads keys for itself. */
export function askedOnce(options: FleetOptions): FleetOptions {
  const { passphrase } = options;
  if (typeof passphrase !== 'function') return options;
  const kept = new Map<string, string | Promise<string>>();
  const ask = (file: string) => {
    const known = kept.get(file) ?? passphrase(file);
    kept.set(file, known);
    return known;
  };
  return { ...options, passphrase: ask };
}

/** What of a fleet threads ask for. */
export interface ThreadsHome {
  readonly options: FleetOptions;
  /** For all threads together. @default no connection is kept */
  readonly warm?: WarmOptions | undefined;
  readonly clock: Clock;
  readonly warn: (text: string) => void;
  readonly router: () => Promise<Router>;
  readonly passwords: () => Passwords | undefined;
  readonly answer: AnswerSource | undefined;
  /** Keys that hosts have of their own. @default none */
  readonly keys?: WantedKeys | undefined;
}

export function openThreads(home: ThreadsHome): ThreadsExecutor {
  const { options, clock, warn, answer, keys = new Map() } = home;
  const { threads: asked = 'auto' } = options;
  const threads = asked === 'auto' ? spareCores() : asked;
  const data: FleetThreadData = {
    options: plainOptions(options),
    passphrase: options.passphrase !== undefined,
    passwords: [options.password, options.passwordFile, options.passwordCommand].some((source) => source !== undefined),
    answer: answer !== undefined,
    keys,
    warm: home.warm && { ...home.warm, most: Math.floor(home.warm.most / threads) },
  };
  return new ThreadsExecutor({
    threads,
    leastTasks: asked === 'auto' ? TASKS_PER_THREAD : 1,
    spawn: workers({ module: PARTS.href, export: 'makeFleetThread', data }, RESOURCES),
    clock,
    services: services(home),
    secrets: new Map([['password', (host) => home.passwords()?.secretFor(host as LoginHost)]]),
    warn,
  });
}

/** What crosses as it is. Secrets and functions are asked for. */
function plainOptions(options: FleetOptions): FleetOptions {
  const {
    hosts,
    hostFiles,
    exclude,
    inventory,
    groups,
    excludeGroups,
    passphrase,
    password,
    passwordFile,
    passwordCommand,
    answer,
    variables,
    ...plain
  } = options;
  return plain;
}

function services({ options, router, answer, warn }: ThreadsHome): Services {
  return new Map<string, Services extends ReadonlyMap<string, infer Serve> ? Serve : never>([
    ['warn', (text) => warn(text as string)],
    [
      'passphrase',
      (file) => (typeof options.passphrase === 'function' ? options.passphrase(file as string) : options.passphrase),
    ],
    [
      'answer',
      (value, { signal }) => {
        const { host, prompts, about } = value as { host: LoginHost } & Record<'prompts' | 'about', never>;
        return answer?.(host, prompts, about, signal);
      },
    ],
    ['learn', async (question) => (await router()).learnKey(question as LearnQuestion)],
    ['hostKeys', async () => (await router()).shareHostKeys()],
  ]);
}
