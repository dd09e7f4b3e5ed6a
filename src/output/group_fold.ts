/** Host sets by the names of their groups (`-r`): `@web,db7` instead of `web[1-500],db7`. */
import type { Fold } from './hosts.ts';

/** A group of an inventory. */
export interface NamedGroup extends Iterable<{ readonly label: string }> {
  readonly count: number;
}

/** What a host set takes as the name of a group, without quotes around it. */
const PLAIN_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/**
 * Folds to groups first, then to brackets. A group stands for its hosts only where all of them are in the set and none of them is in
 * a group that was named before: what is written is exactly the set. The largest groups come first; of equal ones the first of the
 * inventory. `most`: no set will have more hosts; a larger group is never listed.
 */
export function groupFold(groups: Iterable<readonly [string, NamedGroup]>, most: number, fold: Fold): Fold {
  const known: { readonly name: string; readonly labels: readonly string[] }[] = [];
  const groupsOf = new Map<string, number[]>();
  for (const [name, group] of groups) {
    if (group.count < 2 || group.count > most || !PLAIN_NAME.test(name)) continue;
    const labels = [...group].map(({ label }) => label);
    for (const label of labels) {
      const its = groupsOf.get(label);
      if (its) its.push(known.length);
      else groupsOf.set(label, [known.length]);
    }
    known.push({ name, labels });
  }
  const sizes = known.map(({ labels }) => labels.length);
  return (labels) => {
    const left = new Set(labels);
    const seen = new Map<number, number>();
    for (const label of left) {
      for (const group of groupsOf.get(label) ?? []) seen.set(group, (seen.get(group) ?? 0) + 1);
    }
    const whole = [...seen].filter(([group, count]) => count === sizes[group]).map(([group]) => group);
    const names: string[] = [];
    for (const group of whole.sort((a, b) => sizes[b]! - sizes[a]! || a - b)) {
      const { name, labels: members } = known[group]!;
      if (!members.every((label) => left.has(label))) continue;
      for (const label of members) left.delete(label);
      names.push(`@${name}`);
    }
    return left.size > 0 ? [...names, fold(left)].join(',') : names.join(',');
  };
}
