/**
 * How far a run is, in one line on stderr: redrawn in place on a terminal, now and then a line of its own elsewhere.
 *
 * States: idle → running (`start`; the first frame comes after FIRST_MS, then one each period) → stopped
 * On a terminal the line is either on the screen (`#drawn`) or not. Whoever writes to that terminal does so through
 * `wrap`: the line is cleared before, and comes back with the next frame. Both the line and the text end up in writers
 * that collect a turn's writes, therefore each side is flushed before the other one writes.
 */
import type { Clock } from '../contracts/limits.ts';
import { OUTCOME_KINDS, type OutcomeKind } from '../contracts/outcome.ts';
import { escapeText } from './escape.ts';
import { formatCount, formatDuration, formatRate } from './format.ts';
import { type RoundProgress, roundProgress } from './polling.ts';
import { wrap } from './summary.ts';
import { type WaveProgress, waveProgress } from './wave.ts';
import type { Sink } from './writer.ts';

/** How far the run is: the counts of its results and the executor's status. */
export interface ProgressStatus {
  readonly planned: number;
  /** Tasks per outcome so far. */
  readonly outcomes: Readonly<Partial<Record<OutcomeKind, number>>>;
  readonly connecting: number;
  readonly handshaking: number;
  readonly running: number;
  /** What holds the run back now, in words; empty where nothing does. */
  readonly limitedBy: string;
  /** Nothing new starts until someone says so: there is no rate, and no time left. @default false */
  readonly paused?: boolean;
  /** Where it is among its waves. @default it has none */
  readonly wave?: WaveProgress | undefined;
  /** Where it is among its rounds; the counts are of one round then. @default it has none */
  readonly round?: RoundProgress | undefined;
  /** The oldest tasks in progress, oldest first. @default they are not known */
  readonly slowest?: readonly SlowTask[] | undefined;
}

export interface SlowTask {
  readonly label: string;
  readonly phase: string;
  readonly ageMs: number;
}

/** `redraw`: in place, on a terminal · `lines`: a line now and then · `off`. */
export type ProgressMode = 'redraw' | 'lines' | 'off';

/** `auto` draws on a terminal outside CI; `always` writes lines where stderr is none. */
export function progressMode(
  option: 'auto' | 'always' | 'never',
  environment: { readonly isTTY: boolean; readonly ci: boolean },
): ProgressMode {
  if (option === 'never' || (option === 'auto' && (environment.ci || !environment.isTTY))) return 'off';
  return environment.isTTY && !environment.ci ? 'redraw' : 'lines';
}

export interface ProgressOptions {
  readonly mode: ProgressMode;
  /** Where the line goes: stderr. */
  readonly sink: Sink;
  readonly clock: Clock;
  /** With so many of the slowest tasks. */
  readonly status: (slowest: number) => ProgressStatus;
  /** Width of the terminal now. @default 80 */
  readonly columns?: () => number;
}

/** Runs shorter than this show no line at all. */
const FIRST_MS = 300;
/** A frame takes 0.05 ms of CPU, and the loop stands for as long as the terminal takes the line: up to 1 ms where it is slow. */
const FRAME_MS = 200;
const LINE_MS = 10_000;
/** The rate is a mean in which what is older than this counts little. */
const RATE_MS = 5000;
/** A task younger than this is none of the slow ones that the line names. */
const SLOW_MS = 5000;
/** Slow tasks that are named where somebody asks how far it is. */
const SLOWEST = 5;
/**
 * Left free behind the line: one, as a terminal may wrap as soon as the last one is written, and two for the `^C` that it shows
 * when somebody types that; on the next line it would stay, and this one with it.
 */
const FREE_COLUMNS = 3;
/** To the first column, and clear to the end of the line. */
const CLEAR = '\r\x1b[K';

export class Progress {
  readonly #mode: ProgressMode;
  readonly #sink: Sink;
  readonly #clock: Clock;
  readonly #status: (slowest: number) => ProgressStatus;
  readonly #columns: () => number;
  readonly #wrapped: Sink[] = [];
  readonly #rate = new Rate(RATE_MS);
  #timer: { cancel(): void } | undefined;
  #state: 'idle' | 'running' | 'stopped' = 'idle';
  #holds = 0;
  /** The text on the screen; undefined where none is. */
  #drawn: string | undefined;

