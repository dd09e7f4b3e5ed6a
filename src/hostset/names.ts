/** What a parser must ask for: hosts that a text does not spell out. */
import type { Block } from './blocks.ts';

/** Ends parsing: what should stand where the name does. */
export type Refuse = (expected: string) => never;

/** Groups, and the hosts that are known. `source` undefined: the one that is meant where none is named. */
export interface Names {
  /** The hosts of a group, whose name may have wildcards. Refuses one that is not known. */
  group(source: string | undefined, name: string, refuse: Refuse): readonly Block[];
  /** All hosts of a source; of none named: all that are known. */
  hosts(source: string | undefined, refuse: Refuse): readonly Block[];
}
