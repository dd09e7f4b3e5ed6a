/** The options of a run that is repeated, and what they come to. */
import { isIP } from 'node:net';
import { MyriadError } from '../../contracts/errors.ts';
import type { Deadlines, Limits } from '../../contracts/limits.ts';
import { MOST_FAIL_AFTER } from '../../engine/polling/host_states.ts';
import type { PollRules } from '../../engine/polling/schedule.ts';
import type { KeptRounds } from '../../journal/journal.ts';
import { type Extract, parseExtract } from './extract.ts';

/** A run in rounds; all but `everyMs` need it. */
export interface PollOptions {
  /**
   * The run is repeated: its rounds start so many milliseconds apart, on connections that are kept in between. A round that is not
   * over when the next is due makes that one an overrun, which is left out and counted. @default it runs once
   */
  readonly everyMs?: number;
  /** How many there are. @default no end */
  readonly rounds?: number;
  /** The starts of a round are spread over so many milliseconds, each host at the same place in each round. @default a tenth of everyMs, or as much as two fifths of it for no more than 2,500 starts a second; no more than 20 ms a task */
  readonly jitterMs?: number;
  /** Failures in a row after which a host counts as down; one answer, and it is up. @default 1 */
  readonly failAfter?: number;
  /**
   * Which hosts are up. `answered`: those whose command came to an end, whatever its status · `ok`: those whose task is ok; answers are
   * not compared then. @default 'answered'
   */
  readonly upWhen?: 'answered' | 'ok';
  /**
   * What of stdout is looked at: a pattern, of which the first group (or all) that matches counts, or a path into JSON, as `.load[0]`.
   * @default all of it
   */
  readonly extract?: string;
  /**
   * A command for /bin/sh here, once per change, which comes on its stdin as one line of JSON. Four at once, 30 s each; where more than
   * 1,000 changes wait, those that come are dropped and counted. @default none
   */
  readonly onChange?: string;
  /** Where counts and histograms can be read in Prometheus' text format: `127.0.0.1:9464`, `[::1]:9464`, or a port on 127.0.0.1. @default nowhere */
  readonly metrics?: string;
  /** How many rounds stay in the journal. @default 1000, and no more than 1 GiB */
  readonly keepRounds?: number;
}

export const POLL_OPTIONS: readonly (keyof PollOptions)[] = [
  'everyMs',
  'rounds',
  'jitterMs',
  'failAfter',
  'upWhen',
  'extract',
  'onChange',
  'metrics',
  'keepRounds',
];

export interface ResolvedPolling {
  readonly rules: PollRules;
  readonly failAfter: number;
  readonly upWhen: 'answered' | 'ok';
  readonly extract: Extract | undefined;
  readonly onChange: string | undefined;
  readonly metrics: MetricsPlace | undefined;
}

export interface MetricsPlace {
  readonly address: string;
  readonly port: number;
}

/** Timers are good for 24 days. */
const MOST_EVERY_MS = 7 * 86_400_000;
const LEAST_EVERY_MS = 10;
/** Of the period: that much, and where starts would be closer together than `LEAST_GAP_MS`, up to that much. */
const JITTER = 0.1;
const MOST_JITTER = 0.4;
/**
 * Starts that come faster than they are dealt with pile up: what 10,000 hosts in one second have under way at once outlives two
 * collections of garbage, and 5 KB a task become old with it, 1 KB where they have four seconds. The rest of a period is for their answers.
 */
const LEAST_GAP_MS = 0.4;
/** Fifty starts a second are not at once. */
const JITTER_A_TASK_MS = 20;
/** Rounds that have a place in a journal. */
const MOST_ROUNDS = 2 ** 21 - 1;

