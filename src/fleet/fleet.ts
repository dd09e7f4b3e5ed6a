/** A fleet: hosts, how to reach them, and the runs on them. Wires all that is below. */
import { tmpdir } from 'node:os';
import { MyriadError } from '../contracts/errors.ts';
import type { Limits } from '../contracts/limits.ts';
import type { Host, TaskResult } from '../contracts/task.ts';
import { type StartedRun, startRun } from '../engine/engine.ts';
import type { Executor } from '../engine/executor.ts';
import { HostPlan } from '../engine/host_plan.ts';
import { InlineExecutor } from '../engine/inline_executor.ts';
import { LagMeter } from '../engine/lag.ts';
import type { Plan } from '../engine/plan.ts';
import { Redactor } from '../engine/redact.ts';
import { Secrets } from '../engine/secrets.ts';
import type { HostSet } from '../hostset/hostset.ts';
import type { HostParts } from '../hostset/label.ts';
import type { HostKeysOptions } from '../jobs/host_keys.ts';
import type { JobKind, JobSpec } from '../jobs/job.ts';
import type { CustomFunction, OwnJob } from '../jobs/own_face.ts';
import type { JournalWriter } from '../journal/journal.ts';
import type { Secret } from '../ssh/client_auth_secret.ts';
import { LocalTransport } from '../transport/local/local_transport.ts';
import { DnsResolver } from '../transport/native/dns_resolver.ts';
import { NativeTransport } from '../transport/native/native_transport.ts';
import { SystemResolver } from '../transport/native/system_resolver.ts';
import type { WarmOptions } from '../transport/native/warm_pool.ts';
import { OpensshTransport } from '../transport/openssh/openssh_transport.ts';
import type { Transport, TransportName } from '../transport/transport.ts';
import { needPosix, readScript, resolveExecution, SudoSecrets } from './execution.ts';
import type { Known } from './inventories.ts';
import { type NewRun, type Recorded, recordRun } from './journaling.ts';
import { jobKinds } from './kinds.ts';
import { lockOf } from './lock.ts';
import { readMachine, withinMachine } from './machine.ts';
import { type FleetOptions, type ResolvedFleet, type RunOptions, resolveFleet, resolveRun } from './options.ts';
import { type EachOptions, resolveOwn } from './own_job.ts';
import { type AnswerSource, type PasswordSource, Passwords, passwordSource } from './passwords.ts';
import { resolvePolling } from './polling/options.ts';
import { RunPolling } from './polling/run_polling.ts';
import { connectionsBeside, warmOfRounds } from './polling/warmth.ts';
import { type LoadedConfig, loadConfig, resolveHost } from './reach/config.ts';
import type { HostKeyStore } from './reach/host_keys.ts';
import { opensshArgs } from './reach/openssh_args.ts';
import { ReachingTransport } from './reach/reaching_transport.ts';
import { Router } from './reach/router.ts';
import { Resumption } from './resuming.ts';
import { Run, type StartEngine } from './run.ts';
import { type AidOptions, checkRun, RunAids } from './run_aids.ts';
import { newRunId } from './run_id.ts';
import { RunWaves } from './run_waves.ts';
import { parseJump, selectHosts } from './selection.ts';
import { SentSecrets } from './sent_secrets.ts';
import { refuseExecution, spec } from './specs.ts';
import { oneOf, openSubmissions, type Submissions, type SubmitOptions, type SubmitSpec } from './submissions.ts';
import { systemClock } from './system_clock.ts';
import { askedOnce, KEPT_FUNCTION, keptHere, openThreads, refuseKept, threadsForRun } from './threads.ts';
import { type HostKeys, type LearnOptions, type Learnt, type LookOptions, learn, lookOptions } from './trust.ts';
import { ScanTransport } from './trust_transport.ts';
import { resolveWaves } from './waves.ts';

/** Of one fleet; more say nothing new. */
const MOST_WARNINGS = 100;

/** Opens a fleet. Throws MyriadError for options and host sets that cannot be taken; nothing connects yet. */
export function fleet(options: FleetOptions): Fleet {
  return new Fleet(options);
}

