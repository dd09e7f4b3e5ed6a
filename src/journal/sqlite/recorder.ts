/**
 * The writer thread's work: batches of claims, outputs and results, one transaction each.
 *
 *   writing ──a commit fails──▶ stuck ──what was kept is committed──▶ writing
 *
 * While stuck, claims are refused: nothing begins that is not recorded. Results are kept (up to 64 MiB) and tried again
 * with each batch and at the end, since what has begun goes on and ends.
 */
import type { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { type Outcome, outcomeLabel } from '../../contracts/outcome.ts';
import { outcomeOf, placeOf, TAG } from '../codec.ts';
import type { KeptOutput, KeptRounds } from '../journal.ts';
import { Packer, Unpacker } from '../packing.ts';
import { Recent } from '../recent.ts';
import { OutputStore } from './outputs.ts';
import { RoundRetention } from './retention.ts';
import {
  insertPlanBlock,
  markEnded,
  markReopened,
  markRunning,
  type ResultRow,
  resultChecksum,
  WriterStatements,
} from './statements.ts';

/** Distinct outcomes that are remembered. */
const REMEMBERED = 4_096;
const KEPT_BYTES = 64 * 1024 * 1024;

type Sync = 'NORMAL' | 'FULL';

interface KnownOutcome {
  readonly row: number;
  readonly outcome: Outcome;
}

export interface BatchContents {
  readonly hasClaims: boolean;
  readonly hasOutputs: boolean;
}

interface Group {
  readonly tally: Map<string, number>;
  claims: number;
}

export class Recorder {
  readonly #db: DatabaseSync;
  readonly #resumed: boolean;
  readonly #statements: WriterStatements;
  readonly #outputs: OutputStore;
  readonly #retention: RoundRetention | undefined;
  #outcomes = new Recent<string, KnownOutcome>(REMEMBERED);
  #freshOutcomes: string[] = [];
  readonly #claims = new Packer(4_096);
  #sync: Sync = 'FULL';
  /** Results that could not be committed, in their order. */
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #dropped = 0;

  /** `resumed`: there may be results of before, some of which give way. */
  constructor(
    db: DatabaseSync,
    outputs: { readonly folder: string; readonly kept: KeptOutput },
    { resumed, keep }: { readonly resumed: boolean; readonly keep: KeptRounds | undefined },
  ) {
    this.#db = db;
    this.#resumed = resumed;
    this.#retention = keep && new RoundRetention(db, keep);
    this.#statements = new WriterStatements(db);
    this.#outputs = new OutputStore(this.#statements, outputs.folder, outputs.kept);
  }

  /** Hosts of a plan that is a list. */
  planBlock(first: number, hosts: Uint8Array): void {
    this.#transact('NORMAL', () => insertPlanBlock(this.#db, first, hosts));
  }

  /** The plan is whole: tasks may begin. */
  running(hosts: number): void {
    this.#transact('FULL', () => markRunning(this.#db, hosts));
  }

  /** The run goes on: it has not ended any more. */
  reopened(): void {
    this.#transact('FULL', () => markReopened(this.#db));
  }

  /** Records a batch; throws where its claims do not stand. Only a batch with claims is synced to the disk. */
  apply(batch: Buffer, { hasClaims, hasOutputs }: BatchContents): void {
    try {
      // Outputs ahead of their results are no part of the transaction: they must not come twice when it is tried again.
      if (hasOutputs) this.#takeOutputs(batch);
      this.#retry();
      this.#transact(hasClaims ? 'FULL' : 'NORMAL', () => this.#record(batch, true));
    } catch (error) {
      this.#keep(batch);
      throw error;
    }
  }

  /** Everything is committed and on the disk; throws where results are still without a record. */
  flush(): void {
    this.#retry();
    if (this.#dropped > 0) throw new Error(`${this.#dropped} batches of results were lost to a full disk`);
    this.#transact('FULL', () => this.#statements.addClaims(0));
  }

  /** Everything of the round is committed; rounds that are too old go. */
  roundEnd(round: number): void {
    this.flush();
    const retention = this.#retention;
    if (retention === undefined) return;
    let complete = false;
    this.#transact('NORMAL', () => {
      complete = retention.roundEnd(round);
    });
    if (!complete) return;
    this.#outcomes = new Recent(REMEMBERED);
    this.#outputs.forget();
  }

  end(at: number, summary: string): void {
    this.flush();
    this.#transact('FULL', () => markEnded(this.#db, at, summary));
  }

  #retry(): void {
    while (this.#kept.length > 0) {
      const batch = this.#kept[0]!;
      this.#transact('NORMAL', () => this.#record(batch, false));
      this.#kept.shift();
      this.#keptBytes -= batch.length;
    }
  }

  /** The batch's buffer goes back to the sender, so it is copied. */
  #keep(batch: Buffer): void {
    if (this.#keptBytes + batch.length > KEPT_BYTES) {
      this.#dropped += 1;
      return;
    }
    this.#kept.push(Buffer.from(batch));
    this.#keptBytes += batch.length;
  }

  #transact(sync: Sync, work: () => void): void {
    if (this.#sync !== sync) {
      this.#db.exec(`PRAGMA synchronous = ${sync}`);
      this.#sync = sync;
    }
    this.#statements.begin();
    try {
      work();
      this.#statements.commit();
    } catch (error) {
      // Some errors end the transaction by themselves.
      if (this.#db.isTransaction) this.#statements.rollback();
      for (const json of this.#freshOutcomes) this.#outcomes.delete(json);
      this.#freshOutcomes = [];
      this.#outputs.rolledBack();
      throw error;
    }
    this.#freshOutcomes = [];
    this.#outputs.committed();
  }

  #takeOutputs(batch: Buffer): void {
    walk(batch, {
      claim: () => {},
      result: () => {},
      output: (round, index, stream, bytes) => this.#outputs.add({ round, index, stream }, bytes),
    });
  }

  #record(batch: Buffer, withClaims: boolean): void {
    // A batch that failed half-way has left its claims here.
    this.#claims.reset();
    const group: Group = { tally: new Map(), claims: 0 };
    walk(batch, {
      claim: (round, index, attempt) => {
        if (!withClaims) return;
        if (this.#resumed) this.#makeWay(group, placeOf(round, index));
        this.#claims.u32(round);
        this.#claims.u32(index);
        this.#claims.u32(attempt);
        group.claims += 1;
      },
      result: (round, index, json, detail, stdout, stderr) => {
        this.#result(group, round, index, json, detail, stdout, stderr);
      },
      output: () => {},
    });
    const claims = group.claims > 0 ? this.#claims.sealed() : undefined;
    if (claims !== undefined) {
      this.#statements.insertClaims(Date.now(), claims);
      this.#statements.addClaims(group.claims);
    }
    for (const [kind, count] of group.tally) if (count !== 0) this.#statements.addTally(kind, count);
  }

  #result(
    group: Group,
    round: number,
    index: number,
    json: string,
    detail: Buffer,
    stdout: Buffer,
    stderr: Buffer,
  ): void {
    const { row, outcome } = this.#outcomeRow(json);
    const out = this.#outputs.store({ round, index, stream: 0 }, stdout);
    const err = this.#outputs.store({ round, index, stream: 1 }, stderr);
    const unchecked = { place: placeOf(round, index), outcome: row, stdout: out, stderr: err, detail };
    const made: ResultRow = { ...unchecked, crc: resultChecksum(unchecked) };
    if (!this.#statements.insertResult(made)) {
      const before = this.#statements.existingOutcome(made.place);
      if (before !== undefined && !gives(before)) return;
      if (before !== undefined) count(group, before.kind, -1);
      this.#statements.replaceResult(made);
    }
    count(group, outcome.kind, 1);
  }

  /** The task is done over: a result of before must not stand for what happens now. */
  #makeWay(group: Group, place: number): void {
    const before = this.#statements.existingOutcome(place);
    if (before === undefined || !gives(before)) return;
    count(group, before.kind, -1);
    this.#statements.removeResult(place);
  }

  #outcomeRow(json: string): KnownOutcome {
    const known = this.#outcomes.get(json);
    if (known !== undefined) return known;
    const outcome = outcomeOf(json);
    const status = 'status' in outcome ? outcome.status : null;
    const label = outcomeLabel(outcome);
    const row = this.#statements.insertOutcome(outcome.kind, label, outcome.began, status, json, crc32(json));
    const made = { row, outcome };
    this.#outcomes.set(json, made);
    this.#freshOutcomes.push(json);
    return made;
  }
}

/** Whether a result gives way to one that comes later: of a task that a resumed run does over. */
function gives(before: { readonly kind: string; readonly label: string; readonly began: string }): boolean {
  if (before.kind === 'not-run' || before.label === 'lost(crash)') return true;
  return before.kind === 'cancelled' && before.began === 'no';
}

function count(group: Group, kind: string, by: number): void {
  group.tally.set(kind, (group.tally.get(kind) ?? 0) + by);
}

interface Visitor {
  claim(round: number, index: number, attempt: number): void;
  result(round: number, index: number, json: string, detail: Buffer, stdout: Buffer, stderr: Buffer): void;
  output(round: number, index: number, stream: number, bytes: Buffer): void;
}

/** Every record of a batch in its order. */
function walk(batch: Buffer, visitor: Visitor): void {
  const from = new Unpacker(batch);
  while (!from.done) {
    const tag = from.u8();
    if (tag === TAG.claim) visitor.claim(from.u32(), from.u32(), from.u32());
    else if (tag === TAG.output) visitor.output(from.u32(), from.u32(), from.u8(), from.bytes());
    else visitor.result(from.u32(), from.u32(), from.text(), from.bytes(), from.bytes(), from.bytes());
  }
}
