/** Runs and results as they might be; without vitest, so that processes of their own can use it. */

import type { Limits } from '../../src/contracts/limits.ts';
import { OUTCOME_KINDS, type Outcome, type OutcomeKind } from '../../src/contracts/outcome.ts';
import type { Summary } from '../../src/contracts/summary.ts';
import { Bytes, type TaskResult } from '../../src/contracts/task.ts';
import type { PlanRecord, RunRecord, Who } from '../../src/journal/journal.ts';
import { SqliteJournal } from '../../src/journal/sqlite/store.ts';

export const WHO: Who = { loginUser: 'ada', uid: 1000, terminal: '/dev/pts/7', hostName: 'desk', pid: process.pid };

/** What the journal keeps of limits and summaries is JSON: any field will do. */
const LIMITS = { fanout: 10, retries: 3 } as Limits;

export interface Wish {
  readonly id?: string;
  readonly count?: number;
  readonly startedAt?: number;
  readonly now?: () => number;
  readonly maxPages?: number;
}

/** All that is needed to begin a run of `count` hosts `h1` … */
export function made(
  folder: string,
  { id = 'run-1', count = 10, startedAt = Date.now(), now = Date.now, maxPages }: Wish = {},
): { journal: SqliteJournal; record: RunRecord; plan: PlanRecord; summary: Summary } {
  const journal = new SqliteJournal(folder, { who: WHO, now, maxPages });
  const job = { kind: 'command', version: 1, options: { command: 'uptime' } };
  const argv = ['myriad', '-w', `h[1-${count}]`, 'uptime'];
  const record: RunRecord = { id, startedAt, title: 'uptime', job, limits: LIMITS, argv, who: WHO };
  const plan: PlanRecord = { kind: 'set', text: `h[1-${count}]`, hosts: count, repeat: 1 };
  return { journal, record, plan, summary: summaryOf(id, count) };
}

export const OK: Outcome = { kind: 'ok', began: 'yes', status: 0 };

export function result(run: string, index: number, changes: Partial<TaskResult> = {}): TaskResult {
  return {
    run,
    round: 0,
    index,
    attempt: 1,
    host: { label: `h${index + 1}`, name: `h${index + 1}`, user: undefined, port: undefined },
    iteration: 1,
    outcome: OK,
    reached: undefined,
    startedAt: 1_790_000_000_000 + index,
    durationMs: 12.5,
    phases: { connect: { start: 0, end: 1.25 }, command: { start: 2, end: 12.5 } },
    executor: 'main',
    stdout: output(`hello from ${index}\n`),
    stderr: Bytes.empty,
    notes: [],
    ...changes,
  };
}

export function output(text: string | Buffer): Bytes {
  const bytes = Buffer.from(text);
  return new Bytes(bytes, bytes.length);
}

function summaryOf(run: string, planned: number): Summary {
  const outcomes = Object.fromEntries(OUTCOME_KINDS.map((kind) => [kind, 0])) as Record<OutcomeKind, number>;
  return {
    run,
    planned,
    outcomes: { ...outcomes, ok: planned },
    causes: [{ kind: 'ok', label: 'ok', count: planned, example: OK, indices: () => [] }],
    durationMs: 1,
    stopped: 'no',
    stopReason: '',
  } as unknown as Summary;
}

/** A run of `count` hosts that ended ok, all of them. */
export async function endedRun(folder: string, id: string, count: number, startedAt = Date.now()): Promise<void> {
  const { journal, record, plan, summary } = made(folder, { id, count, startedAt });
  const writer = await journal.create(record, plan);
  for (let index = 0; index < count; index++) {
    void writer.claim(index, 1);
    await writer.result(result(id, index));
  }
  await writer.end(summary);
  await writer.close();
}