export class Fleet implements AsyncDisposable {
  readonly #options: FleetOptions;
  readonly #resolved: ResolvedFleet;
  /** What is kept; more once a run has rounds. */
  #warm: WarmOptions;
  #own: NativeTransport | undefined;
  readonly #hosts: HostSet;
  readonly #known: Known | undefined;
  readonly #transports = new Map<TransportName, Transport>();
  readonly #executor: InlineExecutor;
  #threads: Executor | undefined;
  readonly #kinds = jobKinds();
  readonly #jump: readonly HostParts[] | undefined;
  readonly #warnings = new Set<string>();
  readonly #lag = new LagMeter((text) => this.#warn(text));
  /** Not at their end yet. */
  readonly #runs = new Set<Run>();
  /** Of runs that are not at their end yet. */
  readonly #aids = new Set<RunAids>();
  readonly #checks = new Set<RunWaves>();
  readonly #polls = new Set<RunPolling>();
  readonly #started = new Set<StartedRun>();
  readonly #resumption: Resumption | undefined;
  /** What no output may show. */
  readonly #secrets = new Secrets();
  readonly #sent = new SentSecrets(this.#secrets);
  #passwords: Passwords | undefined;
  #dns: DnsResolver | undefined;
  readonly #sudo = new SudoSecrets(systemClock, (reason) => this.#stopAll(reason));
  /** Why a password may not be tried any more. */
  #spent: string | undefined;
  #native: Promise<void> | undefined;
  #opened: Promise<Opened> | undefined;
  #submissions: Submissions | undefined;
  #loaded: LoadedConfig | undefined;
  #closed = false;

