/** A recorded sweep once more: what each address came to, as it stands in the journal, and the hosts that a selection of it means. */
import { MyriadError } from '../contracts/errors.ts';
import { type HostSet, parseHostFile } from '../hostset/hostset.ts';
import type { RunSelection } from '../journal/journal.ts';
import { isSelected } from '../journal/selection.ts';
import type { SweepReader } from '../journal/sweeps.ts';
import { PingRanges } from '../output/ping_ranges.ts';
import type { PingChunk } from '../ping/chunk.ts';
import { PART, SweepPart } from '../ping/part.ts';
import { ADDRESS_STATES, outcomeOf } from '../ping/state.ts';
import { resolvePing } from './ping_options.ts';
import { PingRecord } from './ping_record.ts';
import { restoreTargets, type StoredPing } from './ping_stored.ts';
import { labelOf, numberOf, type Targets } from './ping_targets.ts';
import { type PingSummary, summaryOf } from './ping_totals.ts';

/** As `Ping`, with nothing that is asked. */
export interface RecordedPing {
  readonly count: number;
  readonly banners: readonly string[];
  /** Probes for each address, at most. */
  readonly probes: number;
  label(index: number): string;
  number(index: number): number | undefined;
  /** What each address came to, in their order; those that nothing is known of included. */
  chunks(): Iterable<PingChunk>;
  /** Once the chunks have been read. */
  summary(): PingSummary;
}

/** Reads it; closing it is the caller's affair. Throws MyriadError `journal` where it is damaged. */
export function recordedPing(reader: SweepReader): RecordedPing {
  return new Replay(reader);
}

class Replay implements RecordedPing {
  readonly count: number;
  readonly banners: readonly string[];
  readonly probes: number;
  readonly #targets: Targets;
  readonly #record: PingRecord;
  readonly #states = new Float64Array(ADDRESS_STATES.length);

  constructor(reader: SweepReader) {
    const { options } = reader.record.job as { readonly options: StoredPing };
    const { rules, level } = resolvePing(options);
    this.#targets = restoreTargets(reader.info.id, reader.targets);
    this.#record = new PingRecord(reader, { rules, banner: level === 'banner' });
    this.count = this.#targets.count;
    this.probes = rules.passes;
    this.banners = ['', ...this.#record.before.banners];
  }

  label(index: number): string {
    return labelOf(this.#targets, index);
  }

  number(index: number): number | undefined {
    return numberOf(this.#targets, index);
  }

  *chunks(): Generator<PingChunk> {
    let next = 0;
    for (const chunk of this.#record.rest(0, this.count)) {
      yield* this.#blanks(next, chunk.base);
      for (const state of chunk.state) this.#states[state]!++;
      yield chunk;
      next = chunk.base + chunk.count;
    }
    yield* this.#blanks(next, this.count);
  }

  *#blanks(from: number, end: number): Generator<PingChunk> {
    for (let base = from; base < end; base += PART) {
      yield SweepPart.blank(base, Math.min(PART, end - base), this.#record.shape);
    }
  }

  summary(): PingSummary {
    const stopped = this.#states.reduce((sum, count) => sum + count, 0) < this.count;
    return summaryOf(this.#targets, this.#states, this.#record.before, { stopped, run: this.#record.id });
  }
}

/** The hosts of a sweep that a selection means. Throws `empty-selection` where it means none. Closes the reader. */
export function sweptHosts(reader: SweepReader, reference: string, selection: RunSelection): HostSet {
  try {
    const wanted = ADDRESS_STATES.map((state) => isSelected(selection, outcomeOf(state)));
    const sweep = recordedPing(reader);
    const sets: string[] = [];
    const ranges = new PingRanges((_state, set) => sets.push(set));
    for (const { base, state } of sweep.chunks()) {
      state.forEach((code, i) => {
        if (!wanted[code]) return;
        const address = sweep.number(base + i);
        if (address === undefined) ranges.addName(0, sweep.label(base + i));
        else ranges.add(0, address);
      });
    }
    ranges.end();
    if (sets.length > 0) return parseHostFile(sets.join('\n'), `sweep ${reader.info.id}`);
    throw new MyriadError('empty-selection', `from "${reference}": no host of sweep ${reader.info.id} is meant`);
  } finally {
    reader.close();
  }
}
