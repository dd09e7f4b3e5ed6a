/** A fleet: hosts, how to reach them, and the runs on them. Wires all that is below. */
import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import { MyriadError } from '../contracts/errors.ts';
import type { Clock } from '../contracts/limits.ts';
import type { Host } from '../contracts/task.ts';
import { startRun } from '../engine/engine.ts';
import { HostPlan } from '../engine/host_plan.ts';
import { InlineExecutor } from '../engine/inline_executor.ts';
import type { HostSet } from '../hostset/hostset.ts';
import type { HostParts } from '../hostset/label.ts';
import type { JobSpec } from '../jobs/job.ts';
import { LocalTransport } from '../transport/local/local_transport.ts';
import { NativeTransport } from '../transport/native/native_transport.ts';
import type { Transport, TransportName } from '../transport/transport.ts';
import { loadHostKeys } from './host_keys.ts';
import { loadIdentities } from './identities.ts';
import { jobKinds } from './kinds.ts';
import { type FleetOptions, type ResolvedFleet, type RunOptions, resolveFleet, resolveRun } from './options.ts';
import { Run } from './run.ts';
import { parseJump, selectHosts } from './selection.ts';

const systemClock: Clock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Opens a fleet. Throws MyriadError for options and host sets that cannot be taken; nothing connects yet. */
export function fleet(options: FleetOptions): Fleet {
  return new Fleet(options);
}

export class Fleet implements AsyncDisposable {
  readonly #options: FleetOptions;
  readonly #resolved: ResolvedFleet;
  readonly #hosts: HostSet;
  readonly #transports = new Map<TransportName, Transport>();
  readonly #executor: InlineExecutor;
  readonly #kinds = jobKinds();
  readonly #user: string;
  readonly #jump: readonly HostParts[];
  #native: Promise<void> | undefined;
  #closed = false;
  #closeKeys: () => void = () => {};

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#resolved = resolveFleet(options);
    this.#hosts = selectHosts(options);
    this.#jump = parseJump(options.jump);
    this.#user = options.user ?? userInfo().username;
    this.#executor = new InlineExecutor({
      kinds: this.#kinds,
      transports: this.#transports,
      clock: systemClock,
      random: Math.random,
    });
  }

  /** Hosts selected. */
  get count(): number {
    return this.#hosts.count;
  }

  /** The hosts, in order, as they are walked: never a list. */
  hosts(): Iterable<Host> {
    return this.#hosts;
  }

  /** False where host keys are not verified. */
  get verifiesHostKeys(): boolean {
    return this.#resolved.policy !== 'off';
  }

  /** Who logs in where a host names no user, and where. */
  get defaults(): { readonly user: string; readonly port: number } {
    return { user: this.#user, port: this.#resolved.port };
  }

  /** Reads keys and known_hosts, so that a mistake in them is thrown before anything connects. Runs do it by themselves. */
  prepare(): Promise<void> {
    this.#native ??= this.#openNative();
    return this.#native;
  }

  async #openNative(): Promise<void> {
    const { keys, close } = await loadIdentities(this.#options, systemClock.setTimer);
    this.#closeKeys = close;
    this.#transports.set(
      'native',
      new NativeTransport({
        user: this.#user,
        port: this.#resolved.port,
        keys,
        password: this.#options.password,
        hostKeys: loadHostKeys(this.#options, this.#resolved.policy),
        clock: systemClock,
        random: Math.random,
        jump: this.#jump,
        family: this.#options.family ?? 'any',
        resolver: this.#options.resolver ?? 'dns',
      }),
    );
  }

  /** Runs a command line in the login shell of every host. */
  run(command: string, options: RunOptions = {}): Run {
    const { template, okStatus, stdin } = options;
    return this.#run(spec('command', { command, template, okStatus, stdin }), options);
  }

  /** Runs a program here, once per host and without a shell; `{host} {name} {user} {port} {rank} {count} {i}` are replaced. */
  local(program: string, args: readonly string[] = [], options: RunOptions = {}): Run {
    if (options.stdin) throw new MyriadError('usage', 'stdin: a local program gets none');
    return this.#run(spec('local', { program, args, okStatus: options.okStatus }), options);
  }

  #run(job: JobSpec, options: RunOptions): Run {
    if (this.#closed) throw new MyriadError('closed', 'the fleet is closed');
    const kind = this.#kinds.get(job.kind)!;
    const title = kind.title(kind.validate(job.options));
    const { limits, gather, maxOutput, repeat, lingerMs, graceMs } = resolveRun(this.#resolved, options);
    const plan = new HostPlan(this.#hosts, repeat);
    const id = newRunId();
    const run = new Run(
      id,
      title,
      plan,
      async (listener, onOutput) => {
        if (kind.transport === 'native') await this.prepare();
        else this.#openLocal();
        const request = { run: id, round: 0, plan, job, limits, gather, maxOutput, lingerMs, graceMs };
        return startRun(this.#executor, request, listener, { title, onOutput, clock: systemClock });
      },
      options.signal,
    );
    if (options.listener) run.on(options.listener);
    return run;
  }

  #openLocal(): void {
    if (!this.#transports.has('local')) this.#transports.set('local', new LocalTransport({ clock: systemClock }));
  }

  /** Ends what runs, and lets go of every connection. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#executor.close();
    this.#closeKeys();
    await Promise.all([...this.#transports.values()].map((transport) => transport.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A spec with only the options that are set. */
function spec(kind: string, options: Readonly<Record<string, unknown>>): JobSpec {
  const set = Object.entries(options).filter(([, value]) => value !== undefined);
  return { kind, version: 1, options: Object.fromEntries(set) };
}

/** Sorts by time: seconds since 2020 and 40 random bits, in base 36. */
function newRunId(): string {
  const seconds = Math.floor(Date.now() / 1000) - 1_577_836_800;
  return `${seconds.toString(36)}-${BigInt(`0x${randomBytes(5).toString('hex')}`)
    .toString(36)
    .padStart(8, '0')}`;
}