  constructor(options: FleetOptions) {
    const resumption = options.resume === undefined ? undefined : new Resumption(options);
    const all = resumption?.fleet ?? options;
    this.#resumption = resumption;
    this.#resolved = resolveFleet(all);
    this.#warm = this.#resolved.warm;
    if (typeof options.password === 'string') this.#sent.passwords(options.password);
    const selection = resumption ?? selectHosts(all);
    this.#hosts = selection.hosts;
    this.#known = 'known' in selection ? selection.known : undefined;
    const variables = 'variables' in selection ? selection.variables : all.variables;
    this.#options = askedOnce(variables ? { ...all, variables } : all);
    for (const text of this.#known?.warnings ?? []) this.#warn(text);
    this.#jump = parseJump(all.jump);
    this.#executor = new InlineExecutor({
      kinds: this.#kinds,
      transports: this.#transports,
      clock: systemClock,
      random: Math.random,
      lag: this.#lag,
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
    return { variables: this.#options.variables?.(host) ?? {}, groups: this.#known?.find(host)?.groups ?? [] };
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
    this.#native ??= this.#openNative();
    return this.#native;
  }

  /** What runs and looks at host keys share. `learns`: a known_hosts file that was named may be missing. */
  #open(learns: boolean): Promise<Opened> {
    this.#opened ??= this.#openRouter(learns);
    return this.#opened;
  }

  async #openRouter(learns: boolean): Promise<Opened> {
    const options = this.#options;
    const source = this.#sent.passwords(passwordSource(options, systemClock));
    if (source !== undefined) {
      const onSpent = (reason: string) => this.#stopAll(reason);
      this.#passwords = new Passwords({ source, clock: systemClock, onSpent });
    }
    const dns = new DnsResolver({ clock: systemClock });
    this.#dns = dns;
    const answer = this.#answers();
    const router = await Router.open(answer ? { ...options, answer } : options, {
      learns,
      setTimer: systemClock.setTimer,
      warn: (text) => void (this.#warnings.size < MOST_WARNINGS && this.#warnings.add(text)),
      jump: this.#jump,
      lookup: (name, family) => dns.canonical(name, family === 'any' ? 'any' : family === 'inet' ? 4 : 6),
      sshfp: (name) => dns.sshfp(name),
      passwords: this.#passwords,
    });
    const resolver = options.resolver === 'system' ? new SystemResolver() : dns;
    const own = new NativeTransport({ resolver, clock: systemClock, random: Math.random, warm: this.#warm });
    this.#own = own;
    return { router, own };
  }

  async #openNative(): Promise<void> {
    const options = this.#options;
    const { router, own } = await this.#open(false);
    await router.check(this.#hosts.at(0));
    const openssh = () =>
      new OpensshTransport({
        args: (target) => opensshArgs(options, target),
        clock: systemClock,
        controlDir: tmpdir(),
      });
    this.#transports.set('native', new ReachingTransport(router, own, openssh));
  }

  /** Going on would do harm: runs that go on start nothing more, and so do those that come. */
  #stopAll(reason: string): void {
    this.#spent = reason;
    for (const run of this.#runs) run.stop(reason);
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
    return this.#run(
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
    return this.#run(spec('script', script), rest, aids, password);
  }

  /** Runs a program here, once per host and without a shell; `{host} {name} {user} {port} {rank} {count} {i}` are replaced. */
  local(program: string, args: readonly string[] = [], options: RunOptions = {}): Run {
    if (options.tty) throw new MyriadError('usage', 'tty: a local program gets none');
    refuseExecution('a local program', options);
    if (options.checkOn !== undefined) throw new MyriadError('usage', 'checkOn: a local program has no host to check');
    const aids = this.#lend(options);
    return this.#run(spec('local', { program, args, okStatus: options.okStatus, ...aids.spec }), options, aids);
  }

  /**
   * Calls a function once per host, with the task and its connection. A function that is given as it is stays on the main thread; one of
   * a module, `./probe.js#check` (relative to the folder one is in), goes to threads, and is loaded once in each.
   */
  each<Options = unknown>(work: CustomFunction<Options> | string | URL, options: EachOptions<Options> = {}): Run {
    const { spec, own, run } = resolveOwn(work as CustomFunction | string | URL, options);
    return this.#run(spec, run, this.#lend({}, false, own));
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
    const home = { executor: this.#executor, kinds: this.#kinds, secrets: this.#secrets, values: { destination } };
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
    return this.#run(resumption.job(options), all, this.#lend(all), password, resumption);
  }

  /** Resolves, connects, verifies and logs in to every host, and runs nothing: `ok` is a host on which a run would begin. */
  check(options: LookOptions = {}): Run {
    return this.#run(spec('check', {}), lookOptions(options), this.#lend({}));
  }

  /**
   * Looks at the keys of every host that is not known (`skipped`: it is), and logs in to none; see `hostKeysOf` for what a result
   * shows. A host whose key is not the one that is known ends in `host-key`. Nothing is learnt: that is `learn`.
   */
  hostKeys(options: LookOptions & HostKeysOptions = {}): Run {
    if (!this.verifiesHostKeys) throw new MyriadError('usage', 'hostKeys "off": there is nothing to compare keys with');
    const { all, ...rest } = options;
    return this.#run(spec('host-keys', { all }), lookOptions(rest), this.#lend({}));
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
    const { router } = await this.#open(true);
    return (await router.look(host)).store;
  }

  async #openScan(): Promise<void> {
    const { router, own } = await this.#open(true);
    const sshfp = (name: string) => this.#dns!.sshfp(name);
    if (!this.#transports.has('scan')) this.#transports.set('scan', new ScanTransport(router, own, sshfp));
  }

  /** `template`: variables of hosts may be asked for. */
  #lend(options: AidOptions, template = true, own?: OwnJob): RunAids {
    const variables = template ? this.#options.variables : undefined;
    const destination = (host: Host) => this.destination(host);
    return new RunAids(options, { destination, ...(variables && { variables }) }, own);
  }

  #run(job: JobSpec, options: RunOptions, aids: RunAids, sudo?: PasswordSource, resumed?: Resumption): Run {
    if (this.#closed) throw new MyriadError('closed', 'the fleet is closed');
    const kind = this.#kinds.get(job.kind)!;
    const valid = kind.validate(job.options);
    const { gather, maxOutput, repeat, lingerMs, graceMs, ...resolved } = resolveRun(this.#resolved, options);
    const redactor = new Redactor(options.redact ?? [], this.#secrets);
    const title = redactor.text(kind.title(valid));
    const sudoPassword = this.#sent.passwords(sudo);
    const plan = new HostPlan(this.#hosts, repeat);
    const todo = resumed?.planOf(plan) ?? plan;
    const id = resumed?.id ?? newRunId();
    // What is gone on with is the round that was in progress.
    const polling = resumed ? undefined : this.#polling(options, id, plan);
    const connections = connectionsBeside(this.#warm, this.#options.threads);
    const asked = { ...this.#options, commandMs: options.commandMs, connections };
    const limits = polling?.limits(resolved.limits, asked) ?? resolved.limits;
    const record = this.#recorder({ id, title, job, limits, repeat, options, redactor }, kind, resumed);
    let journal: JournalWriter | undefined;
    const waves = this.#waves(options, { run: id, plan: todo, limits, redactor, gather, maxOutput, lingerMs, graceMs });
    const start: StartEngine = async (listener, onOutput) => {
      if (kind.transport === 'native') await this.prepare();
      else if (kind.transport === 'scan') await this.#openScan();
      else this.#openLocal();
      // Each thread has connections of its own, and any thread may get a host's next task.
      const spread = polling === undefined || typeof this.#options.threads === 'number';
      const executor = this.#executorOf(kind, spread ? plan.count : 1, options);
      const rounds = await polling?.over(executor);
      const over = waves?.over(executor, listener) ?? executor;
      const recorded = await record?.();
      journal = recorded?.journal;
      const request = {
        run: id,
        round: recorded?.round ?? 0,
        plan: todo,
        job,
        limits: withinMachine(limits, readMachine(), plan.hosts),
        gather,
        maxOutput,
        lingerMs,
        graceMs,
        onStop: options.onStop,
      };
      const secret = sudoPassword && ((_name: 'sudo', host: Host) => this.#sudoSecret(sudoPassword, host));
      const { lent } = aids;
      const { before } = recorded ?? {};
      const more = { title, onOutput, clock: systemClock, lent, redactor, journal, before, ...(secret && { secret }) };
      const started = await startRun(rounds?.executor ?? over, request, listener, { ...more, polling: rounds });
      if (journal !== undefined) this.#keep(started);
      return started;
    };
    const check = () => checkRun(kind, valid, aids, this.#hosts);
    const parts = {
      start,
      check,
      resize: (columns: number, rows: number) => aids.resize(columns, rows),
      waves,
      polling,
      lag: this.#lag,
      lock: lockOf(options, { run: id, hosts: this.#hosts, repeat, job }),
      journal: () => journal?.path,
      onStop: options.onStop,
    };
    const run = new Run(id, title, plan, parts, options.signal);
    if (options.listener) run.on(options.listener);
    if (this.#spent !== undefined) run.stop(this.#spent);
    this.#remember(run, { aids, waves, polling });
    return run;
  }

  /** What of a run has to be let go of, at its end or the fleet's. */
  #remember(run: Run, { aids, waves, polling }: Held): void {
    this.#runs.add(run);
    this.#aids.add(aids);
    if (waves) this.#checks.add(waves);
    if (polling) this.#polls.add(polling);
    run.on(({ type }) => {
      if (type !== 'run:end') return;
      this.#runs.delete(run);
      this.#aids.delete(aids);
      if (waves) this.#checks.delete(waves);
      void polling?.close().then(() => this.#polls.delete(polling));
      void aids.close();
    });
  }

  /** The rounds of a run; undefined: it has none. The fleet keeps its connections for them. */
  #polling(options: RunOptions, run: string, plan: Plan): RunPolling | undefined {
    const polling = resolvePolling(options, plan.count);
    if (polling === undefined) return undefined;
    if (resolveWaves(options, null))
      throw new MyriadError('usage', 'everyMs: a run in rounds has no waves, and no limit on failures');
    const { everyMs } = polling.rules;
    this.#warm = warmOfRounds(this.#warm, this.#options, everyMs, plan.hosts);
    this.#own?.keep(this.#warm);
    return new RunPolling({ polling, run, count: plan.count, clock: systemClock, warn: (text) => this.#warn(text) });
  }

  /** How a run gets into the journal; undefined: it does not. */
  #recorder(
    run: Omit<NewRun, 'hosts' | 'fleet' | 'tell'>,
    kind: JobKind,
    resumed: Resumption | undefined,
  ): (() => Promise<Recorded>) | undefined {
    if (resumed !== undefined) return () => resumed.go(run.options);
    const { journal = false } = this.#options;
    // To look at hosts is no deed that could be gone on with.
    if (journal === false || kind.transport === 'scan' || run.job.kind === 'check') return undefined;
    const tell = (text: string) => this.#warn(text);
    return () => recordRun({ ...run, hosts: this.#hosts, fleet: this.#options, tell });
  }

  /** The journal is complete only when every result has been read: at the latest when the fleet is closed. */
  #keep(started: StartedRun): void {
    this.#started.add(started);
    const over = () => this.#started.delete(started);
    started.ended.then(over, over);
  }

  #waves(options: RunOptions, of: WavedRun): RunWaves | undefined {
    const { plan, limits, redactor, ...request } = of;
    const waves = resolveWaves(options, limits.deadlines.runMs);
    if (waves === undefined) return undefined;
    const kind = this.#kinds.get('command')!;
    return new RunWaves({
      waves,
      request,
      plan,
      limits,
      redactor,
      clock: systemClock,
      command: (command) => spec('command', { command, shell: options.shell }),
      executor: async (hosts) => {
        await this.prepare();
        return this.#executorOf(kind, hosts, {});
      },
      threads: threadsForRun(this.#options.threads ?? 'auto', plan.count) > 1,
    });
  }

  /** Threads where the run is worth them, and has nothing that stays on the main thread. */
  #executorOf(kind: JobKind, tasks: number, options: RunOptions): Executor {
    const { threads = 'auto' } = this.#options;
    if (kind.transport !== 'native' || threadsForRun(threads, tasks) === 1) return this.#executor;
    const kept = kind.kind === 'inline' ? KEPT_FUNCTION : keptHere(this.#options, options);
    if (kept !== undefined) {
      refuseKept(threads, kept);
      return this.#executor;
    }
    this.#threads ??= openThreads({
      options: this.#options,
      warm: this.#warm,
      clock: systemClock,
      warn: (text) => this.#warn(text),
      router: async () => (await this.#open(false)).router,
      passwords: () => this.#passwords,
      answer: this.#answers(),
    });
    return this.#threads;
  }

  #answers(): AnswerSource | undefined {
    const { answer } = this.#options;
    return this.#sent.answers(answer && ((...asked) => this.#lag.during(() => answer(...asked), 'answer')));
  }

  #warn(text: string): void {
    if (this.#warnings.size < MOST_WARNINGS) this.#warnings.add(text);
  }

  #sudoSecret(source: PasswordSource, host: Host): Secret {
    return this.#sudo.secretFor(source, { ...host, ...this.destination(host) });
  }

  #openLocal(): void {
    if (!this.#transports.has('local')) this.#transports.set('local', new LocalTransport({ clock: systemClock }));
  }

  /** Ends what runs, and lets go of every connection. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const polling of this.#polls) polling.stop();
    await Promise.all([this.#executor.close(), this.#threads?.close()]);
    await Promise.all([...this.#started].map((started) => started.close()));
    this.#resumption?.close();
    this.#passwords?.clear();
    this.#sudo.clear();
    this.#secrets.clear();
    for (const run of this.#runs) run.unlock();
    await Promise.all([...this.#aids, ...this.#checks, ...this.#polls].map((each) => each.close()));
    this.#dns?.close();
    await Promise.all([...this.#transports.values()].map((transport) => transport.close()));
    // The transport of runs closes what it stands on; without it nobody has.
    const opened = this.#transports.has('native') ? undefined : await this.#opened?.catch(() => undefined);
    await opened?.own.close();
    await opened?.router.close();
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

/** What a run has that is let go of when it is over. */
interface Held {
  readonly aids: RunAids;
  readonly waves: RunWaves | undefined;
  readonly polling: RunPolling | undefined;
}

/** What waves have to know of a run. */
interface WavedRun {
  readonly run: string;
  readonly plan: Plan;
  readonly limits: Limits;
  readonly redactor: Redactor;
  readonly gather: 'collect' | 'stream' | 'discard';
  readonly maxOutput: number;
  readonly lingerMs: number;
  readonly graceMs: number;
}

/** What all ways to hosts stand on. */
interface Opened {
  readonly router: Router;
  readonly own: NativeTransport;
}