  constructor(options: ProgressOptions) {
    this.#mode = options.mode;
    this.#sink = options.sink;
    this.#clock = options.clock;
    this.#status = options.status;
    this.#columns = options.columns ?? (() => 80);
  }

  start(): void {
    if (this.#mode === 'off' || this.#state !== 'idle') return;
    this.#state = 'running';
    this.#rate.sample(this.#clock.now(), done(this.#status(0)));
    this.#schedule(this.#mode === 'redraw' ? FIRST_MS : LINE_MS);
  }

  /** How far it is, for somebody who asks: all of the line, and the slowest tasks; each line with its newline. */
  describe(): string {
    const status = this.#status(SLOWEST);
    const columns = this.#columns() - 1;
    const lines = wrap(partsOf(progressLine({ ...status, slowest: [] }, this.#rate.mean)), '', columns);
    const slowest = (status.slowest ?? []).map(slowText);
    if (slowest.length > 0) lines.push(...wrap(partsOf(`slowest: ${slowest.join(', ')}`), '', columns));
    return lines.map((line) => `${line}\n`).join('');
  }

  /** Takes the line away for good. */
  stop(): void {
    this.#state = 'stopped';
    this.#timer?.cancel();
    this.#timer = undefined;
    this.clear();
  }

  /** Takes the line away until the next frame. */
  clear(): void {
    if (this.#drawn === undefined) return;
    this.#drawn = undefined;
    this.#sink.write(CLEAR);
    this.#sink.flush();
  }

  /** Takes the line away until what it returns is called: someone is asked something on the terminal. */
  hold(): () => void {
    this.clear();
    this.#holds += 1;
    let held = true;
    return () => {
      if (held) this.#holds -= 1;
      held = false;
    };
  }

  /** A sink to the same terminal that clears the line before it is written to; any other sink is returned as it is. */
  wrap(sink: Sink): Sink {
    if (this.#mode !== 'redraw' || !sink.terminal) return sink;
    this.#wrapped.push(sink);
    return {
      terminal: true,
      get pending() {
        return sink.pending;
      },
      get full() {
        return sink.full;
      },
      write: (data) => {
        this.clear();
        sink.write(data);
      },
      flush: () => sink.flush(),
      drained: () => sink.drained(),
    };
  }

  #schedule(delayMs: number): void {
    this.#timer = this.#clock.setTimer(delayMs, () => {
      this.#frame();
      if (this.#state === 'running') this.#schedule(this.#mode === 'redraw' ? FRAME_MS : LINE_MS);
    });
  }

  #frame(): void {
    if (this.#holds > 0) return;
    const status = this.#status(1);
    const perSecond = this.#rate.sample(this.#clock.now(), done(status));
    if (this.#mode === 'lines') {
      this.#sink.write(`${progressLine(status, perSecond)}\n`);
      return;
    }
    // A terminal that does not take what it has (^S) is not given more.
    for (const sink of this.#wrapped) sink.flush();
    if (this.#sink.pending > 0 || this.#wrapped.some((sink) => sink.pending > 0)) return;
    const columns = this.#columns() - FREE_COLUMNS;
    const line = truncate(progressLine(status, perSecond, columns), columns);
    if (line === this.#drawn) return;
    this.#sink.write(CLEAR + line);
    this.#sink.flush();
    this.#drawn = line;
  }
}

/**
 * `3,412/10,000 34%, 12 failed, wave 2 of 7, 813/s, 8.1 s left, 20 connecting, 64 handshaking, 180 running, limited by: …`
 *
 * `columns`: where the line would be longer, what is not ok is one number, so that there is room for what stands behind it.
 */
export function progressLine(status: ProgressStatus, perSecond: number, columns = Number.POSITIVE_INFINITY): string {
  const notOk = bad(status);
  const line = lineOf(status, perSecond, notOk);
  if (line.length <= columns || notOk.length < 2) return line;
  const { ok = 0, skipped = 0 } = status.outcomes;
  return lineOf(status, perSecond, [`${formatCount(done(status) - ok - skipped)} not ok`]);
}

/** How far a run is that waits for somebody: the whole line, broken to the width of the terminal. */
export function pausedText(status: ProgressStatus, columns: number): string {
  return wrap(partsOf(progressLine({ ...status, paused: true }, 0)), '', columns - 1).join('\n');
}

/** Where a line may be broken: no number stands away from what it counts. */
function partsOf(line: string): string[] {
  return line.split(/(?<=,) /);
}

/** How many ended in each way that is not ok. */
function bad({ outcomes }: ProgressStatus): string[] {
  return OUTCOME_KINDS.flatMap((kind) => {
    const count = outcomes[kind] ?? 0;
    return count > 0 && kind !== 'ok' && kind !== 'skipped' ? [`${formatCount(count)} ${kind}`] : [];
  });
}

function lineOf(status: ProgressStatus, perSecond: number, notOk: readonly string[]): string {
  const ended = done(status);
  // Rounded down: 100% only when nothing is left.
  const percent = status.planned === 0 ? 100 : Math.floor((ended / status.planned) * 100);
  const parts = [`${formatCount(ended)}/${formatCount(status.planned)} ${percent}%`, ...notOk];
  if (status.wave) parts.push(waveProgress(status.wave));
  if (status.round) parts.push(roundProgress(status.round));
  if (status.paused) parts.push('paused');
  else if (status.round?.nextInMs === undefined) parts.push(formatRate(perSecond));
  if (!status.paused && perSecond > 0 && ended < status.planned) {
    parts.push(`${formatDuration(((status.planned - ended) / perSecond) * 1000)} left`);
  }
  for (const phase of ['connecting', 'handshaking', 'running'] as const) {
    if (status[phase] > 0) parts.push(`${formatCount(status[phase])} ${phase}`);
  }
  if (status.limitedBy !== '' && !status.paused) parts.push(`limited by: ${escapeText(status.limitedBy)}`);
  const [slow] = status.slowest ?? [];
  if (slow !== undefined && slow.ageMs >= SLOW_MS) parts.push(`slowest: ${slowText(slow)}`);
  return parts.join(', ');
}

/** `web17 command 45 s`: whole seconds, so that the line is not drawn anew for tenths. */
function slowText({ label, phase, ageMs }: SlowTask): string {
  const age = ageMs < 60_000 ? `${Math.floor(ageMs / 1000)} s` : formatDuration(ageMs);
  return `${escapeText(label)} ${phase} ${age}`;
}

function done(status: ProgressStatus): number {
  let sum = 0;
  for (const kind of OUTCOME_KINDS) sum += status.outcomes[kind] ?? 0;
  return sum;
}

/** Cut to a width, the last character saying so. Wide characters occur only in what a peer is called: not counted. */
function truncate(line: string, width: number): string {
  if (line.length <= width) return line;
  return width < 1 ? '' : `${line.slice(0, width - 1)}…`;
}

/**
 * Events per second as an exponentially weighted mean. The weight that the time before the first sample would have is
 * divided out, so that the first seconds show the plain mean instead of a slow climb from 0.
 */
class Rate {
  readonly #windowMs: number;
  #last: { readonly at: number; readonly count: number } | undefined;
  #mean = 0;
  #weight = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Up to the last sample. */
  get mean(): number {
    return this.#weight === 0 ? 0 : this.#mean / this.#weight;
  }

  /** Takes the count at a time in milliseconds; gives the rate up to there. */
  sample(at: number, count: number): number {
    const last = this.#last;
    this.#last = { at, count };
    if (last === undefined || at <= last.at) return this.mean;
    const share = 1 - Math.exp((last.at - at) / this.#windowMs);
    this.#mean += share * (((count - last.count) * 1000) / (at - last.at) - this.#mean);
    this.#weight += share * (1 - this.#weight);
    return this.mean;
  }
}
