/** Results, events and sinks for the tests of output. */
import type { RoundEndEvent, TaskEndEvent, TaskOutputEvent } from '../../src/contracts/events.ts';
import type { Clock } from '../../src/contracts/limits.ts';
import { OUTCOME_KINDS, type Outcome, type OutcomeKind, outcomeLabel } from '../../src/contracts/outcome.ts';
import type { CauseCount, Summary } from '../../src/contracts/summary.ts';
import { Bytes, type StreamName, type TaskResult } from '../../src/contracts/task.ts';
import type { Sink } from '../../src/output/writer.ts';

/** Keeps what is written, as it was written. */
export class MemorySink implements Sink {
  readonly terminal: boolean;
  readonly log: Buffer[] = [];
  pending = 0;
  full = false;
  flushes = 0;
  onWrite: (() => void) | undefined;

  constructor(terminal = false) {
    this.terminal = terminal;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.log);
  }

  get text(): string {
    return this.bytes.toString();
  }

  write(data: Uint8Array | string): void {
    this.onWrite?.();
    this.log.push(typeof data === 'string' ? Buffer.from(data) : Buffer.from(data));
  }

  flush(): void {
    this.flushes++;
  }

  drained(): Promise<void> {
    return Promise.resolve();
  }
}

export function sinks(terminal = false): { stdout: MemorySink; stderr: MemorySink } {
  return { stdout: new MemorySink(terminal), stderr: new MemorySink(terminal) };
}

export const label = (index: number): string => `web${index + 1}`;

/** Joined by commas; runs of `web1`… become `web[1-3]`, which is all that these tests need to see. */
export function fold(labels: Iterable<string>): string {
  const out: string[] = [];
  let run: { from: number; to: number } | undefined;
  const close = (): void => {
    if (run !== undefined) out.push(run.from === run.to ? `web${run.from}` : `web[${run.from}-${run.to}]`);
    run = undefined;
  };
  for (const label of labels) {
    const number = /^web(\d+)$/.exec(label)?.[1];
    if (number !== undefined && run !== undefined && Number(number) === run.to + 1) {
      run.to++;
      continue;
    }
    close();
    if (number === undefined) out.push(label);
    else run = { from: Number(number), to: Number(number) };
  }
  close();
  return out.join(',');
}

export const OK: Outcome = { kind: 'ok', began: 'yes', status: 0 };

export interface ResultParts {
  readonly stdout?: string | Buffer;
  readonly stderr?: string | Buffer;
  readonly outcome?: Outcome;
  /** Bytes of stdout that were received but not kept. */
  readonly cut?: number;
  readonly changes?: Partial<TaskResult>;
}

export function result(index: number, parts: ResultParts = {}): TaskResult {
  const stdout = Buffer.from(parts.stdout ?? '');
  const stderr = Buffer.from(parts.stderr ?? '');
  return {
    run: 'r1',
    round: 0,
    index,
    attempt: 1,
    iteration: 1,
    host: { label: label(index), name: label(index) },
    outcome: parts.outcome ?? OK,
    reached: undefined,
    startedAt: 1_700_000_000_000,
    durationMs: 12.3456789,
    phases: {},
    executor: 'main',
    stdout: new Bytes(stdout, stdout.length + (parts.cut ?? 0)),
    stderr: new Bytes(stderr, stderr.length),
    notes: parts.cut ? ['stdout truncated'] : [],
    ...parts.changes,
  };
}

export function ended(index: number, parts: ResultParts = {}): TaskEndEvent {
  return { type: 'task:end', time: 1, result: result(index, parts) };
}

export function piece(index: number, stream: StreamName, data: Uint8Array, attempt = 1): TaskOutputEvent {
  const host = { label: label(index), name: label(index) };
  return { type: 'task:output', time: 1, run: 'r1', round: 0, index, attempt, host, stream, data };
}

