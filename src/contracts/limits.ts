/** How much at once, how long, how often: the resolved limits of a run, and what may be injected to test them. */

/** Milliseconds per phase; null: no deadline. */
export interface Deadlines {
  /** @default 5000 */
  readonly dnsMs: number;
  /** TCP connect until the server's identification, retries of throttled attempts included. @default 10000 */
  readonly connectMs: number;
  /** Key exchange. @default 15000 */
  readonly handshakeMs: number;
  /** @default 30000 */
  readonly authMs: number;
  /** Channel open and exec request. @default 15000 */
  readonly openMs: number;
  /** The command, from its start. @default null */
  readonly commandMs: number | null;
  /** Without any output. @default null */
  readonly idleMs: number | null;
  /** The whole run. @default null */
  readonly runMs: number | null;
}

export const DEFAULT_DEADLINES: Deadlines = {
  dnsMs: 5_000,
  connectMs: 10_000,
  handshakeMs: 15_000,
  authMs: 30_000,
  openMs: 15_000,
  commandMs: null,
  idleMs: null,
  runMs: null,
};

/** Tasks at once, by what they hold. */
export interface Limits {
  /** Tasks in progress. A task whose host is silent before its identification does not count. */
  readonly fanout: number;
  /** Key exchanges and authentications at once: bound by CPU. @default 64 */
  readonly handshakes: number;
  /** Connections not yet authenticated per address and port: under sshd's MaxStartups (10). @default 8 */
  readonly perAddress: number;
  /** Sockets at once, silent hosts included: what the descriptor limit leaves. */
  readonly connections: number;
  /** How long a silent peer keeps its place at most, in milliseconds; less where hosts answer fast. @default 250 */
  readonly patienceMs: number;
  readonly deadlines: Deadlines;
  /** Tries of a task after transient causes that come before the job can have begun. @default 3 more, unlimited while throttled within the connect deadline */
  readonly retries: number;
  /** They are spent, too, on hosts that were silent for a whole connect deadline: with three, one takes four deadlines. @default false */
  readonly retrySilent?: boolean | undefined;
  /** What bounds `connections`, in words. @default 'connections' */
  readonly connectionsBy?: string | undefined;
  /** Hosts off loopback that may be silent before their identification at once: what the neighbour table holds. @default no bound */
  readonly connecting?: number | undefined;
  /** What may change while the run goes on. @default nothing */
  readonly adapt?: Adaptation | undefined;
}

/** Limits that follow what is measured. */
export interface Adaptation {
  /** How far `fanout` may grow from where it starts. @default it stays */
  readonly fanoutMost?: number | undefined;
  /** How far `handshakes` may grow from where it starts. @default it stays */
  readonly handshakesMost?: number | undefined;
  /** Logins per second, or `ramp`: off loopback few at first, twice as many each second while they stay fast. @default no bound */
  readonly rate?: number | 'ramp' | undefined;
  /** Into how many parts the run was split, of which this is one. @default 1 */
  readonly parts?: number | undefined;
}

/** How output is kept: see architecture §3. */
export type Gather = 'collect' | 'stream' | 'discard' | 'file';

/** Monotonic milliseconds; injected so that tests need not wait. */
export interface Clock {
  /** Monotonic, in milliseconds, fractions included. */
  now(): number;
  /** Milliseconds since the epoch. */
  epoch(): number;
  /** `unref`: the process may end before the timer does. @default the timer keeps it */
  setTimer(delayMs: number, callback: () => void): { cancel(): void; unref?(): void };
}

/** A number in [0, 1); injected so that jitter is repeatable in tests. */
export type Random = () => number;
