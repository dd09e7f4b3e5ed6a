/**
 * Kills a process that journals, by SIGKILL at a chosen moment, resumes its run, and says what does not come out even.
 * For the tests with a few moments, for the long checks with many.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOST_IN_CRASH } from '../../src/journal/journal.ts';
import { made, result, WHO } from './runs.ts';

/** Tasks of one group commit. */
const GROUP = 256;

export interface CrashPlan {
  readonly folder: string;
  readonly count: number;
  readonly fanout: number;
  /** While the plan is stored: before its host `killAt`; while tasks run: after `killAt` commands. */
  readonly killIn: 'plan' | 'tasks';
  readonly killAt: number;
  /** Where commands are noted that ran. */
  readonly log: string;
}

export interface CrashFinding {
  readonly executed: number;
  readonly done: number;
  readonly lost: number;
  /** Empty where all is well, a sentence each otherwise. */
  readonly problems: readonly string[];
}

/** `folder` is empty, and the caller removes it. */
export async function crashAndResume(wish: Omit<CrashPlan, 'log'>): Promise<CrashFinding> {
  const plan: CrashPlan = { ...wish, log: join(wish.folder, 'executed.log') };
  const child = spawn(process.execPath, [join(import.meta.dirname, 'crash_child.ts'), JSON.stringify(plan)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  if (signal !== 'SIGKILL') throw new Error('the run ended before it was killed');
  return plan.killIn === 'plan' ? afterPlan(plan) : await afterTasks(plan);
}

async function afterPlan({ folder }: CrashPlan): Promise<CrashFinding> {
  const { journal } = made(folder);
  const problems: string[] = [];
  const reader = journal.read('last');
  if (reader.info.state !== 'crashed') problems.push(`the run is ${reader.info.state}`);
  reader.close();
  const why = await journal.resume('last', WHO).then(
    () => 'resumed',
    (error: Error) => error.message,
  );
  if (!why.includes('its plan was not complete')) problems.push(`resume said: ${why}`);
  return { executed: 0, done: 0, lost: 0, problems };
}

function executedOf({ log }: CrashPlan): { readonly indices: number[]; readonly confirmed: number[] } {
  const lines = existsSync(log) ? readFileSync(log, 'latin1').split('\n') : [];
  const numbers = (mark: string) => lines.filter((line) => line.startsWith(mark)).map((line) => Number(line.slice(1)));
  return { indices: numbers('x'), confirmed: numbers('f') };
}

async function afterTasks(plan: CrashPlan): Promise<CrashFinding> {
  const { journal, summary } = made(plan.folder, { id: 'crash', count: plan.count });
  const problems: string[] = [];
  const before = executedOf(plan);
  const reader = journal.read('crash');
  const { done, lost } = reader.resumeState();
  for (const index of before.indices) if (!done.has(index) && !lost.has(index)) problems.push(`${index} ran unclaimed`);
  for (const index of before.confirmed) if (!done.has(index)) problems.push(`the result of ${index} was confirmed`);
  const withoutResult = before.indices.filter((index) => !done.has(index)).length;
  if (lost.size > withoutResult + GROUP) problems.push(`${lost.size} are lost, ${withoutResult} ran without a result`);
  reader.close();

  const writer = await journal.resume('crash', WHO);
  const again: number[] = [];
  for (const index of lost) await writer.result(result('crash', index, { outcome: LOST_IN_CRASH }));
  for (let index = 0; index < plan.count; index++) {
    if (done.has(index) || lost.has(index)) continue;
    void writer.claim(index, 1);
    again.push(index);
    await writer.result(result('crash', index));
  }
  await writer.end(summary);
  await writer.close();

  const ran = new Set(before.indices);
  if (ran.size !== before.indices.length) problems.push('a command ran twice before the crash');
  for (const index of again) if (ran.has(index)) problems.push(`${index} ran twice`);
  problems.push(...unevenOutcomes(plan, lost.size));
  return { executed: before.indices.length, done: done.size, lost: lost.size, problems };
}

/** Every host has exactly one outcome. */
function unevenOutcomes({ folder, count }: CrashPlan, lost: number): string[] {
  const reader = made(folder).journal.read('crash');
  const problems: string[] = [];
  let next = 0;
  for (const { index, outcome, host } of reader.results()) {
    if (index !== next) problems.push(`task ${next} has no outcome`);
    if (outcome.kind !== 'ok' && outcome.kind !== 'lost') problems.push(`task ${index} is ${outcome.kind}`);
    if (host.label !== `h${index + 1}`) problems.push(`task ${index} is that of ${host.label}`);
    next = index + 1;
  }
  if (next !== count) problems.push(`${count} are planned, ${next} have an outcome`);
  const { ok = 0, lost: counted = 0 } = reader.info.outcomes;
  if (counted !== lost || ok !== count - lost) problems.push(`counted: ${ok} ok, ${counted} lost; lost: ${lost}`);
  if (reader.info.state !== 'ended') problems.push(`the run is ${reader.info.state}`);
  reader.close();
  return problems;
}
