/**
 * From a job and its options to a run: what is lent to it, where it executes, in what it is recorded, how it goes in waves or rounds;
 * and letting go of all that at its end, or the fleet's.
 */

import { MyriadError } from '../contracts/errors.ts';
import type { Limits } from '../contracts/limits.ts';
import type { Host, Target } from '../contracts/task.ts';
import { type StartedRun, startRun } from '../engine/engine.ts';
import type { Executor } from '../engine/executor.ts';
import { HostPlan } from '../engine/host_plan.ts';
import { InlineExecutor } from '../engine/inline_executor.ts';
import type { LagMeter } from '../engine/lag.ts';
import type { Plan } from '../engine/plan.ts';
import { Redactor } from '../engine/redact.ts';
import type { Secrets } from '../engine/secrets.ts';
import type { HostSet } from '../hostset/hostset.ts';
import type { JobKind, JobSpec } from '../jobs/job.ts';
import type { JournalWriter } from '../journal/journal.ts';
import type { Secret } from '../ssh/client_auth_secret.ts';
import type { WarmOptions } from '../transport/native/warm_pool.ts';
import { SudoSecrets } from './execution.ts';
import { type NewRun, type Recorded, recordRun } from './journaling.ts';
import { lockOf } from './lock.ts';
import { readMachine, withinMachine } from './machine.ts';
import { type FleetOptions, type ResolvedFleet, type RunOptions, resolveRun } from './options.ts';
import type { AnswerSource, PasswordSource } from './passwords.ts';
import { resolvePolling } from './polling/options.ts';
import { RunPolling } from './polling/run_polling.ts';
import { connectionsBeside, warmOfRounds } from './polling/warmth.ts';
import type { Resumption } from './resuming.ts';
import { Run, type StartEngine } from './run.ts';
import { checkRun, type RunAids } from './run_aids.ts';
import { newRunId } from './run_id.ts';
import { RunWaves } from './run_waves.ts';
import type { SentSecrets } from './sent_secrets.ts';
import { spec } from './specs.ts';
import { systemClock } from './system_clock.ts';
import { KEPT_FUNCTION, keptHere, openThreads, refuseKept, threadsForRun } from './threads.ts';
import { resolveWaves } from './waves.ts';
import type { Ways } from './ways.ts';

/** The fleet's side. */
export interface LauncherParts {
  readonly options: FleetOptions;
  readonly resolved: ResolvedFleet;
  readonly hosts: HostSet;
  readonly kinds: ReadonlyMap<string, JobKind>;
  readonly ways: Ways;
  readonly secrets: Secrets;
  readonly sent: SentSecrets;
  readonly lag: LagMeter;
  answers(): AnswerSource | undefined;
  destination(host: Host): { readonly user: string; readonly name: string; readonly port: number };
  warn(text: string): void;
  /** Going on would do harm. */
  stopAll(reason: string): void;
}

export class Launcher {
  /** Where tasks execute that need no thread. */
  readonly executor: InlineExecutor;
  readonly #parts: LauncherParts;
  readonly #sudo: SudoSecrets;
  #threads: Executor | undefined;
  /** What is kept; more once a run has rounds. */
  #warm: WarmOptions;
  /** Not at their end yet. */
  readonly #runs = new Set<Run>();
  /** Of runs that are not at their end yet. */
  readonly #aids = new Set<RunAids>();
  readonly #checks = new Set<RunWaves>();
  readonly #polls = new Set<RunPolling>();
  readonly #started = new Set<StartedRun>();

  constructor(parts: LauncherParts) {
    this.#parts = parts;
    this.#warm = parts.resolved.warm;
    this.#sudo = new SudoSecrets(systemClock, (reason) => parts.stopAll(reason));
    this.executor = new InlineExecutor({
      kinds: parts.kinds,
      transports: parts.ways.transports,
      clock: systemClock,
      random: Math.random,
      lag: parts.lag,
    });
  }

