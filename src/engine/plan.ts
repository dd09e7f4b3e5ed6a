/** The plan contract: the fixed, ordered list of tasks of a run. */
import type { Target } from '../contracts/task.ts';

/** Random access by arithmetic or from disk: never a list in memory per host. Immutable. */
export interface Plan {
  /** Tasks. */
  readonly count: number;
  /** Distinct hosts. */
  readonly hosts: number;
  /** The task at `index`, 0 ≤ index < count. */
  at(index: number): Target;
}
