/** A fleet: hosts, how to reach them, and the runs on them. Wires all that is below. */
import { MyriadError } from '../contracts/errors.ts';
import type { Host, TaskResult } from '../contracts/task.ts';
import { LagMeter } from '../engine/lag.ts';
import { Secrets } from '../engine/secrets.ts';
import type { HostSet } from '../hostset/hostset.ts';
import type { HostKeysOptions } from '../jobs/host_keys.ts';
import type { JobSpec } from '../jobs/job.ts';
import type { CustomFunction, OwnJob } from '../jobs/own_face.ts';
import { needPosix, readScript, resolveExecution } from './execution.ts';
import type { Known } from './inventories.ts';
import { jobKinds } from './kinds.ts';
import { Launcher } from './launcher.ts';
import { type FleetOptions, type ResolvedFleet, type RunOptions, resolveFleet } from './options.ts';
import { type EachOptions, resolveOwn } from './own_job.ts';
import type { AnswerSource, PasswordSource } from './passwords.ts';
import { POLL_OPTIONS, type PollOptions } from './polling/options.ts';
import { type LoadedConfig, loadConfig, resolveHost } from './reach/config.ts';
import type { HostKeyStore } from './reach/host_keys.ts';
import { wantedKeys } from './reach/own_keys.ts';
import { Resumption } from './resuming.ts';
import type { Run } from './run.ts';
import { type AidOptions, RunAids } from './run_aids.ts';
import { selectHosts } from './selection.ts';
import { SentSecrets } from './sent_secrets.ts';
import { refuseExecution, spec } from './specs.ts';
import { oneOf, openSubmissions, type Submissions, type SubmitOptions, type SubmitSpec } from './submissions.ts';
import { askedOnce } from './threads.ts';
import { type HostKeys, type LearnOptions, type Learnt, type LookOptions, learn, lookOptions } from './trust.ts';
import { Ways } from './ways.ts';

/** Of one fleet; more say nothing new. */
const MOST_WARNINGS = 100;

/** Opens a fleet. Throws MyriadError for options and host sets that cannot be taken; nothing connects yet. */
export function fleet(options: FleetOptions): Fleet {
  return new Fleet(options);
}

export class Fleet implements AsyncDisposable {
  readonly #options: FleetOptions;
  readonly #resolved: ResolvedFleet;
  readonly #ways: Ways;
  readonly #hosts: HostSet;
  readonly #known: Known | undefined;
  readonly #launcher: Launcher;
  readonly #kinds = jobKinds();
  readonly #warnings = new Set<string>();
  readonly #lag = new LagMeter((text) => this.#warn(text));
  readonly #resumption: Resumption | undefined;
  /** What no output may show. */
  readonly #secrets = new Secrets();
  readonly #sent = new SentSecrets(this.#secrets);
  /** Why a password may not be tried any more. */
  #spent: string | undefined;
  #submissions: Submissions | undefined;
  #loaded: LoadedConfig | undefined;
  #closed = false;

