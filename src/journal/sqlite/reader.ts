/** Reads a run's file, while it is written too: nothing of it is ever held whole. */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { MyriadError } from '../../contracts/errors.ts';
import type { Outcome } from '../../contracts/outcome.ts';
import { Bytes, type Output, type Target, type TaskResult } from '../../contracts/task.ts';
import { IndexSet } from '../../util/index_set.ts';
import { MAX_TASKS, outcomeOf, placeOf, unpackDetail } from '../codec.ts';
import type { RunFiles } from '../folder.ts';
import {
  type JournaledOutput,
  type JournaledPlan,
  type JournaledSummary,
  type JournalReader,
  LOST_IN_CRASH,
  NOT_RUN,
  type ResumeState,
  type RunInfo,
  type RunRecord,
  type RunSelection,
} from '../journal.ts';
import { damaged, Unpacker } from '../packing.ts';
import { Recent } from '../recent.ts';
import { isSelected } from '../selection.ts';
import { SWEEP_KIND } from '../sweeps.ts';
import { damagedFile, journalError } from './errors.ts';
import { isLive } from './lock.ts';
import { checkWhole, openForReading, tallied } from './open.ts';
import { StoredPlan } from './plan.ts';
import {
  countResults,
  type OutputRow,
  ReaderStatements,
  type ResultRow,
  type RunRow,
  resultChecksum,
  selectClaimGroups,
  selectFirstPlace,
  selectLastClaimGroup,
  selectLastPlace,
  selectLastPlanBlock,
  selectResults,
  selectTally,
} from './statements.ts';

/** Distinct outcomes that are remembered. */
const REMEMBERED = 4_096;

/** What a run is, from its first rows alone. */
export function runInfo(db: DatabaseSync, run: RunRow, files: RunFiles): RunInfo {
  const record = parse<RunRecord>(run.record);
  const summary = run.summary === null ? undefined : parse<JournaledSummary>(run.summary);
  // The lock is looked at last: a run that ends in between counts as running, never one that runs as crashed.
  const over = run.phase === 'ended' ? 'ended' : isLive(files.lock) ? run.phase : 'crashed';
  return {
    id: run.id,
    path: files.db,
    startedAt: run.started_at,
    title: record.title,
    who: record.who,
    state: over,
    planned: run.hosts * run.repeat,
    endedAt: run.ended_at ?? undefined,
    stopReason: summary?.stopReason ?? '',
    outcomes: selectTally(db),
  };
}

/** The last round that left a trace. */
function lastRound(db: DatabaseSync): number {
  let round = Math.floor((selectLastPlace(db) ?? 0) / MAX_TASKS);
  const group = selectLastClaimGroup(db);
  if (group === undefined) return round;
  for (const from = Unpacker.sealed(group); !from.done; from.u32(), from.u32()) round = Math.max(round, from.u32());
  return round;
}

function parse<T>(json: string): T {
  try {
    return JSON.parse(json) as T;
  } catch {
    throw damaged();
  }
}

export class SqliteReader implements JournalReader {
  readonly info: RunInfo;
  readonly record: RunRecord;
  readonly summary: JournaledSummary | undefined;
  readonly plan: JournaledPlan;
  readonly lastRound: number;
  readonly #db: DatabaseSync;
  readonly #statements: ReaderStatements;
  readonly #files: RunFiles;
  readonly #claimCount: number;
  readonly #outcomes = new Recent<number, Outcome>(REMEMBERED);

