/** What a parser must ask for: hosts that a text does not spell out. */
import type { Block } from './blocks.ts';

/** Ends parsing: what should stand where the name does. */
export type Refuse = (expected: string) => never;

/** What matches nothing: ends parsing as Refuse does, or says so and goes on with no host. */
export type Unmatched = (expected: string) => readonly Block[];

/** Groups, and the hosts that are known. `source` undefined: the one that is meant where none is named. */
export interface Names {
  /** The hosts of a group, whose name may have wildcards. `unmatched` hears of one that is not known. @default refuse */
  group(source: string | undefined, name: string, refuse: Refuse, unmatched?: Unmatched): readonly Block[];
  /** The names of all groups of a source, as if they were hosts. */
  groupNames(source: string | undefined, refuse: Refuse): readonly Block[];
  /** All hosts of a source; of none named: all that are known. */
  hosts(source: string | undefined, refuse: Refuse): readonly Block[];
}
