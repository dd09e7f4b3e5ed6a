/** The plan contract: the fixed, ordered list of tasks of a run. */
import type { Target } from '../contracts/task.ts';

/** Random access by arithmetic or from disk: never a list in memory per host. Immutable. */
export interface Plan {
  /** Tasks. */
  readonly count: number;
  /** Tasks of the whole run, where these are what is left of it; theirs are the indices. @default count */
  readonly planned?: number | undefined;
  /** Distinct hosts. */
  readonly hosts: number;
  /** The task at `index`, 0 ≤ index < count. */
  at(index: number): Target;
  /** Of a plan whose tasks come while they run: what is here. @default all of them */
  readonly feed?: PlanFeed | undefined;
}

/** Tasks that come in pieces; read by their place among those that came, from 0 on. */
export interface PlanFeed {
  /** Tasks that can be read now. */
  readonly here: number;
  /** No more will come. */
  readonly ended: boolean;
  /** Set by the run; called when there are more, or the end. */
  more: (() => void) | undefined;
  /** Called by the run when it is stopped: nothing that is not here will run, so that all may come, and the end. */
  stopped?(): void;
}