/** One outcome of every kind, and every variant that has a label or an advice of its own. */
export const OUTCOMES: readonly Outcome[] = [
  OK,
  { kind: 'ok', began: 'yes', status: null },
  ...[1, 126, 127, 255].map((status): Outcome => ({ kind: 'failed', began: 'yes', status })),
  { kind: 'failed', began: 'yes', status: null, cause: 'job', message: 'the pool is degraded' },
  { kind: 'signalled', began: 'yes', signal: 'KILL', coreDumped: false },
  { kind: 'signalled', began: 'yes', signal: 'SEGV', coreDumped: true },
  { kind: 'no-status', began: 'yes' },
  ...(['algorithm', 'service', 'session', 'exec', 'subsystem', 'forwarding'] as const).map(
    (what): Outcome => ({ kind: 'refused', began: 'no', what, reason: 'no (1)' }),
  ),
  ...(['dns', 'connect', 'handshake', 'auth', 'open', 'run'] as const).map(
    (phase): Outcome => ({ kind: 'timeout', began: 'no', phase, remote: 'none' }),
  ),
  { kind: 'timeout', began: 'yes', phase: 'command', remote: 'killed' },
  { kind: 'timeout', began: 'yes', phase: 'idle', remote: 'unknown' },
  ...(['dns', 'refused', 'no-route', 'reset', 'local-limit', 'throttled'] as const).map(
    (cause): Outcome => ({ kind: 'unreachable', began: 'no', cause, message: `seen: ${cause}` }),
  ),
  { kind: 'auth-failed', began: 'no', tried: ['publickey SHA256:abc'], allowed: ['password'] },
  {
    kind: 'host-key',
    began: 'no',
    cause: 'changed',
    keyType: 'ssh-ed25519',
    fingerprint: 'SHA256:x',
    advice: 'look twice',
  },
  { kind: 'protocol', began: 'no', message: 'expected SSH-2.0-' },
  { kind: 'lost', began: 'maybe', cause: 'peer-closed', message: 'closed by the peer' },
  { kind: 'cancelled', began: 'yes', remote: 'left-running' },
  { kind: 'skipped', began: 'no' },
  { kind: 'not-run', began: 'no' },
  { kind: 'error', began: 'no', code: 'internal', message: 'oops' },
];

function counts(given: Partial<Record<OutcomeKind, number>>): Record<OutcomeKind, number> {
  const all: Partial<Record<OutcomeKind, number>> = {};
  for (const kind of OUTCOME_KINDS) all[kind] = given[kind] ?? 0;
  return all as Record<OutcomeKind, number>;
}

/** A summary over the given outcomes, each as often as it says, in the order of the plan. */
export function summaryOf(parts: readonly (readonly [Outcome, number])[], changes: Partial<Summary> = {}): Summary {
  const outcomes = counts({});
  const causes: CauseCount[] = [];
  let planned = 0;
  for (const [example, count] of parts) {
    const base = planned;
    const indices = (): number[] => Array.from({ length: count }, (_, offset) => base + offset);
    causes.push({ kind: example.kind, label: outcomeLabel(example), count, example, indices });
    outcomes[example.kind] += count;
    planned += count;
  }
  const sum = (test: (outcome: Outcome) => boolean): number =>
    parts.reduce((total, [outcome, count]) => total + (test(outcome) ? count : 0), 0);
  return {
    run: 'r1',
    planned,
    outcomes,
    causes: causes.sort((a, b) => b.count - a.count),
    unreached: sum((o) => o.began === 'no' && o.kind !== 'skipped' && o.kind !== 'not-run'),
    uncertain: sum((o) => o.kind === 'lost' || (o.kind === 'timeout' && o.began === 'maybe')),
    cutOff: sum((o) => o.kind === 'timeout' && o.began === 'yes'),
    truncated: 0,
    leftOpen: 0,
    outputCut: 0,
    byOpenssh: 0,
    retries: 0,
    resumed: 0,
    maxStatus: parts.reduce<number | null>(
      (most, [o]) => ('status' in o ? Math.max(most ?? 0, o.status ?? 0) : most),
      null,
    ),
    stdoutBytes: 0,
    stderrBytes: 0,
    durationMs: 1000,
    stopped: 'no',
    stopReason: '',
    limitedBy: '',
    ...changes,
  };
}

/** Time that moves only when told to. */
export class ManualClock implements Clock {
  #now = 0;
  #timers: { readonly at: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  epoch(): number {
    return 1_700_000_000_000 + this.#now;
  }

  get timers(): number {
    return this.#timers.length;
  }

  setTimer(delayMs: number, callback: () => void): { cancel(): void } {
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  advance(milliseconds: number): void {
    const until = this.#now + milliseconds;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#now = due.at;
      due.callback();
    }
    this.#now = until;
  }
}

/** The end of a round without tasks. */
export function roundEnd(round: number): RoundEndEvent {
  const { outcomes } = summaryOf([]);
  const hosts = { up: 0, down: 0, unknown: 0, stale: 0, oldestMs: 0 };
  const came = { planned: 0, outcomes, durationMs: 1.5, changes: 0, hosts, overruns: 0 };
  return { type: 'round:end', time: 1, run: 'r1', round, ...came };
}
