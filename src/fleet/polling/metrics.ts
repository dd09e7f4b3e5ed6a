/** Counts and histograms of a repeated run in Prometheus' text format 0.0.4; no label is ever a host. */
import type { RunEvent } from '../../contracts/events.ts';
import { OUTCOME_KINDS, type OutcomeKind } from '../../contracts/outcome.ts';
import type { PolledHosts } from '../../contracts/summary.ts';

const TASK_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const ROUND_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600];

/** What a scrape asks for besides: it may come in the middle of a round. */
export interface MetricsNow {
  readonly hosts: PolledHosts;
  readonly overruns: number;
  readonly programs: { readonly ok: number; readonly failed: number; readonly dropped: number };
  readonly residentBytes: number;
  readonly cpuSeconds: number;
}

export class PollMetrics {
  readonly #tasks = Object.fromEntries(OUTCOME_KINDS.map((kind) => [kind, 0])) as Record<OutcomeKind, number>;
  readonly #changes = { up: 0, down: 0, answer: 0 };
  readonly #taskSeconds = new Histogram(TASK_SECONDS);
  readonly #roundSeconds = new Histogram(ROUND_SECONDS);
  #rounds = 0;

  /** Listens to the run. */
  take(event: RunEvent): void {
    if (event.type === 'task:end') {
      this.#tasks[event.result.outcome.kind] += 1;
      this.#taskSeconds.add(event.result.durationMs / 1000);
    } else if (event.type === 'change') this.#changes[event.change] += 1;
    else if (event.type === 'round:end') {
      this.#rounds += 1;
      this.#roundSeconds.add(event.durationMs / 1000);
    }
  }

  text({ hosts, overruns, programs, residentBytes, cpuSeconds }: MetricsNow): string {
    const { up, down, unknown } = hosts;
    return [
      family('myriad_tasks_total', 'counter', 'Tasks that ended, by outcome.', labelled('outcome', this.#tasks)),
      family(
        'myriad_task_duration_seconds',
        'histogram',
        'From the start of a task to its outcome.',
        this.#taskSeconds.samples(),
      ),
      family('myriad_rounds_total', 'counter', 'Rounds that are over.', [['', this.#rounds]]),
      family(
        'myriad_round_duration_seconds',
        'histogram',
        'From the start of a round to its last result.',
        this.#roundSeconds.samples(),
      ),
      family(
        'myriad_round_overruns_total',
        'counter',
        'Rounds that were left out, because the one before was not over.',
        [['', overruns]],
      ),
      family('myriad_changes_total', 'counter', 'Changes of hosts.', labelled('change', this.#changes)),
      family('myriad_hosts', 'gauge', 'Hosts by state.', labelled('state', { up, down, unknown })),
      family('myriad_hosts_stale', 'gauge', 'Hosts without an answer for longer than three periods.', [
        ['', hosts.stale],
      ]),
      family('myriad_oldest_answer_seconds', 'gauge', 'The age of the oldest last answer.', [
        ['', hosts.oldestMs / 1000],
      ]),
      family(
        'myriad_change_programs_total',
        'counter',
        'Programs run for changes, and changes dropped.',
        labelled('result', programs),
      ),
      family('process_resident_memory_bytes', 'gauge', 'Memory of this process.', [['', residentBytes]]),
      family('process_cpu_seconds_total', 'counter', 'User and system time of this process.', [['', cpuSeconds]]),
    ].join('');
  }
}

/** What follows the name, and the value. */
type Sample = readonly [suffix: string, value: number];

class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  add(value: number): void {
    let place = 0;
    while (place < this.#bounds.length && value > this.#bounds[place]!) place += 1;
    this.#counts[place]! += 1;
    this.#sum += value;
  }

  samples(): Sample[] {
    let count = 0;
    const buckets = this.#counts.map((added, place): Sample => {
      count += added;
      return [`_bucket{le="${this.#bounds[place] ?? '+Inf'}"}`, count];
    });
    return [...buckets, ['_sum', this.#sum], ['_count', count]];
  }
}

function labelled(label: string, values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([name, value]) => [`{${label}="${name}"}`, value]);
}

function family(
  name: string,
  type: 'counter' | 'gauge' | 'histogram',
  help: string,
  samples: readonly Sample[],
): string {
  const lines = samples.map(([suffix, value]) => `${name}${suffix} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}
