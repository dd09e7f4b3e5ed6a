/** A bounded picture of a set of hosts: folded, cut to a length, with the number of those left out. */

/** Turns labels into host set text: `web[1-3]`. */
export type Fold = (labels: Iterable<string>) => string;

/** The label of the task at this place of the plan. */
export type Label = (index: number) => string;

export interface HostsLimits {
  /** Labels folded at most. */
  readonly labels: number;
  /** Characters of folded text at most; a single label that is longer is cut. */
  readonly characters: number;
}

export interface HostsText {
  readonly text: string;
  /** Tasks whose hosts are not in the text. */
  readonly more: number;
}

/** Folds the hosts of `count` plan indices, or as many of the first of them as the limits allow. */
export function foldBounded(
  indices: Iterable<number>,
  count: number,
  label: Label,
  fold: Fold,
  limits: HostsLimits,
): HostsText {
  const labels: string[] = [];
  for (const index of indices) {
    if (labels.length === limits.labels) break;
    labels.push(label(index));
  }
  if (labels.length === 0) return { text: '', more: count };
  const all = fold(labels);
  if (all.length <= limits.characters) return { text: all, more: Math.max(0, count - labels.length) };
  const shown = longestFit(labels, fold, limits.characters);
  const text = fold(labels.slice(0, shown));
  const fits = text.length <= limits.characters;
  return { text: fits ? text : `${text.slice(0, limits.characters)}…`, more: Math.max(0, count - shown) };
}

/**
 * How many of the first labels fold into the given length, at least one. Doubling before halving: where labels do not
 * fold at all only a few dozen fit, and folding thousands of them a dozen times would be the cost of the summary.
 */
function longestFit(labels: readonly string[], fold: Fold, characters: number): number {
  const fits = (count: number): boolean => fold(labels.slice(0, count)).length <= characters;
  let low = 1;
  let high = Math.min(8, labels.length);
  while (high < labels.length && fits(high)) {
    low = high;
    high = Math.min(high * 2, labels.length);
  }
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}
