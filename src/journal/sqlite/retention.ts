/**
 * Keeps the file of a repeated run from growing: rounds that are old go, and with them what only they had.
 *
 * Outcomes and outputs are shared by results. Which of them nobody needs any more would take a look at all results; instead they
 * are shared within a generation of rounds only, so that those of a generation, a range of keys, go with its last round.
 *
 *   rounds ──a tenth of what is kept──▶ next generation
 *   generation ──its last round is too old, or the file too large──▶ gone
 */
import type { DatabaseSync } from 'node:sqlite';
import { MAX_TASKS } from '../codec.ts';
import type { KeptRounds } from '../journal.ts';
import {
  countByKind,
  deleteRoundsBefore,
  deleteSharedUpTo,
  lastKeys,
  type SharedKeys,
  usedBytes,
} from './statements_rounds.ts';

/** Parts into which what is kept is divided. */
const GENERATIONS = 10;

interface Generation {
  readonly lastRound: number;
  /** Of everything that its results may point to. */
  readonly keys: SharedKeys;
}

export class RoundRetention {
  readonly #db: DatabaseSync;
  readonly #kept: KeptRounds;
  /** Those that are complete, oldest first. */
  #generations: Generation[] = [];
  #firstRound = 0;
  #rounds = 0;

  constructor(db: DatabaseSync, kept: KeptRounds) {
    this.#db = db;
    this.#kept = kept;
  }

  /** A round is complete; true: a generation is, and nothing that is new may share with it. In a transaction. */
  roundEnd(round: number): boolean {
    this.#rounds += 1;
    const full = this.#rounds >= Math.max(1, Math.floor(this.#kept.rounds / GENERATIONS));
    const large = usedBytes(this.#db) > this.#kept.bytes;
    const complete = full || large;
    if (complete) {
      this.#generations.push({ lastRound: round, keys: lastKeys(this.#db) });
      this.#rounds = 0;
    }
    // The newest round stays, however large it is.
    const before = Math.min(round, round - this.#kept.rounds + 1);
    this.#dropBefore(large ? Math.max(before, this.#oldestEnd(round)) : before);
    return complete;
  }

  /** The round after the oldest generation. */
  #oldestEnd(round: number): number {
    return Math.min(round, (this.#generations[0]?.lastRound ?? -1) + 1);
  }

  #dropBefore(round: number): void {
    if (round <= this.#firstRound) return;
    this.#firstRound = round;
    const place = round * MAX_TASKS;
    const dropped = countByKind(this.#db, place);
    deleteRoundsBefore(this.#db, place, dropped);
    let gone: Generation | undefined;
    while (this.#generations[0] !== undefined && this.#generations[0].lastRound < round)
      gone = this.#generations.shift();
    if (gone !== undefined) deleteSharedUpTo(this.#db, gone.keys);
  }
}
