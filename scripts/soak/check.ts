/** What a long check is, and what it has to work with. */

export interface Room {
  /** Its own, removed afterwards. */
  readonly dir: string;
  readonly signal: AbortSignal;
  readonly seed: number;
}

export interface Finding {
  /** What was measured, in words. */
  readonly measured: string;
  readonly passed: boolean;
}

export interface Check {
  readonly name: string;
  readonly what: string;
  readonly bound: string;
  run(room: Room): Promise<Finding>;
}
