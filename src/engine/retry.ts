/** Which failures of a task are tried again, and after how long. */
import type { Limits, Random } from '../contracts/limits.ts';
import type { Outcome, UnreachableOutcome } from '../contracts/outcome.ts';

/** The first wait is up to this, each further one up to twice as long. */
const BASE_MS = 100;
const CAP_MS = 2_000;
/** What passes by itself is waited for over so many connect deadlines: sshd drops at random, so that patience wins. */
const PATIENCE = 3;
/** sshd's PerSourcePenalties begin to count at 15 s; up to a third more, so that not all come back together. */
export const PENALTY_MS = 15_000;
const PENALTY_JITTER_MS = 5_000;

/**
 * One task's failures so far. Only transient causes that come before the job can have begun are tried again, with full jitter:
 *
 *   throttled     the peer hung up before its identification: until three connect deadlines after the first
 *   local-limit   descriptors, ports or buffers ran out here: the same
 *   a penalty     (see `saysPenalty`): the same, after 15 s and more
 *   reset, and a session that was refused for lack of room: at most `limits.retries` times
 *   a host that was silent for a whole connect deadline: the same where `limits.retrySilent`, else not at all: in 10 s the kernel has
 *                 asked it four times (SYN after 0, 1, 3 and 7 s), and a fleet has hosts that are dead
 *
 * Waiting for limits does not count. Who waits between two attempts holds nothing but its memory: its place is lent at once.
 */
export class Backoff {
  #failures = 0;
  #counted = 0;
  #patientAt: number | undefined;
  #waitedBefore = 0;

  /**
   * Milliseconds to wait before the next attempt; undefined: the outcome stands. `waitedMs`: what the task has spent waiting for
   * limits so far; `penalty`: the host lets nobody in from here for a while.
   */
  next(
    outcome: Outcome,
    now: number,
    waitedMs: number,
    limits: Limits,
    random: Random,
    penalty = false,
  ): number | undefined {
    const patience = patienceFor(outcome, limits);
    if (patience === 'none') return undefined;
    this.#failures += 1;
    if (patience === 'counted') {
      this.#counted += 1;
      return this.#counted > limits.retries ? undefined : jitter(this.#failures, random);
    }
    if (this.#patientAt === undefined) {
      this.#patientAt = now;
      this.#waitedBefore = waitedMs;
    }
    const delay = penalty ? PENALTY_MS + random() * PENALTY_JITTER_MS : jitter(this.#failures, random);
    const spent = now - this.#patientAt - (waitedMs - this.#waitedBefore);
    return spent + delay > PATIENCE * limits.deadlines.connectMs ? undefined : delay;
  }
}

function patienceFor(outcome: Outcome, { retrySilent }: Limits): 'none' | 'counted' | 'patient' {
  if (outcome.kind === 'timeout') return retrySilent && outcome.phase === 'connect' ? 'counted' : 'none';
  if (outcome.kind === 'refused') return isCrowded(outcome.what, outcome.reason) ? 'counted' : 'none';
  if (outcome.kind !== 'unreachable') return 'none';
  if (outcome.cause === 'throttled' || outcome.cause === 'local-limit') return 'patient';
  return outcome.cause === 'reset' ? 'counted' : 'none';
}

/** OpenSSH says `connect failed` for one session too many; what an administrator forbids stays forbidden. */
function isCrowded(what: string, reason: string): boolean {
  return what === 'session' && /^(resource shortage|connect failed)\b/.test(reason);
}

/**
 * Whether a host that hung up said that the address we come from has misbehaved, and is not let in for a while. OpenSSH 9.8 and
 * later have one sentence for that and for MaxStartups, so that it says so perhaps.
 */
export function saysPenalty({ message }: UnreachableOutcome): 'no' | 'perhaps' | 'yes' {
  if (/penalt/i.test(message)) return 'yes';
  return /not allowed at this time/i.test(message) ? 'perhaps' : 'no';
}

/** The peer hung up, or reset the connection, before the login. */
export function isCutOff(outcome: Outcome): boolean {
  return outcome.kind === 'unreachable' && (outcome.cause === 'throttled' || outcome.cause === 'reset');
}

/** What this machine ran out of, as the system names it in `message`. */
export function localLimitOf(message: string): string {
  return /\b(EMFILE|ENFILE|ENOBUFS|ENOMEM|EAGAIN|EADDRNOTAVAIL|EADDRINUSE)\b/.exec(message)?.[1] ?? 'descriptors';
}

/** Full jitter: anything from nothing to the ceiling, so that a thousand tasks do not come back together. */
function jitter(failures: number, random: Random): number {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(failures - 1, 10));
}