  /** Runs that go on start nothing more. */
  stop(reason: string): void {
    for (const run of this.#runs) run.stop(reason);
  }

  /** Ends what runs; resolves when all of it is recorded. */
  async end(): Promise<void> {
    for (const polling of this.#polls) polling.stop();
    await Promise.all([this.executor.close(), this.#threads?.close()]);
    await Promise.all([...this.#started].map((started) => started.close()));
    this.#sudo.clear();
  }

  /** Lets go of what runs were lent. */
  async close(): Promise<void> {
    for (const run of this.#runs) run.unlock();
    await Promise.all([...this.#aids, ...this.#checks, ...this.#polls].map((each) => each.close()));
  }

  /** A run of this job, not started yet. Throws MyriadError `usage` for options that cannot be taken. */
  run(job: JobSpec, options: RunOptions, aids: RunAids, sudo?: PasswordSource, resumed?: Resumption): Run {
    const { kinds, hosts, lag, resolved: fleet, secrets, sent, ways } = this.#parts;
    const kind = kinds.get(job.kind)!;
    const valid = kind.validate(job.options);
    const { gather, maxOutput, repeat, lingerMs, graceMs, ...resolved } = resolveRun(fleet, options);
    const redactor = new Redactor(options.redact ?? [], secrets);
    const title = redactor.text(kind.title(valid));
    const sudoPassword = sent.passwords(sudo);
    const plan = new HostPlan(hosts, repeat);
    const todo = resumed?.planOf(plan) ?? plan;
    const id = resumed?.id ?? newRunId();
    // What is gone on with is the round that was in progress.
    const polling = resumed ? undefined : this.#polling(options, id, plan);
    const connections = connectionsBeside(this.#warm, this.#parts.options.threads);
    const asked = { ...this.#parts.options, commandMs: options.commandMs, connections };
    const limits = polling?.limits(resolved.limits, asked) ?? resolved.limits;
    const record = this.#recorder({ id, title, job, limits, repeat, options, redactor }, kind, resumed);
    let journal: JournalWriter | undefined;
    const waves = this.#waves(options, { run: id, plan: todo, limits, redactor, gather, maxOutput, lingerMs, graceMs });
    const start: StartEngine = async (listener, onOutput) => {
      if (kind.transport === 'native') await ways.native();
      else if (kind.transport === 'scan') await ways.scan();
      else ways.local();
      // Each thread has connections of its own, and any thread may get a host's next task.
      const spread = polling === undefined || typeof this.#parts.options.threads === 'number';
      const executor = this.#executorOf(kind, spread ? plan.count : 1, options);
      const kept = kind.transport === 'native' && executor === this.executor ? () => ways.kept : undefined;
      const rounds = await polling?.over(executor, kept);
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
    const check = () => checkRun(kind, valid, aids, hosts);
    const rendered = kind.line?.(valid);
    const line = (target: Target) => rendered && redactor.text(rendered(target, plan.count, aids.lent.values ?? {}));
    const parts = {
      start,
      check,
      line,
      resize: (columns: number, rows: number) => aids.resize(columns, rows),
      waves,
      polling,
      lag,
      lock: lockOf(options, { run: id, hosts, repeat, job }),
      journal: () => journal?.path,
      onStop: options.onStop,
    };
    const run = new Run(id, title, plan, parts, options.signal);
    if (options.listener) run.on(options.listener);
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
    this.#warm = warmOfRounds(this.#warm, this.#parts.options, everyMs, plan.hosts);
    this.#parts.ways.keep(this.#warm);
    return new RunPolling({
      polling,
      run,
      count: plan.count,
      clock: systemClock,
      warn: (text) => this.#parts.warn(text),
    });
  }

  /** How a run gets into the journal; undefined: it does not. */
  #recorder(
    run: Omit<NewRun, 'hosts' | 'fleet' | 'tell'>,
    kind: JobKind,
    resumed: Resumption | undefined,
  ): (() => Promise<Recorded>) | undefined {
    if (resumed !== undefined) return () => resumed.go(run.options);
    const { journal = false } = this.#parts.options;
    // To look at hosts is no deed that could be gone on with.
    if (
      journal === false ||
      kind.transport === 'scan' ||
      (run.job.kind === 'check' && run.options.everyMs === undefined)
    )
      return undefined;
    const tell = (text: string) => this.#parts.warn(text);
    return () => recordRun({ ...run, hosts: this.#parts.hosts, fleet: this.#parts.options, tell });
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
    const kind = this.#parts.kinds.get('command')!;
    return new RunWaves({
      waves,
      request,
      plan,
      limits,
      redactor,
      clock: systemClock,
      command: (command) => spec('command', { command, shell: options.shell }),
      executor: async (hosts) => {
        await this.#parts.ways.native();
        return this.#executorOf(kind, hosts, {});
      },
      threads: threadsForRun(this.#parts.options.threads ?? 'auto', plan.count) > 1,
    });
  }

  /** Threads where the run is worth them, and has nothing that stays on the main thread. */
  #executorOf(kind: JobKind, tasks: number, options: RunOptions): Executor {
    const { threads = 'auto' } = this.#parts.options;
    if (kind.transport !== 'native' || threadsForRun(threads, tasks) === 1) return this.executor;
    const kept = kind.kind === 'inline' ? KEPT_FUNCTION : keptHere(this.#parts.options, options);
    if (kept !== undefined) {
      refuseKept(threads, kept);
      return this.executor;
    }
    this.#threads ??= openThreads({
      options: this.#parts.options,
      warm: this.#warm,
      clock: systemClock,
      warn: (text) => this.#parts.warn(text),
      router: () => this.#parts.ways.router(),
      passwords: () => this.#parts.ways.passwords,
      answer: this.#parts.answers(),
      keys: this.#parts.ways.keys,
    });
    return this.#threads;
  }

  #sudoSecret(source: PasswordSource, host: Host): Secret {
    return this.#sudo.secretFor(source, { ...host, ...this.#parts.destination(host) });
  }
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
