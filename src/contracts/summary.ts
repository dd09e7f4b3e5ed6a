/** What a run came to: `planned` is the sum over all outcomes, checked at the end of every run. */
import type { Outcome, OutcomeKind } from './outcome.ts';

/** All tasks that ended with one label (`failed(1)`, `timeout(connect)`). */
export interface CauseCount {
  readonly kind: OutcomeKind;
  /** See `outcomeLabel`. */
  readonly label: string;
  readonly count: number;
  /** Their places in the plan, fewer where there are rounds. @default count */
  readonly places?: number | undefined;
  /** The first outcome seen with this label: its message is the example that is shown. */
  readonly example: Outcome;
  /** The plan indices, ascending. Lazily walked: may be as many as the plan has. */
  indices(): Iterable<number>;
}

/** How the hosts of a repeated run stand. */
export interface PolledHosts {
  readonly up: number;
  readonly down: number;
  /** Have neither answered yet nor failed often enough to be down. */
  readonly unknown: number;
  /** Without an answer for longer than three periods. */
  readonly stale: number;
  /** The age of the oldest last answer in milliseconds; of a host that has given none, the time since the run began. */
  readonly oldestMs: number;
}

/** What the rounds of a repeated run came to. */
export interface RoundsSummary {
  readonly rounds: number;
  /** Rounds that were left out, because the one before was not over when they were due. */
  readonly overruns: number;
  readonly changes: number;
  /** At the end. */
  readonly hosts: PolledHosts;
}

export interface Summary {
  readonly run: string;
  /** Tasks planned over all rounds so far. */
  readonly planned: number;
  /** Tasks per outcome; every kind is present. */
  readonly outcomes: Readonly<Record<OutcomeKind, number>>;
  /** Tasks per label, most frequent first. */
  readonly causes: readonly CauseCount[];
  /** Not ok, and the job did not begin on the host. */
  readonly unreached: number;
  /** May have run, result not known. */
  readonly uncertain: number;
  /** Cut off by a deadline after the job began. */
  readonly cutOff: number;
  /** Results with a stream cut at `maxOutput`. */
  readonly truncated: number;
  /** Ended with `output left open`. */
  readonly leftOpen: number;
  /** Ended with `output cut`. */
  readonly outputCut: number;
  /** Reached by the ssh program; the others by our own client. */
  readonly byOpenssh: number;
  /** Attempts beyond the first, over all tasks. */
  readonly retries: number;
  /** Of a run that went on: results that stood already, counted among all others. */
  readonly resumed: number;
  /** The largest exit status seen; null where none came. */
  readonly maxStatus: number | null;
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  readonly durationMs: number;
  /**
   * `cancelled`: by the user · `deadline`: by the run's own deadline · `guard`: because going on would have done harm · `journal`: it
   * could not be recorded any more, or not to its end.
   */
  readonly stopped: 'no' | 'cancelled' | 'deadline' | 'guard' | 'journal';
  /** Why a guard or the journal stopped it, in one sentence; empty where neither did. */
  readonly stopReason: string;
  /** What held the run back, in words; empty where nothing did. */
  readonly limitedBy: string;
  /** Of a repeated run. @default it is none */
  readonly polling?: RoundsSummary | undefined;
}