  constructor(files: RunFiles) {
    const { db, run } = openForReading(files.db);
    this.#db = db;
    this.#files = files;
    try {
      this.#statements = new ReaderStatements(db);
      this.info = runInfo(db, run, files);
      this.record = parse(run.record);
      if ((this.record.job as { readonly kind?: string }).kind === SWEEP_KIND) {
        const what = 'which has no tasks: "myriad show", "myriad resume" and --from take it';
        throw new MyriadError('usage', `run ${run.id} is a sweep of "myriad ping", ${what}`);
      }
      this.summary = run.summary === null ? undefined : parse(run.summary);
      this.plan = new StoredPlan(this.#statements, run, selectLastPlanBlock(db));
      this.lastRound = lastRound(db);
      this.#claimCount = run.claims;
    } catch (error) {
      db.close();
      throw journalError(error, files.db);
    }
  }

  *results(round = this.lastRound): Generator<TaskResult> {
    try {
      for (const row of this.#rows(round)) yield this.#result(row, round);
    } catch (error) {
      throw journalError(error, this.#files.db);
    }
  }

  *tasks(round = this.lastRound): Generator<TaskResult> {
    if (!this.#isOver()) {
      yield* this.results(round);
      return;
    }
    const claimed = this.#claimedWhole(round);
    let next = 0;
    for (const result of this.results(round)) {
      for (; next < result.index; next++) yield this.#without(next, round, claimed);
      yield result;
      next = result.index + 1;
    }
    for (; next < this.plan.count; next++) yield this.#without(next, round, claimed);
  }

  *series(index: number): Generator<TaskResult> {
    try {
      for (let round = this.#firstRound; round <= this.lastRound; round++) {
        for (const row of selectResults(this.#db, placeOf(round, index), placeOf(round, index) + 1)) {
          if (resultChecksum(row) !== row.crc) throw damaged();
          yield this.#result(row, round);
        }
      }
    } catch (error) {
      throw journalError(error, this.#files.db);
    }
  }

  get #firstRound(): number {
    return Math.floor((selectFirstPlace(this.#db) ?? 0) / MAX_TASKS);
  }

  *select(selection: RunSelection, round = this.lastRound): Generator<Target> {
    try {
      const over = this.#isOver();
      if (over) checkWhole(this.#db);
      const claimed = over ? this.#claimed(round) : new IndexSet();
      const without = (index: number) =>
        (over && isSelected(selection, claimed.has(index) ? LOST_IN_CRASH : NOT_RUN)) || selection.by === 'all';
      let next = 0;
      for (const { place, outcome } of this.#rows(round)) {
        const index = place % MAX_TASKS;
        for (; next < index; next++) if (without(next)) yield this.plan.at(next);
        if (isSelected(selection, this.#outcome(outcome))) yield this.plan.at(index);
        next = index + 1;
      }
      for (; next < this.plan.count; next++) if (without(next)) yield this.plan.at(next);
    } catch (error) {
      throw journalError(error, this.#files.db);
    }
  }

  resumeState(): ResumeState {
    try {
      checkWhole(this.#db);
      const round = this.lastRound;
      const done = new IndexSet();
      // They have not begun, whatever was claimed: a claim takes the place of an older result.
      const notBegun = new IndexSet();
      for (const { place, outcome } of this.#rows(round)) {
        const { kind, began } = this.#outcome(outcome);
        const open = kind === 'not-run' || (kind === 'cancelled' && began === 'no');
        (open ? notBegun : done).add(place % MAX_TASKS);
      }
      const lost = new IndexSet();
      for (const index of this.#claimed(round)) if (!done.has(index) && !notBegun.has(index)) lost.add(index);
      return { round, done, lost };
    } catch (error) {
      throw journalError(error, this.#files.db);
    }
  }

  close(): void {
    this.#db.close();
  }

  #isOver(): boolean {
    return this.info.state === 'ended' || this.info.state === 'crashed';
  }

  /** Ascending, each as it was written. */
  *#rows(round: number): Generator<ResultRow> {
    for (const row of selectResults(this.#db, placeOf(round, 0), placeOf(round + 1, 0))) {
      if (row.place % MAX_TASKS >= this.plan.count || resultChecksum(row) !== row.crc) throw damaged();
      yield row;
    }
  }

  /** Of a run that is over, none of whose results is gone. */
  #claimedWhole(round: number): IndexSet {
    try {
      if (countResults(this.#db) !== tallied(this.#db)) throw damaged();
      return this.#claimed(round);
    } catch (error) {
      throw journalError(error, this.#files.db);
    }
  }

  /** Every task of the round that was claimed, by all groups. */
  #claimed(round: number): IndexSet {
    const claimed = new IndexSet();
    let count = 0;
    for (const tasks of selectClaimGroups(this.#db)) {
      const from = Unpacker.sealed(tasks);
      while (!from.done) {
        count += 1;
        const inRound = from.u32() === round;
        const index = from.u32();
        from.u32();
        if (inRound) claimed.add(index);
      }
    }
    // Of a live run there may be more by now.
    if (this.#isOver() ? count !== this.#claimCount : count < this.#claimCount) throw damaged();
    return claimed;
  }

  #result(row: ResultRow, round: number): TaskResult {
    const index = row.place % MAX_TASKS;
    const detail = unpackDetail(Unpacker.sealed(row.detail), round, index);
    const target = this.plan.at(index);
    const { stdoutTotal, stderrTotal, ...rest } = detail;
    return {
      ...rest,
      run: this.info.id,
      round,
      index,
      host: hostOf(target),
      iteration: target.iteration,
      outcome: this.#outcome(row.outcome),
      stdout: this.#output(row.stdout, stdoutTotal),
      stderr: this.#output(row.stderr, stderrTotal),
    };
  }

  #outcome(id: number): Outcome {
    const known = this.#outcomes.get(id);
    if (known !== undefined) return known;
    const row = this.#statements.selectOutcome(id);
    if (row === undefined || crc32(row.json) !== row.crc) throw damaged();
    const outcome = outcomeOf(row.json);
    this.#outcomes.set(id, outcome);
    return outcome;
  }

  #output(id: number | null, total: number): Output {
    if (id === null) return new Bytes(NOTHING, total);
    return new StoredOutput(total, this.#files, () => this.#statements.selectOutput(id));
  }

  /** The result of a task that has none, in a run that is over. */
  #without(index: number, round: number, claimed: IndexSet): TaskResult {
    const target = this.plan.at(index);
    return {
      run: this.info.id,
      round,
      index,
      attempt: 1,
      host: hostOf(target),
      iteration: target.iteration,
      outcome: claimed.has(index) ? LOST_IN_CRASH : NOT_RUN,
      reached: undefined,
      startedAt: this.info.endedAt ?? this.info.startedAt,
      durationMs: 0,
      phases: {},
      executor: 'journal',
      stdout: Bytes.empty,
      stderr: Bytes.empty,
      notes: [],
    };
  }
}

const NOTHING = Buffer.alloc(0);

function hostOf({ label, name, user, port, identity }: Target): TaskResult['host'] {
  return { label, name, user, port, identity };
}

/** Read when it is asked for: a list of outcomes needs no output. */
class StoredOutput implements JournaledOutput {
  readonly total: number;
  readonly #files: RunFiles;
  readonly #load: () => OutputRow | undefined;

  constructor(total: number, files: RunFiles, load: () => OutputRow | undefined) {
    this.total = total;
    this.#files = files;
    this.#load = load;
  }

  get sha256(): string {
    return Buffer.from(this.#row().sha256).toString('hex');
  }

  get truncated(): boolean {
    const { bytes, length } = this.#row();
    return this.total > (bytes?.length ?? length);
  }

  /** Throws MyriadError `journal` where it has changed or is gone. */
  get bytes(): Buffer {
    const { bytes, length, crc, sha256 } = this.#row();
    if (bytes !== null) {
      if (crc32(bytes) !== crc) throw damagedFile(this.#files.db);
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    const spilled = this.#spilled();
    if (spilled.length !== length || !hash('sha256', spilled, 'buffer').equals(sha256)) {
      throw damagedFile(join(this.#files.outputs, this.sha256));
    }
    return spilled;
  }

  text(): string {
    return this.bytes.toString('utf8');
  }

  #row(): OutputRow {
    try {
      const row = this.#load();
      if (row !== undefined) return row;
    } catch (error) {
      throw journalError(error, this.#files.db);
    }
    throw damagedFile(this.#files.db);
  }

  #spilled(): Buffer {
    const path = join(this.#files.outputs, this.sha256);
    try {
      return readFileSync(path);
    } catch (cause) {
      throw new MyriadError('journal', `the output ${path} cannot be read: ${(cause as Error).message}`, { cause });
    }
  }
}