/** Undefined: the run is not repeated. `tasks`: of a round. Throws `usage` for what cannot be taken. */
export function resolvePolling(
  options: PollOptions & { readonly gather?: string; readonly journalOutput?: string },
  tasks: number,
): ResolvedPolling | undefined {
  const { everyMs, gather = 'collect' } = options;
  if (everyMs === undefined) {
    const without = POLL_OPTIONS.find((name) => options[name] !== undefined);
    if (without !== undefined) throw usage(`${without}: the run is not repeated; add everyMs`);
    return undefined;
  }
  between('everyMs', everyMs, LEAST_EVERY_MS, MOST_EVERY_MS);
  const {
    rounds = MOST_ROUNDS,
    jitterMs = usualJitter(everyMs, tasks),
    failAfter = 1,
    upWhen = 'answered',
    keepRounds,
    onChange,
  } = options;
  whole('rounds', rounds, MOST_ROUNDS);
  whole('failAfter', failAfter, MOST_FAIL_AFTER);
  if (keepRounds !== undefined) whole('keepRounds', keepRounds, MOST_ROUNDS);
  between('jitterMs', jitterMs, 0, everyMs);
  if (jitterMs === everyMs)
    throw usage(`jitterMs ${jitterMs}: it must be less than everyMs, or no round is ever over in time`);
  if (upWhen !== 'answered' && upWhen !== 'ok') throw usage(`upWhen: expected answered or ok, got "${upWhen}"`);
  if (onChange?.trim() === '') throw usage('onChange: expected a command, got nothing');
  // Outputs that have files of their own would outlive their rounds.
  if (options.journalOutput === 'all') throw usage('journalOutput all: rounds are recorded with head, or none');
  if (options.extract !== undefined && gather !== 'collect') {
    throw usage(`extract: there is nothing to look at with gather ${gather}`);
  }
  return {
    rules: { everyMs, jitterMs, rounds: rounds === MOST_ROUNDS ? Infinity : rounds },
    failAfter,
    upWhen,
    extract: options.extract === undefined ? undefined : parseExtract(options.extract),
    onChange,
    metrics: options.metrics === undefined ? undefined : metricsPlace(options.metrics),
  };
}

function usualJitter(everyMs: number, tasks: number): number {
  const spread = Math.max(everyMs * JITTER, Math.min(everyMs * MOST_JITTER, tasks * LEAST_GAP_MS));
  return Math.min(spread, tasks * JITTER_A_TASK_MS);
}

/** What was asked for by name stays as it is. */
export interface AskedOfPolls {
  readonly deadlines?: Partial<Deadlines> | undefined;
  readonly commandMs?: number | null | undefined;
  readonly retries?: number | undefined;
  /** What those that are kept leave. */
  readonly connections: number;
}

/** No deadline is made shorter than that by a period. */
const LEAST_DEADLINE_MS = 5_000;
const PHASES = ['dnsMs', 'connectMs', 'handshakeMs', 'authMs', 'openMs'] as const;

/**
 * The limits of one round: no phase takes longer than a period (or 5 s), the command neither, so that one silent host does not keep all others
 * from being asked; the next round is the next try.
 */
export function limitsOfRounds(limits: Limits, everyMs: number, asked: AskedOfPolls): Limits {
  const mostMs = Math.max(everyMs, LEAST_DEADLINE_MS);
  const deadlines = { ...limits.deadlines };
  for (const phase of PHASES) {
    if (asked.deadlines?.[phase] === undefined) deadlines[phase] = Math.min(deadlines[phase], mostMs);
  }
  if (asked.commandMs === undefined && asked.deadlines?.commandMs === undefined) deadlines.commandMs = mostMs;
  const connections = Math.max(1, Math.min(limits.connections, asked.connections));
  return { ...limits, connections, deadlines, retries: asked.retries ?? 0 };
}

const KEPT_ROUNDS = 1_000;
const KEPT_BYTES = 2 ** 30;

/** What the journal keeps of a run in rounds; undefined: the run is none. */
export function keptRounds({ everyMs, keepRounds = KEPT_ROUNDS }: PollOptions): KeptRounds | undefined {
  return everyMs === undefined ? undefined : { rounds: keepRounds, bytes: KEPT_BYTES };
}

/** Never an address that was not written: a port alone is on the loopback. */
function metricsPlace(text: string): MetricsPlace {
  const [, bracketed, plain = '127.0.0.1', port] = /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text) ?? [];
  const address = bracketed ?? (plain === 'localhost' ? '127.0.0.1' : plain);
  if (port !== undefined && isIP(address) !== 0 && Number(port) <= 65_535) return { address, port: Number(port) };
  throw usage(`metrics: expected ADDRESS:PORT, as 127.0.0.1:9464 or [::1]:9464, or a port, got "${text}"`);
}

function between(name: string, value: number, least: number, most: number): void {
  if (Number.isFinite(value) && value >= least && value <= most) return;
  throw usage(`${name}: expected milliseconds from ${least} to ${most}, got ${value}`);
}

function whole(name: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return;
  throw usage(`${name}: expected a whole number from 1 to ${most}, got ${value}`);
}

function usage(message: string): MyriadError {
  return new MyriadError('usage', message);
}
