/** The rounds of one run: its executor, what is told of them, and who else hears of changes. */
import type { ChangeEvent, RunListener } from '../../contracts/events.ts';
import type { Clock, Limits } from '../../contracts/limits.ts';
import { Bytes } from '../../contracts/task.ts';
import type { StartOptions } from '../../engine/engine.ts';
import type { Executor } from '../../engine/executor.ts';
import { PollingExecutor, type RoundStatus } from '../../engine/polling/polling_executor.ts';
import { Rounds } from '../../engine/polling/rounds.ts';
import { foldHosts } from '../../hostset/fold.ts';
import { eventLine } from '../../output/ndjson.ts';
import { ChangePrograms, MOST_TOLD } from './change_programs.ts';
import { PollMetrics } from './metrics.ts';
import { MetricsServer } from './metrics_server.ts';
import { type AskedOfPolls, limitsOfRounds, type ResolvedPolling } from './options.ts';

export interface RunPollingParts {
  readonly polling: ResolvedPolling;
  readonly run: string;
  /** Tasks of a round. */
  readonly count: number;
  readonly clock: Clock;
  /** Takes a sentence that the caller is to hear. */
  readonly warn: (sentence: string) => void;
}

const NO_PROGRAMS = { ok: 0, failed: 0, dropped: 0 };

export class RunPolling {
  readonly #parts: RunPollingParts;
  readonly #metrics: PollMetrics | undefined;
  #executor: PollingExecutor | undefined;
  #rounds: Rounds | undefined;
  #programs: ChangePrograms | undefined;
  #server: MetricsServer | undefined;

  constructor(parts: RunPollingParts) {
    this.#parts = parts;
    if (parts.polling.metrics !== undefined) this.#metrics = new PollMetrics();
  }

  /** Where the run is among its rounds; undefined: it has not begun. */
  get status(): RoundStatus | undefined {
    return this.#executor?.status;
  }

  /** Where metrics are read; undefined: nowhere, or not yet. */
  get metricsUrl(): string | undefined {
    return this.#server?.url;
  }

  /**
   * The executor that the run gets, on top of its own; `kept`: connections that wait, where they are for this run. Throws `usage` where
   * nothing can listen at the place for metrics.
   */
  async over(executor: Executor, kept?: () => number): Promise<NonNullable<StartOptions['polling']>> {
    const { polling, run, count, clock } = this.#parts;
    const { rules, failAfter, upWhen, extract, onChange, metrics } = polling;
    const look = extract && (({ stdout }: ChangeEvent['result']) => extract(stdout));
    const rounds = new Rounds({ run, rules, count, failAfter, upWhen, extract: look, clock });
    this.#rounds = rounds;
    if (metrics !== undefined) this.#server = await MetricsServer.open(metrics, () => this.#text());
    if (onChange !== undefined) this.#programs = new ChangePrograms({ command: onChange, run, clock });
    this.#executor = new PollingExecutor(executor, { rules, clock, kept });
    return { executor: this.#executor, rounds };
  }

  /** The limits of one round. */
  limits(limits: Limits, asked: AskedOfPolls): Limits {
    return limitsOfRounds(limits, this.#parts.polling.rules.everyMs, asked);
  }

  /** No round begins any more. */
  stop(): void {
    this.#executor?.stop();
  }

  /** Listens to the run; undefined: there is nobody to hear of it. */
  get listener(): RunListener | undefined {
    const { metrics, onChange } = this.#parts.polling;
    if (metrics === undefined && onChange === undefined) return undefined;
    return (event) => {
      this.#metrics?.take(event);
      if (event.type === 'change') this.#programs?.add(lineOf(event));
    };
  }

  /** Resolves when the programs for changes are over, and nothing listens any more. */
  async close(): Promise<void> {
    await Promise.all([this.#programs?.close(), this.#server?.[Symbol.asyncDispose]()]);
    const trouble = this.#programs?.trouble;
    if (trouble !== undefined) this.#parts.warn(trouble);
  }

  #text(): string {
    const { user, system } = process.cpuUsage();
    return this.#metrics!.text({
      hosts: this.#rounds!.hosts,
      overruns: this.status?.overruns ?? 0,
      programs: this.#programs?.counts ?? NO_PROGRAMS,
      residentBytes: process.memoryUsage.rss(),
      cpuSeconds: (user + system) / 1e6,
    });
  }
}

/** As `--output ndjson` has it, with no more of the answer than a program is likely to want. */
function lineOf(event: ChangeEvent): string {
  const { stdout } = event.result;
  const cut = new Bytes(stdout.bytes.subarray(0, MOST_TOLD), stdout.total);
  const names = { label: () => event.result.host.label, fold: foldHosts };
  return eventLine({ ...event, result: { ...event.result, stdout: cut } }, names);
}
