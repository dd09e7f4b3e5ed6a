/** What the terms of a host set come to, from left to right. */
import { HostSetError } from '../contracts/errors.ts';
import { type Block, Collector, exact, HostIndex, loose, type Repeated } from './blocks.ts';
import type { HearUnmatched, Term } from './parse.ts';

/** Hears of hosts that were named more than once. */
export type HearRepeated = (repeated: Repeated) => void;

/** What an exclusion that matches nothing comes to. */
export type OnUnmatched = 'refuse' | 'allow' | HearUnmatched;

/**
 * The hosts of all terms, each at its first place. Stretches of `,` and `!` are one piece of work however long they are; each
 * `&` and `^` goes once over all hosts before it. Throws HostSetError for an exclusion that matches nothing, unless allowed.
 */
export function evaluate(
  terms: readonly Term[],
  text: string,
  unmatched: OnUnmatched = 'refuse',
  repeated: HearRepeated = () => {},
): readonly Block[] {
  let blocks: readonly Block[] = [];
  let stretch: Term[] = [];
  const finish = (): void => {
    if (stretch.length > 0) {
      blocks = collect([{ operator: ',', position: 0, blocks }, ...stretch], text, unmatched, repeated);
    }
    stretch = [];
  };
  for (const term of terms) {
    if (term.operator === ',' || term.operator === '!') stretch.push(term);
    else {
      finish();
      blocks = term.operator === '&' ? common(blocks, term.blocks) : oneOf(blocks, term.blocks);
    }
  }
  finish();
  return blocks;
}

/** A host stays where the other side matches it, user and port counting only where that side has them, as for `!`. */
function common(blocks: readonly Block[], others: readonly Block[]): Block[] {
  const index = indexOf(others);
  return blocks.flatMap((block) => index.intersectWith(block, loose) ?? []);
}

/** Hosts that the other side does not match, then those of the other side that match none. */
function oneOf(blocks: readonly Block[], others: readonly Block[]): readonly Block[] {
  const collector = new Collector();
  const index = indexOf(others);
  for (const block of blocks) addAll(collector, index.subtractFrom(block, loose));
  const before = indexOf(blocks, loose);
  for (const block of others) addAll(collector, before.subtractFrom(block));
  return collector.finish();
}

function addAll(collector: Collector, block: Block | undefined): void {
  if (block) collector.add(block);
}

/**
 * The hosts of `,` and `!` terms. A host of a term stays unless a later exclusion matches it, so one walk from the end, with
 * the exclusions met so far, decides all terms.
 */
function collect(
  terms: readonly Term[],
  text: string,
  unmatched: OnUnmatched,
  repeated: HearRepeated,
): readonly Block[] {
  const collector = new Collector();
  if (!terms.some((term) => term.operator === '!')) {
    for (const term of terms) for (const block of term.blocks) collector.add(block);
    if (collector.repeated.count > 0) repeated(collector.repeated);
    return collector.finish();
  }
  if (unmatched !== 'allow') hearUnmatched(terms, text, unmatched === 'refuse' ? refuse : unmatched);
  const excluded = new HostIndex(exact);
  const kept: Block[] = [];
  for (const { operator, blocks } of terms.toReversed()) {
    for (const block of blocks.toReversed()) {
      if (operator === '!') excluded.add(block);
      else {
        const rest = excluded.subtractFrom(block, loose);
        if (rest) kept.push(rest);
      }
    }
  }
  for (const block of kept.reverse()) collector.add(block);
  if (collector.repeated.count > 0) repeated(collector.repeated);
  return collector.finish();
}

/** An exclusion that excludes nothing must not pass in silence: it is most likely misspelt. */
function hearUnmatched(terms: readonly Term[], text: string, hear: HearUnmatched): void {
  const before = new HostIndex(loose);
  for (const { operator, position, blocks } of terms) {
    if (operator !== '!') for (const block of blocks) before.add(block);
    else if (blocks.every((block) => before.subtractFrom(block) === block)) {
      hear(new HostSetError(text, position, 'an exclusion that matches a host before it'));
    }
  }
}

function refuse(error: HostSetError): never {
  throw error;
}

function indexOf(blocks: readonly Block[], filing = exact): HostIndex {
  const index = new HostIndex(filing);
  for (const block of blocks) index.add(block);
  return index;
}