  constructor(options: FleetOptions) {
    const resumption = options.resume === undefined ? undefined : new Resumption(options);
    const all = resumption?.fleet ?? options;
    this.#resumption = resumption;
    this.#resolved = resolveFleet(all);
    if (typeof options.password === 'string') this.#sent.passwords(options.password);
    const selection = resumption ?? selectHosts(all);
    this.#hosts = selection.hosts;
    this.#known = selection.known;
    const { variables } = selection;
    this.#options = askedOnce(variables ? { ...all, variables } : all);
    for (const text of this.#known?.warnings ?? []) this.#warn(text);
    for (const text of 'warnings' in selection ? selection.warnings : []) this.#warn(text);
    this.#ways = new Ways({
      fleet: this.#options,
      first: () => this.#hosts.at(0),
      wanted: () => wantedKeys(selection.hasKeys ? this.#hosts : []),
      sent: this.#sent,
      answers: () => this.#answers(),
      warm: this.#resolved.warm,
      warn: (text) => this.#warn(text),
      spent: (reason) => this.#stopAll(reason),
    });
    this.#launcher = new Launcher({
      options: this.#options,
      resolved: this.#resolved,
      hosts: this.#hosts,
      kinds: this.#kinds,
      ways: this.#ways,
      secrets: this.#secrets,
      sent: this.#sent,
      lag: this.#lag,
      answers: () => this.#answers(),
      destination: (host) => this.destination(host),
      warn: (text) => this.#warn(text),
      stopAll: (reason) => this.#stopAll(reason),
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

  /** What inventories and `variables` say of a host. */
  about(host: Host): { readonly variables: Readonly<Record<string, string>>; readonly groups: readonly string[] } {
    return { variables: this.#options.variables?.(host) ?? {}, groups: this.#known?.groupsOf(host) ?? [] };
  }

  /** The groups of the inventory with their hosts. Throws `usage` where there is none. */
  groups(): Iterable<readonly [string, HostSet]> {
    return this.#known?.groups() ?? [];
  }

  /** False where host keys are not verified. */
  get verifiesHostKeys(): boolean {
    return this.#options.hostKeys !== 'off';
  }

  /** Where a host is looked for and as whom, by its label, the options and ssh_config. Throws as `prepare` does. */
  destination(host: Host): { readonly user: string; readonly name: string; readonly port: number } {
    this.#loaded ??= loadConfig(this.#options);
    const { user, hostName, port } = resolveHost(this.#loaded, this.#options, host);
    return { user, name: hostName, port };
  }

  /** What was passed over on the way: keys, agents and lines of ssh_config that could not be used. Grows while hosts are reached. */
  get warnings(): ReadonlySet<string> {
    return this.#warnings;
  }

  /** Reads ssh_config, keys and known_hosts, so that a mistake in them is thrown before anything connects. Runs do it by themselves. */
  prepare(): Promise<void> {
    return this.#ways.native();
  }

  /** Going on would do harm: runs that go on start nothing more, and so do those that come. */
  #stopAll(reason: string): void {
    this.#spent = reason;
    this.#launcher.stop(reason);
    this.#submissions?.stop(reason);
  }

  #commandMs({ commandMs }: RunOptions): number | null {
    return commandMs === undefined ? this.#resolved.limits.deadlines.commandMs : commandMs;
  }

  /** Runs a command line in the login shell of every host. */
  run(command: string, options: RunOptions = {}): Run {
    const { okStatus, variables, template = variables !== undefined, shell } = options;
    const { spec: execution, password } = resolveExecution(options, this.#commandMs(options));
    const aids = this.#lend(options, template);
    if (aids.terminal) needPosix('tty', shell);
    if (aids.terminal && execution) {
      throw new MyriadError('usage', `tty: it goes together with none of ${Object.keys(execution).join(', ')} yet`);
    }
    return this.#start(
      spec('command', { command, template, okStatus, shell, execution, ...aids.spec }),
      options,
      aids,
      password,
    );
  }

  /**
   * Runs a script of this machine on every host, by the interpreter that its first line names. It is read now, once for all, and
   * never finds its way to a disk there.
   */
  script(file: string, args: readonly string[] = [], options: ScriptOptions = {}): Run {
    const { interpreter, ...rest } = options;
    const { okStatus } = rest;
    const { spec: execution, password } = resolveExecution(rest, this.#commandMs(rest));
    if (rest.tty) throw new MyriadError('usage', 'tty: a script gets none');
    needPosix('a script', rest.shell);
    const aids = this.#lend(rest);
    const content = readScript(file);
    const { stdin } = aids.spec;
    const lentStdin = rest.stdin !== undefined && stdin === undefined ? true : undefined;
    const script = { name: file, content, args, interpreter, okStatus, stdin, lentStdin, execution };
    return this.#start(spec('script', script), rest, aids, password);
  }

  /** Runs a program here, once per host and without a shell; `{host} {name} {user} {port} {rank} {count} {i}` are replaced. */
  local(program: string, args: readonly string[] = [], options: RunOptions = {}): Run {
    if (options.tty) throw new MyriadError('usage', 'tty: a local program gets none');
    refuseExecution('a local program', options);
    if (options.checkOn !== undefined) throw new MyriadError('usage', 'checkOn: a local program has no host to check');
    const aids = this.#lend(options);
    return this.#start(spec('local', { program, args, okStatus: options.okStatus, ...aids.spec }), options, aids);
  }

  /**
   * Calls a function once per host, with the task and its connection. A function that is given as it is stays on the main thread; one of
   * a module, `./probe.js#check` (relative to the folder one is in), goes to threads, and is loaded once in each.
   */
  each<Options = unknown>(work: CustomFunction<Options> | string | URL, options: EachOptions<Options> = {}): Run {
    const { spec, own, run } = resolveOwn(work as CustomFunction | string | URL, options);
    return this.#start(spec, run, this.#lend({}, false, own));
  }

  /**
   * Hands in one task for a host of the fleet, as it is written here; resolves with its result. Tasks that were handed in share their
   * lanes and limits, and no run tells of them: nothing is recorded, no wave holds them back. A journal's run or 65,536 of them are for `run`.
   */
  async submit(host: string, spec: SubmitSpec, options: SubmitOptions = {}): Promise<TaskResult> {
    if (this.#closed) throw new MyriadError('closed', 'the fleet is closed');
    if (this.#spent !== undefined) throw new MyriadError('aborted', this.#spent);
    const target = oneOf(host, this.#hosts);
    await this.prepare();
    const destination = (each: Host) => this.destination(each);
    const home = {
      executor: this.#launcher.executor,
      kinds: this.#kinds,
      secrets: this.#secrets,
      values: { destination },
    };
    this.#submissions ??= openSubmissions(this.#resolved, home);
    return this.#submissions.submit(target, spec, options);
  }

  /**
   * Goes on with the run that `resume` of the fleet names: tasks that have their result are not repeated, and count in the summary as
   * they ended; what may have run when it crashed becomes `lost(crash)`, or with `idempotent` is done over. The journal holds no
   * secrets: what the run was given of them is given again.
   */
  resume(options: RunOptions = {}): Run {
    const resumption = this.#resumption;
    if (resumption === undefined)
      throw new MyriadError('usage', 'resume: give the run to the fleet, as fleet({ resume })');
    const all = resumption.options(options);
    const { password } = resolveExecution(options);
    return this.#start(resumption.job(options), all, this.#lend(all), password, resumption);
  }

  /** Resolves, connects, verifies and logs in to every host, and runs nothing: `ok` is a host on which a run would begin. */
  check(options: LookOptions & PollOptions = {}): Run {
    return this.#start(spec('check', {}), lookOptions(options, POLL_OPTIONS), this.#lend({}));
  }

  /**
   * Looks at the keys of every host that is not known (`skipped`: it is), and logs in to none; see `hostKeysOf` for what a result
   * shows. A host whose key is not the one that is known ends in `host-key`. Nothing is learnt: that is `learn`.
   */
  hostKeys(options: LookOptions & HostKeysOptions = {}): Run {
    if (!this.verifiesHostKeys) throw new MyriadError('usage', 'hostKeys "off": there is nothing to compare keys with');
    const { all, ...rest } = options;
    return this.#start(spec('host-keys', { all }), lookOptions(rest), this.#lend({}));
  }

  /** Adds keys to known_hosts: all those of one file in one write. The runs of this fleet know them from then on. */
  learn(found: Iterable<HostKeys>, options: LearnOptions = {}): Promise<readonly Learnt[]> {
    return learn(found, options, (host) => this.#storeOf(host));
  }

  /** Where `learn` adds the keys of a host, and whether names are hashed there. */
  async knownHostsOf(host: Host): Promise<{ readonly file: string | undefined; readonly hashNames: boolean }> {
    const { file, hashNames } = await this.#storeOf(host);
    return { file, hashNames };
  }

  async #storeOf(host: Host): Promise<HostKeyStore> {
    const router = await this.#ways.router(true);
    return (await router.look(host)).store;
  }

  /** `template`: variables of hosts may be asked for. */
  #lend(options: AidOptions, template = true, own?: OwnJob): RunAids {
    const variables = template ? this.#options.variables : undefined;
    const destination = (host: Host) => this.destination(host);
    return new RunAids(options, { destination, ...(variables && { variables }) }, own);
  }

  #start(job: JobSpec, options: RunOptions, aids: RunAids, sudo?: PasswordSource, resumed?: Resumption): Run {
    if (this.#closed) throw new MyriadError('closed', 'the fleet is closed');
    const run = this.#launcher.run(job, options, aids, sudo, resumed);
    if (this.#spent !== undefined) run.stop(this.#spent);
    return run;
  }

  #answers(): AnswerSource | undefined {
    const { answer } = this.#options;
    return this.#sent.answers(answer && ((...asked) => this.#lag.during(() => answer(...asked), 'answer')));
  }

  #warn(text: string): void {
    if (this.#warnings.size < MOST_WARNINGS) this.#warnings.add(text);
  }

  /** Ends what runs, and lets go of every connection. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#launcher.end();
    this.#resumption?.close();
    this.#ways.forget();
    this.#secrets.clear();
    await this.#launcher.close();
    await this.#ways.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A run of a script. */
export interface ScriptOptions extends RunOptions {
  /** The program that runs it, and its options. @default as the script's first line says (`#!`), else sh */
  readonly interpreter?: readonly string[];
}
